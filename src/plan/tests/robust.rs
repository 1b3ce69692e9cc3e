//! No text makes the reading of a plan panic.

use super::*;
use crate::model::cases::cases;
use proptest::prelude::*;

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = problems(&text);
    }

    #[test]
    fn no_yaml_makes_it_panic(text in "([a-c]|: |\n|  |- |[\\[\\]{}&*!|>'\"#,?%@`~]|---|\\.\\.\\.|\t|1){0,60}") {
        let _ = problems(&text);
    }

    /// Cut, doubled and overwritten examples: problems have a line of the file, or the plan is right.
    #[test]
    fn no_mutated_example_makes_it_panic(
        which in 0..3usize, at in 0.0..1.0f64, length in 0..40usize,
        insert in "([a-z]{0,3}|[\\[\\]{}&*!|>'\":#,?-]{0,3}|\n {0,6})",
    ) {
        let text: Vec<char> = [LEARNING, CLIENTS, GOOD][which].chars().collect();
        let from = ((text.len() as f64) * at) as usize;
        let to = (from + length).min(text.len());
        let mutated: String = text[..from].iter().copied().chain(insert.chars()).chain(text[to..].iter().copied()).collect();
        let lines = mutated.lines().count() + 1;
        for problem in problems(&mutated) {
            prop_assert!(problem.line >= 1 && problem.line <= lines && problem.column >= 1, "{:?}", problem);
            prop_assert!(!problem.message.is_empty());
        }
    }
}
