//! Budgets and numbers of workers that are tuned while the split runs. Pure.

use super::error::StateError;
use super::store::Store;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A bound that replaces the bound of the command-line option.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// No bound, whatever the options say.
    None,
    /// So many thousandths of a unit a second.
    MilliunitsPerSecond(u64),
}

impl Bound {
    /// Of units a second.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates, and is not negative
    pub fn units(per_second: f64) -> Self {
        Self::MilliunitsPerSecond(((per_second * 1000.0).round() as u64).max(1))
    }

    /// Units per second, for each of this many processes that share them equally.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // a rate
    pub fn share_of(self, processes: u32) -> Option<f64> {
        match self {
            Self::None => None,
            Self::MilliunitsPerSecond(milliunits) => {
                Some(milliunits as f64 / 1000.0 / f64::from(processes.max(1)))
            }
        }
    }
}

/// The tuned bounds. A split that was never tuned, or that an older version began, has no such record. If a field is
/// missing, the command-line option applies. Set by `dynasplit tune`; persisted.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TuningRecord {
    /// Of reads of a table.
    pub reads: Option<Bound>,
    /// Of writes to each service's table.
    pub writes: Option<Bound>,
    /// Of writes to the table of a service, in the place of `writes`.
    pub services: BTreeMap<String, Bound>,
    /// Segments that each process of a backfill works on at once.
    pub workers: Option<u16>,
    /// When it was last changed, in milliseconds since 1970.
    pub changed_ms: Option<u64>,
}

/// The change of a setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Turn<T> {
    /// It does not change.
    #[default]
    Stay,
    /// It is as the commands' options say again.
    Options,
    /// It is this from now on.
    To(T),
}

impl<T: Copy> Turn<T> {
    fn of(self, setting: Option<T>) -> Option<T> {
        match self {
            Self::Stay => setting,
            Self::Options => None,
            Self::To(value) => Some(value),
        }
    }
}

/// A change of the tuned bounds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TuningChange {
    /// First, everything is as the commands' options say again.
    pub reset: bool,
    /// Of reads of a table.
    pub reads: Turn<Bound>,
    /// Of writes to each service's table.
    pub writes: Turn<Bound>,
    /// Of writes to the table of a service.
    pub services: BTreeMap<String, Turn<Bound>>,
    /// Segments at once.
    pub workers: Turn<u16>,
}

impl TuningChange {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl TuningRecord {
    /// Name of the record.
    pub const NAME: &'static str = "TUNING";

    /// The present tuned bounds.
    ///
    /// # Errors
    /// If the state can't be read.
    pub async fn read(store: &Store) -> Result<Self, StateError> {
        let found = store.get::<Self>(Self::NAME).await?;
        Ok(found.map_or_else(Self::default, |stored| stored.value))
    }

    /// Whether anything is tuned.
    #[must_use]
    pub fn is_tuned(&self) -> bool {
        self.reads.is_some() || self.writes.is_some() || !self.services.is_empty() || self.workers.is_some()
    }

    /// After a change.
    #[must_use]
    pub fn changed(&self, change: &TuningChange, now_ms: u64) -> Self {
        let before = if change.reset {
            Self::default()
        } else {
            self.clone()
        };
        let mut services = before.services;
        for (service, turn) in &change.services {
            match turn.of(services.remove(service)) {
                Some(bound) => services.insert(service.clone(), bound),
                None => None,
            };
        }
        Self {
            reads: change.reads.of(before.reads),
            writes: change.writes.of(before.writes),
            services,
            workers: change.workers.of(before.workers),
            changed_ms: Some(now_ms),
        }
    }

    /// Read units per second on a table, for one of this many processes whose option says `option`.
    #[must_use]
    pub fn read_units(&self, option: Option<f64>, processes: u32) -> Option<f64> {
        self.reads.map_or(option, |bound| bound.share_of(processes))
    }

    /// The same for write units on a service's table.
    #[must_use]
    pub fn write_units(&self, service: &str, option: Option<f64>, processes: u32) -> Option<f64> {
        let bound = self.services.get(service).copied().or(self.writes);
        bound.map_or(option, |bound| bound.share_of(processes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(turn: Turn<Bound>) -> TuningChange {
        TuningChange {
            services: [("Content".to_owned(), turn)].into(),
            ..TuningChange::default()
        }
    }

    #[test]
    fn what_was_never_tuned_is_as_the_options_say() {
        let record: TuningRecord = serde_json::from_str("{}").unwrap();
        assert_eq!(record, TuningRecord::default());
        assert!(!record.is_tuned());
        assert_eq!(
            record.read_units(Some(5.0), 3),
            Some(5.0),
            "an option is of one process"
        );
        assert_eq!(record.write_units("Content", None, 3), None);
    }

    #[test]
    fn what_is_tuned_wins_over_the_options_and_is_shared_by_the_processes() {
        let change = TuningChange {
            reads: Turn::To(Bound::None),
            writes: Turn::To(Bound::units(500.0)),
            ..service(Turn::To(Bound::units(90.0)))
        };
        let record = TuningRecord::default().changed(&change, 7);
        assert_eq!(record.changed_ms, Some(7));
        assert_eq!(record.read_units(Some(5.0), 2), None, "the bound is lifted");
        assert_eq!(record.write_units("Progress", Some(5.0), 2), Some(250.0));
        assert_eq!(record.write_units("Content", Some(5.0), 3), Some(30.0));
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<TuningRecord>(&text).unwrap(), record);
    }

    #[test]
    fn a_change_leaves_the_rest_as_it_was() {
        let first = TuningChange {
            writes: Turn::To(Bound::units(500.0)),
            workers: Turn::To(8),
            ..service(Turn::To(Bound::None))
        };
        let record = TuningRecord::default().changed(&first, 1);
        let second = TuningChange {
            writes: Turn::Options,
            ..TuningChange::default()
        };
        let record = record.changed(&second, 2);
        assert_eq!((record.writes, record.workers), (None, Some(8)));
        assert_eq!(record.write_units("Content", Some(1.0), 1), None);
        assert_eq!(record.write_units("Progress", Some(1.0), 1), Some(1.0));
        let record = record.changed(&service(Turn::Options), 3);
        assert!(record.services.is_empty());
        let reset = TuningChange {
            reset: true,
            reads: Turn::To(Bound::units(1.0)),
            ..TuningChange::default()
        };
        let record = record.changed(&reset, 4);
        assert_eq!((record.reads, record.workers), (Some(Bound::units(1.0)), None));
    }

    #[test]
    fn no_bound_is_so_small_that_nothing_moves() {
        assert_eq!(Bound::units(0.000_01), Bound::MilliunitsPerSecond(1));
        assert_eq!(Bound::units(12.5).share_of(0), Some(12.5));
    }
}
