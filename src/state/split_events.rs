//! The events of services in the split's record. Pure.

use super::STATE_FORMAT_EVENTS;
use super::events_state::EventsState;
use super::split::SplitRecord;
use std::collections::{BTreeMap, BTreeSet};

impl SplitRecord {
    /// Takes over which services of a plan send events. It raises the format, because a version that does not know events would
    /// remove this part of the record. Returns whether anything changed.
    pub fn set_events(&mut self, services: &BTreeSet<&str>) -> bool {
        let before = self.events.clone();
        for (service, state) in &mut self.events {
            state.on &= services.contains(service.as_str());
        }
        for service in services {
            match self.events.get_mut(*service) {
                Some(state) if state.on => {}
                Some(state) => *state = EventsState::beginning(state.epoch + 1),
                None => {
                    _ = self
                        .events
                        .insert((*service).to_owned(), EventsState::beginning(1))
                }
            }
        }
        if !self.events.is_empty() {
            self.format = self.format.max(STATE_FORMAT_EVENTS);
        }
        self.events != before
    }

    /// The services that send events, each with the epoch of its lane.
    #[must_use]
    pub fn events_on(&self) -> BTreeMap<String, u64> {
        let on = self.events.iter().filter(|(_, state)| state.on);
        on.map(|(service, state)| (service.clone(), state.epoch))
            .collect()
    }

    /// Begins the events of a service anew, without those that a gap has lost. An epoch that has ended already stays ended.
    pub fn restart_events(&mut self, service: &str, epoch: u64) {
        if let Some(state) = self.events.get_mut(service)
            && state.on
            && state.epoch == epoch
        {
            *state = EventsState::beginning(epoch + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_begin_anew_have_another_epoch() {
        let mut record = SplitRecord::sample();
        let format = record.format;
        assert!(!record.set_events(&BTreeSet::new()));
        assert_eq!(
            record.format, format,
            "without events, an older version can read it"
        );
        assert!(record.set_events(&BTreeSet::from(["a", "b"])));
        assert_eq!(record.format, STATE_FORMAT_EVENTS);
        assert!(!record.set_events(&BTreeSet::from(["a", "b"])));
        assert!(record.set_events(&BTreeSet::from(["b"])));
        assert_eq!(record.events_on(), BTreeMap::from([("b".to_owned(), 1)]));
        record.set_events(&BTreeSet::from(["a", "b"]));
        assert_eq!(record.events_on()["a"], 2, "its former places mean nothing");
        record.restart_events("b", 1);
        record.restart_events("b", 1);
        assert_eq!(record.events_on()["b"], 2);
    }
}
