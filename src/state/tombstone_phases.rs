//! The phases of the tombstone switch, pure: who may turn it, the epoch of each turn, and which workers it waits for.
//! A bulk copy turns it, too: it holds the lanes, which then write nothing at all. The models check these very
//! functions.

use super::records::WorkerRecord;
use crate::fault::{Rule, broken};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The phase of the tombstones of a split. Set by every command that writes targets from a read of the source.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TombstonePhase {
    /// Removals are real deletes, and no tombstone is left. Persisted.
    #[default]
    Off,
    /// Removals leave tombstones: a backfill, repair or reconcile may still write. Persisted.
    On,
    /// Removals are real deletes again; the tombstones that are left are being removed. Persisted.
    Sweeping,
    /// No lane writes anything: a bulk copy overwrites whatever the targets hold. Persisted, so that it outlives the
    /// copy's process.
    Held,
}

/// The tombstone switch. Each change of it is a new epoch, which every tail worker acknowledges.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Tombstones {
    /// Where it stands.
    pub phase: TombstonePhase,
    /// Raised with each change.
    pub epoch: u64,
}

impl Tombstones {
    /// Whether removals leave tombstones.
    #[must_use]
    pub fn leaves_tombstones(self) -> bool {
        self.phase == TombstonePhase::On
    }

    /// Whether the lanes are held, for a bulk copy.
    #[must_use]
    pub fn holds(self) -> bool {
        self.phase == TombstonePhase::Held
    }

    /// Whether the sweep of this epoch removes a tombstone that was left in another. Tombstones of later epochs
    /// belong to a command that switched them on again meanwhile, and that may hold an older read of the source.
    #[must_use]
    pub fn sweeps(epoch: u64, left_under: u64) -> bool {
        left_under < epoch
    }
}

/// The switch and those who need it on. Part of the split's record, and so changed by compare-and-set.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Switch {
    /// The tombstone switch.
    pub tombstones: Tombstones,
    /// Who needs tombstones on (`backfill`, `repair`, `reconcile`), and since which epoch. They go off when the last has
    /// released them. A command that was killed is still named, until it is run again.
    #[serde(default, rename = "tombstone_holders")]
    pub holders: BTreeMap<String, u64>,
}

impl Switch {
    /// A holder needs tombstones on. This always begins a new epoch: a process of the same kind that was about to
    /// release them, and was delayed until now, must not release them for this one. Concurrent processes of the same
    /// kind are not disturbed.
    ///
    /// Returns whether they are on: not while a bulk copy holds the lanes, because its writes ignore tombstones.
    pub fn turn_on(&mut self, holder: &str) -> bool {
        if self.tombstones.holds() {
            return false;
        }
        let is_on = self.tombstones.leaves_tombstones() && self.holders.contains_key(holder);
        if !(is_on && broken(Rule::SwitchesOnAnew)) {
            self.bury_for(holder);
        }
        true
    }

    /// A bulk copy needs the lanes on hold. Returns the epoch of the hold. An existing hold stays unchanged, for
    /// another process of the same copy, or after one died. `None` if another command needs tombstones, or they are
    /// not swept: the copy would overwrite them.
    pub fn hold(&mut self) -> Option<u64> {
        match self.tombstones.phase {
            TombstonePhase::Off => self.turn(TombstonePhase::Held),
            TombstonePhase::Held => {}
            TombstonePhase::On | TombstonePhase::Sweeping => return None,
        }
        Some(self.tombstones.epoch)
    }

    /// No write of the bulk copy can land any more: the lanes continue. Does nothing if they were released, or put on
    /// hold again, meanwhile.
    pub fn free(&mut self, since: u64) {
        if self.tombstones.holds() && self.tombstones.epoch == since {
            self.turn(TombstonePhase::Off);
        }
    }

    /// A bulk copy is given up, and none of its writes can land any more: the lanes continue, and leave tombstones
    /// for the holder, which copies the rest with guards. Returns whether the lanes were on hold.
    pub fn give_up(&mut self, holder: &str) -> bool {
        let held = self.tombstones.holds();
        if held {
            self.bury_for(holder);
        }
        held
    }

    fn bury_for(&mut self, holder: &str) {
        self.turn(TombstonePhase::On);
        self.holders.insert(holder.to_owned(), self.tombstones.epoch);
    }

    /// A holder is about to release them, and claims them under a new epoch. A process of the same kind that had
    /// claimed them before, and was delayed until now, then releases nothing. Returns the epoch to release them with.
    pub fn claim(&mut self, holder: &str) -> Option<u64> {
        if self.tombstones.phase != TombstonePhase::On || !self.holders.contains_key(holder) {
            return None;
        }
        if broken(Rule::Since) {
            return self.holders.get(holder).copied();
        }
        self.turn(TombstonePhase::On);
        self.holders.insert(holder.to_owned(), self.tombstones.epoch);
        Some(self.tombstones.epoch)
    }

    /// Whether no command needs tombstones, all are swept, and no lane is on hold.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.tombstones.phase == TombstonePhase::Off && self.holders.is_empty()
    }

    /// Whether no other holder needs them, or has needed them since a holder claimed them with this epoch. The
    /// recheck list then belongs to this holder: no page of another one can overwrite an item of it.
    #[must_use]
    pub fn is_alone(&self, holder: &str, since: u64) -> bool {
        let is_alone = self.tombstones.epoch == since && self.holders.len() == 1;
        broken(Rule::RecheckedByLast) || is_alone && self.holders.get(holder) == Some(&since)
    }

    /// Releases the tombstones of a holder that has had them on since an epoch. A process that was suspended for long
    /// must not release them for later ones of its kind. The last holder that releases them switches them off, and
    /// the sweep is due from then on.
    ///
    /// Returns `false`, and releases nothing, if it is the last holder and did not work on the recheck list
    /// [alone](Switch::is_alone): it claims again first.
    #[must_use]
    pub fn release(&mut self, holder: &str, since: u64, worked_off: bool) -> bool {
        let named = self.holders.get(holder).copied().filter(|_| broken(Rule::Since));
        let since = named.unwrap_or(since);
        if self.holders.get(holder) == Some(&since) {
            if self.holders.len() == 1 && !(worked_off && self.is_alone(holder, since)) {
                return false;
            }
            self.holders.remove(holder);
        }
        if self.tombstones.phase == TombstonePhase::On && self.holders.is_empty() {
            self.turn(TombstonePhase::Sweeping);
        }
        true
    }

    /// The sweep of an epoch has ended. Does nothing if another command switched tombstones on meanwhile.
    pub fn swept(&mut self, epoch: u64) {
        if self.tombstones.epoch == epoch && self.tombstones.phase == TombstonePhase::Sweeping {
            self.tombstones.phase = TombstonePhase::Off;
        }
    }

    /// Begins a new epoch without another change, so that every worker acknowledges the split's record. Returns
    /// `None` unless the switch is off.
    pub fn renew(&mut self) -> Option<u64> {
        if !self.is_off() {
            return None;
        }
        self.turn(TombstonePhase::Off);
        Some(self.tombstones.epoch)
    }

    fn turn(&mut self, phase: TombstonePhase) {
        self.tombstones = Tombstones {
            phase,
            epoch: self.tombstones.epoch + 1,
        };
    }
}

/// The meaning of a worker's record for a command that turned the switch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Obedience {
    /// All that it writes from now on obeys.
    Obeys,
    /// It gave no sign of life for a whole lease time: it starts no write any more, but its last requests may still
    /// land.
    Gone,
    /// It is waited for.
    Awaited,
}

/// Whether a worker obeys an epoch; `free`: its lease was seen to end.
#[must_use]
pub fn obedience(worker: &WorkerRecord, epoch: u64, free: bool) -> Obedience {
    if worker.acknowledged_epoch >= epoch || worker.lease.owner.is_none() {
        Obedience::Obeys
    } else if free {
        Obedience::Gone
    } else {
        Obedience::Awaited
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Lease, Owner};
    use std::collections::BTreeSet;
    use std::time::Duration;

    #[test]
    fn tombstones_go_off_when_the_last_holder_lets_go() {
        let mut switch = Switch::default();
        switch.turn_on("backfill");
        assert!(switch.tombstones.leaves_tombstones());
        let epoch = switch.tombstones.epoch;
        switch.turn_on("repair");
        let repair = switch.tombstones.epoch;
        assert!(repair > epoch);
        assert!(switch.release("backfill", epoch, true));
        assert_eq!(switch.tombstones.phase, TombstonePhase::On);
        assert!(switch.release("repair", repair, true));
        assert_eq!(switch.tombstones.phase, TombstonePhase::Sweeping);
        assert!(!switch.tombstones.leaves_tombstones());
        assert!(switch.tombstones.epoch > epoch);
        switch.swept(switch.tombstones.epoch);
        assert_eq!(switch.tombstones.phase, TombstonePhase::Off);
        let before = switch.clone();
        assert!(switch.release("repair", repair, true));
        assert_eq!(switch, before, "who lets go twice changes nothing");
        switch.turn_on("repair");
        let before = switch.clone();
        assert!(switch.release("repair", repair, true));
        assert_eq!(switch, before, "nor does one who lets go for others");
        let (first, second) = (switch.claim("repair").unwrap(), switch.claim("repair").unwrap());
        assert_eq!(switch.claim("backfill"), None);
        assert!(switch.release("repair", first, true));
        assert!(
            switch.tombstones.leaves_tombstones(),
            "somebody took over from this one"
        );
        assert!(switch.release("repair", second, true));
        assert_eq!(switch.tombstones.phase, TombstonePhase::Sweeping);
        assert_eq!(switch.claim("repair"), None);
    }

    #[test]
    fn one_that_was_held_up_does_not_let_go_for_one_that_began_since() {
        let mut switch = Switch::default();
        switch.turn_on("repair");
        let first = switch.claim("repair").unwrap();
        switch.turn_on("repair");
        assert!(switch.release("repair", first, true));
        assert!(
            switch.tombstones.leaves_tombstones(),
            "the second one still reads and writes"
        );
        let second = switch.claim("repair").unwrap();
        assert!(switch.release("repair", second, true));
        assert_eq!(switch.tombstones.phase, TombstonePhase::Sweeping);
    }

    #[test]
    fn it_is_off_only_while_nobody_needs_anything_and_all_is_swept() {
        let mut switch = Switch::default();
        assert!(switch.is_off());
        let since = switch.hold().unwrap();
        assert!(!switch.is_off());
        switch.free(since);
        assert!(switch.is_off());
        switch.turn_on("repair");
        assert!(!switch.is_off());
        let since = switch.claim("repair").unwrap();
        assert!(switch.release("repair", since, true));
        assert!(switch.holders.is_empty() && !switch.is_off(), "it is not swept");
        switch.swept(switch.tombstones.epoch);
        assert!(switch.is_off());
        switch.holders.insert("repair".into(), 1);
        assert!(!switch.is_off(), "somebody is named");
    }

    #[test]
    fn only_who_worked_the_list_off_alone_is_the_last_to_let_go() {
        let mut switch = Switch::default();
        switch.turn_on("backfill");
        switch.turn_on("reconcile");
        let reconcile = switch.claim("reconcile").unwrap();
        assert!(
            !switch.is_alone("reconcile", reconcile),
            "a page of the backfill may land"
        );
        assert!(
            switch.release("reconcile", reconcile, false),
            "it is not the last"
        );
        let backfill = switch.claim("backfill").unwrap();
        assert!(switch.is_alone("backfill", backfill));
        // Another one comes and ends meanwhile: the keys that it met are on the list.
        switch.turn_on("repair");
        let repair = switch.claim("repair").unwrap();
        assert!(!switch.is_alone("backfill", backfill));
        assert!(switch.release("repair", repair, false));
        assert!(!switch.is_alone("backfill", backfill), "nor is it now");
        assert!(!switch.release("backfill", backfill, true) && switch.tombstones.leaves_tombstones());
        let anew = switch.claim("backfill").unwrap();
        assert!(!switch.release("backfill", anew, false) && switch.tombstones.leaves_tombstones());
        assert!(switch.release("backfill", anew, true));
        assert_eq!(switch.tombstones.phase, TombstonePhase::Sweeping);
    }

    #[test]
    fn the_lanes_are_held_until_the_copy_that_holds_them_lets_go() {
        let mut switch = Switch::default();
        let since = switch.hold().unwrap();
        assert!(switch.tombstones.holds() && !switch.tombstones.leaves_tombstones());
        assert_eq!(
            switch.hold(),
            Some(since),
            "another process of the copy, or the next"
        );
        assert!(
            !switch.turn_on("repair") && switch.tombstones.holds(),
            "nobody else"
        );
        assert_eq!(switch.claim("repair"), None);
        assert!(switch.release("repair", since, true));
        switch.swept(since);
        switch.free(since - 1);
        assert!(switch.tombstones.holds());
        switch.free(since);
        assert_eq!(switch.tombstones.phase, TombstonePhase::Off);
        assert!(switch.tombstones.epoch > since);
        let retry_transient = switch.hold().unwrap();
        switch.free(since);
        assert!(
            switch.tombstones.holds(),
            "one that was held up lets go of nothing"
        );
        assert!(switch.give_up("backfill") && switch.tombstones.leaves_tombstones());
        assert!(switch.tombstones.epoch > retry_transient);
        assert_eq!(switch.hold(), None, "tombstones are on");
        switch.free(switch.tombstones.epoch);
        assert!(!switch.give_up("backfill") && switch.tombstones.leaves_tombstones());
        assert!(switch.release("backfill", switch.tombstones.epoch, true));
        assert_eq!(switch.hold(), None, "they are not swept");
    }

    #[test]
    fn a_sweep_that_ends_late_does_not_speak_for_a_later_switch_on() {
        let mut switch = Switch::default();
        switch.turn_on("backfill");
        assert!(switch.release("backfill", 1, true));
        let sweeping = switch.tombstones.epoch;
        switch.turn_on("reconcile");
        switch.swept(sweeping);
        assert_eq!(switch.tombstones.phase, TombstonePhase::On);
        // A holder does not end a phase of another one.
        switch.swept(switch.tombstones.epoch);
        assert_eq!(switch.tombstones.phase, TombstonePhase::On);
        assert!(Tombstones::sweeps(sweeping, sweeping - 1));
        assert!(!Tombstones::sweeps(sweeping, sweeping));
        assert!(!Tombstones::sweeps(sweeping, switch.tombstones.epoch));
    }

    #[test]
    fn a_worker_is_waited_for_until_it_obeys_or_is_seen_to_be_gone() {
        let mut worker = WorkerRecord {
            kind: "tail".into(),
            lease: Lease::held_by(&Owner("a".into()), Duration::from_secs(1)),
            beat: 0,
            acknowledged_epoch: 3,
            seen_ms: 0,
            services: BTreeSet::new(),
            fingerprint: String::new(),
            routes: BTreeMap::new(),
            chaos: None,
        };
        assert_eq!(obedience(&worker, 3, false), Obedience::Obeys);
        assert_eq!(obedience(&worker, 4, false), Obedience::Awaited);
        assert_eq!(obedience(&worker, 4, true), Obedience::Gone);
        worker.lease = Lease::default();
        assert_eq!(
            obedience(&worker, 4, false),
            Obedience::Obeys,
            "it gave its lease back"
        );
    }

    #[test]
    fn the_record_keeps_its_names() {
        let json = serde_json::to_string(&Switch::default()).unwrap();
        assert_eq!(
            json,
            r#"{"tombstones":{"phase":"off","epoch":0},"tombstone_holders":{}}"#
        );
    }
}
