//! The pages, and what stands in them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The root of the project.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A file, by its path from there.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All pages, by their paths from the root.
pub fn pages() -> BTreeMap<String, String> {
    let mut names = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
        .map(str::to_owned)
        .to_vec();
    for folder in ["docs", "docs/decisions"] {
        names.extend(pages_in(folder));
    }
    names
        .into_iter()
        .map(|name| {
            let text = read(&name);
            (name, text)
        })
        .collect()
}

fn pages_in(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(folder)).expect("the folder can be read");
    let names = entries.map(|entry| {
        entry
            .expect("an entry")
            .file_name()
            .into_string()
            .expect("a plain name")
    });
    names
        .filter(|name| Path::new(name).extension().is_some_and(|kind| kind == "md"))
        .map(|name| format!("{folder}/{name}"))
        .collect()
}

/// A fenced block: where it begins, its info string, its text.
pub struct Block {
    /// File and line.
    pub place: String,
    /// What it says that it is.
    pub info: String,
    /// Its lines.
    pub text: String,
}

/// The blocks of a page, and the page without them.
pub fn split(name: &str, page: &str) -> (Vec<Block>, String) {
    let (mut blocks, mut prose) = (Vec::new(), String::new());
    let mut open: Option<Block> = None;
    for (number, line) in page.lines().enumerate() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(info)) => {
                open = Some(Block {
                    place: format!("{name}:{}", number + 1),
                    info: info.trim().to_owned(),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.text.push_str(&format!("{line}\n")),
            (None, None) => prose.push_str(&format!("{line}\n")),
        }
    }
    assert!(open.is_none(), "{name}: a fenced block is not closed");
    (blocks, prose)
}

/// All fenced blocks.
pub fn blocks() -> Vec<Block> {
    pages()
        .iter()
        .flat_map(|(name, page)| split(name, page).0)
        .collect()
}

/// Text in backquotes, outside of fenced blocks, with its page.
pub fn code_spans() -> Vec<(String, String)> {
    let mut spans = Vec::new();
    for (name, page) in pages() {
        for (number, line) in split(&name, &page).1.split('`').enumerate() {
            if number % 2 == 1 {
                spans.push((name.clone(), line.to_owned()));
            }
        }
    }
    spans
}

/// The anchors of a page, as GitHub makes them.
pub fn anchors(page: &str) -> BTreeSet<String> {
    let (_, prose) = split("", page);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// Targets of the links in a page's prose.
pub fn links(prose: &str) -> Vec<&str> {
    let after = prose.split("](").skip(1);
    after
        .filter_map(|rest| rest.split_once(')').map(|(link, _)| link))
        .collect()
}

/// The part of a page from a heading to the next of the same or a higher rank. Comments in fenced blocks begin like headings
/// of the first rank, which only the title of a page has.
pub fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let start = format!("\n{heading}\n");
    let at = page
        .find(&start)
        .unwrap_or_else(|| panic!("there is no heading `{heading}`"));
    let rest = &page[at + start.len()..];
    let rank = heading.split(' ').next().unwrap_or_default().len();
    let ends = (2..=rank).filter_map(|rank| rest.find(&format!("\n{} ", "#".repeat(rank))));
    ends.min().map_or(rest, |end| &rest[..end])
}
