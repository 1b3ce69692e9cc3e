//! Compares the plan's table with the existing one. Pure: facts go in, findings come out.
//!
//! Settings that the plan does not name are not compared, with three exceptions that a split depends on: every index
//! must be in the plan (its key types reject items), and TTL and stream must be off.

use super::creation::{global_spec, projection_spec, provisioned};
use super::difference::{Difference, Pending, unknown};
use super::settings::{Observed, Settings};
use super::state::{Held, IndexState, KeyPart, TableState, Units, Warm};
use super::ttl::TtlState;
use crate::model::KeySchema;
use crate::plan::IndexKeys;
use crate::plan::either::WordOr;
use crate::plan::spec::{EncryptionWord, ProjectionWord, TableClassSpec, TableSpec, ThroughputSpec};
use std::collections::BTreeMap;

/// Everything that a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    pub differences: Vec<Difference>,
    pub pending: Vec<Pending>,
    pub notes: Vec<String>,
}

/// What the stream of a target is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TableStream {
    /// Nothing: it is off until the split is complete.
    Unused,
    /// A cutover has enabled it, for the way back.
    WayBack,
}

/// The plan, its table, and the findings so far.
struct Comparing<'a> {
    spec: &'a TableSpec,
    state: &'a TableState,
    found: Comparison,
}

/// Compares the plan with a table. `settings` are missing while the table is being created.
pub(super) fn compare(
    spec: &TableSpec,
    keys: &KeySchema,
    indexes: &[IndexKeys],
    state: &TableState,
    settings: Option<&Settings>,
    stream: TableStream,
) -> Comparison {
    let mut comparing = Comparing {
        spec,
        state,
        found: Comparison::default(),
    };
    comparing.status();
    comparing.differs("keys", key_text(&planned_parts(keys)), key_text(&state.keys));
    comparing.indexes(indexes, false);
    comparing.indexes(indexes, true);
    comparing.billing();
    comparing.protection();
    if stream == TableStream::Unused {
        comparing.stream();
    }
    match settings {
        Some(settings) => {
            comparing.ttl(&settings.ttl);
            comparing.recovery(&settings.recovery);
            comparing.tags(&settings.tags);
        }
        None => comparing.note(format!(
            "{}: its TTL, recovery and tags were not looked at",
            state.status
        )),
    }
    comparing.found
}

impl Comparing<'_> {
    fn note(&mut self, note: String) {
        self.found.notes.push(note);
    }

    /// Adds a difference, if there is one.
    fn differs(&mut self, what: &str, planned: impl Into<String>, actual: impl Into<String>) {
        let (planned, actual) = (planned.into(), actual.into());
        if planned != actual {
            self.found.differences.push(Difference {
                what: what.to_owned(),
                planned,
                actual,
            });
        }
    }

    /// A setting that the plan wants and the engine does not show. On AWS the table does not have it; an
    /// emulator may have taken it and ignored it.
    fn not_shown(&mut self, what: &str, planned: impl Into<String>, actual_on_aws: &str) {
        if self.state.is_emulated() {
            self.note(format!(
                "{what}: this engine does not show it, and may ignore it (AWS does not)"
            ));
        } else {
            self.differs(what, planned, actual_on_aws);
        }
    }

    fn status(&mut self) {
        if self.state.is_dead_end() {
            self.differs("status", "ACTIVE", self.state.status.clone());
        }
    }

    fn indexes(&mut self, indexes: &[IndexKeys], local: bool) {
        let (kind, there) = if local {
            ("local index", &self.state.local_indexes)
        } else {
            ("global index", &self.state.global_indexes)
        };
        for index in indexes.iter().filter(|index| index.local == local) {
            let what = format!("{kind} {}", index.name);
            match there.get(&index.name) {
                Some(state) => self.index(&what, index, state),
                None => self.differs(&what, key_text(&planned_parts(&index.keys)), "missing"),
            }
        }
        for (name, state) in there {
            if !indexes
                .iter()
                .any(|index| index.local == local && index.name == *name)
            {
                self.differs(
                    &format!("{kind} {name}"),
                    "not in the plan",
                    key_text(&state.keys),
                );
            }
        }
    }

    fn index(&mut self, what: &str, index: &IndexKeys, state: &IndexState) {
        self.differs(
            &format!("{what}: keys"),
            key_text(&planned_parts(&index.keys)),
            key_text(&state.keys),
        );
        let held = planned_held(self.spec, index);
        if held != state.held {
            self.differs(
                &format!("{what}: projection"),
                held_text(&held),
                held_text(&state.held),
            );
        }
        let words = global_spec(self.spec, &index.name).filter(|_| !index.local);
        let (table, own) = (provisioned(self.spec), words.and_then(|words| words.throughput));
        if let (false, Some(units)) = (index.local, table.map(|table| own.unwrap_or(table))) {
            // If the table is on demand, this is the difference, and it is reported once.
            if self.state.provisioned.is_some() {
                self.differs(
                    &format!("{what}: throughput"),
                    spec_text(units),
                    units_text(state.units),
                );
            }
        }
        if let Some(planned) = words.and_then(|words| words.warm_throughput) {
            self.warm(&format!("{what}: warm throughput"), planned, state.warm);
        }
    }

    fn billing(&mut self) {
        let billing = |units: Option<String>| {
            units.map_or("on-demand".to_owned(), |text| format!("provisioned, {text}"))
        };
        if self.spec.billing.is_some() {
            let planned = billing(provisioned(self.spec).map(spec_text));
            self.differs(
                "billing",
                planned,
                billing(self.state.provisioned.map(units_text)),
            );
        }
        if let Some(planned) = self.spec.max_on_demand {
            match self.state.max_on_demand {
                Some(actual) => {
                    self.differs("max on-demand throughput", spec_text(planned), units_text(actual))
                }
                None => self.not_shown("max on-demand throughput", spec_text(planned), "none"),
            }
        }
        if let Some(planned) = self.spec.warm_throughput {
            self.warm("warm throughput", planned, self.state.warm);
        }
    }

    /// More is as good: AWS raises it by itself with the traffic.
    fn warm(&mut self, what: &str, planned: ThroughputSpec, actual: Option<Warm>) {
        let Some(warm) = actual else {
            return self.not_shown(what, spec_text(planned), "none");
        };
        if warm.units.read >= planned.read.into() && warm.units.write >= planned.write.into() {
            return;
        }
        if warm.changing {
            self.note(format!(
                "{what}: still being raised from {}",
                units_text(warm.units)
            ));
        } else {
            self.differs(
                what,
                format!("at least {}", spec_text(planned)),
                units_text(warm.units),
            );
        }
    }

    fn protection(&mut self) {
        if let Some(class) = self.spec.class {
            let planned = match class {
                TableClassSpec::Standard => "STANDARD",
                TableClassSpec::InfrequentAccess => "STANDARD_INFREQUENT_ACCESS",
            };
            match (&self.state.class, class) {
                (Some(actual), _) => self.differs("class", planned, actual.clone()),
                // AWS shows no class for a table that never had another one.
                (None, TableClassSpec::Standard) => {}
                (None, TableClassSpec::InfrequentAccess) => self.not_shown("class", planned, "STANDARD"),
            }
        }
        self.encryption();
        if let Some(planned) = self.spec.deletion_protection {
            self.differs(
                "deletion protection",
                on_off(planned),
                on_off(self.state.deletion_protection),
            );
        }
    }

    fn encryption(&mut self) {
        const WHAT: &str = "encryption";
        const OWNED: &str = "a key that DynamoDB owns";
        let Some(planned) = &self.spec.encryption else {
            return;
        };
        match (planned, &self.state.kms) {
            (WordOr::Word(EncryptionWord::Owned), None) => {}
            (WordOr::Word(EncryptionWord::Owned), Some(kms)) => {
                self.differs(WHAT, OWNED, format!("KMS {}", kms.key_arn));
            }
            (WordOr::Word(EncryptionWord::AwsManaged), None) => {
                self.not_shown(WHAT, "KMS alias/aws/dynamodb", OWNED)
            }
            (WordOr::Map(key), None) => self.not_shown(WHAT, format!("KMS {}", key.kms_key), OWNED),
            // Which key an alias stands for is KMS's to say, and asking takes a permission of its own.
            (WordOr::Word(EncryptionWord::AwsManaged), Some(kms)) => {
                self.note(format!(
                    "{WHAT}: KMS {} is taken to be the account's aws/dynamodb key",
                    kms.key_arn
                ));
            }
            (WordOr::Map(key), Some(kms)) if key.kms_key.contains("alias/") => {
                self.note(format!(
                    "{WHAT}: KMS {} is taken to be {}",
                    kms.key_arn, key.kms_key
                ));
            }
            (WordOr::Map(key), Some(kms)) => {
                let same =
                    kms.key_arn == key.kms_key || kms.key_arn.ends_with(&format!("key/{}", key.kms_key));
                if !same {
                    self.differs(
                        WHAT,
                        format!("KMS {}", key.kms_key),
                        format!("KMS {}", kms.key_arn),
                    );
                }
            }
        }
    }

    /// A target's stream shows tombstones, and the history of items without an order, to its readers.
    fn stream(&mut self) {
        let Some(view) = &self.state.stream else { return };
        if self.spec.adopted {
            self.note(format!(
                "stream: on ({view}); its readers will see the copying and the tombstones, so they should \
                 not start before the split is complete"
            ));
        } else {
            self.differs(
                "stream",
                "off until the split is complete",
                format!("on ({view})"),
            );
        }
    }

    fn ttl(&mut self, ttl: &TtlState) {
        const PLANNED: &str = "off until the split is complete";
        match ttl {
            TtlState::Off => {}
            TtlState::On { attribute } => self.differs("TTL", PLANNED, format!("on ({attribute})")),
            TtlState::TurningOff { attribute } => {
                self.differs("TTL", PLANNED, format!("being switched off ({attribute})"));
            }
            TtlState::Unknown if self.spec.ttl.is_some() => self.note(unknown("DescribeTimeToLive", "TTL")),
            TtlState::Unknown => {}
        }
    }

    fn recovery(&mut self, recovery: &Observed<bool>) {
        const WHAT: &str = "point-in-time recovery";
        match (self.spec.point_in_time_recovery, recovery) {
            (Some(true), Observed::Seen(false)) if !self.spec.adopted => {
                self.found.pending.push(Pending::PointInTimeRecovery);
            }
            (Some(planned), Observed::Seen(actual)) => self.differs(WHAT, on_off(planned), on_off(*actual)),
            (Some(true), Observed::Unknown) => self.note(unknown("DescribeContinuousBackups", WHAT)),
            _ => {}
        }
    }

    fn tags(&mut self, tags: &Observed<BTreeMap<String, String>>) {
        let there = match tags {
            Observed::Unasked => return,
            Observed::Unknown => return self.note(unknown("ListTagsOfResource", "tags")),
            Observed::Seen(there) => there,
        };
        let mut absent = BTreeMap::new();
        for (name, value) in &self.spec.tags {
            match there.get(name) {
                Some(actual) => self.differs(&format!("tag {name}"), value, actual),
                None if self.spec.adopted => self.differs(&format!("tag {name}"), value, "missing"),
                None => {
                    absent.insert(name.clone(), value.clone());
                }
            }
        }
        if !absent.is_empty() {
            self.found.pending.push(Pending::Tags(absent));
        }
    }
}

fn planned_parts(keys: &KeySchema) -> Vec<KeyPart> {
    let part = |(at, attribute): (usize, &crate::model::KeyAttribute)| KeyPart {
        name: attribute.name.clone(),
        kind: attribute.kind.to_string(),
        sort: at > 0,
    };
    keys.attributes().enumerate().map(part).collect()
}

fn planned_held(spec: &TableSpec, index: &IndexKeys) -> Held {
    match projection_spec(spec, index) {
        None | Some(WordOr::Word(ProjectionWord::All)) => Held::All,
        Some(WordOr::Word(ProjectionWord::KeysOnly)) => Held::KeysOnly,
        Some(WordOr::Map(list)) => Held::Include(list.include.iter().cloned().collect()),
    }
}

/// `partition PK (S), sort SK (S)`. The name is in quotes if it is ambiguous, so that equal texts are equal keys.
fn key_text(parts: &[KeyPart]) -> String {
    let plain = |name: &str| {
        name.chars()
            .all(|each| each.is_alphanumeric() || "_-.#:".contains(each))
    };
    let text = |part: &KeyPart| {
        let role = if part.sort { "sort" } else { "partition" };
        if plain(&part.name) {
            format!("{role} {} ({})", part.name, part.kind)
        } else {
            format!("{role} {:?} ({})", part.name, part.kind)
        }
    };
    parts.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn held_text(held: &Held) -> String {
    match held {
        Held::All => "all".to_owned(),
        Held::KeysOnly => "keys only".to_owned(),
        Held::Include(names) => format!("include {}", names.iter().cloned().collect::<Vec<_>>().join(", ")),
    }
}

fn spec_text(units: ThroughputSpec) -> String {
    units_text(Units {
        read: units.read.into(),
        write: units.write.into(),
    })
}

fn units_text(units: Units) -> String {
    format!("{} read, {} write", units.read, units.write)
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

#[cfg(test)]
mod tests;
