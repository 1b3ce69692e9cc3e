//! What the documentation shows is true: command lines parse, plans and expressions check, links lead somewhere, tables
//! agree with the code. Each fenced block says by its info string what it is:
//!
//! | info string | what is held of it |
//! |---|---|
//! | `sh` | each `dynasplit` (or `cargo run --release --`) command parses |
//! | `yaml plan` | a whole plan |
//! | `yaml service` | one or more services, in an otherwise fixed plan |
//! | `yaml top` | top-level keys, in the place of a fixed plan's |
//! | `sh hook` | a script of a hook |
//! | `yaml prices` | a price file |
//! | `yaml workflow` | a CI workflow: its `run:` commands parse |
//! | `yaml prometheus`, `yaml kubernetes`, `yaml collector` | anything: a part of their settings |
//! | `text where` | a condition on each line |
//! | `json` | JSON |
//! | `dockerfile` | lines of a Dockerfile |
//! | `text` | anything: output |
//!
//! The definitions of `deploy/` are checked in the same way.

#[path = "docs/book.rs"]
mod book;
#[path = "docs/deploy.rs"]
mod deploy;
#[path = "docs/hooks.rs"]
mod hooks;
#[path = "docs/metrics.rs"]
mod metrics;
#[path = "docs/obstacles.rs"]
mod obstacles;
#[path = "docs/pages.rs"]
mod pages;
#[path = "docs/permissions.rs"]
mod permissions;
#[path = "docs/plans.rs"]
mod plans;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use dynasplit::cli::{Args, Exit};
use pages::{anchors, blocks, code_spans, links, pages, read, root, section, split};
use std::collections::{BTreeMap, BTreeSet};

/// The words of the first simple command in a shell line: up to a pipe, a redirection or a list operator.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut begun = false;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.push(c),
            (None, '\'' | '"') => (quote, begun) = (Some(c), true),
            (None, '|' | '>' | ';' | '&' | '#') => break,
            (None, c) if c.is_whitespace() => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            (None, c) => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

/// The arguments of a `dynasplit` command line; `None` where the line is another command.
fn dynasplit(line: &str) -> Option<Vec<String>> {
    let words = words(line);
    let words = words.strip_prefix(["$".to_owned()].as_slice()).unwrap_or(&words);
    let cargo = ["cargo", "run", "--release", "--"].map(str::to_owned);
    match words {
        [first, rest @ ..] if first == "dynasplit" => Some(rest.to_vec()),
        _ => words.strip_prefix(cargo.as_slice()).map(<[String]>::to_vec),
    }
}

fn parses(arguments: &[String]) -> Result<(), String> {
    let all = std::iter::once("dynasplit").chain(arguments.iter().map(String::as_str));
    match Args::try_parse_from(all) {
        // clap reports these two as errors.
        Err(error) if !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Err(error.to_string())
        }
        _ => Ok(()),
    }
}

#[test]
fn command_lines_parse() {
    let mut count = 0;
    for block in blocks() {
        let lines: Vec<&str> = match block.info.as_str() {
            "sh" => block.text.lines().collect(),
            "yaml workflow" => block
                .text
                .lines()
                .map(|line| line.trim_start().trim_start_matches("- "))
                .filter_map(|line| line.strip_prefix("run: "))
                .collect(),
            _ => continue,
        };
        for line in lines {
            let Some(arguments) = dynasplit(line) else {
                continue;
            };
            count += 1;
            parses(&arguments).unwrap_or_else(|error| panic!("{}: {line}\n{error}", block.place));
        }
    }
    assert!(count >= 40, "only {count} command lines were found");
}

#[test]
fn commands_in_the_prose_parse() {
    let mut count = 0;
    for (page, span) in code_spans() {
        let Some(arguments) = span.strip_prefix("dynasplit ").and_then(|_| dynasplit(&span)) else {
            continue;
        };
        if arguments.first().is_some_and(|word| word == "help") {
            continue;
        }
        count += 1;
        // A mention may leave the plan out.
        let with_plan: Vec<String> = arguments
            .iter()
            .cloned()
            .chain(["plan.yaml".to_owned()])
            .collect();
        if parses(&arguments).is_err() {
            parses(&with_plan).unwrap_or_else(|error| panic!("{page}: `{span}`\n{error}"));
        }
    }
    assert!(count >= 3, "only {count} were found");
}

/// The texts of the product recommend commands that can be copied: whatever they leave open is filled in, and the plan is added.
#[test]
fn commands_that_the_messages_recommend_parse() {
    let mut count = 0;
    for source in sources(&root().join("src")) {
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        // A text that continues on the next line ends with a backslash.
        let text = lines.fold(String::new(), |text, line| match text.strip_suffix('\\') {
            Some(begun) => format!("{begun}{}", line.trim_start()),
            None => format!("{text}\n{line}"),
        });
        for after in text.split("`dynasplit ").skip(1) {
            let Some((command, _)) = after
                .split_once('`')
                .filter(|(command, _)| !command.contains('\n'))
            else {
                continue;
            };
            let filled = filled(command);
            let mut arguments = dynasplit(&format!("dynasplit {filled}")).expect("a command");
            if !arguments.iter().any(|word| word == "PLAN") {
                arguments.push("plan.yaml".to_owned());
            }
            count += 1;
            parses(&arguments).unwrap_or_else(|error| panic!("`dynasplit {command}`\n{error}"));
        }
    }
    assert!(count >= 200, "only {count} were found");
}

/// A text with a number for each value that is filled in when it is printed: it is right as a name, a count and a time.
fn filled(text: &str) -> String {
    let mut parts = text.split('{');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        filled.push('7');
        filled.push_str(part.split_once('}').map_or("", |(_, rest)| rest));
    }
    filled
}

#[test]
fn json_is_json_and_every_block_says_what_it_is() {
    const KNOWN: [&str; 14] = [
        "sh",
        "dockerfile",
        "sh hook",
        "yaml plan",
        "yaml service",
        "yaml top",
        "yaml prices",
        "yaml workflow",
        "yaml prometheus",
        "yaml kubernetes",
        "yaml collector",
        "text where",
        "text",
        "json",
    ];
    for block in blocks() {
        assert!(
            KNOWN.contains(&block.info.as_str()),
            "{}: `{}` is none of {KNOWN:?}",
            block.place,
            block.info
        );
        if block.info == "json" {
            let read: Result<serde_json::Value, _> = serde_json::from_str(&block.text);
            assert!(read.is_ok(), "{}: {read:?}", block.place);
        }
    }
}

#[test]
fn links_lead_somewhere() {
    let pages = pages();
    let mut count = 0;
    for (name, page) in &pages {
        let (_, prose) = split(name, page);
        let folder = root().join(name).parent().unwrap().to_owned();
        for link in links(&prose) {
            count += 1;
            if let Some(rest) = link.strip_prefix("http") {
                assert!(rest.starts_with("s://"), "{name}: {link} is not https");
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                root().join(name)
            } else {
                folder.join(file)
            };
            assert!(target.exists(), "{name}: {link} leads nowhere");
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&target).unwrap();
                assert!(
                    anchors(&text).contains(anchor),
                    "{name}: {link}: no such heading; there are {:?}",
                    anchors(&text)
                );
            }
        }
    }
    assert!(count >= 60, "only {count} links were found");
}

#[test]
fn files_that_are_named_exist() {
    let mut count = 0;
    for (page, span) in code_spans() {
        let path = ["src/", "tests/", "plans/", "docs/", "deploy/", ".ci/"]
            .iter()
            .any(|folder| span.starts_with(folder));
        if path && !span.contains(' ') {
            count += 1;
            assert!(root().join(&span).exists(), "{page}: `{span}` does not exist");
        }
    }
    assert!(count >= 20);
}

#[test]
fn exit_codes_are_the_codes() {
    let all = [
        Exit::Done,
        Exit::Failed,
        Exit::Usage,
        Exit::NotClean,
        Exit::Interrupted,
    ];
    // A new one does not compile here before it is in the list above.
    for exit in all {
        match exit {
            Exit::Done | Exit::Failed | Exit::Usage | Exit::NotClean | Exit::Interrupted => {}
        }
    }
    let page = read("docs/commands.md");
    let documented: BTreeMap<u8, &str> = section(&page, "### Exit codes")
        .lines()
        .filter_map(|line| {
            let mut cells = line.split('|').map(str::trim).skip(1);
            Some((cells.next()?.parse().ok()?, cells.next()?))
        })
        .collect();
    assert_eq!(
        documented.keys().copied().collect::<Vec<_>>(),
        all.map(|exit| exit as u8)
    );
    let help = Args::command().get_after_help().unwrap().to_string();
    for (code, meaning) in documented {
        assert!(
            help.contains(&format!("{code} {meaning}")),
            "--help says something else of {code}: {help}"
        );
    }
}

/// Long options of a command, without those of every command.
fn options(command: &clap::Command) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = command
        .get_arguments()
        .filter(|argument| !argument.is_global_set())
        .filter_map(|argument| argument.get_long().map(|long| format!("--{long}")))
        .filter(|long| long != "--help" && long != "--version")
        .collect();
    found.extend(command.get_subcommands().flat_map(options));
    found
}

/// Options that the tables of a section list in their first column.
fn documented_options(section: &str) -> BTreeSet<String> {
    let first = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `--")?.split_once('`'));
    first
        .map(|(option, _)| format!("--{}", option.split(' ').next().unwrap_or_default()))
        .collect()
}

#[test]
fn every_command_and_option_is_documented() {
    let page = read("docs/commands.md");
    let mut parser = Args::command();
    parser.build();
    for command in parser
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
    {
        let name = command.get_name();
        let section = section(&page, &format!("### {name}"));
        let (there, documented) = (options(command), documented_options(section));
        for option in &there {
            assert!(
                section.contains(option.as_str()),
                "docs/commands.md says nothing of `{name} {option}`"
            );
        }
        assert!(
            documented.is_subset(&there),
            "docs/commands.md tells of options of {name} that are not there: {:?}",
            documented.difference(&there)
        );
    }
    let everywhere = section(&page, "## For every command");
    for argument in parser.get_arguments().filter(|argument| argument.is_global_set()) {
        if let Some(long) = argument
            .get_long()
            .filter(|long| !["verbose", "help"].contains(long))
        {
            assert!(
                everywhere.contains(&format!("--{long}")),
                "nothing is said of --{long}"
            );
        }
    }
}

#[test]
fn ci_runs_what_the_readme_says() {
    let script = read(".ci/run");
    let first = script.lines().find(|line| line.starts_with("cargo ")).unwrap();
    assert_eq!(first, "cargo test");
    let (blocks, _) = split("README.md", &read("README.md"));
    let shown: Vec<&str> = blocks
        .iter()
        .filter(|block| block.info == "sh")
        .flat_map(|block| block.text.lines())
        .collect();
    assert_eq!(
        shown[..2],
        [
            "cargo run --release -- rehearse plans/online-learning.yaml",
            "cargo test"
        ]
    );
    assert!(read(".github/workflows/ci.yml").contains("run: .ci/run"));
}

/// Pages are read in an editor, too.
#[test]
fn pages_end_with_one_newline_and_have_no_tabs() {
    for (name, page) in pages() {
        assert!(page.ends_with('\n') && !page.ends_with("\n\n"), "{name}");
        assert!(!page.contains('\t'), "{name} has a tab");
    }
}

/// Every test that a page names is there: `binary::module::name`, or `lib::module::name` for one beside the code.
#[test]
fn tests_that_the_pages_name_exist() {
    let mut found = 0;
    for (page, span) in code_spans() {
        let parts: Vec<&str> = span.split("::").collect();
        let [binary, .., name] = parts.as_slice() else {
            continue;
        };
        let folder = if *binary == "lib" {
            "src".to_owned()
        } else {
            format!("tests/{binary}")
        };
        if !root().join(&folder).is_dir() || !name.contains('_') {
            continue;
        }
        found += 1;
        let wanted = format!("fn {name}(");
        assert!(
            sources(&root().join(&folder)).any(|text| text.contains(&wanted)),
            "{page} names {span}, and {folder} has no such test"
        );
    }
    assert!(found > 10, "only {found} tests are named");
}

/// The texts of all source files under a folder.
fn sources(folder: &std::path::Path) -> impl Iterator<Item = String> {
    let mut folders = vec![folder.to_owned()];
    let mut texts = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder can be read") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                texts.push(std::fs::read_to_string(&path).expect("a text"));
            }
        }
    }
    texts.into_iter()
}
