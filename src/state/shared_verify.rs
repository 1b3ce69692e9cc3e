//! A verify that several processes share: what it compares, its tasks, and its end.

use super::lease::Lease;
use super::split::SplitRecord;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A shared verify: the one that is under way, or the last one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SharedVerifyRecord {
    /// Its name. Processes that were given the same one share it.
    pub name: String,
    /// No other verify has it: it is in the names of the tasks and of the objects.
    pub id: String,
    /// When it began, in milliseconds since 1970.
    pub began_ms: u64,
    /// The compared services, in the order of the plan.
    pub services: Vec<String>,
    /// Segments of each scan.
    pub segments: u32,
    /// Ranges of the keys.
    pub ranges: u32,
    /// What its processes must agree about.
    pub terms: VerifyTerms,
    /// The object with the state of the split at the beginning.
    pub beginning: StoredRef,
    /// The id of the one before it, whose last objects are removed at the end of this one.
    #[serde(default)]
    pub former: Option<String>,
    /// Its end.
    #[serde(default)]
    pub end: Option<SharedVerifyEnd>,
}

/// What all processes of a shared verify must agree about, because the verdict depends on it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VerifyTerms {
    /// The services that were asked for; `None`: all.
    pub asked: Option<Vec<String>>,
    /// It began although not everything was ready.
    pub anyway: bool,
    /// A write counts as late for so many milliseconds; `None`: by the lag of the lanes.
    pub patience_ms: Option<u64>,
    /// The segments of each scan that were asked for.
    pub segments: Option<u32>,
    /// The fingerprint of the plan, and of each compared service.
    pub plan: Vec<String>,
    /// The folder in S3.
    pub folder: String,
    /// The services that have switched.
    pub switches: KnownSwitches,
}

/// The services that have switched, each with the time of its switch, and those whose changes are carried back, each with the epoch of
/// its cutover.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct KnownSwitches {
    switched: BTreeMap<String, u64>,
    carried_back: BTreeMap<String, u64>,
}

impl KnownSwitches {
    /// As the record of the split names them.
    #[must_use]
    pub fn of(record: &SplitRecord) -> Self {
        let switched = record.switched.iter();
        let back = record.cutovers.iter();
        Self {
            switched: switched
                .map(|(name, switched)| (name.clone(), switched.at_ms))
                .collect(),
            carried_back: back
                .filter(|(_, state)| state.phase.carries_back())
                .map(|(name, state)| (name.clone(), state.epoch))
                .collect(),
        }
    }
}

/// An object that was written once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct StoredRef {
    /// Its key.
    pub key: String,
    /// Its ETag.
    pub etag: String,
}

/// The end of a shared verify.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SharedVerifyEnd {
    /// When it ended, in milliseconds since 1970.
    pub ended_ms: u64,
    /// The object with the result.
    pub result: StoredRef,
    /// Whether the result is clean.
    pub clean: bool,
    /// Its tasks and their objects were removed.
    pub removed: bool,
}

impl SharedVerifyRecord {
    /// Name of the record.
    pub const NAME: &'static str = "SHAREDVERIFY";
    /// Phases, in their order. Each begins when all tasks of the one before it are done.
    pub const PHASES: [VerifyPhase; 4] = [
        VerifyPhase::Targets,
        VerifyPhase::Source,
        VerifyPhase::Compare,
        VerifyPhase::Sum,
    ];

    /// The tasks of a phase.
    #[must_use]
    pub fn tasks(&self, phase: VerifyPhase) -> Vec<VerifyTask> {
        let Self { segments, ranges, .. } = *self;
        match phase {
            VerifyPhase::Targets => {
                // Segment by segment: the tables are read side by side.
                let services = 0..self.services.len();
                (0..segments)
                    .flat_map(|segment| {
                        services
                            .clone()
                            .map(move |service| VerifyTask::Target { service, segment })
                    })
                    .collect()
            }
            VerifyPhase::Source => (0..segments)
                .map(|segment| VerifyTask::Source { segment })
                .collect(),
            VerifyPhase::Compare => (0..ranges).map(|range| VerifyTask::Range { range }).collect(),
            VerifyPhase::Sum => vec![VerifyTask::Sum],
        }
    }
}

/// A phase of a shared verify.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerifyPhase {
    /// The targets are read, before the source.
    Targets,
    /// The source is read.
    Source,
    /// The ranges are compared, and what differs is read again.
    Compare,
    /// The reports of the ranges become the result.
    Sum,
}

impl VerifyPhase {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Targets => "reading the targets",
            Self::Source => "reading the source",
            Self::Compare => "comparing",
            Self::Sum => "summing up",
        }
    }
}

/// A task of a shared verify.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerifyTask {
    /// Read a segment of a service's table.
    Target {
        /// The place of the service in [`SharedVerifyRecord::services`].
        service: usize,
        /// The segment.
        segment: u32,
    },
    /// Read a segment of the source.
    Source {
        /// The segment.
        segment: u32,
    },
    /// Compare a range of the keys of all services.
    Range {
        /// The range.
        range: u32,
    },
    /// Sum up.
    Sum,
}

impl VerifyTask {
    /// Its phase.
    #[must_use]
    pub fn phase(self) -> VerifyPhase {
        match self {
            Self::Target { .. } => VerifyPhase::Targets,
            Self::Source { .. } => VerifyPhase::Source,
            Self::Range { .. } => VerifyPhase::Compare,
            Self::Sum => VerifyPhase::Sum,
        }
    }

    /// A word for it that no other task of the same verify has.
    #[must_use]
    pub fn word(self) -> String {
        match self {
            Self::Target { service, segment } => format!("target-{service:04}-{segment:07}"),
            Self::Source { segment } => format!("source-{segment:07}"),
            Self::Range { range } => format!("range-{range:07}"),
            Self::Sum => "sum".into(),
        }
    }
}

/// A task that a process has, had, or has done. A task without a record was never taken.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VerifyTaskRecord {
    /// The task.
    pub task: VerifyTask,
    /// The process that works on it.
    pub lease: Lease,
    /// Raised with each renewal.
    pub beat: u64,
    /// What came of it, once it is done. Nothing that a process wrote for a task counts unless it is named here.
    pub done: Option<StoredRef>,
}

impl VerifyTaskRecord {
    /// The beginning of the names of these records.
    pub const PREFIX: &'static str = "VERIFYTASK#";

    /// A task that nobody has taken.
    #[must_use]
    pub fn new(task: VerifyTask) -> Self {
        Self {
            task,
            lease: Lease::unheld(),
            beat: 0,
            done: None,
        }
    }

    /// The beginning of the names of all tasks of a verify.
    #[must_use]
    pub fn all(id: &str) -> String {
        format!("{}{id}#", Self::PREFIX)
    }

    /// The beginning of the names of the tasks of a phase.
    #[must_use]
    pub fn of_phase(id: &str, phase: VerifyPhase) -> String {
        let word = match phase {
            VerifyPhase::Targets => "target-",
            VerifyPhase::Source => "source-",
            VerifyPhase::Compare => "range-",
            VerifyPhase::Sum => "sum",
        };
        format!("{}{word}", Self::all(id))
    }

    /// Name of the record of a task.
    #[must_use]
    pub fn record_name(id: &str, task: VerifyTask) -> String {
        format!("{}{}", Self::all(id), task.word())
    }
}

/// How far the tasks of a phase are, as their records show it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PhaseProgress {
    /// Tasks that are done.
    pub done: usize,
    /// All tasks.
    pub all: usize,
    /// Owners of leases of the others. Some may be dead.
    pub owners: BTreeSet<String>,
}

impl PhaseProgress {
    /// Of a phase, by the records of its tasks.
    #[must_use]
    pub fn of<'a>(
        verify: &SharedVerifyRecord,
        phase: VerifyPhase,
        records: impl IntoIterator<Item = &'a VerifyTaskRecord>,
    ) -> Self {
        let mut progress = Self {
            all: verify.tasks(phase).len(),
            ..Self::default()
        };
        for record in records.into_iter().filter(|record| record.task.phase() == phase) {
            if record.done.is_some() {
                progress.done += 1;
            } else if let Some(owner) = &record.lease.owner {
                progress.owners.insert(owner.to_string());
            }
        }
        progress
    }

    /// Whether every task is done.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.done == self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Owner;
    use std::time::Duration;

    fn verify() -> SharedVerifyRecord {
        SharedVerifyRecord {
            name: "nightly".into(),
            id: "1f".into(),
            began_ms: 1,
            services: vec!["a".into(), "b".into()],
            segments: 3,
            ranges: 2,
            terms: VerifyTerms {
                asked: None,
                anyway: false,
                patience_ms: None,
                segments: None,
                plan: vec!["x".into()],
                folder: "s3://b/".into(),
                switches: KnownSwitches::default(),
            },
            beginning: StoredRef {
                key: "k".into(),
                etag: "e".into(),
            },
            former: None,
            end: None,
        }
    }

    #[test]
    fn every_task_has_a_record_of_its_own_in_the_names_of_its_phase() {
        let verify = verify();
        let mut names = BTreeSet::new();
        for phase in SharedVerifyRecord::PHASES {
            for task in verify.tasks(phase) {
                let name = VerifyTaskRecord::record_name(&verify.id, task);
                assert_eq!(task.phase(), phase);
                for other in SharedVerifyRecord::PHASES {
                    let is_in = name.starts_with(&VerifyTaskRecord::of_phase(&verify.id, other));
                    assert_eq!(is_in, other == phase, "{name} and {other:?}");
                }
                assert!(names.insert(name));
            }
        }
        assert_eq!(names.len(), 2 * 3 + 3 + 2 + 1);
    }

    #[test]
    fn a_phase_is_complete_when_every_task_is_done() {
        let verify = verify();
        let mut records: Vec<_> = (0..3)
            .map(|segment| VerifyTaskRecord::new(VerifyTask::Source { segment }))
            .collect();
        let of = |records: &[VerifyTaskRecord]| PhaseProgress::of(&verify, VerifyPhase::Source, records);
        records[2].lease = Lease::held_by(&Owner("p".into()), Duration::from_secs(1));
        let progress = of(&records);
        assert_eq!((progress.done, progress.all, progress.owners.len()), (0, 3, 1));
        for record in &mut records[..2] {
            record.done = Some(verify.beginning.clone());
        }
        assert!(!of(&records).is_complete() && !of(&records[..2]).is_complete());
        // Its lease is given back only after that, and nobody takes it any more.
        records[2].done = Some(verify.beginning.clone());
        assert!(of(&records).is_complete() && of(&records).owners.is_empty());
        let other = [VerifyTaskRecord::new(VerifyTask::Range { range: 0 })];
        assert_eq!(of(&other).done, 0);
    }
}
