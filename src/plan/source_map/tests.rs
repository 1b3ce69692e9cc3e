//! Tests of the YAML reader and of the positions that it records.

use super::*;

fn mark(line: usize, column: usize) -> Mark {
    Mark { line, column }
}

fn root(text: &str) -> Node {
    let (node, flaws) = read(text);
    assert!(flaws.is_empty(), "{flaws:?}");
    node.unwrap()
}

fn path(steps: &[&str]) -> Path {
    steps.iter().fold(Path::root(), |path, step| match step.parse() {
        Ok(index) => path.index(index),
        Err(_) => path.field(step),
    })
}

#[test]
fn every_setting_knows_its_place() {
    let node = root("# a plan\na: 1\nb:\n  - c: x\n    d: {e: 'y'}\n  - [1, 2]\n");
    assert_eq!(node.mark(&path(&["a"]), false), mark(2, 4));
    assert_eq!(node.mark(&path(&["a"]), true), mark(2, 1));
    assert_eq!(
        node.mark(&path(&["b"]), false),
        mark(3, 1),
        "a block points at its name"
    );
    assert_eq!(node.mark(&path(&["b", "0"]), false), mark(4, 5));
    assert_eq!(node.mark(&path(&["b", "0", "c"]), false), mark(4, 8));
    assert_eq!(node.mark(&path(&["b", "0", "d", "e"]), false), mark(5, 12));
    assert_eq!(node.mark(&path(&["b", "1", "1"]), false), mark(6, 9));
    assert_eq!(
        node.mark(&path(&["b", "0", "zz", "y"]), false),
        mark(4, 5),
        "the nearest above"
    );
}

#[test]
fn scalars_are_yaml_1_2() {
    let json = root("[no, yes, null, ~, true, 12, -1.5, 1e3, 'x', 0x1F, 1.2.3, 2024-01-01, ]").to_json();
    assert_eq!(
        json,
        serde_json::json!([
            "no",
            "yes",
            null,
            null,
            true,
            12,
            -1.5,
            1000.0,
            "x",
            "0x1F",
            "1.2.3",
            "2024-01-01"
        ])
    );
}

#[test]
fn what_could_mislead_is_refused() {
    for (file, line, message) in [
        ("a: 1\nb: 2\na: 3", 3, "`a` is given twice, first on line 1"),
        ("a: 1\n---\nb: 2", 2, "a second document begins here"),
        ("a: !!set {x}", 1, "has no meaning in a plan"),
        ("a: 1\nb: [1, 2", 2, "this is not valid YAML"),
        ("a: 0.12345678901234567890", 1, "too many digits"),
        ("a: 123456789012345678901234567890", 1, "too many digits"),
        ("a: 1e999", 1, "too many digits"),
        ("? {a: 1}\n: 2", 1, "a name is expected here"),
        ("a: &x [*x]", 1, "is inside the value that it names"),
    ] {
        let (_, flaws) = read(file);
        let found = flaws.first().unwrap_or_else(|| panic!("nothing found in {file}"));
        assert!(found.message.contains(message), "{file}: {}", found.message);
        assert_eq!(found.at.line, line, "{file}");
    }
}

#[test]
fn aliases_are_followed_within_a_limit() {
    assert_eq!(root("a: &x {k: [1]}\nb: *x").to_json()["b"]["k"][0], 1);
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..10 {
        let row = vec![format!("*a{}", n - 1); 9].join(", ");
        bomb += &format!("a{n}: &a{n} [{row}]\n");
    }
    let (node, flaws) = read(&bomb);
    assert!(
        node.is_none() && flaws[0].message.contains("more than"),
        "{flaws:?}"
    );
    assert!(read(&"[".repeat(5000)).0.is_none());
    assert!(read(&"- ".repeat(5000)).0.is_none());
}

fn first_flaw(file: &str) -> Flaw {
    let (_, flaws) = read(file);
    flaws
        .into_iter()
        .next()
        .unwrap_or_else(|| panic!("nothing found in {file:?}"))
}

#[test]
fn merge_keys_are_refused_and_a_quoted_name_is_a_name() {
    let found = first_flaw("a: &x {k: 1}\nb:\n  <<: *x\n  l: 2\n");
    assert_eq!(found.at, mark(3, 3));
    assert!(
        found.message.contains("merge keys (`<<`) are not supported"),
        "{found:?}"
    );
    assert!(found.hint.unwrap().contains("`transform: *name`"));
    let (node, flaws) = read("b: {<<: [*x, *x]}");
    assert!(
        node.is_none() && !flaws.is_empty(),
        "unknown aliases end the reading"
    );
    let (node, flaws) = read("x: &x {}\nb: {<<: [*x, *x], l: 2}");
    assert_eq!(flaws.len(), 1, "{flaws:?}");
    assert_eq!(
        node.unwrap().to_json()["b"],
        serde_json::json!({ "l": 2 }),
        "it is taken out"
    );
    assert_eq!(root("'<<': 1").to_json()["<<"], 1);
}

#[test]
fn a_tab_may_stand_behind_a_colon() {
    let json = root("a:\tx\nb:\t\t'y\tz'\nc:\t \t-5\nd: {e:\tword}\nf:\t[1]\ng: |\n  h:\tx\n").to_json();
    assert_eq!(
        json,
        serde_json::json!({ "a": "x", "b": "y\tz", "c": -5, "d": { "e": "word" }, "f": [1], "g": "h:\tx\n" })
    );
    let node = root("x: 1\na:\tx\n");
    assert_eq!(node.mark(&path(&["a"]), false), mark(2, 4));
    let many: String = (0..300).map(|n| format!("a{n}:\tx\n")).collect();
    assert!(read(&many).1.is_empty());
}

#[test]
fn a_tab_that_indents_is_found_on_its_line() {
    for (file, at) in [
        ("split: shop\n\tsource: x\n", mark(2, 1)),
        ("a:\n  b: one\n\tc: two\n", mark(3, 1)),
        ("a:\n  b: one\n \tc: two\n", mark(3, 2)),
        ("a:\n\tb: one\n", mark(2, 1)),
        ("a:\n  - one\n\t- two\n", mark(3, 1)),
        ("a: one\n\n# c\nb: two\n\t three: x\n", mark(5, 1)),
        ("a: |\n\tone\n", mark(2, 1)),
        ("a:\n  b: 'one\n\ttwo'\n", mark(3, 1)),
    ] {
        let found = first_flaw(file);
        assert_eq!(found.at, at, "{file:?}: {found:?}");
        assert!(
            found
                .hint
                .as_deref()
                .is_some_and(|hint| hint.contains("indent with spaces")),
            "{file:?}: {found:?}"
        );
    }
}

#[test]
fn a_comment_that_ends_a_text_of_several_lines_is_named() {
    for file in [
        "a:\n  where: x = 'y' AND #type = 'z'\n    AND u = 'v'\n",
        "a:\n  where: x = 'y' AND\n    #type = 'z'\n    AND u = 'v'\n",
        "a:\n  where: x = 'y' AND #type = 'z'\n\n    AND u = 'v'\n  b: c\n",
    ] {
        let found = first_flaw(file);
        assert!(
            found
                .hint
                .as_deref()
                .is_some_and(|hint| hint.contains("YAML reads `#type = 'z'` as a comment")),
            "{file:?}: {found:?}"
        );
    }
}
