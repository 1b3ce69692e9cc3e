//! `docs/architecture.md` has one picture and one table of the rooms. Both name every room that there is, and no other; the
//! table has them in the order of the layers, and says of each what it may import.

use super::{LAYERS, NARROW, sources};
use std::collections::BTreeSet;
use std::path::Path;

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    std::fs::read_to_string(path).expect("the page can be read")
}

/// The rooms that a text names: paths that end with a slash.
fn named(text: &str) -> BTreeSet<String> {
    let words =
        text.split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && !matches!(c, '/' | '_'));
    words
        .filter_map(|word| word.strip_suffix('/'))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The rows of the table: room, job, imports.
fn rows(page: &str) -> Vec<(String, String, String)> {
    let lines = page.lines().filter(|line| line.starts_with("| `"));
    let cells = lines.map(|line| {
        line.split('|')
            .map(str::trim)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    });
    cells
        .filter_map(|cells| {
            let room = cells.get(1)?.trim_matches('`').strip_suffix('/')?.to_owned();
            Some((room, cells.get(2)?.clone(), cells.get(3)?.clone()))
        })
        .collect()
}

/// What the page should say of a room's imports.
fn may_import(room: &str) -> String {
    let narrow = NARROW.iter().find(|(of, _)| *of == room);
    match narrow {
        Some((_, only)) => {
            let mut only: Vec<String> = only.iter().map(|room| format!("`{room}`")).collect();
            only.reverse();
            only.join(", ")
        }
        None if room == LAYERS[0] => "nothing".to_owned(),
        None => "all below".to_owned(),
    }
}

#[test]
fn the_layers_are_the_rooms_that_there_are() {
    let found: BTreeSet<String> = sources().into_iter().map(|source| source.module).collect();
    let mut expected: BTreeSet<String> = LAYERS.iter().map(|room| (*room).to_owned()).collect();
    expected.extend(["lib".to_owned(), "main".to_owned()]);
    assert_eq!(found, expected);
}

#[test]
fn the_picture_and_the_table_have_every_room_and_no_other() {
    let page = page();
    let layers: BTreeSet<String> = LAYERS.iter().map(|room| (*room).to_owned()).collect();
    let picture = page.split("```").nth(1).expect("a picture");
    assert_eq!(named(picture), layers, "the picture");

    let rows = rows(&page);
    let rooms: Vec<&str> = rows.iter().rev().map(|(room, ..)| room.as_str()).collect();
    assert_eq!(rooms, LAYERS, "the table, from its last row to its first");
    for (room, job, imports) in &rows {
        assert!(!job.is_empty(), "the job of {room}");
        assert_eq!(*imports, may_import(room), "what {room} may import");
    }
}

#[test]
fn the_map_of_the_library_has_every_room_and_no_other() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let text = std::fs::read_to_string(path).expect("the map can be read");
    let lines = text.lines().filter_map(|line| line.strip_prefix("//! - [`"));
    let mapped: Vec<&str> = lines.filter_map(|line| Some(line.split_once('`')?.0)).collect();
    let expected: Vec<&str> = LAYERS
        .iter()
        .rev()
        .copied()
        .filter(|room| !room.contains('/'))
        .collect();
    assert_eq!(mapped, expected, "one line per room, from top to bottom");
}
