//! The limit of a command at present, as one word with figures. Pure.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The limit of a lane, of the reads of the source, or of the segments of a backfill.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Limit {
    /// DynamoDB throttles, for this reason. Set by the code that sends requests; persisted, like all of them.
    Throttled {
        /// The reason as DynamoDB reports it.
        reason: String,
    },
    /// Requests fail otherwise, and are sent again.
    Failing {
        /// Why.
        reason: String,
    },
    /// A bulk copy holds the lane.
    Held,
    /// The table throttled, and its other users come first.
    GivesWay {
        /// Read units that are left to this process, in thousandths of a unit.
        milliunits_per_second: u64,
    },
    /// The table takes no more requests at once: it throttled, or answered late.
    #[serde(rename = "pace")]
    Concurrency {
        /// Requests at once.
        at_once: u32,
    },
    /// The budget of reads.
    ReadBudget {
        /// Of this process, in thousandths of a unit.
        milliunits_per_second: u64,
    },
    /// The budget of writes.
    WriteBudget {
        /// Of this process, in thousandths of a unit.
        milliunits_per_second: u64,
    },
    /// Writes are under way most of the time, and nothing holds them up: how long one takes, and how many go at once.
    Writes {
        /// So many at once, at most.
        at_once: u32,
    },
    /// The stream is read as fast as it answers.
    StreamReads,
    /// All segments that are worked on at once are busy, and nothing holds them up.
    Workers {
        /// Segments at once.
        at_once: u32,
        /// For how much of their time they wait for a page; for the rest they write.
        reading_percent: u8,
    },
    /// Nothing does: there is nothing to do.
    Idle,
    /// Something that a newer version knows.
    #[serde(other)]
    Unknown,
}

/// A limit, and when it was so.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Noted {
    /// In milliseconds since 1970, by the clock of the process that recorded it.
    pub at_ms: u64,
    /// The limit.
    #[serde(flatten)]
    pub limit: Limit,
}

/// The limits of a process that copies, with their time.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct NotedLimits {
    /// In milliseconds since 1970.
    pub at_ms: u64,
    /// The limits, by [`NotedLimits::SOURCE`], [`NotedLimits::SEGMENTS`], or the name of a service.
    pub of: BTreeMap<String, Limit>,
}

impl NotedLimits {
    /// The reads of the source.
    pub const SOURCE: &'static str = "source";
    /// All segments together.
    pub const SEGMENTS: &'static str = "segments";
}

impl Limit {
    /// Requests do not get through, for a reason as [`crate::dynamo::Failure::reason`] words it.
    #[must_use]
    pub fn held_up(reason: String) -> Self {
        if reason.contains("throttled: ") {
            Self::Throttled { reason }
        } else {
            Self::Failing { reason }
        }
    }

    /// DynamoDB's reason to throttle, without the resource; empty for another limit. There are a dozen reasons.
    #[must_use]
    pub fn throttling_reason(&self) -> &str {
        let Self::Throttled { reason } = self else {
            return "";
        };
        let from = reason.split("throttled: ").nth(1).unwrap_or_default();
        let end = from
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(from.len());
        &from[..end]
    }

    /// A budget of reads, in units a second.
    #[must_use]
    pub fn read_budget(per_second: f64) -> Self {
        Self::ReadBudget {
            milliunits_per_second: milliunits(per_second),
        }
    }

    /// A budget of writes, in units a second.
    #[must_use]
    pub fn write_budget(per_second: f64) -> Self {
        Self::WriteBudget {
            milliunits_per_second: milliunits(per_second),
        }
    }

    /// Reads that give way, to units a second.
    #[must_use]
    pub fn gives_way(per_second: f64) -> Self {
        Self::GivesWay {
            milliunits_per_second: milliunits(per_second),
        }
    }

    /// The limit to name if there are several: no progress comes before an intentional limit, and this comes before
    /// full speed.
    #[must_use]
    pub fn weight(&self) -> u8 {
        match self {
            Self::Held => 10,
            Self::Failing { .. } => 9,
            Self::Throttled { .. } => 8,
            Self::GivesWay { .. } => 7,
            Self::Concurrency { .. } => 6,
            Self::ReadBudget { .. } | Self::WriteBudget { .. } => 5,
            Self::Unknown => 4,
            Self::Writes { .. } => 3,
            Self::StreamReads => 2,
            Self::Workers { .. } => 1,
            Self::Idle => 0,
        }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a rate: small, and not negative
fn milliunits(per_second: f64) -> u64 {
    (per_second * 1000.0).round() as u64
}

impl fmt::Display for Limit {
    #[allow(clippy::cast_precision_loss)] // shown with few digits
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = |milliunits: &u64| *milliunits as f64 / 1000.0;
        match self {
            Self::Throttled { reason } | Self::Failing { reason } => f.write_str(reason),
            Self::Held => f.write_str("a bulk copy, which holds the lane until its last write has landed"),
            Self::GivesWay {
                milliunits_per_second,
            } => write!(
                f,
                "the adaptive read rate, which leaves units to other users of the table ({} units/s)",
                units(milliunits_per_second)
            ),
            Self::Concurrency { at_once } => {
                let requests = if *at_once == 1 { "request" } else { "requests" };
                write!(f, "the throughput of the table ({at_once} {requests} at once)")
            }
            Self::ReadBudget {
                milliunits_per_second,
            } => write!(f, "read budget ({} units/s)", units(milliunits_per_second)),
            Self::WriteBudget {
                milliunits_per_second,
            } => write!(f, "write budget ({} units/s)", units(milliunits_per_second)),
            Self::Writes { at_once } => write!(f, "writes ({at_once} at once)"),
            Self::StreamReads => f.write_str("reads of the stream"),
            Self::Workers {
                at_once,
                reading_percent,
            } => {
                let segments = if *at_once == 1 { "segment" } else { "segments" };
                write!(
                    f,
                    "workers ({at_once} {segments} at once, {reading_percent}% of the time reading)"
                )
            }
            Self::Idle => f.write_str("nothing, because it is idle"),
            Self::Unknown => f.write_str("a limit that this version of dynasplit does not know"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// JSON output and the state have this word, whatever the variant is called here.
    #[test]
    fn the_word_of_a_concurrency_limit_stays() {
        assert_eq!(
            serde_json::to_value(Limit::Concurrency { at_once: 3 }).unwrap(),
            serde_json::json!({ "by": "pace", "at_once": 3 })
        );
    }

    #[test]
    fn only_throttling_has_a_reason() {
        assert_eq!(Limit::Idle.throttling_reason(), "");
        assert_eq!(Limit::held_up("X: on Y".into()).throttling_reason(), "");
        let throttled = Limit::held_up("reading the stream: throttled: A, B (arn)".into());
        assert_eq!(throttled.throttling_reason(), "A");
    }

    #[test]
    fn a_limit_is_told_in_one_word_and_its_figures() {
        let throttled = Limit::held_up("throttled: TableWriteKeyRangeThroughputExceeded (arn)".into());
        assert!(matches!(throttled, Limit::Throttled { .. }));
        assert_eq!(
            Limit::held_up("reading the stream: throttled: X".into()).weight(),
            throttled.weight()
        );
        assert!(matches!(
            Limit::held_up("TimedOut: on X".into()),
            Limit::Failing { .. }
        ));
        assert_eq!(
            Limit::gives_way(64.5).to_string(),
            "the adaptive read rate, which leaves units to other users of the table (64.5 units/s)"
        );
        assert_eq!(
            Limit::Concurrency { at_once: 3 }.to_string(),
            "the throughput of the table (3 requests at once)"
        );
        assert_eq!(
            Limit::write_budget(500.0).to_string(),
            "write budget (500 units/s)"
        );
        assert_eq!(Limit::read_budget(12.5).to_string(), "read budget (12.5 units/s)");
        let workers = Limit::Workers {
            at_once: 4,
            reading_percent: 35,
        };
        assert_eq!(
            workers.to_string(),
            "workers (4 segments at once, 35% of the time reading)"
        );
    }

    #[test]
    fn limits_are_kept_and_those_of_newer_versions_do_no_harm() {
        for limit in [
            Limit::write_budget(7.0),
            Limit::Idle,
            Limit::Held,
            Limit::held_up("x".into()),
        ] {
            let noted = Noted { at_ms: 5, limit };
            let text = serde_json::to_string(&noted).unwrap();
            assert_eq!(serde_json::from_str::<Noted>(&text).unwrap(), noted, "{text}");
        }
        let newer = r#"{"at_ms":5,"by":"the-moon","phase":3}"#;
        let noted: Noted = serde_json::from_str(newer).unwrap();
        assert_eq!(noted.limit, Limit::Unknown);
    }
}
