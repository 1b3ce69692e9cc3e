//! Somebody who sends requests, as the network knows them.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::support::latch::Latch;

/// When a sender dies: at its n-th request, before or after that was sent.
#[derive(Clone, Copy, Debug)]
pub struct Doom {
    pub at_request: u64,
    pub sends_it: bool,
}

/// Somebody who sends requests.
pub struct Sender {
    pub sent: u64,
    pub dead: bool,
    /// It meets trouble.
    pub troubled: bool,
    pub doom: Option<Doom>,
    pub died: Arc<Notify>,
    pub suspended: Arc<Latch>,
}

impl Sender {
    /// Somebody new.
    pub fn new(troubled: bool, doom: Option<Doom>) -> Self {
        Self {
            sent: 0,
            dead: false,
            troubled,
            doom,
            died: Arc::default(),
            suspended: Arc::default(),
        }
    }
}
