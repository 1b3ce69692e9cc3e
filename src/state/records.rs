//! The records of shards, lanes, the backfill, its segments and the workers.

use super::export_copy::ExportCopy;
use super::import::{CommittedObject, ImportFolder};
use super::lease::Lease;
use super::limit::{Noted, NotedLimits};
use crate::model::{Counters, Position};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A stream that the split reads, or did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StreamRecord {
    /// Its ARN.
    pub arn: String,
    /// When its shards were pinned, in milliseconds since 1970; `None` until `replicate` first ran.
    pub captured_ms: Option<u64>,
    /// When it was first listed as switched off, in milliseconds since 1970: no shard appears in it any more, and those
    /// that did are recorded.
    #[serde(default)]
    pub ended_ms: Option<u64>,
    /// When `replicate --restart-tail` began this generation, in milliseconds since 1970; `None` for the first generation,
    /// and for one of an older version.
    #[serde(default)]
    pub restarted_ms: Option<u64>,
}

/// Records were lost to a lane: they were trimmed before it read them. It stops there until the tail is
/// restarted. Set by the shard's worker; persisted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GapRecord {
    /// Why, in a sentence.
    pub reason: String,
    /// When it was noticed, in milliseconds since 1970.
    pub noticed_ms: u64,
}

/// How far one lane is in one shard.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LaneState {
    /// All records before this place are durable in the service's table.
    pub position: Position,
    /// All writes before this time (milliseconds since 1970) are durable in the service's table.
    pub complete_to_ms: u64,
    /// Creation time of the last record that was applied (rounded down by the engine).
    pub last_record_ms: Option<u64>,
    /// A creation time was seen that is no whole minute. Until then, the engine may round down to the minute (as
    /// DynamoDB Local does), and a lag that is computed from these times would look longer than it is.
    #[serde(default)]
    pub fine_times: bool,
    /// When the checkpoint was last saved with progress, in milliseconds since 1970.
    pub saved_ms: u64,
    /// Records were lost.
    pub gap: Option<GapRecord>,
    /// Why the lane does not move at the moment.
    pub blocked: Option<String>,
    /// The limit of the lane at the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Noted>,
    /// Counts of this lane in this shard.
    pub counters: Counters,
    /// The run of the last marker of a cutover that the lane has passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker: Option<u64>,
    /// Changes of services that have switched, by service: they came to the source after the switch, so they are in no
    /// table. Only the watch lane counts them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub late: BTreeMap<String, LateChanges>,
    /// Only the lane of the ledger: each write since this time (milliseconds since 1970) is in the ledger, up to the position. `None`
    /// before it has read anything of a shard that may have trimmed records already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_from_ms: Option<u64>,
    /// Parts of the shard that the lane of a service only watched, because the service had switched: it applied nothing of them.
    /// The oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watched: Vec<WatchedPart>,
}

/// A part of a shard that a lane only watched.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WatchedPart {
    /// The place before its first record.
    pub after: Position,
    /// The place after its last record; `None`: the lane still watches.
    pub to: Option<Position>,
}

/// Changes of a service's items that came to the source after the service had switched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LateChanges {
    /// When the switch was recorded that they came after, in milliseconds since 1970.
    pub switched_ms: u64,
    /// How many came.
    pub count: u64,
    /// When the last one came, in milliseconds since 1970, as DynamoDB rounds it.
    pub last_ms: u64,
}

impl LateChanges {
    /// Adds others. Those after an earlier switch do not count: it was taken back, and its changes were delivered.
    pub fn add(&mut self, other: &Self) {
        if other.switched_ms > self.switched_ms {
            *self = *other;
        } else if other.switched_ms == self.switched_ms {
            self.count += other.count;
            self.last_ms = self.last_ms.max(other.last_ms);
        }
    }
}

impl LaneState {
    /// A lane at a place, with nothing done yet; complete up to `now_ms`, the moment of pinning.
    #[must_use]
    pub fn starting(position: Position, now_ms: u64) -> Self {
        Self {
            position,
            complete_to_ms: now_ms,
            last_record_ms: None,
            fine_times: false,
            saved_ms: now_ms,
            gap: None,
            blocked: None,
            limit: None,
            counters: Counters::default(),
            marker: None,
            late: BTreeMap::new(),
            kept_from_ms: None,
            watched: Vec::new(),
        }
    }

    /// Notes that the lane only watches from its place on, or applies changes again. Call it before the lane takes a record.
    pub fn note_watching(&mut self, watches: bool) {
        let is_open = self.watched.last().is_some_and(|part| part.to.is_none());
        match self.watched.last_mut() {
            Some(part) if is_open && !watches => part.to = Some(self.position.clone()),
            _ if watches && !is_open => self.watched.push(WatchedPart {
                after: self.position.clone(),
                to: None,
            }),
            _ => {}
        }
    }

    /// Whether the lane applied the record at a place that it has passed.
    #[must_use]
    pub fn has_applied(&self, place: &Position) -> bool {
        let holds = |part: &WatchedPart| *place > part.after && part.to.as_ref().is_none_or(|to| place <= to);
        *place <= self.position && !self.watched.iter().any(holds)
    }

    /// Whether the shard is finished by this lane.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.position == Position::End
    }
}

/// One shard of a stream, with the checkpoints of all lanes. Owned by one worker at a time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ShardRecord {
    /// Generation of its stream.
    pub generation: u32,
    /// The service's id of the shard.
    pub shard: String,
    /// The id of its parent, if the stream names one.
    pub parent: Option<String>,
    /// Who reads it.
    pub lease: Lease,
    /// Raised with each renewal, so that a watcher sees it live.
    pub beat: u64,
    /// Checkpoints, by lane: a service's name, or [`ShardRecord::WATCH`].
    pub lanes: BTreeMap<String, LaneState>,
}

impl ShardRecord {
    /// Prefix of these records' names.
    pub const PREFIX: &'static str = "SHARD#";
    /// The lane that writes no table: it looks for items that no service takes.
    pub const WATCH: &'static str = "(unrouted)";
    /// Begins the names of the lanes that send events. No name of a service contains a colon.
    const EVENTS: &'static str = "events:";
    /// Begins the name of the lane that writes the ledger.
    const LEDGER: &'static str = "ledger:";

    /// Name of the lane that sends the events of a service, in one epoch of them.
    #[must_use]
    pub fn events_lane(service: &str, epoch: u64) -> String {
        format!("{}{service}#{epoch}", Self::EVENTS)
    }

    /// The service and the epoch of a lane that sends events; `None`: it is another lane.
    #[must_use]
    pub fn of_events(lane: &str) -> Option<(&str, u64)> {
        let (service, epoch) = lane.strip_prefix(Self::EVENTS)?.rsplit_once('#')?;
        Some((service, epoch.parse().ok()?))
    }

    /// Name of the lane that writes the ledger, in one chain of it.
    #[must_use]
    pub fn ledger_lane(chain: u64) -> String {
        format!("{}{chain}", Self::LEDGER)
    }

    /// The chain of the lane that writes the ledger; `None`: it is another lane.
    #[must_use]
    pub fn of_ledger(lane: &str) -> Option<u64> {
        lane.strip_prefix(Self::LEDGER)?.parse().ok()
    }

    /// Whether a lane writes no table and looks for nothing: what it loses is in no table.
    #[must_use]
    pub fn is_beside(lane: &str) -> bool {
        Self::of_events(lane).is_some() || Self::of_ledger(lane).is_some()
    }

    /// Name of a shard's record.
    #[must_use]
    pub fn record_name(generation: u32, shard: &str) -> String {
        format!("{}{generation:06}#{shard}", Self::PREFIX)
    }

    /// Name of the record of a shard of a service's own table, which is read in one cutover.
    #[must_use]
    pub fn back_name(service: &str, epoch: u64, shard: &str) -> String {
        format!("BACKSHARD#{service}#{epoch:06}#{shard}")
    }
}

/// Shards that were closed or finished when the capture began. They are history, and no worker reads them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct HistoryRecord {
    /// Their ids.
    pub shards: Vec<String>,
}

/// A running process.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WorkerRecord {
    /// `tail` or `backfill`.
    pub kind: String,
    /// Its lease: it is gone when the record stays unchanged for the lease time.
    pub lease: Lease,
    /// Raised with each heartbeat.
    pub beat: u64,
    /// The tombstone epoch that all its writes obey since.
    pub acknowledged_epoch: u64,
    /// When it last wrote this record, by its own clock: for people.
    pub seen_ms: u64,
    /// Names of the services in its plan. Empty in a record that an earlier version wrote.
    #[serde(default)]
    pub services: BTreeSet<String>,
    /// Fingerprint of what all services of its plan share. Empty in a record that an earlier version wrote.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fingerprint: String,
    /// Fingerprints of the services in its plan, by name. Empty in a record that an earlier version wrote.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub routes: BTreeMap<String, String>,
    /// What happens to its requests, if chaos is switched on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chaos: Option<String>,
}

impl WorkerRecord {
    /// Prefix of these records' names.
    pub const PREFIX: &'static str = "WORKER#";
}

/// How far one service is in one segment of the backfill.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SegmentService {
    /// The cursor of the scan, as DynamoDB JSON of the last evaluated key; in an export, the number of lines. `None` at the beginning.
    pub cursor: Option<String>,
    /// The whole segment is durable in the service's table.
    pub done: bool,
    /// Counts of this service in this segment.
    pub counters: Counters,
    /// In the import order: the objects with the items of this segment up to the cursor. No other object is imported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<CommittedObject>,
}

/// The order of copying and applying. Chosen when a backfill first starts; persisted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The lanes apply changes during the copy, with guards and tombstones.
    #[default]
    Concurrent,
    /// The lanes are on hold during the copy, which has no guards; then they continue.
    Bulk,
    /// The lanes are on hold while the items are written to S3 and DynamoDB imports them into new tables; then they continue.
    Import,
}

impl std::fmt::Display for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Concurrent => "concurrent",
            Self::Bulk => "bulk",
            Self::Import => "import",
        })
    }
}

/// One segment of the backfill's parallel scan, or one file of an export. Owned by one worker at a time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SegmentRecord {
    /// Its number, from 0.
    pub segment: u32,
    /// Who scans it.
    pub lease: Lease,
    /// Raised with each renewal.
    pub beat: u64,
    /// The order of the copy. A process that began to copy in the other order finds that its record changed, and
    /// stops.
    #[serde(default)]
    pub order: Order,
    /// Progress by lane: a service's name, or [`ShardRecord::WATCH`].
    pub services: BTreeMap<String, SegmentService>,
    /// Why it does not move at the moment: the source, or a service by its name.
    #[serde(default)]
    pub blocked: Vec<String>,
    /// The limit of the process that works on it, at the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<NotedLimits>,
    /// Items that were read, whatever became of them.
    pub scanned: u64,
    /// Read units used, in thousandths.
    pub read_milliunits: u64,
}

impl SegmentRecord {
    /// Prefix of these records' names.
    pub const PREFIX: &'static str = "SEGMENT#";

    /// Name of a segment's record.
    #[must_use]
    pub fn record_name(segment: u32) -> String {
        format!("{}{segment:07}", Self::PREFIX)
    }
}

/// The backfill as a whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BackfillRecord {
    /// Number of segments: fixed at the start, since a cursor belongs to its segment and their count.
    pub segments: u32,
    /// Lanes that it has filled or is filling, those of earlier rounds among them.
    pub services: Vec<String>,
    /// Lanes that this round fills: all at first, later those of services that were added to the plan.
    pub round: Vec<String>,
    /// When it started, in milliseconds since 1970.
    pub started_ms: u64,
    /// When the last page was durable and the tombstones were switched off.
    pub finished_ms: Option<u64>,
    /// When the rounds before this one were finished; `None`: there was none, or an earlier version wrote the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_ms: Option<u64>,
    /// Items that the source said to hold when it started (about six hours old on AWS).
    pub estimated_items: u64,
    /// The order of copying and applying.
    #[serde(default)]
    pub order: Order,
    /// Why this order was chosen, for a person; empty if no order was asked for.
    #[serde(default)]
    pub order_reason: String,
    /// It reads an export; `None`: it scans the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<ExportCopy>,
    /// Where the items are written to in the import order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<ImportFolder>,
}

impl BackfillRecord {
    /// Name of the record.
    pub const NAME: &'static str = "BACKFILL";

    /// It has no segments yet: it waits for an export, or did until that was cancelled.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        self.finished_ms.is_none()
            && self.segments == 0
            && self.export.as_ref().is_none_or(|copy| copy.export.is_none())
    }

    /// Whether a service is being copied, or its copy was interrupted.
    #[must_use]
    pub fn copies(&self, service: &str) -> bool {
        self.finished_ms.is_none() && self.is_of_round(service)
    }

    /// When the copy of a service was finished, in milliseconds since 1970; of a service of an earlier round, this or a later
    /// time.
    #[must_use]
    pub fn copied_ms(&self, service: &str) -> Option<u64> {
        if self.is_of_round(service) {
            return self.finished_ms;
        }
        let is_copied = self.services.iter().any(|copied| copied == service);
        is_copied.then(|| self.before_ms.unwrap_or(self.started_ms))
    }

    fn is_of_round(&self, service: &str) -> bool {
        self.round.is_empty() || self.round.iter().any(|copied| copied == service)
    }

    /// The command that continues it.
    #[must_use]
    pub fn command(&self) -> String {
        let Some(copy) = &self.export else {
            if self.order == Order::Import {
                return "dynasplit backfill --order import".into();
            }
            return "dynasplit backfill".into();
        };
        let requested = copy.request.as_ref().and_then(|request| request.arn.as_ref());
        match copy.export.as_ref().map(|export| &export.arn).or(requested) {
            Some(arn) => format!("dynasplit backfill --from-export {arn}"),
            None => "dynasplit export start --to s3://BUCKET/PREFIX".into(),
        }
    }
}

/// The result of the last verify.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VerifyRecord {
    /// When it began, in milliseconds since 1970.
    pub started_ms: u64,
    /// When it ended.
    pub ended_ms: u64,
    /// Nothing was missing, extra, different, misrouted, colliding or unsettled, and nothing was repaired.
    pub clean: bool,
    /// Items that were repaired.
    pub repaired: u64,
    /// Counts by service.
    pub services: BTreeMap<String, VerifyService>,
    /// Items that no service takes, and that the plan does not leave behind.
    #[serde(default)]
    pub unrouted: u64,
    /// Repairs that began to write so far: a verification that saw fewer when it began proves nothing.
    #[serde(default)]
    pub repairs: u64,
    /// The reason for a mandatory repair that was made. Only a clean verify is still necessary.
    #[serde(default)]
    pub repaired_for: Option<String>,
    /// When the last verify of the whole split that was clean began, in milliseconds since 1970.
    #[serde(default)]
    pub last_clean_ms: Option<u64>,
    /// What the lanes had received when it began. `complete` compares it with the present figures.
    #[serde(default)]
    pub received: Option<Received>,
    /// Where the lanes stood in the source's stream when it began. It has compared every change from before these places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub places: Option<StreamPlaces>,
}

/// Places in all shards of the source's stream that were recorded at a moment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StreamPlaces {
    /// Generation of the stream.
    pub generation: u32,
    /// All changes from before this time (milliseconds since 1970) come before these places.
    pub complete_to_ms: u64,
    /// The place of the lane that is furthest behind, by the id of the shard.
    pub shards: BTreeMap<String, Position>,
}

/// How many records the lanes of a stream have received that matter to the split.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Received {
    /// Generation of the stream.
    pub generation: u32,
    /// By lane: changes of items that the service takes; in the watch lane, of items that no service takes. Changes
    /// of items that are left behind do not count.
    pub changes: BTreeMap<String, u64>,
}

impl Received {
    /// Whether another count shows that no change arrived in between, in the lanes that the other one has.
    #[must_use]
    pub fn is_unchanged(&self, later: &Self) -> bool {
        self.generation == later.generation
            && later
                .changes
                .iter()
                .all(|(lane, count)| self.changes.get(lane) == Some(count))
    }
}

/// The findings of verify for one service.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct VerifyService {
    /// Items that the source says the target should hold.
    pub expected: u64,
    /// Items that the target holds.
    pub found: u64,
    /// Mismatches by class.
    pub mismatches: BTreeMap<String, u64>,
    /// Keys that changed too often for a verdict.
    #[serde(default)]
    pub unsettled: u64,
    /// Source items that are invalid for the service: dead letters.
    #[serde(default)]
    pub invalid: u64,
    /// Mismatches in which the target holds a newer timestamp than the source.
    #[serde(default)]
    pub newer: u64,
    /// The fingerprint of the service that was verified.
    pub fingerprint: String,
}

impl VerifyRecord {
    /// Name of the record.
    pub const NAME: &'static str = "VERIFY";

    /// Before anything was verified.
    #[must_use]
    pub fn blank(started_ms: u64) -> Self {
        Self {
            started_ms,
            ended_ms: started_ms,
            clean: false,
            repaired: 0,
            services: BTreeMap::new(),
            unrouted: 0,
            repairs: 0,
            repaired_for: None,
            last_clean_ms: None,
            received: None,
            places: None,
        }
    }
}

/// The activity of a command, as it saved it last, for people. There is one record for each command; of several
/// processes, it shows the last one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ActivityRecord {
    /// As it is called: `verify`.
    pub command: String,
    /// The activity in a few words. Empty: it ended.
    pub phase: String,
    /// The limits of its work.
    pub limits: NotedLimits,
    /// Its rate and the remaining work, if they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    /// What it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<NotedWait>,
}

/// What a command waits for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NotedWait {
    /// In words: what must be so until it goes on.
    pub until: String,
    /// It takes no longer than so many milliseconds, if all goes well.
    pub at_most_ms: u64,
}

/// How fast something goes, and how much is left of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Estimate {
    /// Items a second, in thousandths.
    pub per_second_thousandths: u64,
    /// Items that are left.
    pub left: u64,
}

impl Estimate {
    /// Items a second.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // shown with few digits
    pub fn per_second(self) -> f64 {
        self.per_second_thousandths as f64 / 1000.0
    }
}

impl ActivityRecord {
    /// Prefix of these records' names.
    pub const PREFIX: &'static str = "ACTIVITY#";

    /// Name of a command's record.
    #[must_use]
    pub fn record_name(command: &str) -> String {
        format!("{}{command}", Self::PREFIX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SequenceNumber;

    fn at(number: u32) -> Position {
        Position::After(SequenceNumber::new(&number.to_string()))
    }

    #[test]
    fn a_lane_of_events_has_a_name_of_its_own() {
        let lane = ShardRecord::events_lane("orders", 3);
        assert_eq!(ShardRecord::of_events(&lane), Some(("orders", 3)));
        assert_eq!(ShardRecord::of_events("orders"), None);
        assert_eq!(ShardRecord::of_events(ShardRecord::WATCH), None);
    }

    #[test]
    fn what_a_lane_only_watched_was_not_applied() {
        let mut lane = LaneState::starting(Position::Beginning, 0);
        lane.note_watching(false);
        lane.position = at(10);
        assert!(
            lane.has_applied(&at(10)) && !lane.has_applied(&at(11)),
            "not passed yet"
        );
        for _ in 0..2 {
            lane.note_watching(true);
        }
        lane.position = at(20);
        assert!(lane.has_applied(&at(10)) && !lane.has_applied(&at(11)) && !lane.has_applied(&at(20)));
        for _ in 0..2 {
            lane.note_watching(false);
        }
        lane.position = at(30);
        assert!(lane.has_applied(&at(10)) && !lane.has_applied(&at(20)) && lane.has_applied(&at(21)));
        lane.note_watching(true);
        lane.position = Position::End;
        assert!(lane.has_applied(&at(30)) && !lane.has_applied(&at(31)));
        assert_eq!(lane.watched.len(), 2);
    }
}
