//! The time in the form of the plan's timestamp, for sample items and for writes.

use super::mutate;
use crate::model::Value;
use crate::plan::Versions;
use std::sync::Arc;
use std::time::SystemTime;

/// The present time as a value; without a timestamp in the plan, as text.
pub(super) fn now_as_value(versions: &Versions) -> impl Fn() -> Value + Send + Sync + 'static {
    let timestamp = match versions {
        Versions::Timestamp(timestamp) => Some(timestamp.clone()),
        Versions::Sequence => None,
    };
    move || match &timestamp {
        Some(timestamp) => timestamp.render(SystemTime::now()),
        None => Value::s(humantime::format_rfc3339_millis(SystemTime::now()).to_string()),
    }
}

/// The timestamp that each write sets, if the plan has one.
pub(super) fn live_timestamp(versions: &Versions) -> Option<mutate::Timestamp> {
    match versions {
        Versions::Timestamp(timestamp) => Some(mutate::Timestamp {
            attribute: timestamp.attribute.clone(),
            now: Arc::new(now_as_value(versions)),
        }),
        Versions::Sequence => None,
    }
}
