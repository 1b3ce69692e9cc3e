//! Commands that a text recommends name the plan that this command runs with, so that they can be copied.
//!
//! Texts of the library write `` `dynasplit verify --repair` ``: it does not know which file a plan came from. Whatever is
//! printed goes through [`copyable`], so that the commands of all messages look alike.

use super::args::Args;
use clap::CommandFactory;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{LazyLock, OnceLock};

/// The plan of this process, as a shell takes it.
static PLAN: OnceLock<String> = OnceLock::new();

/// How a recommended command begins.
const BEGIN: &str = "`dynasplit ";

/// The commands that take a plan. Those with commands of their own count if these take one.
static COMMANDS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let takes = |command: &clap::Command| command.get_arguments().any(|each| each.get_id() == "plan");
    Args::command()
        .get_subcommands()
        .filter(|command| takes(command) || command.get_subcommands().any(takes))
        .map(|command| command.get_name().to_owned())
        .collect()
});

/// Remembers the plan that the command line names. Only the first call counts: a process runs one command.
pub fn remember(plan: &Path) {
    PLAN.get_or_init(|| quoted(&plan.display().to_string()));
}

/// The text, in which each recommended command names the plan of this process.
pub fn copyable(text: &str) -> Cow<'_, str> {
    match PLAN.get() {
        Some(plan) if text.contains(BEGIN) => Cow::Owned(with_plan(text, plan)),
        _ => Cow::Borrowed(text),
    }
}

/// [`copyable`] for text that is JSON.
pub fn copyable_json(json: &str) -> Cow<'_, str> {
    match PLAN.get() {
        Some(plan) if json.contains(BEGIN) => {
            let escaped = serde_json::Value::from(plan.as_str()).to_string();
            Cow::Owned(with_plan(json, escaped.trim_matches('"')))
        }
        _ => Cow::Borrowed(json),
    }
}

fn with_plan(text: &str, plan: &str) -> String {
    let mut out = String::with_capacity(text.len() + plan.len());
    let mut rest = text;
    while let Some(at) = rest.find(BEGIN) {
        let (before, from) = rest.split_at(at + 1);
        out.push_str(before);
        match from.split_once('`') {
            Some((command, after)) => {
                out.push_str(&one(command, plan));
                out.push('`');
                rest = after;
            }
            None => rest = from,
        }
    }
    out.push_str(rest);
    out
}

/// One command with its plan. A text that is not a dynasplit command, or has its plan, stays unchanged.
fn one(command: &str, plan: &str) -> String {
    let mut words = command.split_whitespace().skip(1);
    let takes_plan = words.next().is_some_and(|name| COMMANDS.contains(name));
    if !takes_plan || command.contains(plan) {
        return command.to_owned();
    }
    if words.any(|word| word == "PLAN") {
        return command.replacen("PLAN", plan, 1);
    }
    format!("{command} {plan}")
}

/// A path as a shell takes it.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=".contains(c);
    if !path.is_empty() && path.chars().all(plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recommended_command_names_the_plan() {
        for (text, expected) in [
            (
                "run `dynasplit verify --repair` again",
                "run `dynasplit verify --repair p.yaml` again",
            ),
            (
                "`dynasplit replicate`, then `dynasplit dead-letters list`",
                "`dynasplit replicate p.yaml`, then `dynasplit dead-letters list p.yaml`",
            ),
            ("`dynasplit apply PLAN`", "`dynasplit apply p.yaml`"),
            ("`dynasplit verify p.yaml`", "`dynasplit verify p.yaml`"),
            (
                "`dynasplit schema` and `aws sts`",
                "`dynasplit schema` and `aws sts`",
            ),
            ("a lone `dynasplit verify", "a lone `dynasplit verify"),
            ("dynasplit verify", "dynasplit verify"),
        ] {
            assert_eq!(with_plan(text, "p.yaml"), expected);
        }
    }

    #[test]
    fn a_path_can_be_pasted_into_a_shell() {
        assert_eq!(quoted("plans/a-1.yaml"), "plans/a-1.yaml");
        assert_eq!(quoted("my plans/it's.yaml"), r"'my plans/it'\''s.yaml'");
    }
}
