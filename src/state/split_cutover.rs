//! What a cutover and a rollback change in the split's record. Pure.

use super::STATE_FORMAT_CUTOVER;
use super::cutover::{CutoverPhase, CutoverState};
use super::split::SplitRecord;

impl SplitRecord {
    /// Begins a cutover of a service: raises its epoch, and the format of the state, because a version that does not know
    /// marks would treat marked source items as invalid. A cutover that has begun is continued. Returns the state; `None` if a
    /// command that writes its table is under way.
    pub fn begin_cutover(&mut self, service: &str, now_ms: u64) -> Option<CutoverState> {
        let epoch = match self.cutovers.get(service) {
            Some(state) if state.phase != CutoverPhase::Replicating => return Some(state.clone()),
            Some(state) => state.epoch + 1,
            None => 1,
        };
        if !self.switch.is_off_for(service) {
            return None;
        }
        let state = CutoverState {
            epoch,
            phase: CutoverPhase::Fenced,
            since_ms: now_ms,
        };
        self.format = self.format.max(STATE_FORMAT_CUTOVER);
        self.cutovers.insert(service.to_owned(), state.clone());
        Some(state)
    }

    /// A rollback begins. Returns whether it has begun; `false` if the service is not switched, or if a command that writes
    /// its table is under way.
    pub fn begin_rollback(&mut self, service: &str, epoch: u64, now_ms: u64) -> bool {
        let phase = self.cutover_phase(service);
        if phase != CutoverPhase::FencedForRollback && !self.switch.is_off_for(service) {
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
    /// applying what it passes. `None` if a command that writes its table is under way.
    pub fn reopen_lane(&mut self, service: &str, epoch: u64, to: CutoverPhase, now_ms: u64) -> Option<u64> {
        let state = self.cutovers.get(service).filter(|state| state.epoch == epoch)?;
        let phase = state.phase;
        if !self.switched.contains_key(service) && phase == to {
            return Some(self.switch.epoch());
        }
        let acknowledged = self.switch.renew(service)?;
        self.switched.remove(service);
        self.move_cutover(service, epoch, phase, to, now_ms);
        Some(acknowledged)
    }

    /// Ends the way back of a service that has switched: nothing is carried back any more. Returns the epoch that every worker
    /// must acknowledge; then no reverse write can land any more. `None` if a command that writes its table is under way, or if
    /// the service is in another phase.
    pub fn end_way_back(&mut self, service: &str, epoch: u64, now_ms: u64) -> Option<u64> {
        let (from, to) = (CutoverPhase::Switched, CutoverPhase::Ending);
        self.move_and_renew(service, epoch, from, to, now_ms)
    }

    /// Completes a service whose way back has ended, and whose watcher has passed a moment: the search for stray writes ends,
    /// and changes that come to the source after this moment are late ones, as after a switch without a way back. Returns the
    /// epoch that every worker must acknowledge; then no watcher looks at the source for it any more. `None` as above.
    pub fn complete_cutover(
        &mut self,
        service: &str,
        epoch: u64,
        watched_to_ms: u64,
        now_ms: u64,
    ) -> Option<u64> {
        let was = self.cutover_phase(service);
        let (from, to) = (CutoverPhase::Ending, CutoverPhase::Completed);
        let acknowledged = self.move_and_renew(service, epoch, from, to, now_ms)?;
        if was == from
            && let Some(switched) = self.switched.get_mut(service)
        {
            switched.at_ms = watched_to_ms;
        }
        Some(acknowledged)
    }

    /// Moves a service, and begins an epoch that every worker acknowledges. A service that was moved already stays there.
    fn move_and_renew(
        &mut self,
        service: &str,
        epoch: u64,
        from: CutoverPhase,
        to: CutoverPhase,
        now_ms: u64,
    ) -> Option<u64> {
        let state = self.cutovers.get(service).filter(|state| state.epoch == epoch)?;
        if state.phase == to {
            return Some(self.switch.epoch());
        }
        if state.phase != from {
            return None;
        }
        let acknowledged = self.switch.renew(service)?;
        self.move_cutover(service, epoch, from, to, now_ms);
        Some(acknowledged)
    }

    /// The services with a way back, or whose way back has not ended completely.
    pub fn with_way_back(&self) -> impl Iterator<Item = &str> {
        let cutovers = self.cutovers.iter();
        let has_one =
            |state: &CutoverState| state.phase.carries_back() || state.phase == CutoverPhase::Ending;
        cutovers
            .filter(move |(_, state)| has_one(state))
            .map(|(service, _)| service.as_str())
    }

    /// A service whose writers are stopped at present, or whose switch is under way.
    #[must_use]
    pub fn fenced_service(&self) -> Option<&str> {
        self.fenced_among(self.cutovers.keys().map(String::as_str))
    }

    /// The same, among these services. No other command may switch tombstones of it on or hold its lane meanwhile, because then
    /// the writers would have to wait for that.
    #[must_use]
    pub fn fenced_among<'a>(&self, services: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        services.into_iter().find(|service| {
            let phase = self.cutover_phase(service);
            phase.is_watched() && !matches!(phase, CutoverPhase::Switched | CutoverPhase::Ending)
        })
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
        switched.filter(|name| self.cutover_phase(name).is_watched())
    }

    /// Whether a service is completed: it writes its own table for good, and nothing is carried back.
    #[must_use]
    pub fn has_ended(&self, service: &str) -> bool {
        self.completed_ms.is_some() || self.cutover_phase(service) == CutoverPhase::Completed
    }

    /// When everything that a completed service wrote was in the source, as far as it came there at all, in milliseconds since
    /// 1970.
    #[must_use]
    pub fn ended_ms(&self, service: &str) -> Option<u64> {
        let switched = self.switched.get(service).map(|switched| switched.at_ms);
        match self.cutover_phase(service) {
            CutoverPhase::Completed => switched,
            _ => self.completed_ms,
        }
    }

    /// The phase of a service; `Replicating` if it was never cut over.
    #[must_use]
    pub fn cutover_phase(&self, service: &str) -> CutoverPhase {
        let state = self.cutovers.get(service);
        state.map_or(CutoverPhase::Replicating, |state| state.phase)
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
        assert_eq!(record.fenced_among(["b", "a"]), Some("a"));
        assert!(record.begin_rollback("a", 1, 5));
        assert!(record.reopen_lane("a", 1, CutoverPhase::Replicating, 6).is_some());
        assert_eq!(record.fenced_among(["a"]), None);
        assert_eq!(record.begin_cutover("a", 7).unwrap().epoch, 2);
    }

    #[test]
    fn a_lane_is_reopened_in_the_step_that_ends_the_reverse_lane() {
        let mut record = SplitRecord::sample();
        record.begin_cutover("a", 1).unwrap();
        record.switch_service("a", 2, None).unwrap();
        let before = record.switch.epoch();
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
    fn a_way_back_ends_before_the_watcher_does_and_both_are_acknowledged() {
        let mut record = SplitRecord::sample();
        record.begin_cutover("a", 1).unwrap();
        record.switch_service("a", 2, None).unwrap();
        assert_eq!(record.end_way_back("a", 1, 3), None, "it has not switched yet");
        let [fenced, switching, switched] = [
            CutoverPhase::Fenced,
            CutoverPhase::Switching,
            CutoverPhase::Switched,
        ];
        record.move_cutover("a", 1, fenced, switching, 3);
        record.move_cutover("a", 1, switching, switched, 3);
        assert_eq!(record.complete_cutover("a", 1, 9, 3), None, "it has a way back");
        assert_eq!(record.end_way_back("a", 2, 4), None, "another epoch");
        let ended = record.end_way_back("a", 1, 4).unwrap();
        assert_eq!(record.end_way_back("a", 1, 5), Some(ended), "it can be repeated");
        assert_eq!(record.carried_back().count(), 0);
        assert_eq!(record.watched().count(), 1, "writes of before may be stray ones");
        assert_eq!(record.with_way_back().collect::<Vec<_>>(), ["a"]);
        assert!(!record.begin_rollback("a", 1, 5));
        let completed = record.complete_cutover("a", 1, 77, 6).unwrap();
        assert!(completed > ended);
        assert_eq!(record.complete_cutover("a", 1, 99, 7), Some(completed));
        assert_eq!(record.switched["a"].at_ms, 77, "later changes are late ones");
        assert_eq!((record.watched().count(), record.with_way_back().count()), (0, 0));
        assert!(record.switched.contains_key("a"), "its lane stays closed");
        assert!(record.has_ended("a") && !record.has_ended("b"));
        assert_eq!((record.ended_ms("a"), record.ended_ms("b")), (Some(77), None));
        record.completed_ms = Some(99);
        assert!(record.has_ended("b"), "the whole split is completed");
        assert_eq!((record.ended_ms("a"), record.ended_ms("b")), (Some(77), Some(99)));
    }

    #[test]
    fn nothing_begins_while_a_command_writes_the_table() {
        let mut record = SplitRecord::sample();
        assert!(record.switch.turn_on("repair", ["a"]));
        assert_eq!(record.begin_cutover("a", 1), None);
        record.switch = crate::state::Switch::default();
        record.begin_cutover("a", 1).unwrap();
        record.switch_service("a", 2, None).unwrap();
        record.move_cutover("a", 1, CutoverPhase::Fenced, CutoverPhase::Switching, 3);
        assert!(record.switch.turn_on("repair", ["a"]));
        assert!(!record.begin_rollback("a", 1, 4));
        assert_eq!(record.reopen_lane("a", 1, CutoverPhase::Replicating, 4), None);
    }

    #[test]
    fn a_service_moves_while_another_one_is_copied() {
        let mut record = SplitRecord::sample();
        assert!(record.switch.turn_on("backfill of b", ["b"]));
        record.begin_cutover("a", 1).unwrap();
        assert_eq!(record.fenced_among(["b"]), None, "the copy goes on");
        record.switch_service("a", 2, None).unwrap();
        let [fenced, switching, switched] = [
            CutoverPhase::Fenced,
            CutoverPhase::Switching,
            CutoverPhase::Switched,
        ];
        record.move_cutover("a", 1, fenced, switching, 3);
        assert!(record.begin_rollback("a", 1, 4));
        record.reopen_lane("a", 1, CutoverPhase::Replicating, 5).unwrap();
        assert_eq!(record.begin_cutover("a", 6).unwrap().epoch, 2);
        record.switch_service("a", 7, None).unwrap();
        record.move_cutover("a", 2, fenced, switching, 8);
        record.move_cutover("a", 2, switching, switched, 8);
        assert!(record.end_way_back("a", 2, 9).is_some());
        assert!(record.complete_cutover("a", 2, 9, 10).is_some());
        assert_eq!(record.begin_cutover("b", 11), None);
        assert!(record.switch.of("b").leaves_tombstones());
    }
}
