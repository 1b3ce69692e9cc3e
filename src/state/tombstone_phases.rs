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

    /// The table of one service is imported: its lane continues. Does nothing if it is not on hold.
    pub fn free_service(&mut self, service: &str) {
        if self.of(service).holds() {
            self.turn(TombstonePhase::Off, std::iter::once(service));
        }
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
mod tests;
