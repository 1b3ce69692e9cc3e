//! No text makes the reading of a plan panic, and none takes long. (`fuzz/` looks for such texts at length.)

use super::*;
use crate::model::cases::cases;
use crate::plan::problem::MAX_PROBLEMS;
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// Far above what any of these takes, in a build without optimisation on a machine that is busy, and far below what
/// they would take if some step took the square of their length.
const LONG: Duration = Duration::from_secs(15);

/// What is wrong with a text: each problem has a place in it and says something, and they can be shown.
#[track_caller]
fn told(text: &str) -> Vec<Problem> {
    let begun = Instant::now();
    let list = match Plan::parse(text, "plan.yaml") {
        Ok(plan) => {
            assert!(!plan.services.is_empty() && !plan.fingerprint().is_empty());
            vec![]
        }
        Err(PlanError::Invalid(problems)) => {
            assert!(problems.to_string().contains("in plan.yaml"));
            problems.list
        }
        Err(other) => panic!("{other}"),
    };
    let head: String = text.chars().take(60).collect();
    assert!(begun.elapsed() < LONG, "{head}: {:?}", begun.elapsed());
    // What should have followed the last line is missing behind it.
    let lines = text.split(['\n', '\r']).count() + 1;
    for problem in &list {
        assert!(
            problem.line >= 1 && problem.line <= lines && problem.column >= 1,
            "{head}: {problem:?}"
        );
        assert!(!problem.message.is_empty());
    }
    assert!(list.len() <= MAX_PROBLEMS);
    list
}

/// What YAML and the plan's own languages are made of, and what they are not.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{0,3}",
        4 => "[\\[\\]{}&*!|>'\":#,?%@`~-]{0,3}",
        3 => "\n {0,8}(- )?",
        1 => "\\PC{0,8}",
        1 => any::<String>(),
        1 => prop::sample::select(vec![
            "\r", "\r\n", "\t", "\u{0}", "\u{feff}", "\u{85}", "\u{2028}", "\u{1F600}", "---\n", "...\n", "%YAML 1.1\n",
            "<<: ", "&a ", "*a", "!!str ", "|+2\n", "''", "{{", "}}", "{a}", "{a}{b}", "{a}#{a}", "\\u0000",
        ])
        .prop_map(str::to_owned),
        1 => prop::sample::select(vec![
            "99999999999999999999999999999999999999", "-9223372036854775809", "1e126", "1e-131", "1e999999999", "0x1F",
            "1_000", ".inf", "-.nan", "4294967296", "-0", "007", "0.30000000000000000000000000000004",
        ])
        .prop_map(str::to_owned),
        1 => (prop::sample::select(vec!["[", "{", "- ", "? ", "(", "NOT ", "&a [", "'", "{a}#", "a."]), 1..200usize)
            .prop_map(|(open, times)| open.repeat(times)),
    ]
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = told(&text);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = told(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_yaml_makes_it_panic(text in "([a-c]|: |\n|  |- |[\\[\\]{}&*!|>'\"#,?%@`~]|---|\\.\\.\\.|\t|\r|1){0,60}") {
        let _ = told(&text);
    }

    #[test]
    fn no_heap_of_pieces_makes_it_panic(pieces in prop::collection::vec(piece(), 0..40)) {
        let _ = told(&pieces.concat());
    }

    /// Cut, doubled and overwritten examples: problems have a line of the file, or the plan is right.
    #[test]
    fn no_mutated_example_makes_it_panic(
        which in 0..3usize,
        edits in prop::collection::vec((0.0..1.0f64, 0..40usize, piece(), any::<bool>()), 1..5),
    ) {
        let mut text: Vec<char> = [LEARNING, CLIENTS, GOOD][which].chars().collect();
        for (at, length, insert, keep) in edits {
            let from = ((text.len() as f64) * at) as usize;
            let to = (from + length).min(text.len());
            let cut: Vec<char> = text.splice(from..to, insert.chars()).collect();
            if keep {
                text.extend(cut);
            }
        }
        let _ = told(&text.into_iter().collect::<String>());
    }

    /// Each value of an example in turn is something else.
    #[test]
    fn no_other_value_makes_it_panic(which in 0..3usize, line in 0.0..1.0f64, value in piece()) {
        let text = [LEARNING, CLIENTS, GOOD][which];
        let with_value: Vec<usize> = text.lines().enumerate().filter(|(_, l)| l.contains(": ")).map(|(n, _)| n).collect();
        let chosen = with_value[((with_value.len() as f64) * line) as usize];
        let changed: Vec<String> = text
            .lines()
            .enumerate()
            .map(|(n, line)| match line.split_once(": ") {
                Some((name, _)) if n == chosen => format!("{name}: {value}"),
                _ => line.to_owned(),
            })
            .collect();
        let _ = told(&changed.join("\n"));
    }
}

#[test]
fn lines_are_counted_as_yaml_counts_them() {
    for end in ["\n", "\r\n", "\r"] {
        let text = GOOD
            .replace("split: shop\n", "split: shop\nsplt: shop\n")
            .replace('\n', end);
        let problems = told(&text);
        assert_eq!(
            (problems[0].line, problems[0].column),
            (3, 1),
            "{end:?}: {problems:?}"
        );
        let Err(error) = Plan::parse(&text, "plan.yaml") else {
            panic!("it has a mistake");
        };
        assert!(
            error.to_string().contains("    3 | splt: shop\n"),
            "{end:?}: {error}"
        );
    }
}

#[test]
fn no_nesting_is_too_deep() {
    for open in [
        "[", "{", "- ", "? ", "{a: ", "[{", "- [", "- - ", "a: [", "&a [", "? - ", "!!x [", "\"", "(",
        "- a:\n  ",
    ] {
        for times in [63, 64, 65, 1000, 50_000] {
            let text = open.repeat(times);
            assert!(!told(&text).is_empty());
            assert!(!told(&format!("{GOOD}x: {text}")).is_empty());
            let _ = told(&GOOD.replace("'ORDER#{order}'", &text));
        }
    }
    let deep: String = (0..50_000)
        .map(|n| format!("{}a:\n", " ".repeat(n.min(300))))
        .collect();
    assert!(!told(&deep).is_empty());
    // As deep as it goes, in the one place where anything goes.
    let nested = |depth: usize| {
        let value = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        GOOD.replace("SK: x }", &format!("SK: x, deep: {value} }}"))
    };
    assert!(told(&nested(20)).is_empty());
    assert!(!told(&nested(60)).is_empty());
}

#[test]
fn many_settings_take_little_time_each() {
    let many = |of: &dyn Fn(usize) -> String| (0..20_000).map(of).collect::<Vec<_>>();
    let renamed = |to: &dyn Fn(usize) -> String| {
        let list = many(&|n| format!("a{n}: {}", to(n))).join(", ");
        GOOD.replace("rename: { st: state }", &format!("rename: {{ {list} }}"))
    };
    assert!(told(&renamed(&|n| format!("b{n}"))).is_empty());
    assert_eq!(told(&renamed(&|_| "b".into())).len(), MAX_PROBLEMS);
    let dropped = many(&|_| "a".into()).join(", ");
    assert_eq!(
        told(&GOOD.replace("drop: [junk]", &format!("drop: [{dropped}]"))).len(),
        MAX_PROBLEMS
    );
    assert!(!told(&format!("{GOOD}{}", many(&|n| format!("a{n}: 1\n")).concat())).is_empty());
    assert_eq!(
        told(&format!("{GOOD}{}", many(&|_| "version: 1\n".into()).concat())).len(),
        MAX_PROBLEMS
    );
    let tags = many(&|n| format!("t{n}: x")).join(", ");
    assert!(
        !told(&GOOD.replace(
            "name: Orders\n",
            &format!("name: Orders\n      tags: {{ {tags} }}\n")
        ))
        .is_empty()
    );
    let services = many(&|_| "  - {}\n".into()).concat();
    assert!(!told(&GOOD.replace("rehearse:", &format!("{services}rehearse:"))).is_empty());
    let more = Plan::parse(&renamed(&|_| "b".into()), "plan.yaml")
        .unwrap_err()
        .to_string();
    assert!(more.ends_with("200 problems in plan.yaml; correct these to see the others"));
}

#[test]
fn long_texts_take_little_time() {
    let captures: Vec<String> = (0..200_000).map(|n| format!("{{c{n}}}")).collect();
    let problems = told(&GOOD.replace("LINE#{line}", &captures.join("#")));
    assert!(
        problems[0].message.contains("bytes, more than 4096"),
        "{}",
        problems[0].message
    );
    for long in [
        "a", "é", " ", "\n", "'", "\"", "\\", "#", "a ", "a: b\n", "- a\n", "*a ", "\r", "\t", "%", "---\n",
        "{}", ",",
    ] {
        let text = long.repeat(100_000);
        let _ = told(&text);
        let _ = told(&format!("{GOOD}x: {text}"));
        let _ = told(&format!("{GOOD}x: '{text}'"));
        let _ = told(&GOOD.replace("begins_with(PK, 'USER#')", &text));
        let _ = told(&GOOD.replace("split: shop", &format!("split: \"{text}")));
    }
}
