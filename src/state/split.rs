//! The record of the split and the records of its services.

use super::cutover::CutoverState;
use super::error::StateError;
use super::events_state::EventsState;
use super::ledger_state::LedgerState;
use super::records::{Received, StreamRecord};
use super::store::{Store, Stored};
use super::tombstone_phases::Switch;
use super::{STATE_FORMAT, STATE_FORMAT_IMPORT, STATE_FORMAT_SERVICE_SWITCHES, STATE_FORMAT_SWITCHED};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The most fingerprints of earlier plans that are kept. Older plans are not in use.
const MOST_EARLIER: usize = 100;

/// The split as a whole. One record, changed by compare-and-set.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SplitRecord {
    /// Version of the state's format.
    pub format: u32,
    /// Name of the split.
    pub split: String,
    /// The source table.
    pub source: String,
    /// Fingerprint of the settings that all services share: source, keys, versions, left-behind.
    pub fingerprint: String,
    /// The settings that the fingerprint covers, by name, so that an edit can be named. Empty if an older version
    /// wrote the record.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// Fingerprints of before, oldest first: `left-behind` was widened since each. A worker that still runs with such a
    /// plan does no harm.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<String>,
    /// Generations: the streams that were read, oldest first.
    pub streams: Vec<StreamRecord>,
    /// The tombstone switches of the services, and who holds them.
    #[serde(flatten)]
    pub switch: Switch,
    /// A repairing verify is mandatory before the split completes, for this reason.
    pub repair_required: Option<String>,
    /// The services that this reason concerns, and what may be wrong in their tables. Empty with a reason: an earlier
    /// version wrote the record, and the reason concerns every service.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub repair_scopes: BTreeMap<String, RepairScope>,
    /// When `apply` first ran, in milliseconds since 1970.
    pub created_ms: u64,
    /// `complete` has begun to stop the lanes: there is no way back into the split.
    #[serde(default)]
    pub completing_ms: Option<u64>,
    /// What the lanes had received when `complete` began. If they have received more by the time that the workers
    /// have stopped, the source was not at rest, and the split continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resting: Option<Received>,
    /// When the split was completed.
    pub completed_ms: Option<u64>,
    /// Names of the services of the split, as `apply` recorded them. A worker compares them with its plan at each
    /// heartbeat, so a worker that was started with an older plan notices that a service was added. Empty in a state
    /// that an earlier version wrote.
    #[serde(default)]
    pub services: BTreeSet<String>,
    /// Services that write their own table. Nothing that is read from the source may be written to these tables. Set
    /// by `switched`; persisted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub switched: BTreeMap<String, SwitchedService>,
    /// Cutovers with a way back, by service: the phase that every worker obeys. Set by `cutover` and `rollback`; persisted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cutovers: BTreeMap<String, CutoverState>,
    /// The events of services, by service. Set by `apply` and by `replicate`; persisted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub events: BTreeMap<String, EventsState>,
    /// The ledger of all changes. Set by `apply` and by `replicate`; persisted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<LedgerState>,
    /// The last chain of a ledger that has ended; 0: none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ended_chain: u64,
    /// Services whose tables are left to an import: until that has ended, no command creates, compares or reads them, and their
    /// lanes are on hold. Set by `apply`; persisted.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub awaiting_import: BTreeSet<String>,
    /// Services that were given up, with their tables. Their names are not used again.
    #[serde(default)]
    pub abandoned: BTreeMap<String, String>,
    /// When the whole split was given up, in milliseconds since 1970.
    #[serde(default)]
    pub abandoned_ms: Option<u64>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for it
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The record that a service has switched: its application writes the service's own table now, not the source.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SwitchedService {
    /// When it was recorded, in milliseconds since 1970.
    pub at_ms: u64,
    /// The epoch of the tombstone switch that the record began. Every worker that acknowledges this epoch has stopped
    /// writing the service's table.
    pub epoch: u64,
    /// When the last clean verify before the switch began, in milliseconds since 1970; `None` if there was none.
    pub verified_ms: Option<u64>,
}

/// What may be wrong in a service's table, so that a repair may change it without a flag.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RepairScope {
    /// Changes of the source never arrived: the table is older than the source, never newer.
    LostChanges,
    /// The table may hold anything, for example items from before the split.
    AnyItem,
}

/// One service of the split.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServiceRecord {
    /// Name of the service.
    pub name: String,
    /// Its target table.
    pub table: String,
    /// Fingerprint of its route, transform and keys.
    pub fingerprint: String,
    /// The settings that the fingerprint covers, by name. Empty if an older version wrote the record.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// Its records are read from pinned places since this time; `None` before `replicate` first ran.
    pub captured_ms: Option<u64>,
    /// The generation in which these places are pinned. An older version did not note it: it set `captured_ms` back with
    /// each restart.
    #[serde(default)]
    pub captured_in: Option<u32>,
    /// Ended by `complete`.
    pub completed: bool,
    /// `apply` created its table. `false` in a record of an earlier version, which did not record it.
    #[serde(default)]
    pub created: bool,
    /// ARN of the table that `apply` created. `None` in a record of an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_arn: Option<String>,
    /// Its id, which no other table of the same name has. `None` in a record of an earlier version, and if the engine gives no ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_id: Option<String>,
}

impl SplitRecord {
    /// Name of the record.
    pub const NAME: &'static str = "SPLIT";

    /// Reads the record, and refuses a format that this version does not know.
    ///
    /// # Errors
    /// [`StateError::NotApplied`] if there is none.
    pub async fn read(store: &Store) -> Result<Stored<Self>, StateError> {
        let mut stored = store
            .get::<Self>(Self::NAME)
            .await?
            .ok_or_else(|| store.missing())?;
        Self::known(store, &mut stored.value)?;
        Ok(stored)
    }

    fn known(store: &Store, value: &mut Self) -> Result<(), StateError> {
        let cause = if !(STATE_FORMAT..=STATE_FORMAT_IMPORT).contains(&value.format) {
            format!(
                "it has format {}, and this version reads {STATE_FORMAT} to {STATE_FORMAT_IMPORT}",
                value.format
            )
        } else if !value.switch.spread(&value.services) {
            "an earlier version of dynasplit began a backfill or a repair, and did not record of which services: let that \
             version end it"
                .to_owned()
        } else {
            return Ok(());
        };
        Err(StateError::Unreadable {
            table: store.table().to_owned(),
            record: Self::NAME.to_owned(),
            cause,
        })
    }

    /// Changes the record, and repeats the change if another process wrote the record at the same time.
    ///
    /// # Errors
    /// If there is no record, or a request fails.
    pub async fn change(store: &Store, mut change: impl FnMut(&mut Self)) -> Result<Self, StateError> {
        let stored = store
            .change::<Self, StateError>(Self::NAME, |found| {
                let mut value = found.ok_or_else(|| store.missing())?;
                Self::known(store, &mut value)?;
                change(&mut value);
                if value.switch.is_divided() {
                    value.format = value.format.max(STATE_FORMAT_SERVICE_SWITCHES);
                }
                if !value.awaiting_import.is_empty() {
                    value.format = value.format.max(STATE_FORMAT_IMPORT);
                }
                Ok(value)
            })
            .await?;
        Ok(stored.value)
    }

    /// Takes over the settings of a plan whose `left-behind` covers more.
    pub fn widen(&mut self, fingerprint: &str, settings: BTreeMap<String, String>) {
        let before = std::mem::replace(&mut self.fingerprint, fingerprint.to_owned());
        self.settings = settings;
        self.earlier.push(before);
        let surplus = self.earlier.len().saturating_sub(MOST_EARLIER);
        self.earlier.drain(..surplus);
    }

    /// Records that a service has switched, if no command holds its tombstones or its lane. Returns the record, old or new;
    /// `None` if a command that writes its table is under way.
    ///
    /// The record begins a new epoch of the tombstone switch, so that the workers acknowledge it. It also raises the
    /// format, so that a worker of a version that does not know the record cannot acknowledge it by accident.
    pub fn switch_service(
        &mut self,
        name: &str,
        at_ms: u64,
        verified_ms: Option<u64>,
    ) -> Option<SwitchedService> {
        if let Some(found) = self.switched.get(name) {
            return Some(found.clone());
        }
        let epoch = self.switch.renew(name)?;
        self.format = self.format.max(STATE_FORMAT_SWITCHED);
        let switched = SwitchedService {
            at_ms,
            epoch,
            verified_ms,
        };
        self.switched.insert(name.to_owned(), switched.clone());
        Some(switched)
    }

    /// Removes the record, under the same conditions. Returns whether there is none any more.
    pub fn switch_back(&mut self, name: &str) -> bool {
        if !self.switched.contains_key(name) {
            return true;
        }
        if self.switch.renew(name).is_none() {
            return false;
        }
        self.switched.remove(name);
        true
    }

    /// Makes a repairing verify mandatory. An earlier reason stays.
    pub fn require_repair<'a>(
        &mut self,
        reason: &str,
        services: impl IntoIterator<Item = &'a str>,
        scope: RepairScope,
    ) {
        let is_of_all = self.repair_required.is_some() && self.repair_scopes.is_empty();
        self.repair_required = Some(match self.repair_required.take() {
            Some(before) if before.split("; ").any(|known| known == reason) => before,
            Some(before) => format!("{before}; {reason}"),
            None => reason.to_owned(),
        });
        if is_of_all {
            return;
        }
        for service in services {
            let known = self.repair_scopes.entry(service.to_owned()).or_insert(scope);
            *known = scope.max(*known);
        }
    }

    /// The mandatory repair was made.
    pub fn end_repair_duty(&mut self) {
        self.repair_required = None;
        self.repair_scopes.clear();
    }

    /// What the mandatory repair may find wrong in a service's table; `None` if nothing is known to be wrong there.
    #[must_use]
    pub fn repair_scope(&self, service: &str) -> Option<RepairScope> {
        self.repair_required.as_ref()?;
        if self.repair_scopes.is_empty() {
            return Some(RepairScope::AnyItem);
        }
        self.repair_scopes.get(service).copied()
    }

    /// The mandatory repair, distinct from one for the same reason in another generation of the stream.
    #[must_use]
    pub fn repair_duty(&self) -> Option<String> {
        let reason = self.repair_required.as_ref()?;
        Some(format!("{}: {reason}", self.streams.len()))
    }

    /// The stream that is read at present, and its generation (from 1).
    #[must_use]
    pub fn stream(&self) -> Option<(u32, &StreamRecord)> {
        let generation = u32::try_from(self.streams.len()).unwrap_or(u32::MAX);
        self.streams.last().map(|stream| (generation, stream))
    }

    /// Whether a plan with these services can't continue, because one of them or the whole split was given up.
    pub fn has_abandoned<'a>(&self, mut services: impl Iterator<Item = &'a str>) -> bool {
        self.abandoned_ms.is_some() || services.any(|name| self.abandoned.contains_key(name))
    }

    /// A generation's stream.
    pub fn generation_mut(&mut self, generation: u32) -> Option<&mut StreamRecord> {
        let index = usize::try_from(generation).ok()?.checked_sub(1)?;
        self.streams.get_mut(index)
    }

    /// Whether the positions of a service are pinned in the stream that is read at present. A restart of the tail
    /// adds a generation, so in the same step no service has pinned positions any more.
    #[must_use]
    pub fn has_captured(&self, service: &ServiceRecord) -> bool {
        let Some((generation, stream)) = self.stream() else {
            return false;
        };
        service.captured_ms.is_some()
            && match service.captured_in {
                Some(captured_in) => captured_in == generation,
                None => stream.restarted_ms.is_none(),
            }
    }
}

impl ServiceRecord {
    /// Prefix of these records' names.
    pub const PREFIX: &'static str = "SERVICE#";

    /// Name of a service's record.
    #[must_use]
    pub fn record_name(service: &str) -> String {
        format!("{}{service}", Self::PREFIX)
    }

    /// Notes that its places are pinned in a generation. A worker that pinned them in an earlier generation than is on
    /// record changes nothing.
    pub fn capture(&mut self, generation: u32, at_ms: u64) {
        if self.captured_in.is_none_or(|known| known < generation) {
            self.captured_in = Some(generation);
            self.captured_ms = Some(at_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(streams: &[Option<u64>]) -> SplitRecord {
        let streams = streams.iter().map(|restarted_ms| StreamRecord {
            arn: "arn".into(),
            captured_ms: Some(1),
            ended_ms: None,
            restarted_ms: *restarted_ms,
        });
        SplitRecord {
            streams: streams.collect(),
            ..SplitRecord::sample()
        }
    }

    fn service() -> ServiceRecord {
        let text = r#"{"name":"a","table":"a","fingerprint":"f","captured_ms":null,"completed":false}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_service_is_captured_in_the_generation_in_which_its_places_were_pinned() {
        let mut service = service();
        assert!(!split(&[None]).has_captured(&service));
        service.capture(1, 5);
        assert!(split(&[None]).has_captured(&service));
        let restarted = split(&[None, Some(9)]);
        assert!(!restarted.has_captured(&service), "one step restarts every lane");
        service.capture(2, 10);
        service.capture(1, 11);
        assert_eq!((service.captured_in, service.captured_ms), (Some(2), Some(10)));
        assert!(restarted.has_captured(&service));
    }

    #[test]
    fn a_repair_is_explained_only_for_the_services_that_its_reason_concerns() {
        let mut record = split(&[None]);
        assert_eq!(record.repair_scope("a"), None);
        record.require_repair("the tail was restarted", ["a", "b"], RepairScope::LostChanges);
        record.require_repair("b may hold items", ["b"], RepairScope::AnyItem);
        record.require_repair("the tail was restarted", ["b"], RepairScope::LostChanges);
        let reason = record.repair_required.clone();
        assert_eq!(
            reason.as_deref(),
            Some("the tail was restarted; b may hold items")
        );
        assert_eq!(record.repair_scope("a"), Some(RepairScope::LostChanges));
        assert_eq!(record.repair_scope("b"), Some(RepairScope::AnyItem));
        assert_eq!(record.repair_scope("c"), None, "nothing happened to it");
        record.end_repair_duty();
        assert_eq!(record.repair_scope("a"), None);
    }

    #[test]
    fn a_duty_of_an_earlier_version_concerns_every_service() {
        let mut record = split(&[None]);
        record.repair_required = Some("the tail was restarted".into());
        assert_eq!(record.repair_scope("a"), Some(RepairScope::AnyItem));
        record.require_repair("a dead letter was damaged", ["a"], RepairScope::LostChanges);
        assert_eq!(record.repair_scope("b"), Some(RepairScope::AnyItem));
    }

    #[test]
    fn a_state_of_an_older_version_is_captured_until_the_tail_is_restarted() {
        let old = ServiceRecord {
            captured_ms: Some(5),
            ..service()
        };
        assert!(split(&[None, None]).has_captured(&old));
        assert!(!split(&[None, None, Some(9)]).has_captured(&old));
    }
}
