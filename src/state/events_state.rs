//! The events of one service in the split's record.

use serde::{Deserialize, Serialize};

/// The events of one service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EventsState {
    /// Raised each time that the events begin anew. The lane of each epoch has places of its own.
    pub epoch: u64,
    /// Whether they are sent. `false`: the plan does not ask for them any more.
    pub on: bool,
    /// The generation of the stream in which the places of the lane are pinned.
    pub captured_in: Option<u32>,
}

impl EventsState {
    /// Events that begin: nothing is pinned.
    pub(super) fn beginning(epoch: u64) -> Self {
        Self {
            epoch,
            on: true,
            captured_in: None,
        }
    }
}
