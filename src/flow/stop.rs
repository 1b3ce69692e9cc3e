//! The end of work that is not durable.

/// The worker must stop before the change is durable; nothing is lost, since no checkpoint follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Why, for a person.
    pub reason: String,
}
