//! The events of a worker: where they go, and whether the split sends the same ones.

use crate::publish::Publisher;
use crate::state::SplitRecord;
use crate::worker::{RunError, Split};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Refuses a plan that sends other events than the split's record says: a worker without them would leave them to others, and
/// they would come late or never.
pub(super) fn check_events(split: &Split, record: &SplitRecord) -> Result<(), RunError> {
    if split.has_same_events(record) && split.plan.with_events().count() == record.events_on().len() {
        return Ok(());
    }
    let list = |names: Vec<String>| {
        if names.is_empty() {
            "no service".to_owned()
        } else {
            names.join(", ")
        }
    };
    let planned = split.plan.with_events().map(|(service, _)| service.name.clone());
    let recorded = record.events_on().into_keys();
    Err(RunError::NotYet {
        what: format!(
            "the plan sends events of {}, and the split sends events of {}",
            list(planned.collect()),
            list(recorded.collect())
        ),
        next: "if this plan is the newest, run `dynasplit apply`, which takes its `events` over; otherwise start this command \
               with the newest plan"
            .into(),
    })
}

/// Where the events of services go. Sends no request.
pub(super) async fn publishers(split: &Split) -> BTreeMap<String, Arc<Publisher>> {
    let mut publishers = BTreeMap::new();
    for (service, events) in split.plan.with_events() {
        let publisher = Publisher::of(&events.to, &split.clients).await;
        publishers.insert(service.name.clone(), Arc::new(publisher));
    }
    publishers
}
