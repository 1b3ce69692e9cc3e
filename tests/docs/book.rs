//! The list of chapters of the site: it has every page once, and its links are those that `.ci/book` can turn into chapters.

use super::pages::{links, pages, read};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// A path without `..`, from the root.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{} leads out", path.display()),
            part => plain.push(part),
        }
    }
    plain
}

#[test]
fn the_book_has_every_page_once() {
    let summary = read("docs/SUMMARY.md");
    let mut chapters = BTreeSet::new();
    for link in links(&summary) {
        let chapter = plain(&Path::new("docs").join(link));
        let chapter = chapter.to_str().unwrap().to_owned();
        assert!(chapters.insert(chapter), "{link} is listed twice");
    }
    let mut pages: BTreeSet<String> = pages().into_keys().collect();
    assert!(pages.remove("docs/SUMMARY.md"));
    assert_eq!(chapters, pages);
}

/// `.ci/book` moves the list one folder up: a link begins with `../` and has no other folder then, or it stays below `docs`.
#[test]
fn the_chapters_of_the_book_are_found_from_the_root() {
    for link in links(&read("docs/SUMMARY.md")) {
        let rest = link.strip_prefix("../").map_or(link, |rest| {
            assert!(!rest.contains('/'), "{link}");
            rest
        });
        assert!(!rest.contains(".."), "{link}");
    }
}

#[test]
fn contributors_are_told_the_version_of_mdbook_that_the_site_is_built_with() {
    let install = "cargo install mdbook --version 0.5.4 --locked";
    for place in ["CONTRIBUTING.md", ".ci/book", ".github/workflows/pages.yml"] {
        assert!(read(place).contains(install), "{place}");
    }
}
