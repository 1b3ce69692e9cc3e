//! The gate of writes: each attempt asks it which phase of the tombstone switch it obeys.

use crate::fault::{Rule, broken};
use crate::state::Tombstones;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Why a lane does not move while it is held, for people.
pub const HELD: &str = "the hold until the bulk copy has landed";

/// The tombstone switch inside a process: every attempt to write enters it, and leaves when it was answered.
///
/// The switch takes effect at once for attempts that enter later, retries among them; it is *acknowledged* when
/// every attempt that entered before has left. Attempts are bounded in time, so that comes soon.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    inner: Arc<Mutex<Inside>>,
    turned: Arc<Notify>,
    /// The service whose attempts go through this handle; `None`: those of no service in particular.
    service: Option<Arc<str>>,
}

/// The shared state of all handles of a gate.
#[derive(Debug, Default)]
struct Inside {
    attempts: Attempts,
    /// Services that have switched: nothing is written to their tables any more. Grows only.
    closed: BTreeSet<String>,
}

/// The switch as a process knows it, and its attempts under way, by the epoch that each obeys. Pure: the rules of the
/// [`Gate`], which the models check too.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Attempts {
    now: Tombstones,
    inside: BTreeMap<u64, u32>,
}

impl Attempts {
    /// No attempt under way, and the switch as the split's record says.
    #[must_use]
    pub fn new(now: Tombstones) -> Self {
        Self {
            now,
            inside: BTreeMap::new(),
        }
    }

    /// An attempt begins: the switch that it obeys to its end.
    pub fn enter(&mut self) -> Tombstones {
        *self.inside.entry(self.now.epoch).or_insert(0) += 1;
        self.now
    }

    /// An attempt to write asks to begin: as [`Attempts::enter`], unless the lanes are held.
    pub fn admit(&mut self) -> Option<Tombstones> {
        (!self.now.holds() || broken(Rule::BulkHolds)).then(|| self.enter())
    }

    /// An attempt of an epoch was answered.
    pub fn leave(&mut self, epoch: u64) {
        if let Some(count) = self.inside.get_mut(&epoch) {
            *count -= 1;
            if *count == 0 {
                self.inside.remove(&epoch);
            }
        }
    }

    /// Takes over the phase of the split's record. Never goes back to an older epoch.
    pub fn switch(&mut self, now: Tombstones) {
        if now.epoch > self.now.epoch {
            self.now = now;
        }
    }

    /// The newest epoch that every attempt under way, and every later one, obeys.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        let oldest = self.inside.keys().next().filter(|_| !broken(Rule::Inside));
        oldest.copied().unwrap_or(self.now.epoch)
    }
}

/// One attempt, inside the gate. Leaves when dropped.
#[derive(Debug)]
pub struct Admission {
    gate: Gate,
    /// The switch that it obeys.
    pub epoch: u64,
    /// Removals of this attempt leave tombstones.
    pub leaves_tombstones: bool,
}

impl Gate {
    /// A gate that stands as the split's record says.
    #[must_use]
    pub fn new(now: Tombstones) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inside {
                attempts: Attempts::new(now),
                closed: BTreeSet::new(),
            })),
            turned: Arc::default(),
            service: None,
        }
    }

    /// A handle of the same gate for the attempts of one service. It admits no attempt after the service has
    /// switched.
    #[must_use]
    pub fn of(&self, service: &str) -> Self {
        Self {
            service: Some(service.into()),
            ..self.clone()
        }
    }

    /// Enters for one attempt that writes no target.
    #[must_use]
    pub fn enter(&self) -> Admission {
        let now = self.lock().attempts.enter();
        self.admission(now)
    }

    /// Enters for one attempt to write; `None` while the lanes are held, or if the service has switched.
    #[must_use]
    pub fn admit(&self) -> Option<Admission> {
        let now = {
            let mut inside = self.lock();
            let closed = |service: &Arc<str>| inside.closed.contains(&**service);
            if self.service.as_ref().is_some_and(closed) {
                return None;
            }
            inside.attempts.admit()?
        };
        Some(self.admission(now))
    }

    fn admission(&self, now: Tombstones) -> Admission {
        Admission {
            gate: self.clone(),
            epoch: now.epoch,
            leaves_tombstones: now.leaves_tombstones(),
        }
    }

    /// Whether the lanes are held.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.lock().attempts.now.holds() && !broken(Rule::BulkHolds)
    }

    /// Waits until the lanes are not held.
    pub async fn opened(&self) {
        loop {
            let turned = self.turned.notified();
            tokio::pin!(turned);
            turned.as_mut().enable();
            if !self.is_held() {
                return;
            }
            turned.await;
        }
    }

    /// Whether a removal at this moment would leave a tombstone. No caller may rely on it: a write enters the gate.
    pub(super) fn leaves_tombstones(&self) -> bool {
        self.lock().attempts.now.leaves_tombstones()
    }

    /// Takes over the phase of the split's record. Never goes back to an older epoch.
    pub fn switch(&self, now: Tombstones) {
        self.obey(now, []);
    }

    /// Takes over the tombstone phase and the switched services of the split's record in one step: an epoch is
    /// acknowledged only if every attempt under way obeys both.
    pub fn obey<'a>(&self, now: Tombstones, switched: impl IntoIterator<Item = &'a String>) {
        {
            let mut inside = self.lock();
            inside.closed.extend(switched.into_iter().cloned());
            inside.attempts.switch(now);
        }
        self.turned.notify_waiters();
    }

    /// The newest epoch that every attempt under way, and every later one, obeys.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.lock().attempts.acknowledged()
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admission {
    /// The epoch of the switch that this attempt obeys.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.gate.lock().attempts.leave(self.epoch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::TombstonePhase;

    #[test]
    fn a_switch_is_acknowledged_when_older_attempts_have_left() {
        let gate = Gate::new(Tombstones {
            phase: TombstonePhase::Off,
            epoch: 1,
        });
        let old = gate.enter();
        assert!(!old.leaves_tombstones && !gate.leaves_tombstones());
        gate.switch(Tombstones {
            phase: TombstonePhase::On,
            epoch: 2,
        });
        let new = gate.enter();
        assert!(
            new.leaves_tombstones && gate.leaves_tombstones(),
            "a later attempt obeys at once"
        );
        assert_eq!(gate.acknowledged(), 1);
        drop(old);
        assert_eq!(gate.acknowledged(), 2);
        gate.switch(Tombstones {
            phase: TombstonePhase::Off,
            epoch: 1,
        });
        assert!(gate.enter().leaves_tombstones, "an older word does not count");
    }

    #[tokio::test]
    async fn nobody_is_admitted_while_the_lanes_are_held() {
        let gate = Gate::default();
        let turn = |phase, epoch| gate.switch(Tombstones { phase, epoch });
        let before = gate.admit().unwrap();
        turn(TombstonePhase::Held, 1);
        assert!(gate.is_held() && gate.admit().is_none());
        assert_eq!(gate.acknowledged(), 0, "one is under way");
        drop(before);
        assert_eq!(gate.acknowledged(), 1);
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.opened().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        turn(TombstonePhase::Off, 2);
        waiting.await.unwrap();
        assert_eq!(gate.admit().unwrap().epoch(), 2);
    }

    #[test]
    fn nothing_is_admitted_for_a_service_that_has_switched() {
        let gate = Gate::new(Tombstones::default());
        let (content, people) = (gate.of("Content"), gate.of("People"));
        let before = content.admit().unwrap();
        let off = |epoch| Tombstones {
            phase: TombstonePhase::Off,
            epoch,
        };
        gate.obey(off(1), [&"Content".to_owned()]);
        assert!(content.admit().is_none() && people.admit().is_some());
        assert_eq!(gate.acknowledged(), 0, "a write of before is under way");
        drop(before);
        assert_eq!(gate.acknowledged(), 1);
        gate.switch(off(2));
        assert!(content.admit().is_none(), "it stays closed in this process");
    }

    #[test]
    fn a_switch_is_told_by_its_epoch_and_each_attempt_is_waited_for() {
        let on = |epoch| Tombstones {
            phase: TombstonePhase::On,
            epoch,
        };
        let gate = Gate::new(on(4));
        gate.switch(Tombstones {
            phase: TombstonePhase::Off,
            epoch: 4,
        });
        let (first, second) = (gate.enter(), gate.enter());
        assert!(first.leaves_tombstones, "of one epoch the first word counts");
        assert_eq!((first.epoch(), second.epoch()), (4, 4));
        gate.switch(on(9));
        drop(first);
        assert_eq!(gate.acknowledged(), 4, "the second is still under way");
        drop(second);
        assert_eq!(gate.acknowledged(), 9);
        // Who was never inside does not leave.
        let mut attempts = Attempts::new(on(2));
        attempts.leave(2);
        assert_eq!(attempts, Attempts::new(on(2)));
    }
}
