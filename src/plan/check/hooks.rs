//! The hooks of a plan.

use super::fence::seconds;
use super::report::Report;
use crate::plan::either::WordOr;
use crate::plan::hooks::{HookCommand, HookName, Hooks};
use crate::plan::path::Path;
use crate::plan::spec_cutover::{HooksSpec, WrittenHook};
use std::ops::RangeInclusive;
use std::time::Duration;

/// How long a hook may take if the plan does not say it.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Seconds that a hook may take: at most an hour, because the writers may be stopped meanwhile.
const TIMEOUT_SECONDS: RangeInclusive<u32> = 1..=3600;
/// Most arguments of a hook: a longer list belongs into a script.
const MAX_WORDS: usize = 100;

/// The hooks, and whether those of a fence come in pairs.
pub(super) fn hooks(spec: &HooksSpec, path: &Path, report: &mut Report) -> Hooks {
    let named = spec.by_name();
    if named.iter().all(|(_, hook)| hook.is_none()) && !report.is_faulty(path) {
        report.at(
            path,
            "no hook is named",
            "name one, as in hooks: { switch: ./switch.sh }, or remove `hooks`",
        );
    }
    let read = named.iter().zip(HookName::ALL);
    let hooks: Hooks = read
        .filter_map(|((word, hook), name)| Some((name, command((*hook)?, &path.field(word), report))))
        .collect();
    for (one, other, without) in [
        (
            HookName::Fence,
            HookName::Unfence,
            "nothing would let the writers write again",
        ),
        (
            HookName::Unfence,
            HookName::Fence,
            "nothing would stop the writers before",
        ),
        (
            HookName::FenceTarget,
            HookName::UnfenceTarget,
            "nothing would let the writers write again",
        ),
        (
            HookName::UnfenceTarget,
            HookName::FenceTarget,
            "nothing would stop the writers before",
        ),
    ] {
        if hooks.contains_key(&one)
            && !hooks.contains_key(&other)
            && !report.is_faulty(&path.field(other.word()))
        {
            report.at_name(
                &path.field(one.word()),
                format!("there is no hook `{other}`: {without}"),
                format!("add the hook `{other}`"),
            );
        }
    }
    hooks
}

fn command(hook: &WrittenHook, path: &Path, report: &mut Report) -> HookCommand {
    let (words, timeout, path, list) = match hook {
        WordOr::Word(program) => (vec![program.clone()], None, path.clone(), false),
        WordOr::Map(hook) => (hook.run.clone(), hook.timeout, path.clone(), true),
    };
    let run = if list { path.field("run") } else { path.clone() };
    check_words(&words, list, &run, report);
    let mut words = words.into_iter();
    HookCommand {
        program: words.next().unwrap_or_default(),
        arguments: words.collect(),
        timeout: seconds(timeout, TIMEOUT, TIMEOUT_SECONDS, &path.field("timeout"), report),
    }
}

fn check_words(words: &[String], list: bool, path: &Path, report: &mut Report) {
    if report.is_faulty(path) {
        return;
    }
    let program = words.first().map(String::as_str).unwrap_or_default();
    if program.trim().is_empty() {
        report.at(
            path,
            "no program is named",
            "write a program, and its arguments if it has any: run: [./switch.sh, '10']",
        );
    } else if !list && program.contains(char::is_whitespace) {
        let parts: Vec<String> = program
            .split_whitespace()
            .map(|word| format!("'{word}'"))
            .collect();
        report.at(
            path,
            "this is one program, whose name contains white space, because no shell splits it",
            format!(
                "list the program and its arguments: {{ run: [{}] }}",
                parts.join(", ")
            ),
        );
    } else if words.len() > MAX_WORDS {
        report.at(
            path,
            format!("the command has {} words", words.len()),
            "put the command into a script",
        );
    } else if words.iter().any(|word| word.contains('\0')) {
        report.at(path, "a word of the command contains a zero byte", "remove it");
    }
}
