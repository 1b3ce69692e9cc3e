use crate::state::{TombstonePhase, Tombstones};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The tombstone switch inside a process: every attempt to write enters it, and leaves when it was answered.
///
/// The switch takes effect at once for attempts that enter later, retries among them; it is *acknowledged* when
/// every attempt that entered before has left. Attempts are bounded in time, so that comes soon.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    now: Tombstones,
    inside: BTreeMap<u64, u32>,
}

/// One attempt, inside the gate. Leaves when dropped.
#[derive(Debug)]
pub struct Entered {
    gate: Gate,
    /// The switch that it obeys.
    pub epoch: u64,
    /// Removals of this attempt leave tombstones.
    pub bury: bool,
}

impl Gate {
    /// A gate that stands as the split's record says.
    #[must_use]
    pub fn new(now: Tombstones) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inner {
                now,
                inside: BTreeMap::new(),
            })),
        }
    }

    /// Enters for one attempt.
    #[must_use]
    pub fn enter(&self) -> Entered {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Tombstones { phase, epoch } = inner.now;
        *inner.inside.entry(epoch).or_insert(0) += 1;
        Entered {
            gate: self.clone(),
            epoch,
            bury: phase == TombstonePhase::On,
        }
    }

    /// Whether a removal that came now would leave a tombstone. Nobody may rely on it: a write enters.
    pub(super) fn buries(&self) -> bool {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.now.phase == TombstonePhase::On
    }

    /// Takes over what the split's record says. Never goes back to an older epoch.
    pub fn switch(&self, now: Tombstones) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if now.epoch > inner.now.epoch {
            inner.now = now;
        }
    }

    /// The newest epoch that every attempt under way, and every later one, obeys.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.inside.keys().next().copied().unwrap_or(inner.now.epoch)
    }
}

impl Entered {
    /// The epoch of the switch that this attempt obeys.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut inner = self.gate.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = inner.inside.get_mut(&self.epoch) {
            *count -= 1;
            if *count == 0 {
                inner.inside.remove(&self.epoch);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_acknowledged_when_older_attempts_have_left() {
        let gate = Gate::new(Tombstones {
            phase: TombstonePhase::Off,
            epoch: 1,
        });
        let old = gate.enter();
        assert!(!old.bury);
        gate.switch(Tombstones {
            phase: TombstonePhase::On,
            epoch: 2,
        });
        let new = gate.enter();
        assert!(new.bury, "a later attempt obeys at once");
        assert_eq!(gate.acknowledged(), 1);
        drop(old);
        assert_eq!(gate.acknowledged(), 2);
        gate.switch(Tombstones {
            phase: TombstonePhase::Off,
            epoch: 1,
        });
        assert!(gate.enter().bury, "an older word does not count");
    }
}
