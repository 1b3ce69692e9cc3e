//! Any text as a plan: it is read, or every problem has a place in it.
#![no_main]

use dynasplit_fuzz::plan::{Plan, PlanError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Plan::parse(text, "plan.yaml") {
        Ok(plan) => {
            assert!(!plan.services.is_empty());
            let _ = plan.fingerprint();
        }
        Err(PlanError::Invalid(problems)) => {
            assert!(!problems.list.is_empty());
            for problem in &problems.list {
                assert!(
                    problem.line >= 1 && problem.column >= 1 && !problem.message.is_empty(),
                    "{problem:?}"
                );
                assert!(
                    problem.line <= text.split(['\n', '\r']).count() + 1,
                    "{problem:?}"
                );
            }
            assert!(problems.to_string().contains("plan.yaml"));
        }
        Err(other) => panic!("{other}"),
    }
});
