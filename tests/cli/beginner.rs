//! The tutorial (docs/first-split.md), followed literally on the genuine DynamoDB Local: each file is saved, each command is
//! run, and each output is compared with what the page shows. Only times may differ.
//!
//! This test takes longer than all others of the binary. Tests begin in the order of their names, so this one begins first.

mod aws;

use super::shell::{Running, Shell};
use crate::support::Engine;
use aws::Aws;
use serde_json::Value;
use std::time::{Duration, Instant};

/// What the page shows comes within this time, if the page shows a moment that must be waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Commands of the shell, and not of dynasplit or of the AWS CLI: the test does what they are for by itself.
const FOREIGN: [&str; 3] = ["docker ", "java ", "export "];
/// A line that stands for lines that are left out.
const LEFT_OUT: &str = "[...]";
/// Tables of the page.
const TABLES: [&str; 4] = ["Shop", "Customers", "Orders", "dynasplit-shop"];

/// A fenced block of the page.
struct Block {
    line: usize,
    info: String,
    text: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tutorial_shows_what_its_reader_sees() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/first-split.md")).unwrap();
    let engine = Engine::genuine().await;
    let aws = Aws::at(engine.endpoint());
    for table in TABLES {
        aws.delete(table).await;
    }
    let mut reader = Reader {
        shell: Shell::new("").at(engine.endpoint()),
        aws,
        tail: None,
        last: Last::Nothing,
        shown: 0,
    };
    for block in blocks(&page) {
        reader.follow(&block).await;
    }
    assert!(reader.shown >= 12, "only {} outputs were compared", reader.shown);
    let tail = reader.tail.take().expect("the page starts `replicate`");
    assert_eq!(tail.end().code, Some(0), "`replicate` ends by itself");
    for table in TABLES {
        reader.aws.delete(table).await;
    }
}

/// Who follows the page.
struct Reader {
    shell: Shell,
    aws: Aws,
    tail: Option<Running>,
    last: Last,
    /// Outputs that were compared.
    shown: usize,
}

/// The last command.
enum Last {
    Nothing,
    /// It is run again, if the page shows what it prints.
    Dynasplit(String),
    /// It runs.
    Running(Running),
    /// The tail was started.
    Tail,
    Aws(Vec<Vec<String>>),
}

impl Reader {
    async fn follow(&mut self, block: &Block) {
        match block.info.as_str() {
            "yaml plan" => self.shell.write("plan.yaml", &block.text),
            "yaml top" => self.edit(block),
            "sh" => self.run(block).await,
            "json" if block.text.contains("PutRequest") => self.shell.write("items.json", &block.text),
            "json" => self.compare_json(block).await,
            "text" => self.compare(block).await,
            other => panic!("line {}: a block of kind '{other}'", block.line),
        }
    }

    /// Replaces a setting of the plan.
    fn edit(&self, block: &Block) {
        let path = self.shell.path("plan.yaml");
        let plan = std::fs::read_to_string(path).unwrap();
        let name = block.text.lines().next().expect("a setting");
        let mut edited = String::new();
        let mut inside = false;
        for line in plan.lines() {
            if line == name {
                inside = true;
                edited.push_str(&block.text);
            } else if inside && line.starts_with(' ') {
                continue;
            } else {
                inside = false;
                edited.push_str(line);
                edited.push('\n');
            }
        }
        assert_ne!(edited, plan, "line {}: the plan has no '{name}'", block.line);
        self.shell.write("plan.yaml", &edited);
    }

    async fn run(&mut self, block: &Block) {
        let text = block.text.replace("\\\n", " ");
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !FOREIGN.iter().any(|foreign| line.starts_with(foreign)))
            .collect();
        for line in lines {
            let words = words(line);
            match words[0].as_str() {
                "dynasplit" => self.dynasplit(&words[1..].join(" ")),
                "aws" => {
                    self.finish();
                    let printed = self.aws.run(&words[1..], |name| self.file(name)).await;
                    assert!(printed.is_ok(), "line {}: {line}: {printed:?}", block.line);
                    self.last = Last::Aws(vec![words]);
                }
                _ => panic!("line {}: the test cannot follow '{line}'", block.line),
            }
        }
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.shell.path(name)).unwrap()
    }

    fn dynasplit(&mut self, line: &str) {
        // The page's reader takes longer from step to step than this test, so `complete` waits less for a source that is at rest.
        let quiet = if line.starts_with("complete plan") {
            " --quiet-for 2"
        } else {
            ""
        };
        let command = format!("{line}{quiet} --lease-seconds 3");
        match line.split_once(' ').map_or(line, |(command, _)| command) {
            "replicate" => {
                let tail = self.shell.start(&command);
                tail.until_told("following the stream");
                self.tail = Some(tail);
                self.last = Last::Tail;
            }
            // The page does something else meanwhile.
            "backfill" => self.last = Last::Running(self.shell.start(&command)),
            // What it prints depends on what was done before, so it is run when the page shows it.
            "plan" | "status" | "dead-letters" if !line.contains("reconcile") => {
                self.last = Last::Dynasplit(command);
            }
            _ => {
                self.finish();
                self.last = Last::Running(self.shell.start(&command));
            }
        }
    }

    /// Waits for a command whose output the page does not show.
    fn finish(&mut self) {
        if let Last::Running(running) = std::mem::replace(&mut self.last, Last::Nothing) {
            let said = running.end();
            assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
        }
    }

    async fn compare(&mut self, block: &Block) {
        self.shown += 1;
        match std::mem::replace(&mut self.last, Last::Nothing) {
            Last::Running(running) => {
                let command = running.command.clone();
                let said = running.end();
                assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
                // A terminal shows what a command tells on its way before its result.
                self.shows(block, &format!("{}{}", said.stdout, said.stderr))
                    .or_else(|_| self.shows(block, &format!("{}{}", said.stderr, said.stdout)))
                    .unwrap_or_else(|what| panic!("{what}"));
                self.last = Last::Dynasplit(command);
            }
            Last::Dynasplit(command) => {
                let began = Instant::now();
                loop {
                    let said = self.shell.run(&command);
                    match self.shows(block, &format!("{}{}", said.stdout, said.stderr)) {
                        Ok(()) => break,
                        Err(what) if began.elapsed() > PATIENCE => panic!("{what}"),
                        Err(_) => tokio::time::sleep(Duration::from_millis(300)).await,
                    }
                }
                self.last = Last::Dynasplit(command);
            }
            Last::Tail => {
                let told = self.tail.as_ref().expect("a tail").told();
                self.shows(block, &told).unwrap_or_else(|what| panic!("{what}"));
            }
            // What the AWS CLI prints is not ours.
            Last::Aws(_) => {}
            Last::Nothing => panic!("line {}: the output of no command", block.line),
        }
    }

    /// What the last query of the AWS CLI shows in the end.
    async fn compare_json(&mut self, block: &Block) {
        self.shown += 1;
        let Last::Aws(commands) = &self.last else {
            panic!("line {}: the output of no query", block.line);
        };
        let expected: Value = serde_json::from_str(&block.text).unwrap();
        let words = commands.last().expect("a query");
        let began = Instant::now();
        loop {
            let found = self.aws.run(&words[1..], |name| self.file(name)).await;
            if found.as_ref() == Ok(&expected) {
                return;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "line {}: {found:?}, not {expected}",
                block.line
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Whether every line that the page shows is printed, in this order.
    fn shows(&self, block: &Block, printed: &str) -> Result<(), String> {
        let shown: Vec<String> = printed.lines().map(without_times).collect();
        let mut rest = shown.iter();
        for line in block.text.lines().filter(|line| *line != LEFT_OUT) {
            let line = without_times(line);
            if !line.is_empty() && !rest.any(|printed| *printed == line) {
                return Err(format!(
                    "docs/first-split.md, below line {}: there is no line\n{line}\nin what is printed:\n{printed}",
                    block.line
                ));
            }
        }
        Ok(())
    }
}

/// The fenced blocks of the page.
fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in page.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => {
                open = Some(Block {
                    line: number + 1,
                    info: info.to_owned(),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// The words of a shell's line. The page quotes with `'` only.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for letter in line.chars() {
        match letter {
            '\'' => quoted = !quoted,
            ' ' if !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            other => word.push(other),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// A line without its times, and with single spaces: columns are as wide as the times in them.
fn without_times(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_number = |word: &str| {
        let digits = word.trim_start_matches('(');
        digits.starts_with(|first: char| first.is_ascii_digit())
            && digits
                .chars()
                .all(|letter| letter.is_ascii_digit() || letter == '.')
    };
    let is_unit =
        |word: &str| ["ms", "s", "m", "h"].contains(&word.trim_end_matches([',', ';', '.', ')', ':']));
    let mut plain: Vec<String> = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1).copied().unwrap_or_default();
        if is_number(word) && is_unit(next) {
            continue;
        }
        let is_time = at > 0 && is_number(words[at - 1]) && is_unit(word);
        plain.push(if is_time {
            "TIME".to_owned()
        } else {
            (*word).to_owned()
        });
    }
    plain.join(" ").replace(" --lease-seconds TIME", "")
}
