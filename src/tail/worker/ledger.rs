//! The ledger of a worker: whether the plan names the one that the split has.

use crate::worker::{RunError, Split};

/// Refuses a plan that names another ledger than the split's record.
pub(super) fn check_ledger(split: &Split) -> Result<(), RunError> {
    let planned = split.plan.ledger.as_ref().map(ToString::to_string);
    let recorded = split.ledger().map(|ledger| ledger.place.clone());
    if planned == recorded {
        return Ok(());
    }
    let told = |place: Option<String>| place.unwrap_or_else(|| "none".to_owned());
    Err(RunError::NotYet {
        what: format!(
            "the plan names another ledger ({}) than the split has ({})",
            told(planned),
            told(recorded)
        ),
        next: "if this plan is the newest, run `dynasplit apply`, which takes its `ledger` over; otherwise start this command with \
               the newest plan"
            .into(),
    })
}
