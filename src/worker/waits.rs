//! What a process waits for at present, and for how long at most. Its progress and `status` show it.

use crate::state::NotedWait;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The waits of a process. All clones are one.
#[derive(Clone, Debug, Default)]
pub struct Waits(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    began: u64,
    /// In the order in which they began.
    now: Vec<Wait>,
}

#[derive(Debug)]
struct Wait {
    id: u64,
    until: String,
    most: Duration,
}

/// A wait that is under way, until this is dropped.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    waits: &'a Waits,
    id: u64,
}

impl Waits {
    /// Begins to wait until something is so. If all goes well, it takes no longer than `most`.
    #[must_use]
    pub(crate) fn until(&self, what: impl Into<String>, most: Duration) -> Waiting<'_> {
        let mut state = self.lock();
        state.began += 1;
        let id = state.began;
        state.now.push(Wait {
            id,
            until: what.into(),
            most,
        });
        Waiting { waits: self, id }
    }

    /// The wait that began last, as text: `waiting until ... (at most 15 s)`.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        let state = self.lock();
        let wait = state.now.last()?;
        let seconds = wait.most.as_secs_f64().ceil();
        Some(format!("waiting until {} (at most {seconds} s)", wait.until))
    }

    /// The wait that began last, as `status` shows it.
    pub(crate) fn noted(&self) -> Option<NotedWait> {
        let state = self.lock();
        let wait = state.now.last()?;
        Some(NotedWait {
            until: wait.until.clone(),
            at_most_ms: u64::try_from(wait.most.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// A phase, and what it waits for.
    pub(crate) fn beside(&self, phase: &str) -> String {
        match self.told() {
            Some(wait) if !phase.is_empty() => format!("{phase}; {wait}"),
            Some(wait) => wait,
            None => phase.to_owned(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.waits.lock().now.retain(|wait| wait.id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_that_began_last_is_told_while_it_lasts() {
        let waits = Waits::default();
        assert_eq!(waits.told(), None);
        assert_eq!(waits.beside("copying"), "copying");
        let outer = waits.until("the table is ready", Duration::from_secs(35));
        let inner = waits.until("no write can land", Duration::from_millis(14_200));
        assert_eq!(
            waits.clone().told().unwrap(),
            "waiting until no write can land (at most 15 s)"
        );
        let noted = waits.noted().unwrap();
        assert_eq!((&*noted.until, noted.at_most_ms), ("no write can land", 14_200));
        drop(inner);
        assert_eq!(
            waits.beside("copying"),
            "copying; waiting until the table is ready (at most 35 s)"
        );
        drop(outer);
        assert_eq!((waits.told(), waits.noted()), (None, None));
    }
}
