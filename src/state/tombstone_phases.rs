//! The phases of the tombstone switch, pure: who may turn it, the epoch of each turn, and which workers it waits for.
//! A bulk copy turns it, too: it holds the lanes, which then write nothing at all. The models check these very
//! functions.

use super::records::WorkerRecord;
use crate::fault::{Rule, broken};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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

/// Where the switch of one service stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Tombstones {
    /// The phase.
    pub phase: TombstonePhase,
    /// The epoch in which the phase began or was claimed anew; of a switch that is off, the newest epoch of the split.
    pub epoch: u64,
}

impl Tombstones {
    /// Whether removals leave tombstones.
    #[must_use]
    pub fn leaves_tombstones(self) -> bool {
        self.phase == TombstonePhase::On
    }

    /// Whether the lane is held, for a bulk copy.
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

/// The phases of all services at one epoch: what a worker obeys.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Phases {
    /// The epoch.
    pub epoch: u64,
    /// The phases that are not off, by service.
    pub services: BTreeMap<String, TombstonePhase>,
}

impl Phases {
    /// One service alone, for a writer of its own.
    #[must_use]
    pub fn one(service: &str, tombstones: Tombstones) -> Self {
        Self {
            epoch: tombstones.epoch,
            services: BTreeMap::from([(service.to_owned(), tombstones.phase)]),
        }
    }

    /// The phase of a service.
    #[must_use]
    pub fn of(&self, service: &str) -> Tombstones {
        Tombstones {
            phase: self.services.get(service).copied().unwrap_or_default(),
            epoch: self.epoch,
        }
    }
}

/// The tombstone switches of a split: one for each service, and one count of epochs for all of them. Part of the split's
/// record, and so changed by compare-and-set.
///
/// Each service's switch obeys the same rules as if it were alone: a command that copies or repairs one service concerns no
/// other. Each change of any switch is a new epoch, which every tail worker acknowledges. So one number tells of a worker that it
/// obeys all of them.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Recorded", into = "Recorded")]
pub struct Switch {
    epoch: u64,
    /// The switches that are not off, by service.
    services: BTreeMap<String, ServiceSwitch>,
    /// One switch for all services, as versions before format 7 recorded it. [`Switch::spread`] turns it into one for each
    /// service before anything else looks at it.
    undivided: Option<ServiceSwitch>,
}

/// The switch of one service, while it is not off.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct ServiceSwitch {
    phase: TombstonePhase,
    /// The epoch of its last change.
    epoch: u64,
    /// Who needs tombstones on (`backfill`, `repair`, `reconcile`), and since which epoch. They go off when the last has
    /// released them. A command that was killed is still named, until it is run again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    holders: BTreeMap<String, u64>,
}

impl ServiceSwitch {
    /// Whether nobody else needs tombstones, or has needed them since a holder claimed them with this epoch.
    fn is_alone(&self, holder: &str, since: u64) -> bool {
        let is_alone = self.epoch == since && self.holders.len() == 1;
        let named = self.holders.get(holder);
        named.is_some() && (broken(Rule::RecheckedByLast) || is_alone && named == Some(&since))
    }
}

/// The switches on record. With every switch off, this is also what versions before format 7 wrote and read.
#[derive(Serialize, Deserialize)]
struct Recorded {
    tombstones: Tombstones,
    #[serde(default)]
    tombstone_holders: BTreeMap<String, u64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    service_tombstones: BTreeMap<String, ServiceSwitch>,
}

impl From<Recorded> for Switch {
    fn from(found: Recorded) -> Self {
        let Tombstones { phase, epoch } = found.tombstones;
        let is_undivided = phase != TombstonePhase::Off;
        Self {
            epoch,
            services: found.service_tombstones,
            undivided: is_undivided.then_some(ServiceSwitch {
                phase,
                epoch,
                holders: found.tombstone_holders,
            }),
        }
    }
}

impl From<Switch> for Recorded {
    fn from(switch: Switch) -> Self {
        let undivided = switch.undivided.unwrap_or(ServiceSwitch {
            phase: TombstonePhase::Off,
            epoch: switch.epoch,
            holders: BTreeMap::new(),
        });
        Self {
            tombstones: Tombstones {
                phase: undivided.phase,
                epoch: switch.epoch,
            },
            tombstone_holders: undivided.holders,
            service_tombstones: switch.services,
        }
    }
}

impl Switch {
    /// The newest epoch. Every worker that acknowledges it obeys all switches as they are.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Where the switch of a service stands.
    #[must_use]
    pub fn of(&self, service: &str) -> Tombstones {
        let found = self.services.get(service);
        Tombstones {
            phase: found.map_or(TombstonePhase::Off, |found| found.phase),
            epoch: found.map_or(self.epoch, |found| found.epoch),
        }
    }

    /// What every worker obeys.
    #[must_use]
    pub fn phases(&self) -> Phases {
        let services = self.services.iter();
        Phases {
            epoch: self.epoch,
            services: services
                .map(|(name, found)| (name.clone(), found.phase))
                .collect(),
        }
    }

    /// The services in one of these phases.
    pub fn services_in<'a>(&'a self, phases: &'a [TombstonePhase]) -> impl Iterator<Item = &'a str> {
        let found = self
            .services
            .iter()
            .filter(|(_, found)| phases.contains(&found.phase));
        found.map(|(name, _)| name.as_str())
    }

    /// The services whose tombstones a holder needs on.
    pub fn held_by<'a>(&'a self, holder: &'a str) -> impl Iterator<Item = &'a str> {
        let found = self
            .services
            .iter()
            .filter(move |(_, found)| found.holders.contains_key(holder));
        found.map(|(name, _)| name.as_str())
    }

    /// Whether a holder needs tombstones on, for any service.
    #[must_use]
    pub fn has_holder(&self, holder: &str) -> bool {
        self.held_by(holder).next().is_some()
    }

    /// Everybody who needs tombstones on, for any service.
    #[must_use]
    pub fn holders(&self) -> BTreeSet<&str> {
        let services = self.services.values();
        services
            .flat_map(|found| found.holders.keys().map(String::as_str))
            .collect()
    }

    /// The epoch since which a holder needs tombstones of a service on.
    #[must_use]
    pub fn held_since(&self, service: &str, holder: &str) -> Option<u64> {
        self.services.get(service)?.holders.get(holder).copied()
    }

    /// Whether a version before format 7 could not know where the switches stand.
    #[must_use]
    pub fn is_divided(&self) -> bool {
        !self.services.is_empty()
    }

    /// Gives each of these services its own copy of a switch that a version before format 7 recorded for all of them. Returns
    /// whether every switch is known now: that version did not always record the services.
    #[must_use]
    pub fn spread(&mut self, services: &BTreeSet<String>) -> bool {
        if let Some(undivided) = self.undivided.take_if(|_| !services.is_empty()) {
            let each = services
                .iter()
                .map(|service| (service.clone(), undivided.clone()));
            self.services = each.collect();
        }
        self.undivided.is_none()
    }

    /// A holder needs tombstones of these services on. This always begins a new epoch: a process of the same kind that was about
    /// to release them, and was delayed until now, must not release them for this one. Concurrent processes of the same
    /// kind are not disturbed.
    ///
    /// Returns whether they are on: not while a bulk copy holds one of these lanes, because its writes ignore tombstones.
    pub fn turn_on<'a>(&mut self, holder: &str, services: impl IntoIterator<Item = &'a str>) -> bool {
        let services: BTreeSet<&str> = services.into_iter().collect();
        if services.iter().any(|service| self.of(service).holds()) {
            return false;
        }
        let is_on = |service: &&str| {
            self.of(service).leaves_tombstones() && self.held_since(service, holder).is_some()
        };
        let are_on = services.iter().all(is_on);
        if !(are_on && broken(Rule::SwitchesOnAnew)) {
            self.bury_for(holder, services);
        }
        true
    }

    /// A bulk copy needs the lanes of these services on hold. Returns the epoch of the hold. An existing hold stays unchanged,
    /// for another process of the same copy, or after one died. `None` if another command needs tombstones of one of them, or they
    /// are not swept: the copy would overwrite them.
    pub fn hold<'a>(&mut self, services: impl IntoIterator<Item = &'a str>) -> Option<u64> {
        let services: BTreeSet<&str> = services.into_iter().collect();
        let switches: Vec<Tombstones> = services.iter().map(|service| self.of(service)).collect();
        let unready = [TombstonePhase::On, TombstonePhase::Sweeping];
        if switches.iter().any(|switch| unready.contains(&switch.phase)) {
            return None;
        }
        let is_one_hold = switches
            .iter()
            .all(|switch| switch.holds() && *switch == switches[0]);
        if !is_one_hold {
            self.turn(TombstonePhase::Held, services.iter().copied());
        }
        services.first().map(|service| self.of(service).epoch)
    }

    /// No write of the bulk copy can land any more: the lanes continue. Does nothing with those that were released, or put on
    /// hold again, meanwhile.
    pub fn free(&mut self, since: u64) {
        let is_held = |found: &ServiceSwitch| found.phase == TombstonePhase::Held && found.epoch == since;
        self.turn_those(TombstonePhase::Off, is_held);
    }

    /// A bulk copy is given up, and none of its writes can land any more: the lanes continue, and leave tombstones
    /// for the holder, which copies the rest with guards. Returns whether lanes were on hold.
    pub fn give_up(&mut self, holder: &str) -> bool {
        let held: Vec<String> = self
            .services_in(&[TombstonePhase::Held])
            .map(str::to_owned)
            .collect();
        if !held.is_empty() {
            self.bury_for(holder, held.iter().map(String::as_str));
        }
        !held.is_empty()
    }

    fn bury_for<'a>(&mut self, holder: &str, services: impl IntoIterator<Item = &'a str>) {
        let services: BTreeSet<&str> = services.into_iter().collect();
        self.turn(TombstonePhase::On, services.iter().copied());
        let epoch = self.epoch;
        for service in services {
            if let Some(found) = self.services.get_mut(service) {
                found.holders.insert(holder.to_owned(), epoch);
            }
        }
    }

    /// A holder is about to release them, and claims them under a new epoch. A process of the same kind that had
    /// claimed them before, and was delayed until now, then releases nothing. Returns the epoch to release them with.
    pub fn claim(&mut self, holder: &str) -> Option<u64> {
        let is_on = |service: &&str| self.of(service).leaves_tombstones();
        let services: Vec<String> = self.held_by(holder).filter(is_on).map(str::to_owned).collect();
        let first = services.first()?;
        if broken(Rule::Since) {
            return self.held_since(first, holder);
        }
        self.bury_for(holder, services.iter().map(String::as_str));
        Some(self.epoch)
    }

    /// Holders that came too late, and have written nothing, are named no more.
    pub fn forget(&mut self, is_too_late: impl Fn(&str) -> bool) {
        for found in self.services.values_mut() {
            found.holders.retain(|holder, _| !is_too_late(holder));
        }
        self.sweep_unheld();
    }

    /// Whether no command needs tombstones of any service, all are swept, and no lane is on hold.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.services.is_empty() && self.undivided.is_none()
    }

    /// The same, of one service.
    #[must_use]
    pub fn is_off_for(&self, service: &str) -> bool {
        !self.services.contains_key(service) && self.undivided.is_none()
    }

    /// The services whose tombstones no other holder needs, or has needed since a holder claimed them with this epoch. Their
    /// keys on the recheck list then belong to this holder: no page of another one can overwrite an item of it.
    #[must_use]
    pub fn alone(&self, holder: &str, since: u64) -> BTreeSet<String> {
        let alone = self
            .services
            .iter()
            .filter(|(_, found)| found.is_alone(holder, since));
        alone.map(|(name, _)| name.clone()).collect()
    }

    /// Releases the tombstones of a holder that has had them on since an epoch. A process that was suspended for long
    /// must not release them for later ones of its kind. The last holder of a service that releases them switches them off, and
    /// the sweep is due from then on. `worked_off` are the services whose keys on the recheck list were read again.
    ///
    /// Returns `false`, and releases nothing, if it is the last holder of a service and did not work on its recheck list
    /// [alone](Switch::alone): it claims again first.
    #[must_use]
    pub fn release(&mut self, holder: &str, since: u64, worked_off: &BTreeSet<String>) -> bool {
        let named = |found: &ServiceSwitch| {
            let named = found.holders.get(holder).copied();
            named.filter(|named| *named == since || broken(Rule::Since))
        };
        let is_unready = |(name, found): (&String, &ServiceSwitch)| {
            named(found).is_some_and(|since| {
                found.holders.len() == 1 && !(worked_off.contains(name) && found.is_alone(holder, since))
            })
        };
        if self.services.iter().any(is_unready) {
            return false;
        }
        for found in self.services.values_mut().filter(|found| named(found).is_some()) {
            found.holders.remove(holder);
        }
        self.sweep_unheld();
        true
    }

    fn sweep_unheld(&mut self) {
        self.turn_those(TombstonePhase::Sweeping, |found| {
            found.phase == TombstonePhase::On && found.holders.is_empty()
        });
    }

    /// The services whose sweep is due, and the epochs of the sweeps.
    #[must_use]
    pub fn unswept(&self) -> BTreeMap<String, u64> {
        let unswept = self
            .services
            .iter()
            .filter(|(_, found)| found.phase == TombstonePhase::Sweeping);
        unswept.map(|(name, found)| (name.clone(), found.epoch)).collect()
    }

    /// The sweep of a service in an epoch has ended. Does nothing if another command switched tombstones on meanwhile.
    pub fn swept(&mut self, service: &str, epoch: u64) {
        let is_swept =
            |found: &ServiceSwitch| found.epoch == epoch && found.phase == TombstonePhase::Sweeping;
        if self.services.get(service).is_some_and(is_swept) {
            self.services.remove(service);
        }
    }

    /// Begins a new epoch without another change, so that every worker acknowledges what else changed of a service in the
    /// split's record. Returns `None` unless the switch of this service is off.
    pub fn renew(&mut self, service: &str) -> Option<u64> {
        if !self.is_off_for(service) {
            return None;
        }
        self.epoch += 1;
        Some(self.epoch)
    }

    fn turn_those(&mut self, phase: TombstonePhase, which: impl Fn(&ServiceSwitch) -> bool) {
        let found = self.services.iter().filter(|(_, found)| which(found));
        let services: Vec<String> = found.map(|(name, _)| name.clone()).collect();
        if !services.is_empty() {
            self.turn(phase, services.iter().map(String::as_str));
        }
    }

    /// Turns the switches of some services, in one epoch.
    fn turn<'a>(&mut self, phase: TombstonePhase, services: impl Iterator<Item = &'a str>) {
        self.epoch += 1;
        for service in services {
            if phase == TombstonePhase::Off {
                self.services.remove(service);
                continue;
            }
            let found = self.services.entry(service.to_owned()).or_insert(ServiceSwitch {
                phase,
                epoch: self.epoch,
                holders: BTreeMap::new(),
            });
            (found.phase, found.epoch) = (phase, self.epoch);
        }
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
    use crate::model::cases::cases;
    use crate::state::{Lease, Owner};
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::time::Duration;

    const BOTH: [&str; 2] = ["a", "b"];

    fn worked_off(services: &[&str]) -> BTreeSet<String> {
        services.iter().map(|&service| service.to_owned()).collect()
    }

    fn phase(switch: &Switch, service: &str) -> TombstonePhase {
        switch.of(service).phase
    }

    #[test]
    fn tombstones_go_off_when_the_last_holder_lets_go() {
        let mut switch = Switch::default();
        switch.turn_on("backfill", ["a"]);
        assert!(switch.of("a").leaves_tombstones());
        let epoch = switch.epoch();
        switch.turn_on("repair", ["a"]);
        let repair = switch.epoch();
        assert!(repair > epoch);
        assert!(switch.release("backfill", epoch, &worked_off(&["a"])));
        assert_eq!(phase(&switch, "a"), TombstonePhase::On);
        assert!(switch.release("repair", repair, &worked_off(&["a"])));
        assert_eq!(phase(&switch, "a"), TombstonePhase::Sweeping);
        assert!(switch.epoch() > epoch);
        switch.swept("a", switch.epoch());
        assert_eq!(phase(&switch, "a"), TombstonePhase::Off);
        let before = switch.clone();
        assert!(switch.release("repair", repair, &worked_off(&["a"])));
        assert_eq!(switch, before, "who lets go twice changes nothing");
        switch.turn_on("repair", ["a"]);
        let before = switch.clone();
        assert!(switch.release("repair", repair, &worked_off(&["a"])));
        assert_eq!(switch, before, "nor does one who lets go for others");
        let (first, second) = (switch.claim("repair").unwrap(), switch.claim("repair").unwrap());
        assert_eq!(switch.claim("backfill"), None);
        assert!(switch.release("repair", first, &worked_off(&["a"])));
        assert!(
            switch.of("a").leaves_tombstones(),
            "somebody took over from this one"
        );
        assert!(switch.release("repair", second, &worked_off(&["a"])));
        assert_eq!(phase(&switch, "a"), TombstonePhase::Sweeping);
        assert_eq!(switch.claim("repair"), None);
    }

    #[test]
    fn one_that_was_held_up_does_not_let_go_for_one_that_began_since() {
        let mut switch = Switch::default();
        switch.turn_on("repair", BOTH);
        let first = switch.claim("repair").unwrap();
        switch.turn_on("repair", ["b"]);
        assert!(switch.release("repair", first, &worked_off(&BOTH)));
        assert_eq!(phase(&switch, "a"), TombstonePhase::Sweeping);
        assert!(
            switch.of("b").leaves_tombstones(),
            "the second one still reads and writes"
        );
        let second = switch.claim("repair").unwrap();
        assert!(switch.release("repair", second, &worked_off(&["b"])));
        assert_eq!(phase(&switch, "b"), TombstonePhase::Sweeping);
    }

    #[test]
    fn it_is_off_only_while_nobody_needs_anything_and_all_is_swept() {
        let mut switch = Switch::default();
        assert!(switch.is_off());
        let since = switch.hold(["a"]).unwrap();
        assert!(!switch.is_off() && !switch.is_off_for("a") && switch.is_off_for("b"));
        assert_eq!(switch.renew("a"), None);
        assert_eq!(switch.renew("b"), Some(since + 1));
        switch.free(since);
        assert!(switch.is_off());
        switch.turn_on("repair", ["a"]);
        assert!(!switch.is_off());
        let since = switch.claim("repair").unwrap();
        assert!(switch.release("repair", since, &worked_off(&["a"])));
        assert!(switch.holders().is_empty() && !switch.is_off(), "it is not swept");
        assert_eq!(switch.renew("a"), None);
        let (service, epoch) = switch.unswept().pop_first().unwrap();
        switch.swept(&service, epoch);
        assert!(switch.is_off());
    }

    #[test]
    fn only_who_worked_the_list_off_alone_is_the_last_to_let_go() {
        let (list, none) = (worked_off(&["a"]), BTreeSet::new());
        let mut switch = Switch::default();
        switch.turn_on("backfill", ["a"]);
        switch.turn_on("reconcile", ["a"]);
        let reconcile = switch.claim("reconcile").unwrap();
        assert!(
            switch.alone("reconcile", reconcile).is_empty(),
            "a page of the backfill may land"
        );
        assert!(
            switch.release("reconcile", reconcile, &none),
            "it is not the last"
        );
        let backfill = switch.claim("backfill").unwrap();
        assert_eq!(switch.alone("backfill", backfill), list);
        // Another one comes and ends meanwhile: the keys that it met are on the list.
        switch.turn_on("repair", ["a"]);
        let repair = switch.claim("repair").unwrap();
        assert!(switch.alone("backfill", backfill).is_empty());
        assert!(switch.release("repair", repair, &none));
        assert!(switch.alone("backfill", backfill).is_empty(), "nor is it now");
        assert!(!switch.release("backfill", backfill, &list) && switch.of("a").leaves_tombstones());
        let anew = switch.claim("backfill").unwrap();
        assert!(!switch.release("backfill", anew, &none) && switch.of("a").leaves_tombstones());
        assert!(switch.release("backfill", anew, &list));
        assert_eq!(phase(&switch, "a"), TombstonePhase::Sweeping);
    }

    #[test]
    fn who_holds_two_services_works_off_the_list_of_the_one_that_nobody_else_holds() {
        let mut switch = Switch::default();
        switch.turn_on("backfill of b", ["b"]);
        switch.turn_on("repair", BOTH);
        let repair = switch.claim("repair").unwrap();
        let alone = switch.alone("repair", repair);
        assert_eq!(alone, worked_off(&["a"]));
        assert!(
            !switch.release("repair", repair, &worked_off(&["b"])),
            "the list of a"
        );
        assert!(switch.release("repair", repair, &alone));
        assert_eq!(phase(&switch, "a"), TombstonePhase::Sweeping);
        assert_eq!(phase(&switch, "b"), TombstonePhase::On, "the backfill goes on");
        assert_eq!(switch.held_by("backfill of b").collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn a_service_that_nobody_copies_is_free_while_others_are_copied() {
        let mut switch = Switch::default();
        switch.turn_on("backfill of b", ["b"]);
        let before = switch.epoch();
        assert!(switch.is_off_for("a") && switch.renew("a") == Some(before + 1));
        assert_eq!(switch.phases().of("b").phase, TombstonePhase::On);
        assert_eq!(switch.phases().of("a").phase, TombstonePhase::Off);
        assert!(switch.hold(["a"]).is_some(), "nor does a hold of it concern b");
        assert!(!switch.turn_on("repair", BOTH), "the lane of a is held");
        assert!(switch.turn_on("repair", ["b"]));
    }

    #[test]
    fn the_lanes_are_held_until_the_copy_that_holds_them_lets_go() {
        let mut switch = Switch::default();
        let since = switch.hold(BOTH).unwrap();
        assert!(switch.of("a").holds() && switch.of("b").holds());
        assert_eq!(
            switch.hold(BOTH),
            Some(since),
            "another process of the copy, or the next"
        );
        assert!(
            !switch.turn_on("repair", ["b"]) && switch.of("b").holds(),
            "nobody else"
        );
        assert_eq!(switch.claim("repair"), None);
        assert!(switch.release("repair", since, &worked_off(&BOTH)));
        switch.swept("a", since);
        switch.free(since - 1);
        assert!(switch.of("a").holds());
        switch.free(since);
        assert!(switch.is_off());
        assert!(switch.epoch() > since);
        let again = switch.hold(BOTH).unwrap();
        switch.free(since);
        assert!(switch.of("a").holds(), "one that was held up lets go of nothing");
        assert!(switch.give_up("backfill") && switch.of("a").leaves_tombstones());
        assert!(switch.epoch() > again);
        assert_eq!(switch.hold(["a"]), None, "tombstones are on");
        switch.free(switch.epoch());
        assert!(!switch.give_up("backfill") && switch.of("b").leaves_tombstones());
        assert!(switch.release("backfill", switch.epoch(), &worked_off(&BOTH)));
        assert_eq!(switch.hold(["a"]), None, "they are not swept");
    }

    #[test]
    fn a_holder_that_came_too_late_leaves_nothing_on() {
        let mut switch = Switch::default();
        switch.turn_on("backfill", ["a"]);
        switch.turn_on("backfill of b", ["b"]);
        switch.forget(|holder| holder == "backfill");
        assert_eq!(phase(&switch, "a"), TombstonePhase::Sweeping);
        assert_eq!(phase(&switch, "b"), TombstonePhase::On);
    }

    #[test]
    fn a_sweep_that_ends_late_does_not_speak_for_a_later_switch_on() {
        let mut switch = Switch::default();
        switch.turn_on("backfill", ["a"]);
        assert!(switch.release("backfill", 1, &worked_off(&["a"])));
        let sweeping = switch.epoch();
        switch.turn_on("reconcile", ["a"]);
        switch.swept("a", sweeping);
        assert_eq!(phase(&switch, "a"), TombstonePhase::On);
        // A holder does not end a phase of another one.
        switch.swept("a", switch.epoch());
        assert_eq!(phase(&switch, "a"), TombstonePhase::On);
        assert!(Tombstones::sweeps(sweeping, sweeping - 1));
        assert!(!Tombstones::sweeps(sweeping, sweeping));
        assert!(!Tombstones::sweeps(sweeping, switch.epoch()));
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

    /// What a process does with the switches of some services.
    #[derive(Clone, Debug)]
    enum Op {
        TurnOn(usize, Vec<&'static str>),
        Claim(usize),
        /// With one of the epochs that were claimed so far, and the services whose list was worked off.
        Release(usize, usize, Vec<&'static str>),
        Hold(Vec<&'static str>),
        /// With one of the epochs of the holds so far.
        Free(usize),
        GiveUp(usize),
        /// With one of the sweeps that were due so far.
        Swept(usize),
        Renew(&'static str),
        Forget(usize),
    }

    const HOLDERS: [&str; 3] = ["backfill", "repair", "reconcile"];

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let some = || proptest::sample::subsequence(BOTH.to_vec(), 0..=2);
        let holder = || 0..HOLDERS.len();
        let service = || proptest::sample::select(BOTH.to_vec());
        let op = prop_oneof![
            4 => (holder(), some()).prop_map(|(holder, services)| Op::TurnOn(holder, services)),
            4 => holder().prop_map(Op::Claim),
            4 => (holder(), 0..9usize, some()).prop_map(|(holder, since, off)| Op::Release(holder, since, off)),
            2 => some().prop_map(Op::Hold),
            2 => (0..9usize).prop_map(Op::Free),
            1 => holder().prop_map(Op::GiveUp),
            3 => (0..9usize).prop_map(Op::Swept),
            1 => service().prop_map(Op::Renew),
            1 => holder().prop_map(Op::Forget),
        ];
        proptest::collection::vec(op, 0..40)
    }

    /// The switch of one service alone, and epochs that others know under another number.
    #[derive(Default)]
    struct Alone {
        switch: Switch,
        claimed: Vec<u64>,
        holds: Vec<u64>,
        due: Vec<Option<u64>>,
    }

    impl Alone {
        /// Does what an operation does to this service. Answers whether it was allowed.
        fn act(&mut self, service: &'static str, op: &Op) -> bool {
            let switch = &mut self.switch;
            match op {
                Op::TurnOn(holder, services) if services.contains(&service) => {
                    switch.turn_on(HOLDERS[*holder], [service])
                }
                Op::Hold(services) if services.contains(&service) => match switch.hold([service]) {
                    Some(since) => {
                        self.holds.push(since);
                        true
                    }
                    None => false,
                },
                Op::Hold(_) => {
                    self.holds.push(u64::MAX);
                    true
                }
                Op::Claim(holder) => {
                    self.claimed
                        .push(switch.claim(HOLDERS[*holder]).unwrap_or(u64::MAX));
                    true
                }
                Op::Release(holder, since, off) => {
                    let Some(since) = self.claimed.get(*since) else {
                        return true;
                    };
                    let off = off
                        .iter()
                        .filter(|name| **name == service)
                        .map(|name| (*name).to_owned());
                    let released = switch.release(HOLDERS[*holder], *since, &off.collect());
                    self.due.push(switch.unswept().get(service).copied());
                    released
                }
                Op::Free(since) => {
                    if let Some(since) = self.holds.get(*since) {
                        switch.free(*since);
                    }
                    true
                }
                Op::GiveUp(holder) => {
                    switch.give_up(HOLDERS[*holder]);
                    true
                }
                Op::Swept(due) => {
                    if let Some(Some(epoch)) = self.due.get(*due) {
                        switch.swept(service, *epoch);
                    }
                    true
                }
                Op::Renew(named) if *named == service => switch.renew(service).is_some(),
                Op::Forget(holder) => {
                    switch.forget(|name| name == HOLDERS[*holder]);
                    true
                }
                Op::TurnOn(..) | Op::Renew(_) => true,
            }
        }
    }

    /// The switches of both services. An operation that is not allowed for one of its services changes nothing.
    fn together(
        switch: &mut Switch,
        op: &Op,
        claimed: &mut Vec<u64>,
        holds: &mut Vec<u64>,
        due: &mut Vec<BTreeMap<String, u64>>,
    ) -> bool {
        match op {
            Op::TurnOn(holder, services) => switch.turn_on(HOLDERS[*holder], services.iter().copied()),
            Op::Hold(services) if services.is_empty() => {
                holds.push(u64::MAX);
                true
            }
            Op::Hold(services) => match switch.hold(services.iter().copied()) {
                Some(since) => {
                    holds.push(since);
                    true
                }
                None => false,
            },
            Op::Claim(holder) => {
                claimed.push(switch.claim(HOLDERS[*holder]).unwrap_or(u64::MAX));
                true
            }
            Op::Release(holder, since, off) => {
                let Some(since) = claimed.get(*since) else {
                    return true;
                };
                let released = switch.release(HOLDERS[*holder], *since, &worked_off(off));
                due.push(switch.unswept());
                released
            }
            Op::Free(since) => {
                if let Some(since) = holds.get(*since) {
                    switch.free(*since);
                }
                true
            }
            Op::GiveUp(holder) => {
                switch.give_up(HOLDERS[*holder]);
                true
            }
            Op::Swept(at) => {
                for (service, epoch) in due.get(*at).into_iter().flatten() {
                    switch.swept(service, *epoch);
                }
                true
            }
            Op::Renew(service) => switch.renew(service).is_some(),
            Op::Forget(holder) => {
                switch.forget(|name| name == HOLDERS[*holder]);
                true
            }
        }
    }

    proptest! {
        #![proptest_config(cases(2000))]

        /// Whatever is done with others, a service's switch does what it would do alone: the models check one.
        #[test]
        fn each_switch_does_what_it_would_do_alone(ops in ops()) {
            let mut both = Switch::default();
            let (mut claimed, mut holds, mut due) = (Vec::new(), Vec::new(), Vec::new());
            let mut alone = BOTH.map(|_| Alone::default());
            for op in &ops {
                // A copy holds all lanes of a round at once, and frees them at once: no other hold is of a part of them.
                if let Op::Hold(services) = op {
                    let hold = |service: &str| {
                        let switch = both.of(service);
                        switch.holds().then_some(switch.epoch)
                    };
                    let is_part = |held: &u64| BOTH.iter().any(|other| {
                        let is_other = !services.contains(other);
                        is_other == (hold(other) == Some(*held))
                    });
                    if services.iter().filter_map(|service| hold(service)).any(|held| is_part(&held)) {
                        continue;
                    }
                }
                let before = (both.clone(), due.len());
                let is_allowed = together(&mut both, op, &mut claimed, &mut holds, &mut due);
                let kept: Vec<_> = alone.iter().map(|one| one.switch.clone()).collect();
                let each: Vec<bool> = BOTH.iter().zip(&mut alone).map(|(service, one)| one.act(service, op)).collect();
                prop_assert_eq!(is_allowed, each.iter().all(|allowed| *allowed), "{:?}", op);
                if !is_allowed {
                    let changed = (both.clone(), due.len());
                    prop_assert!(changed.0 == before.0, "a refused operation changed something: {:?}", op);
                    // Of one that is refused for another service, this service knows nothing.
                    for (one, kept) in alone.iter_mut().zip(kept) {
                        one.switch = kept;
                        one.holds.truncate(holds.len());
                        one.due.truncate(before.1);
                    }
                    due.truncate(before.1);
                }
                for (service, one) in BOTH.iter().zip(&alone) {
                    prop_assert_eq!(phase(&both, service), phase(&one.switch, service), "{:?}", op);
                    prop_assert_eq!(both.is_off_for(service), one.switch.is_off());
                    for holder in HOLDERS {
                        let held = |switch: &Switch| switch.held_since(service, holder).is_some();
                        prop_assert_eq!(held(&both), held(&one.switch), "{:?}", op);
                    }
                }
            }
        }
    }

    #[test]
    fn a_switch_that_is_off_is_recorded_as_before() {
        let json = serde_json::to_string(&Switch::default()).unwrap();
        assert_eq!(
            json,
            r#"{"tombstones":{"phase":"off","epoch":0},"tombstone_holders":{}}"#
        );
        let mut switch = Switch::default();
        switch.turn_on("repair", ["a"]);
        let json = serde_json::to_string(&switch).unwrap();
        assert_eq!(
            json,
            r#"{"tombstones":{"phase":"off","epoch":1},"tombstone_holders":{},"service_tombstones":{"a":{"phase":"on","epoch":1,"holders":{"repair":1}}}}"#
        );
        assert_eq!(serde_json::from_str::<Switch>(&json).unwrap(), switch);
    }

    #[test]
    fn one_switch_for_all_services_becomes_one_for_each() {
        let recorded = r#"{"tombstones":{"phase":"on","epoch":4},"tombstone_holders":{"backfill":3}}"#;
        let mut switch: Switch = serde_json::from_str(recorded).unwrap();
        assert!(!switch.is_off() && !switch.is_off_for("a"));
        assert!(
            !switch.clone().spread(&BTreeSet::new()),
            "it does not say of which services"
        );
        assert!(switch.spread(&worked_off(&BOTH)));
        assert_eq!(switch.epoch(), 4);
        for service in BOTH {
            assert!(switch.of(service).leaves_tombstones());
            assert_eq!(switch.held_since(service, "backfill"), Some(3));
        }
        assert!(switch.is_off_for("c"));
    }
}
