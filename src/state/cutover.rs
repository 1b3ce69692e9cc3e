//! The cutover of a service with a way back: the phase, which every worker reads; the journal, which the next command
//! continues; and the pins.
//!
//! The phase is part of the split's record, so that a worker reads it together with `switched`. The journal and the pins
//! are records of their own.

use super::split::SplitRecord;
use super::{STATE_FORMAT_CUTOVER, StateError, Store, Stored};
use crate::model::SequenceNumber;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Where a service is between its source and its own table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutoverPhase {
    /// The application writes the source, and the forward lane applies its changes. Also the phase after a cancel and
    /// after a rollback.
    Replicating,
    /// The source is fenced, or is being fenced. The forward lane applies what was accepted before, until it is closed. The
    /// reverse lane writes nothing.
    Fenced,
    /// The forward lane is closed, and the reverse lane carries back what is after the pin. The switch hook may have moved
    /// The forward lane is closed, and the reverse lane carries back what is after the pin. When the switch hook has begun, there
    /// is no cancel any more, because the hook may have moved some writers.
    Switching,
    /// The application writes the service's own table. The reverse lane carries its writes back.
    Switched,
    /// The target is fenced, or is being fenced, for a rollback. The reverse lane carries back what was accepted before.
    FencedForRollback,
}

impl CutoverPhase {
    /// Whether the reverse lane carries changes of the target back to the source.
    #[must_use]
    pub fn carries_back(self) -> bool {
        matches!(self, Self::Switching | Self::Switched | Self::FencedForRollback)
    }
}

impl std::fmt::Display for CutoverPhase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Replicating => "replicating",
            Self::Fenced => "fenced",
            Self::Switching => "switching",
            Self::Switched => "switched",
            Self::FencedForRollback => "fenced for rollback",
        })
    }
}

/// The cutover of a service, as every worker sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CutoverState {
    /// Raised with each cutover of this service, from 1. Pins, marks and hooks name it, so a delayed process of an earlier
    /// cutover is recognised.
    pub epoch: u64,
    /// Where the service is.
    pub phase: CutoverPhase,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
}

impl SplitRecord {
    /// Begins a cutover of a service: raises its epoch, and the format of the state, because a version that does not know
    /// marks would treat marked source items as invalid. A cutover that has begun is continued. Returns the state; `None` if a
    /// command that writes targets is under way.
    pub fn begin_cutover(&mut self, service: &str, now_ms: u64) -> Option<CutoverState> {
        let epoch = match self.cutovers.get(service) {
            Some(state) if state.phase != CutoverPhase::Replicating => return Some(state.clone()),
            Some(state) => state.epoch + 1,
            None => 1,
        };
        if !self.switch.is_off() {
            return None;
        }
        let state = CutoverState {
            epoch,
            phase: CutoverPhase::Fenced,
            since_ms: now_ms,
        };
        self.format = STATE_FORMAT_CUTOVER;
        self.cutovers.insert(service.to_owned(), state.clone());
        Some(state)
    }

    /// A rollback begins. Returns whether it has begun; `false` if the service is not switched, or if a command that writes
    /// targets is under way.
    pub fn begin_rollback(&mut self, service: &str, epoch: u64, now_ms: u64) -> bool {
        let phase = self.cutover_phase(service);
        if phase != CutoverPhase::FencedForRollback && !self.switch.is_off() {
            return false;
        }
        let to = CutoverPhase::FencedForRollback;
        if phase == CutoverPhase::Switching {
            return self.move_cutover(service, epoch, CutoverPhase::Switching, to, now_ms);
        }
        self.move_cutover(service, epoch, CutoverPhase::Switched, to, now_ms)
    }

    /// Opens the forward lane of a service again, and ends its reverse lane. Returns the epoch that every worker must
    /// acknowledge before the application may write the source: only then, no worker moves the lane's checkpoint without
    /// applying what it passes. `None` if a command that writes targets is under way.
    pub fn reopen_lane(&mut self, service: &str, epoch: u64, to: CutoverPhase, now_ms: u64) -> Option<u64> {
        let state = self.cutovers.get(service).filter(|state| state.epoch == epoch)?;
        let phase = state.phase;
        if !self.switched.contains_key(service) && phase == to {
            return Some(self.switch.tombstones.epoch);
        }
        let acknowledged = self.switch.renew()?;
        self.switched.remove(service);
        self.move_cutover(service, epoch, phase, to, now_ms);
        Some(acknowledged)
    }

    /// A service whose writers are stopped at present, or whose switch is under way. No other command may switch tombstones
    /// on or hold the lanes meanwhile, because then the writers would have to wait for it.
    #[must_use]
    pub fn fenced_service(&self) -> Option<&str> {
        let mut fenced = self
            .cutovers
            .iter()
            .filter(|(_, state)| !matches!(state.phase, CutoverPhase::Replicating | CutoverPhase::Switched));
        fenced.next().map(|(service, _)| service.as_str())
    }

    /// Moves a service from one phase to the next, if it is in this epoch and in the first phase. A service that is in the
    /// second phase already stays there. Returns whether it is in the second phase now.
    pub fn move_cutover(
        &mut self,
        service: &str,
        epoch: u64,
        from: CutoverPhase,
        to: CutoverPhase,
        now_ms: u64,
    ) -> bool {
        let Some(state) = self
            .cutovers
            .get_mut(service)
            .filter(|state| state.epoch == epoch)
        else {
            return false;
        };
        if state.phase == from {
            state.phase = to;
            state.since_ms = now_ms;
        }
        state.phase == to
    }

    /// The services whose changes are carried back to the source, and the epoch of each one's cutover.
    pub fn carried_back(&self) -> impl Iterator<Item = (&String, u64)> {
        let cutovers = self.cutovers.iter();
        cutovers
            .filter(|(_, state)| state.phase.carries_back())
            .map(|(name, state)| (name, state.epoch))
    }

    /// The services that have switched with a way back: their lanes apply nothing, and look for stray writes.
    pub fn watched(&self) -> impl Iterator<Item = &String> {
        let switched = self.switched.keys();
        switched.filter(|name| self.cutover_phase(name) != CutoverPhase::Replicating)
    }

    /// The phase of a service; `Replicating` if it was never cut over.
    #[must_use]
    pub fn cutover_phase(&self, service: &str) -> CutoverPhase {
        let state = self.cutovers.get(service);
        state.map_or(CutoverPhase::Replicating, |state| state.phase)
    }
}

/// Where the way back begins in the target's stream. Written once for each cutover, after every worker has stopped writing
/// the target and before the application may write it. A process that wakes up late cannot replace it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StreamPin {
    /// The epoch of the cutover.
    pub epoch: u64,
    /// The stream.
    pub stream_arn: String,
    /// The generation of the target's stream: raised if the service is cut over again with another stream.
    pub generation: u32,
    /// When it was pinned, in milliseconds since 1970.
    pub pinned_ms: u64,
    /// The shards that were open, each with the sequence number of the last record before the pin. `None`: the shard held
    /// no record, so all of its records come after the pin.
    pub shards: BTreeMap<String, Option<SequenceNumber>>,
    /// The shards that were closed: all of their records come before the pin. A shard that is listed nowhere appeared
    /// later.
    #[serde(default)]
    pub closed: BTreeSet<String>,
}

impl StreamPin {
    /// Prefix of these records' names.
    pub const PREFIX: &'static str = "CUTOVERPIN#";

    /// Name of the record of a service's pin.
    #[must_use]
    pub fn record_name(service: &str, epoch: u64) -> String {
        format!("{}{service}#{epoch:06}", Self::PREFIX)
    }

    /// The pin of a cutover, if there is one.
    ///
    /// # Errors
    /// If the request fails.
    pub async fn read(store: &Store, service: &str, epoch: u64) -> Result<Option<Self>, StateError> {
        let stored = store.get::<Self>(&Self::record_name(service, epoch)).await?;
        Ok(stored.map(|stored| stored.value))
    }

    /// Writes the pin, unless there is one of this epoch. Returns the pin that counts.
    ///
    /// # Errors
    /// If a request fails.
    pub async fn write_once(self, store: &Store, service: &str) -> Result<Self, StateError> {
        let name = Self::record_name(service, self.epoch);
        let stored: Stored<Self> = store
            .change::<Self, StateError>(&name, |found| Ok(found.unwrap_or_else(|| self.clone())))
            .await?;
        Ok(stored.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cutover_has_an_epoch_of_its_own_and_moves_only_from_the_phase_that_is_named() {
        let mut record = SplitRecord::sample();
        let first = record.begin_cutover("a", 1).unwrap();
        assert_eq!((first.epoch, first.phase), (1, CutoverPhase::Fenced));
        assert_eq!(record.begin_cutover("a", 2), Some(first), "it is continued");
        let (fenced, switching) = (CutoverPhase::Fenced, CutoverPhase::Switching);
        assert!(
            !record.move_cutover("a", 2, fenced, switching, 3),
            "another epoch"
        );
        assert!(!record.begin_rollback("a", 1, 3), "nothing was switched");
        assert!(record.move_cutover("a", 1, fenced, switching, 3));
        assert!(
            record.move_cutover("a", 1, fenced, switching, 4),
            "it was moved already"
        );
        assert_eq!(record.cutovers["a"].since_ms, 3);
        assert_eq!(record.fenced_service(), Some("a"));
        assert!(record.begin_rollback("a", 1, 5));
        assert!(record.reopen_lane("a", 1, CutoverPhase::Replicating, 6).is_some());
        assert_eq!(record.fenced_service(), None);
        assert_eq!(record.begin_cutover("a", 7).unwrap().epoch, 2);
    }

    #[test]
    fn a_lane_is_reopened_in_the_step_that_ends_the_reverse_lane() {
        let mut record = SplitRecord::sample();
        record.begin_cutover("a", 1).unwrap();
        record.switch_service("a", 2, None).unwrap();
        let before = record.switch.tombstones.epoch;
        let to = CutoverPhase::Replicating;
        let epoch = record.reopen_lane("a", 1, to, 3).unwrap();
        assert!(epoch > before && record.switched.is_empty());
        assert_eq!(
            record.reopen_lane("a", 1, to, 4),
            Some(epoch),
            "it can be repeated"
        );
        assert_eq!(record.reopen_lane("a", 9, to, 4), None);
    }

    #[test]
    fn nothing_begins_while_a_command_writes_targets() {
        let mut record = SplitRecord::sample();
        assert!(record.switch.turn_on("repair"));
        assert_eq!(record.begin_cutover("a", 1), None);
        record.switch = crate::state::Switch::default();
        record.begin_cutover("a", 1).unwrap();
        record.switch_service("a", 2, None).unwrap();
        record.move_cutover("a", 1, CutoverPhase::Fenced, CutoverPhase::Switching, 3);
        assert!(record.switch.turn_on("repair"));
        assert!(!record.begin_rollback("a", 1, 4));
        assert_eq!(record.reopen_lane("a", 1, CutoverPhase::Replicating, 4), None);
    }
}
