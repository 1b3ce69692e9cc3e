//! The present limit of this process, from what its parts measure: why requests fail, which tasks wait for which
//! budget, and how the rest of the time is spent.

use super::lane_status::LaneStatus;
use crate::dynamo::{AdaptiveReadRate, Budget, ConcurrencyLimit, Health, Load};
use crate::state::{ActivityRecord, Estimate, Limit, NotedLimits, NotedWait, SegmentRecord};
use crate::worker::ACTIVITY_FRESH_MS;
use serde::Serialize;
use std::collections::BTreeMap;

/// If nothing else is a limit, the limit is what is busy for this share of the time.
const BUSY: f64 = 0.5;

/// The limit of the writes to a table: a failure, their budget, or the throughput that the table showed.
pub(crate) fn of_writes(health: &Health, budget: &Budget, concurrency: &ConcurrencyLimit) -> Option<Limit> {
    health
        .blocked()
        .map(Limit::held_up)
        .or_else(|| budget.limits().map(Limit::write_budget))
        .or_else(|| {
            concurrency
                .reduced()
                .map(|at_once| Limit::Concurrency { at_once })
        })
}

/// The limit of the reads of a table.
pub(crate) fn of_reads(health: &Health, budget: &Budget, read_rate: &AdaptiveReadRate) -> Option<Limit> {
    health
        .blocked()
        .map(Limit::held_up)
        .or_else(|| read_rate.bound().map(Limit::gives_way))
        .or_else(|| budget.limits().map(Limit::read_budget))
}

/// The limit of a lane of the tail: the bulk copy that holds it, even if it has nothing to do; the stream that can't
/// be read, its table, its own writes, or the speed of the stream.
pub(crate) fn of_lane(
    is_held: bool,
    reading: (&Health, &Load),
    writing: (&Health, &Budget, &ConcurrencyLimit, &Load),
    at_once: u32,
) -> Limit {
    let (stream, full) = reading;
    let (table, budget, concurrency, busy) = writing;
    let held = is_held.then_some(Limit::Held);
    let unread = || stream.blocked().map(Limit::held_up);
    held.or_else(unread)
        .or_else(|| of_writes(table, budget, concurrency))
        .unwrap_or_else(|| {
            if busy.mean() >= BUSY {
                Limit::Writes { at_once }
            } else if full.mean() >= BUSY {
                Limit::StreamReads
            } else {
                Limit::Idle
            }
        })
}

/// The limit of a backfill: a failure of the source or of a table, or their budgets; if there is none of these, the
/// number of segments at once, with how they spend their time.
pub(crate) fn of_segments(
    source: Option<Limit>,
    services: impl Iterator<Item = (String, Limit)>,
    reading: &Load,
    writing: &Load,
) -> BTreeMap<String, Limit> {
    let mut limits: BTreeMap<String, Limit> = services.collect();
    limits.extend(source.map(|limit| (NotedLimits::SOURCE.to_owned(), limit)));
    let (reads, writes) = (reading.mean(), writing.mean());
    if limits.is_empty() && reads + writes >= BUSY {
        limits.insert(
            NotedLimits::SEGMENTS.to_owned(),
            Limit::Workers {
                at_once: whole(reads + writes).max(1),
                reading_percent: percent(reads / (reads + writes)),
            },
        );
    }
    limits
}

/// The limit of a part of a running command.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LimitStatus {
    /// `replicate`, `backfill`, `verify`, ...
    pub command: String,
    /// A service's name, `source`, or `segments`.
    pub of: String,
    /// The limit.
    #[serde(flatten)]
    pub limit: Limit,
    /// In words.
    pub text: String,
    /// Milliseconds since it was noted, by the clocks of both machines.
    pub age_ms: u64,
}

/// The activity of a running command.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ActivityStatus {
    /// `backfill`, `verify`, ...
    pub command: String,
    /// In a few words.
    pub phase: String,
    /// How fast it goes, and how much is left.
    pub estimate: Option<Estimate>,
    /// What it waits for; `None` if it works.
    pub waits_for: Option<NotedWait>,
    /// Milliseconds since it was noted, by the clocks of both machines.
    pub age_ms: u64,
}

/// The activities of the running commands, as they recorded them last.
pub(crate) fn activities(noted: &[ActivityRecord], now: u64) -> Vec<ActivityStatus> {
    let doing = news(noted, now).map(|activity| ActivityStatus {
        command: activity.command.clone(),
        phase: activity.phase.clone(),
        estimate: activity.estimate,
        waits_for: activity.waits_for.clone(),
        age_ms: now.saturating_sub(activity.limits.at_ms),
    });
    doing.collect()
}

/// Of commands that run still.
fn news(noted: &[ActivityRecord], now: u64) -> impl Iterator<Item = &ActivityRecord> {
    noted.iter().filter(move |activity| {
        !activity.phase.is_empty() && now.saturating_sub(activity.limits.at_ms) <= ACTIVITY_FRESH_MS
    })
}

/// The limits of the running commands, as they recorded them. Each limit of a part is reported once, with its last
/// state.
pub(crate) fn split_status(
    lanes: &[LaneStatus],
    segments: &[SegmentRecord],
    activities: &[ActivityRecord],
    now: u64,
) -> Vec<LimitStatus> {
    let told = |command: &str, of: &str, limit: &Limit, at_ms| LimitStatus {
        command: command.to_owned(),
        of: of.to_owned(),
        limit: limit.clone(),
        text: limit.to_string(),
        age_ms: now.saturating_sub(at_ms),
    };
    let tail = lanes.iter().filter_map(|lane| {
        let noted = lane.limit.as_ref()?;
        Some(told("replicate", &lane.lane, &noted.limit, noted.at_ms))
    });
    // Several segments of one process have the same limit; several processes may have different ones.
    let mut copying: BTreeMap<(&str, String), LimitStatus> = BTreeMap::new();
    let worked_on = segments.iter().filter(|segment| {
        segment.lease.owner.is_some() && segment.services.values().any(|progress| !progress.done)
    });
    for noted in worked_on.filter_map(|segment| segment.limits.as_ref()) {
        for (of, limit) in &noted.of {
            let told = told("backfill", of, limit, noted.at_ms);
            // The figures of one sort differ from moment to moment; the last one counts.
            let sort = match limit {
                Limit::Workers { .. } => String::new(),
                _ => told.text.clone(),
            };
            let known = copying.entry((of, sort)).or_insert_with(|| told.clone());
            if told.age_ms < known.age_ms {
                *known = told;
            }
        }
    }
    let copies = !copying.is_empty();
    // The segments say more than the command that works on them.
    let others = news(activities, now).filter(|activity| !(copies && activity.command == "backfill"));
    let others = others.flat_map(|activity| {
        let limits = activity.limits.of.iter();
        limits.map(|(of, limit)| told(&activity.command, of, limit, activity.limits.at_ms))
    });
    tail.chain(copying.into_values()).chain(others).collect()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a count of segments
fn whole(mean: f64) -> u32 {
    mean.round() as u32
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // from 0 to 100
fn percent(share: f64) -> u8 {
    (share * 100.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamo::{AccountLimit, Failure, FailureKind};
    use crate::state::{Lease, Order, Owner, SegmentService};
    use std::time::Duration;

    fn concurrency() -> ConcurrencyLimit {
        ConcurrencyLimit::new(Duration::from_secs(5), &AccountLimit::default())
    }

    fn busy() -> Load {
        let load = Load::default();
        load.set(4);
        // The mean is above the bar soon: four at once.
        std::thread::sleep(Duration::from_millis(900));
        load
    }

    #[tokio::test]
    async fn what_fails_is_named_before_a_budget_and_that_before_the_workers() {
        let (busy, calm, health) = (busy(), Load::default(), Health::default());
        let concurrency = concurrency();
        let none = || std::iter::empty();
        let workers = of_segments(None, none(), &busy, &calm);
        let named = workers.get(NotedLimits::SEGMENTS);
        assert!(
            matches!(named, Some(Limit::Workers { reading_percent, .. }) if *reading_percent > 95),
            "{workers:?}"
        );
        let source = of_segments(Some(Limit::read_budget(5.0)), none(), &busy, &calm);
        assert_eq!(source.len(), 1, "{source:?}");
        assert!(of_segments(None, none(), &calm, &calm).is_empty());
        health.block("throttled: X".into());
        assert!(matches!(
            of_writes(&health, &Budget::default(), &concurrency),
            Some(Limit::Throttled { .. })
        ));
        health.clear();
        assert_eq!(of_writes(&health, &Budget::default(), &concurrency), None);
        let read_rate = AdaptiveReadRate::default();
        let refused = Failure {
            kind: FailureKind::Throttled(vec!["TableReadProvisionedThroughputExceeded".into()]),
            action: "dynamodb:Scan".into(),
            resource: "t".into(),
            code: "ThrottlingException".into(),
            message: String::new(),
        };
        let reads = || of_reads(&health, &Budget::default(), &read_rate);
        assert_eq!(reads(), None);
        read_rate.ready(None).await.failed(&refused);
        assert!(matches!(reads(), Some(Limit::GivesWay { .. })), "{:?}", reads());
    }

    fn segment(segment: u32, owner: Option<&str>, at_ms: u64, limit: Limit) -> SegmentRecord {
        SegmentRecord {
            segment,
            lease: Lease {
                owner: owner.map(|owner| Owner(owner.into())),
                duration_ms: 1000,
                settled: false,
            },
            beat: 0,
            order: Order::Concurrent,
            services: [("Content".to_owned(), SegmentService::default())].into(),
            blocked: Vec::new(),
            limits: Some(NotedLimits {
                at_ms,
                of: [("Content".to_owned(), limit)].into(),
            }),
            scanned: 0,
            read_milliunits: 0,
        }
    }

    #[test]
    fn what_is_told_is_the_last_word_of_those_that_work() {
        let done = SegmentRecord {
            services: BTreeMap::new(),
            ..segment(5, Some("a"), 95, Limit::StreamReads)
        };
        let segments = [
            segment(0, Some("a"), 50, Limit::write_budget(5.0)),
            segment(1, Some("a"), 80, Limit::write_budget(5.0)),
            segment(2, Some("b"), 70, Limit::held_up("throttled: X".into())),
            segment(3, None, 90, Limit::read_budget(1.0)),
            done,
        ];
        let told = split_status(&[], &segments, &[], 100);
        let mut told: Vec<_> = told
            .iter()
            .map(|told| (told.text.as_str(), told.age_ms))
            .collect();
        told.sort_unstable();
        assert_eq!(told, [("throttled: X", 30), ("write budget (5 units/s)", 20)]);
    }

    #[test]
    fn a_command_is_told_of_while_it_runs_and_a_copy_by_its_segments() {
        let activity = |command: &str, phase: &str, at_ms| ActivityRecord {
            command: command.to_owned(),
            phase: phase.to_owned(),
            estimate: None,
            waits_for: (command == "verify").then(|| NotedWait {
                until: "every tail worker obeys".into(),
                at_most_ms: 35_000,
            }),
            limits: NotedLimits {
                at_ms,
                of: [("Content".to_owned(), Limit::read_budget(5.0))].into(),
            },
        };
        let now = ACTIVITY_FRESH_MS + 100;
        let noted = [
            activity("backfill", "copying", 100),
            activity("verify", "reading", 200),
            activity("complete", "stripping", 99),
            activity("dead-letters reconcile", "", now),
        ];
        let commands = |segments: &[SegmentRecord]| -> Vec<(String, u64)> {
            let told = split_status(&[], segments, &noted, now);
            told.into_iter().map(|told| (told.command, told.age_ms)).collect()
        };
        let (backfill, verify) = (
            ("backfill".to_owned(), ACTIVITY_FRESH_MS),
            ("verify".to_owned(), ACTIVITY_FRESH_MS - 100),
        );
        assert_eq!(commands(&[]), [backfill, verify.clone()]);
        let copied = segment(0, Some("a"), now - 7, Limit::write_budget(5.0));
        assert_eq!(commands(&[copied]), [("backfill".to_owned(), 7), verify]);
        let doing = activities(&noted, now);
        let phases: Vec<_> = doing.iter().map(|doing| doing.phase.as_str()).collect();
        assert_eq!(phases, ["copying", "reading"]);
        let waits: Vec<_> = doing.iter().map(|doing| doing.waits_for.is_some()).collect();
        assert_eq!(waits, [false, true]);
    }

    #[test]
    fn a_lane_that_writes_all_the_time_is_limited_by_its_writes() {
        let (busy, calm, health, free) = (busy(), Load::default(), Health::default(), Budget::default());
        let concurrency = concurrency();
        let lane = |held, full: &Load, writing: &Load| {
            of_lane(held, (&health, full), (&health, &free, &concurrency, writing), 32)
        };
        assert_eq!(lane(false, &busy, &busy), Limit::Writes { at_once: 32 });
        assert_eq!(lane(false, &busy, &calm), Limit::StreamReads);
        assert_eq!(lane(false, &calm, &calm), Limit::Idle);
        for load in [&busy, &calm] {
            assert_eq!(lane(true, load, load), Limit::Held, "whatever it has to do");
        }
        health.block("the hold until the bulk copy has landed".into());
        assert_eq!(lane(true, &calm, &calm), Limit::Held, "that is no failure");
    }
}
