//! Holds what comes, until the test lets it go: one by one in any order, or all.

use std::sync::{Arc, Mutex};

use tokio::sync::{oneshot, watch};

/// A place where requests or answers wait. Its clones are one place.
#[derive(Clone, Debug)]
pub struct Holder {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    waiting: Mutex<Waiting>,
    arrived: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// In the order of arrival; those that were let go are empty.
    tickets: Vec<Option<oneshot::Sender<()>>>,
    open: bool,
}

impl Default for Holder {
    fn default() -> Self {
        Self::new()
    }
}

impl Holder {
    /// An empty one that holds.
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                waiting: Mutex::default(),
                arrived: watch::channel(0).0,
            }),
        }
    }

    /// Waits to be let go.
    pub async fn wait(&self) {
        let ticket = {
            let mut waiting = self.inner.waiting.lock().expect("no thread panicked");
            if waiting.open {
                return;
            }
            let (send, ticket) = oneshot::channel();
            waiting.tickets.push(Some(send));
            self.inner.arrived.send_replace(waiting.tickets.len());
            ticket
        };
        // An error means that the holder is gone: nothing is held any more.
        let _ = ticket.await;
    }

    /// Waits until so many have arrived in all.
    pub async fn until(&self, count: usize) {
        let mut arrived = self.inner.arrived.subscribe();
        arrived
            .wait_for(|arrived| *arrived >= count)
            .await
            .expect("the sender is held");
    }

    /// How many have arrived in all.
    pub fn arrived(&self) -> usize {
        *self.inner.arrived.borrow()
    }

    /// Lets one go, by its place in the order of arrival (from 0).
    ///
    /// # Panics
    /// Where it has not arrived, or is gone.
    pub fn release(&self, index: usize) {
        let mut waiting = self.inner.waiting.lock().expect("no thread panicked");
        let ticket = waiting.tickets[index].take().expect("it is still held");
        let _ = ticket.send(());
    }

    /// Lets all go, the latest first, and holds no more.
    pub fn open(&self) {
        let mut waiting = self.inner.waiting.lock().expect("no thread panicked");
        waiting.open = true;
        for ticket in waiting.tickets.iter_mut().rev().filter_map(Option::take) {
            let _ = ticket.send(());
        }
    }
}
