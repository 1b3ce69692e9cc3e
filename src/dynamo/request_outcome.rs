//! What a request tells about the table that it was for.

use super::{Failure, FailureKind};

/// What a request tells about the table that it was for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestOutcome {
    /// It was answered at once.
    Fast,
    /// It says nothing.
    Neutral,
    /// A range of keys can't take so much: others may go on as before, and more of them at once are better.
    KeyRange,
    /// The table, or an index of it, can't take so much; or the answer was late, or never came.
    Overloaded,
    /// The account can't.
    Account,
}

impl RequestOutcome {
    /// What a failure says.
    #[must_use]
    pub fn of(failure: &Failure) -> Self {
        match &failure.kind {
            FailureKind::Throttled(reasons) => Self::of_reasons(reasons),
            FailureKind::Transient => Self::Overloaded,
            _ => Self::Neutral,
        }
    }

    /// What the reasons of a throttled request say ([the 16
    /// reasons](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/throttling-diagnosing.html)). Of several
    /// the widest counts; one that is not known is the table's.
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
