//! The events of a service: where they go, and what they contain.

use super::channel::Channel;

/// The events of a service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Events {
    /// Where they go.
    pub to: Channel,
    /// The images that they contain.
    pub images: EventImages,
    /// How often the destination may refuse an event before it becomes a dead letter.
    pub attempts: u32,
}

impl Events {
    /// The attempts, if the plan does not say them.
    pub const ATTEMPTS: u32 = 5;
}

/// The images in an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventImages {
    /// None: only the key of the item.
    Keys,
    /// The item after the change.
    New,
    /// The item after the change, and before it.
    NewAndOld,
}
