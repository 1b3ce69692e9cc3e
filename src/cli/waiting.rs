//! Reports on stderr what a command waits for, and for how long at most.

use super::screen;
use crate::worker::Waits;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Reports each wait, until it is dropped.
#[derive(Debug)]
pub struct Waiting(JoinHandle<()>);

/// A wait that is over within this time is not reported.
const POLL: Duration = Duration::from_millis(700);

impl Waiting {
    /// Begins.
    pub fn tell(waits: &Waits) -> Self {
        let waits = waits.clone();
        Self(tokio::spawn(async move {
            let mut told = None;
            loop {
                tokio::time::sleep(POLL).await;
                let now = waits.told();
                if let Some(wait) = now.as_ref().filter(|wait| told.as_ref() != Some(*wait)) {
                    screen::say(wait);
                }
                told = now;
            }
        }))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.abort();
    }
}
