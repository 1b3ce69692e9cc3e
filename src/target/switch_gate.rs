//! The gate of writes: each attempt asks it which phase of its service's tombstone switch it obeys.

use crate::fault::{Rule, broken};
use crate::state::{Phases, SplitRecord, Tombstones};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Why a lane does not move while it is held, for people.
pub const HELD: &str = "the hold until the bulk copy has landed";

/// The tombstone switches inside a process: every attempt to write enters it, and leaves when it was answered.
///
/// A switch takes effect at once for attempts that enter later, retries among them; it is *acknowledged* when
/// every attempt that entered before has left. Attempts are bounded in time, so that comes soon.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    inner: Arc<Mutex<Inside>>,
    turned: Arc<Notify>,
    part: Part,
}

/// Whose attempts go through a handle of the gate.
#[derive(Clone, Debug, Default)]
enum Part {
    /// Those of no service in particular.
    #[default]
    Any,
    /// Writes to a service's table.
    Forward(Arc<str>),
    /// Writes to the source that carry a service's changes back.
    Back(Arc<str>),
    /// Progress of the lane of a service that has switched, which only looks for stray writes.
    Watch(Arc<str>),
}

/// The shared state of all handles of a gate.
#[derive(Debug, Default)]
struct Inside {
    attempts: Attempts,
    /// Services that have switched: nothing is written to their tables any more. Grows only.
    closed: BTreeSet<String>,
    /// Services whose changes are carried back to the source.
    carried_back: BTreeSet<String>,
    /// Services that have switched with a way back: their lanes look for stray writes.
    watched: BTreeSet<String>,
}

/// The switches as a process knows them, and its attempts under way, by the epoch that each obeys. Pure: the rules of the
/// [`Gate`], which the models check too.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Attempts {
    now: Phases,
    inside: BTreeMap<u64, u32>,
}

impl Attempts {
    /// No attempt under way, and the switches as the split's record says.
    #[must_use]
    pub fn new(now: Phases) -> Self {
        Self {
            now,
            inside: BTreeMap::new(),
        }
    }

    /// An attempt begins: its epoch, which it obeys to its end.
    pub fn enter(&mut self) -> u64 {
        *self.inside.entry(self.now.epoch).or_insert(0) += 1;
        self.now.epoch
    }

    /// An attempt to write a service's table asks to begin: the switch that it obeys to its end. `None` while the lane is
    /// held.
    pub fn admit(&mut self, service: &str) -> Option<Tombstones> {
        let switch = self.now.of(service);
        (!switch.holds() || broken(Rule::BulkHolds)).then(|| {
            self.enter();
            switch
        })
    }

    /// The switch of a service, as this process knows it.
    #[must_use]
    pub fn of(&self, service: &str) -> Tombstones {
        self.now.of(service)
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

    /// Takes over the phases of the split's record. Never goes back to an older epoch.
    pub fn switch(&mut self, now: Phases) {
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
    pub fn new(now: Phases) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inside {
                attempts: Attempts::new(now),
                ..Inside::default()
            })),
            turned: Arc::default(),
            part: Part::Any,
        }
    }

    /// A handle of the same gate for the attempts of one service. It admits no attempt after the service has
    /// switched.
    #[must_use]
    pub fn of(&self, service: &str) -> Self {
        self.part(Part::Forward(service.into()))
    }

    /// A handle for writes that carry a service's changes back to the source. It admits attempts only while the split's
    /// record says so, whatever the lanes wait for: they write other tables.
    #[must_use]
    pub fn back_of(&self, service: &str) -> Self {
        self.part(Part::Back(service.into()))
    }

    /// A handle for the progress of a lane that looks for stray writes. It admits it only while the service is switched:
    /// afterwards, the records of the source are changes that must be applied.
    #[must_use]
    pub fn watch_of(&self, service: &str) -> Self {
        self.part(Part::Watch(service.into()))
    }

    fn part(&self, part: Part) -> Self {
        Self { part, ..self.clone() }
    }

    /// Enters for one attempt that writes no target.
    #[must_use]
    pub fn enter(&self) -> Admission {
        let mut inside = self.lock();
        let epoch = inside.attempts.enter();
        let leaves_tombstones = self.switch_of(&inside).leaves_tombstones();
        drop(inside);
        self.admission(epoch, leaves_tombstones)
    }

    /// Enters for one attempt to write; `None` while the lane is held, or if the service has switched; in the handle of a
    /// reverse lane or of a watcher, if the split's record does not allow it.
    #[must_use]
    pub fn admit(&self) -> Option<Admission> {
        let mut inside = self.lock();
        let is_admitted = match &self.part {
            Part::Any => true,
            Part::Forward(service) => !inside.closed.contains(&**service) || broken(Rule::Close),
            Part::Back(service) => inside.carried_back.contains(&**service) || broken(Rule::BackAdmitted),
            Part::Watch(service) => inside.watched.contains(&**service) || broken(Rule::WatchAdmitted),
        };
        if !is_admitted {
            return None;
        }
        let (epoch, leaves_tombstones) = match &self.part {
            Part::Forward(service) => {
                let switch = inside.attempts.admit(service)?;
                (inside.attempts.now.epoch, switch.leaves_tombstones())
            }
            Part::Any | Part::Back(_) | Part::Watch(_) => (inside.attempts.enter(), false),
        };
        drop(inside);
        Some(self.admission(epoch, leaves_tombstones))
    }

    fn admission(&self, epoch: u64, leaves_tombstones: bool) -> Admission {
        Admission {
            gate: self.clone(),
            epoch,
            leaves_tombstones,
        }
    }

    /// The switch of the service whose table goes through this handle; off in every other handle.
    fn switch_of(&self, inside: &Inside) -> Tombstones {
        match &self.part {
            Part::Forward(service) => inside.attempts.of(service),
            Part::Any | Part::Back(_) | Part::Watch(_) => Tombstones::default(),
        }
    }

    /// Whether the lane of this handle's service is held. Nothing else ever is.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.switch_of(&self.lock()).holds() && !broken(Rule::BulkHolds)
    }

    /// Waits until the lane is not held.
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
        self.switch_of(&self.lock()).leaves_tombstones()
    }

    /// Takes over the phases of the split's record. Never goes back to an older epoch.
    pub fn switch(&self, now: Phases) {
        self.obey(now, []);
    }

    /// Takes over the tombstone phases and the switched services of the split's record in one step: an epoch is
    /// acknowledged only if every attempt under way obeys both.
    pub fn obey<'a>(&self, now: Phases, switched: impl IntoIterator<Item = &'a String>) {
        {
            let mut inside = self.lock();
            inside.closed.extend(switched.into_iter().cloned());
            inside.attempts.switch(now);
        }
        self.turned.notify_waiters();
    }

    /// Takes over the split's record in one step: the tombstone phases, the switched services, and the services whose
    /// changes are carried back.
    pub fn obey_record(&self, record: &SplitRecord) {
        {
            let mut inside = self.lock();
            // A record that is older than the one that was obeyed last says nothing.
            if record.switch.epoch() >= inside.attempts.now.epoch {
                inside.carried_back = record.carried_back().map(|(name, _)| name.clone()).collect();
                inside.watched = record.watched().cloned().collect();
            }
        }
        self.obey(record.switch.phases(), record.switched.keys());
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
    use crate::state::{CutoverPhase, TombstonePhase};

    fn phases(epoch: u64, services: &[(&str, TombstonePhase)]) -> Phases {
        let services = services.iter().map(|(name, phase)| ((*name).to_owned(), *phase));
        Phases {
            epoch,
            services: services.collect(),
        }
    }

    #[test]
    fn a_switch_is_acknowledged_when_older_attempts_have_left() {
        let gate = Gate::new(phases(1, &[]));
        let people = gate.of("People");
        let old = people.enter();
        assert!(!old.leaves_tombstones && !people.leaves_tombstones());
        gate.switch(phases(2, &[("People", TombstonePhase::On)]));
        let new = people.enter();
        assert!(
            new.leaves_tombstones && people.leaves_tombstones(),
            "a later attempt obeys at once"
        );
        assert!(
            !gate.of("Content").enter().leaves_tombstones,
            "it is the switch of one service"
        );
        assert_eq!(gate.acknowledged(), 1);
        drop(old);
        assert_eq!(gate.acknowledged(), 2);
        gate.switch(phases(1, &[]));
        assert!(people.enter().leaves_tombstones, "an older word does not count");
    }

    #[tokio::test]
    async fn nobody_is_admitted_while_the_lane_is_held() {
        let gate = Gate::default();
        let (people, content) = (gate.of("People"), gate.of("Content"));
        let before = people.admit().unwrap();
        gate.switch(phases(1, &[("People", TombstonePhase::Held)]));
        assert!(people.is_held() && people.admit().is_none());
        assert!(
            !content.is_held() && content.admit().is_some(),
            "another lane continues"
        );
        assert!(
            !gate.is_held() && gate.admit().is_some(),
            "and what writes no table"
        );
        assert_eq!(gate.acknowledged(), 0, "one is under way");
        drop(before);
        assert_eq!(gate.acknowledged(), 1);
        let waiting = tokio::spawn({
            let people = people.clone();
            async move { people.opened().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        gate.switch(phases(2, &[]));
        waiting.await.unwrap();
        assert_eq!(people.admit().unwrap().epoch(), 2);
    }

    #[test]
    fn nothing_is_admitted_for_a_service_that_has_switched() {
        let gate = Gate::default();
        let (content, people) = (gate.of("Content"), gate.of("People"));
        let before = content.admit().unwrap();
        gate.obey(phases(1, &[]), [&"Content".to_owned()]);
        assert!(content.admit().is_none() && people.admit().is_some());
        assert_eq!(gate.acknowledged(), 0, "a write of before is under way");
        drop(before);
        assert_eq!(gate.acknowledged(), 1);
        gate.switch(phases(2, &[]));
        assert!(content.admit().is_none(), "it stays closed in this process");
    }

    #[test]
    fn a_switch_is_told_by_its_epoch_and_each_attempt_is_waited_for() {
        let on = |epoch| phases(epoch, &[("a", TombstonePhase::On)]);
        let gate = Gate::new(on(4));
        gate.switch(phases(4, &[]));
        let (first, second) = (gate.of("a").enter(), gate.of("a").enter());
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

    #[test]
    fn reverse_writes_and_watchers_are_admitted_as_long_as_the_record_says() {
        let mut record = SplitRecord::sample();
        let gate = Gate::new(record.switch.phases());
        gate.obey_record(&record);
        let (back, watch) = (gate.back_of("a"), gate.watch_of("a"));
        assert!(back.admit().is_none() && watch.admit().is_none());
        record.begin_cutover("a", 1);
        record.switch_service("a", 1, None).unwrap();
        gate.obey_record(&record);
        assert!(gate.of("a").admit().is_none(), "the close");
        assert!(back.admit().is_none(), "the target is not pinned yet");
        assert!(watch.admit().is_some());
        let [fenced, switching] = [CutoverPhase::Fenced, CutoverPhase::Switching];
        assert!(record.move_cutover("a", 1, fenced, switching, 2));
        gate.obey_record(&record);
        let under_way = back.admit().unwrap();
        assert!(gate.back_of("b").admit().is_none());
        assert!(!back.is_held());
        // The rollback: one step ends both.
        assert!(record.move_cutover("a", 1, switching, CutoverPhase::Replicating, 3));
        assert!(record.switch_back("a"));
        gate.obey_record(&record);
        let epoch = record.switch.epoch();
        assert!(back.admit().is_none() && watch.admit().is_none());
        assert!(
            gate.acknowledged() < epoch,
            "a reverse write of before is under way"
        );
        drop(under_way);
        assert_eq!(gate.acknowledged(), epoch);
    }
}
