//! The outcome of a request, as far as it shows the load of its table.

use super::{Failure, FailureKind};

/// The outcome of a request, as far as it shows the load of its table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestOutcome {
    /// It was answered at once.
    Fast,
    /// It says nothing.
    Neutral,
    /// A range of keys is at its limit: requests to others may continue as before, and more of them at once are
    /// better.
    KeyRange,
    /// The table or one of its indexes is at its limit; or the answer was late, or never came.
    Overloaded,
    /// The account can't.
    Account,
}

impl RequestOutcome {
    /// The outcome that a failure shows.
    #[must_use]
    pub fn of(failure: &Failure) -> Self {
        match &failure.kind {
            FailureKind::Throttled(reasons) => Self::of_reasons(reasons),
            FailureKind::Transient => Self::Overloaded,
            _ => Self::Neutral,
        }
    }

    /// The outcome that the reasons of a throttled request show ([the 16
    /// reasons](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/throttling-diagnosing.html)). Of
    /// several reasons, the widest counts; an unknown one counts as the table's.
    #[must_use]
    pub fn of_reasons(reasons: &[String]) -> Self {
        let any = |word: &str| reasons.iter().any(|reason| reason.contains(word));
        if any("AccountLimitExceeded") {
            Self::Account
        } else if !reasons.is_empty() && reasons.iter().all(|reason| reason.contains("KeyRange")) {
            Self::KeyRange
        } else {
            Self::Overloaded
        }
    }
}

impl Failure {
    /// Whether it was throttled because its key range is at its limit, and for no other reason: requests for other keys are
    /// not concerned.
    #[must_use]
    pub fn is_of_key_range(&self) -> bool {
        RequestOutcome::of(self) == RequestOutcome::KeyRange
    }
}
