//! Counts tasks that are under way, now and on average.

use super::Average;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// How many are at something, and how many were in the mean over the last seconds.
#[derive(Debug)]
pub struct Load(Mutex<(u32, Average)>);

impl Default for Load {
    fn default() -> Self {
        Self(Mutex::new((0, Average::new(Instant::now()))))
    }
}

impl Load {
    /// Adds a task, until the returned entry is dropped.
    #[must_use]
    pub fn enter(&self) -> Entry<'_> {
        self.change(|count| count.saturating_add(1));
        Entry(self)
    }

    /// So many from now on.
    pub fn set(&self, count: u32) {
        self.change(|_| count);
    }

    /// How many there were, in the mean over the last seconds.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.lock().1.mean(Instant::now())
    }

    fn change(&self, change: impl FnOnce(u32) -> u32) {
        let mut load = self.lock();
        let count = change(load.0);
        load.0 = count;
        load.1.set(f64::from(count), Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, (u32, Average)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task under way.
#[derive(Debug)]
pub struct Entry<'a>(&'a Load);

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.0.change(|count| count.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_count_until_they_are_dropped() {
        let load = Load::default();
        let (one, two) = (load.enter(), load.enter());
        assert_eq!(load.lock().0, 2);
        drop(one);
        assert_eq!(load.lock().0, 1);
        drop(two);
        assert_eq!(load.lock().0, 0);
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert!(load.mean() < 0.1);
    }
}
