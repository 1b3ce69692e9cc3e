//! The state of the lanes when a verification begins.

use crate::plan::Service;
use crate::state::{SplitRecord, WorkerRecord};
use crate::status::{LaneStatus, counted, duration, lane_status, reverse_state};
use crate::target::HELD;
use crate::worker::{RunError, Split, recorded_shards};
use std::collections::BTreeSet;
use std::time::Duration;

/// The state of the lanes when a verification begins.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// Notes for a person, each with its next command.
    pub notes: Vec<String>,
    /// Lanes that lost records, so mismatches of their services are to be expected.
    pub with_gap: BTreeSet<String>,
}

/// How long a difference may be mere lag if the lanes are known not to be ready: their lag says nothing then, and each
/// candidate is read only a few times.
pub(super) const EARLY_LAG: Duration = Duration::from_secs(1);

impl Lanes {
    /// Reads how the lanes of these services stand.
    pub async fn look(split: &Split, record: &SplitRecord, services: &[&Service]) -> Result<Self, RunError> {
        let margin = split.timing.idle + split.timing.landed();
        let mut lanes = Self::default();
        let mut drained = true;
        let stream = record.stream().filter(|(_, stream)| stream.captured_ms.is_some());
        if let Some((generation, _)) = stream {
            let recorded = recorded_shards(split, generation).await?;
            for service in services {
                let status = lane_status(&recorded, &service.name, split.now_ms());
                drained &= status.drained_ms.is_some();
                lanes.note_lane(&status, margin, record.switch.of(&service.name).holds());
            }
        } else {
            lanes.note(
                "the stream is not captured yet, so recent writes may be missing in the targets: run \
                 `dynasplit replicate`",
            );
        }
        if stream.is_some() && !drained && !tail_lives(split).await? {
            lanes.note(
                "no tail worker runs, so each change that was not delivered is a difference: run \
                 `dynasplit replicate`",
            );
        }
        lanes.note_split(split, record, services).await?;
        Ok(lanes)
    }

    /// Reads how the reverse lane of a service stands.
    pub async fn look_back(split: &Split, service: &str, epoch: u64) -> Result<Self, RunError> {
        let state = reverse_state(split, service, epoch).await?;
        let mut lanes = Self::default();
        if let Some(gap) = &state.gap {
            lanes.with_gap.insert(service.to_owned());
            lanes.note(&format!(
                "the reverse lane of {service} lost records ({gap}), so the source may lack writes of {service}"
            ));
        }
        if let Some(blocked) = &state.blocked {
            lanes.note(&format!(
                "the reverse lane of {service} makes no progress: {blocked}"
            ));
        }
        let found = [
            (state.dead_letters.len(), "write that could not be carried back"),
            (state.strays.len(), "stray write to the source"),
        ];
        for (count, what) in found.into_iter().filter(|(count, _)| *count > 0) {
            lanes.note(&format!(
                "{}: `dynasplit reverse list --service {service}` shows {}",
                counted(count as u64, what),
                if count == 1 { "it" } else { "them" }
            ));
        }
        if state.complete_to_ms.is_none() {
            lanes.note(&format!(
                "no worker carries the writes of {service} back yet: run `dynasplit replicate`"
            ));
        }
        Ok(lanes)
    }

    fn note_lane(&mut self, status: &LaneStatus, margin: Duration, is_held: bool) {
        let lane = &status.lane;
        if let Some(gap) = &status.gap {
            self.with_gap.insert(lane.clone());
            self.note(&format!(
                "the lane '{lane}' lost records ({gap}): run `dynasplit replicate --restart-tail`, then `dynasplit \
                 verify --repair`"
            ));
        }
        let lag_ms = status.lag_ms.filter(|_| status.drained_ms.is_none());
        if let Some(lag_ms) = lag_ms.filter(|lag| u128::from(*lag) > margin.as_millis()) {
            let lag = status.told_lag().unwrap_or_else(|| duration(lag_ms));
            self.note(&format!("the lane '{lane}' is {lag} behind"));
        }
        // For a moment after a bulk copy, a lane still records the hold.
        let is_over = |reason: &&String| is_held || *reason != HELD;
        if let Some(blocked) = status.blocked.as_ref().filter(is_over) {
            self.note(&format!("the lane '{lane}' makes no progress: {blocked}"));
        }
    }

    async fn note_split(
        &mut self,
        split: &Split,
        record: &SplitRecord,
        services: &[&Service],
    ) -> Result<(), RunError> {
        let services: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
        let letters = split.dead_letters.list(None).await?.len();
        if letters > 0 {
            self.note(&format!(
                "{}: `dynasplit dead-letters list` shows {}",
                counted(letters as u64, "dead letter"),
                if letters == 1 { "it" } else { "them" }
            ));
        }
        if services.iter().any(|service| !record.switch.is_off_for(service)) {
            self.note(
                "tombstones are on, because a backfill or a repair runs or was interrupted. They count as \
                 absent. If it was interrupted, run the same command again: it continues and sweeps them",
            );
        }
        let copied = crate::repair::copied_now(split, &services).await?;
        if !copied.is_empty() {
            self.note(&format!(
                "the backfill of {} is not finished, so items that it has not copied yet count as missing",
                copied.join(", ")
            ));
        }
        Ok(())
    }

    fn note(&mut self, text: &str) {
        self.notes.push(text.to_owned());
    }
}

/// Whether a tail worker gave a sign of life lately. Clocks are compared, which a hint may do.
async fn tail_lives(split: &Split) -> Result<bool, RunError> {
    let workers = split.store.list::<WorkerRecord>(WorkerRecord::PREFIX).await?;
    let lease_ms = u64::try_from(split.timing.lease.as_millis()).unwrap_or(u64::MAX);
    let now = split.now_ms();
    Ok(workers.iter().any(|(_, worker)| {
        let worker = &worker.value;
        worker.kind == "tail"
            && worker.lease.owner.is_some()
            && now.saturating_sub(worker.seen_ms) < lease_ms.saturating_mul(2)
    }))
}
