//! The source's stream, and its possible readers.

use crate::dynamo::retry_transient;
use crate::source::lineage::capture;
use crate::source::{SourceFacts, StreamSource, StreamState};
use crate::worker::{RunError, Split};
use serde::Serialize;

/// The stream.
#[derive(Clone, Debug, Serialize)]
pub struct StreamView {
    /// The state of the stream.
    #[serde(flatten)]
    pub state: StreamState,
    /// Shards that it still shows; `None` if it is off.
    pub shards: Option<usize>,
    /// Those of them that no other one continues: open, or closed just now.
    pub open_shards: Option<usize>,
    /// The source is a global table.
    pub global: bool,
}

/// Looks at it.
pub(super) async fn look(split: &Split, facts: &SourceFacts) -> Result<StreamView, RunError> {
    let arn = match &facts.stream {
        StreamState::On { arn, .. } | StreamState::WrongView { arn, .. } if !arn.is_empty() => Some(arn),
        _ => None,
    };
    let shards = match arn {
        Some(arn) => {
            let keys = split.plan.source.keys.clone();
            let stream = StreamSource::new(split.source.streams.clone(), arn, 1, keys);
            Some(retry_transient(|| stream.shards()).await?.shards)
        }
        None => None,
    };
    Ok(StreamView {
        state: facts.stream.clone(),
        open_shards: shards.as_ref().map(|shards| capture(shards).pinned.len()),
        shards: shards.map(|shards| shards.len()),
        global: facts.is_global(),
    })
}
