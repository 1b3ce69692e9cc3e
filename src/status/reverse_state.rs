//! Where the reverse lane of a service stands, by its records.

use crate::source::lineage::watermark;
use crate::state::{DeadLetterHead, DeadLetters, StateError, StreamPin};
use crate::worker::{RunError, Split, recorded_shards};
use serde::Serialize;

/// Where the reverse lane of a service stands.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReverseState {
    /// All changes of the service's own table before this time (milliseconds since 1970) are in the source, except the
    /// reverse dead letters. `None`: a worker has not begun yet.
    pub complete_to_ms: Option<u64>,
    /// All writes to the source before this time were looked at: they are reverse writes, or stray writes that are listed.
    pub watched_to_ms: Option<u64>,
    /// Changes that could not be carried back.
    pub dead_letters: Vec<DeadLetterHead>,
    /// Stray writes to the source.
    pub strays: Vec<DeadLetterHead>,
    /// Why changes were lost, so that there is no complete way back.
    pub gap: Option<String>,
    /// Why the lane makes no progress at the moment.
    pub blocked: Option<String>,
    /// Changes of the table that have arrived.
    pub received: u64,
    /// Changes that were carried back.
    pub carried_back: u64,
}

/// Reads where the reverse lane of a service stands in its present cutover.
///
/// # Errors
/// If the state can't be read.
pub async fn reverse_state(split: &Split, service: &str, epoch: u64) -> Result<ReverseState, RunError> {
    let mut state = ReverseState::default();
    if let Some(pin) = StreamPin::read(&split.store, service, epoch).await? {
        let generation = pin.generation;
        let back = split.back(service, pin.clone());
        let recorded = recorded_shards(&back, generation).await?;
        // As long as a pinned shard is not recorded, nobody reads it.
        let is_begun = pin.shards.keys().all(|shard| recorded.contains_key(shard));
        state.complete_to_ms = watermark(&recorded, service).filter(|_| is_begun);
        for lane in recorded.values().filter_map(|record| record.lanes.get(service)) {
            state.gap = state.gap.or(lane.gap.as_ref().map(|gap| gap.reason.clone()));
            state.blocked = state.blocked.or(lane.blocked.clone());
            state.received += lane.counters.seen;
            state.carried_back += lane.counters.put + lane.counters.removed;
        }
    }
    let record = crate::state::SplitRecord::read(&split.store).await?.value;
    if let Some((generation, _)) = record.stream() {
        let watching = split.without_switched(&record);
        let recorded = recorded_shards(&watching, generation).await?;
        state.watched_to_ms = watermark(&recorded, service);
        // Without the records that the watcher lost, nobody knows whether others wrote the source.
        for lane in recorded.values().filter_map(|record| record.lanes.get(service)) {
            state.gap = state.gap.or(lane.gap.as_ref().map(|gap| gap.reason.clone()));
        }
    }
    state.dead_letters = open_letters(split, service, epoch).await?;
    let strays = DeadLetters::strays(split.store.clone());
    let found = strays.list(Some(service)).await?;
    state.strays = found.into_iter().filter(|head| is_of(head, epoch)).collect();
    Ok(state)
}

/// The open reverse dead letters of a service in a cutover.
async fn open_letters(split: &Split, service: &str, epoch: u64) -> Result<Vec<DeadLetterHead>, StateError> {
    let letters = DeadLetters::back(split.store.clone());
    let found = letters.list(Some(service)).await?;
    Ok(found.into_iter().filter(|head| is_of(head, epoch)).collect())
}

/// Whether an entry is of a cutover. One that is damaged may be of any.
fn is_of(head: &DeadLetterHead, epoch: u64) -> bool {
    head.damage.is_some() || head.origin.split('/').next() == Some(&*epoch.to_string())
}
