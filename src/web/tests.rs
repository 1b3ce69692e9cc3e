//! The metrics of a split that has everything.

use super::figures::{of_process, of_split};
use super::metrics::ALL;
use super::prometheus;
use super::samples::Samples;
use crate::state::{BackfillRecord, LateChanges, Limit, Order, ShardRecord, VerifyRecord, VerifyService};
use crate::status::{
    EventsPhase, EventsStatus, FillStatus, LaneStatus, LedgerStatus, LimitStatus, Obstacle, ObstacleKind,
    Phase, SplitStatus,
};
use std::collections::BTreeSet;

/// A split of which every part has something to tell.
pub(super) fn full() -> SplitStatus {
    let lane = LaneStatus {
        lane: "orders".into(),
        lag_ms: Some(90_000),
        shown_lag_ms: Some(30_000),
        open_shards: 2,
        checkpoint_age_ms: Some(1500),
        ..LaneStatus::default()
    };
    let late = LateChanges {
        switched_ms: 1,
        count: 3,
        last_ms: 2,
    };
    let watch = LaneStatus {
        lane: ShardRecord::WATCH.into(),
        late: [("carts".to_owned(), late)].into(),
        ..lane.clone()
    };
    let verify = VerifyRecord {
        started_ms: 1000,
        ended_ms: 5000,
        clean: false,
        repaired: 0,
        services: [(
            "orders".to_owned(),
            VerifyService {
                mismatches: [("missing".to_owned(), 7)].into(),
                ..VerifyService::default()
            },
        )]
        .into(),
        unrouted: 0,
        repairs: 0,
        repaired_for: None,
        places: None,
        last_clean_ms: None,
        received: None,
    };
    let limit = Limit::held_up(
        "reading the stream: throttled: TableWriteKeyRangeThroughputExceeded (arn:aws:dynamodb:::table/Secret)".into(),
    );
    SplitStatus {
        backfill_record: Some(BackfillRecord {
            segments: 4,
            services: vec!["orders".into()],
            round: vec!["orders".into()],
            started_ms: 10,
            before_ms: None,
            finished_ms: None,
            estimated_items: 100,
            order: Order::Concurrent,
            order_reason: String::new(),
            export: None,
            import: None,
        }),
        backfill: vec![FillStatus {
            lane: "orders".into(),
            segments: 4,
            segments_done: 1,
            ..FillStatus::default()
        }],
        dead_letters: [("orders".to_owned(), 2)].into(),
        events: vec![EventsStatus {
            service: "orders".into(),
            destination: "the queue arn:aws:sqs:::orders".into(),
            state: EventsPhase::Sending,
            lag_ms: Some(2000),
            sent: Some(7),
            dead_letters: 1,
            gap: None,
            blocked: None,
            time_left_ms: Some(80_000),
        }],
        ledger: Some(LedgerStatus {
            place: "s3://b/p/".into(),
            lag_ms: Some(7_000),
            records: 9,
            gap: None,
            blocked: None,
            time_left_ms: Some(80_000),
            lanes: Vec::new(),
        }),
        verify: Some(verify),
        read_ms: 65_000,
        limits: vec![LimitStatus {
            command: "replicate".into(),
            of: "orders".into(),
            text: limit.to_string(),
            limit,
            age_ms: 5,
        }],
        obstacles: vec![Obstacle {
            services: Vec::new(),
            kind: ObstacleKind::NoWorker,
            service: None,
            what: "a secret".into(),
            next: "a secret".into(),
        }],
        ..SplitStatus::sample(Phase::CatchingUp, vec![lane, watch])
    }
}

fn text(status: &SplitStatus) -> String {
    let mut samples = Samples::default();
    of_process(&mut samples, true, Some(250));
    of_split(&mut samples, status);
    prometheus::text(&samples)
}

#[test]
fn every_metric_is_reported() {
    let text = text(&full());
    for metric in ALL {
        let type_line = format!("# TYPE {} {}\n", metric.name, metric.kind);
        assert_eq!(text.matches(&type_line).count(), 1, "{}\n{text}", metric.name);
    }
}

#[test]
fn the_figures_are_those_of_the_status() {
    let text = text(&full());
    for line in [
        r#"dynasplit_stream_time_left_seconds{split="split",lane="orders"} 86310"#,
        r#"dynasplit_lane_lag_seconds{split="split",lane="orders"} 30"#,
        r#"dynasplit_lane_checkpoint_age_seconds{split="split",lane="orders"} 1.5"#,
        r#"dynasplit_changes_after_switch{split="split",service="carts"} 3"#,
        r#"dynasplit_verify_age_seconds{split="split"} 60"#,
        r#"dynasplit_verify_mismatches{split="split",service="orders",class="missing"} 7"#,
        r#"dynasplit_obstacles{split="split",kind="no-worker"} 1"#,
        r#"dynasplit_workers{split="split",kind="tail",state="alive"} 1"#,
        r#"dynasplit_phase{split="split",phase="catching-up"} 1"#,
        r#"dynasplit_limit{split="split",command="replicate",part="orders",by="throttled",reason="TableWriteKeyRangeThroughputExceeded"} 1"#,
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line}\nis missing in\n{text}"
        );
    }
    // Texts for people may name resources and keys.
    assert!(!text.to_lowercase().contains("secret"), "{text}");
}

#[test]
fn a_lane_without_work_has_no_time_left_to_lose() {
    let mut status = full();
    for lane in &mut status.lanes {
        lane.open_shards = 0;
    }
    assert!(!text(&status).contains("dynasplit_stream_time_left"), "drained");
    let mut late = full();
    late.lanes[0].lag_ms = Some(30 * 3_600_000);
    let text = text(&late);
    assert!(
        text.contains("dynasplit_stream_time_left_seconds{split=\"split\",lane=\"orders\"} 0\n"),
        "{text}"
    );
}

#[test]
fn no_sample_comes_twice() {
    let text = text(&full());
    let names: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' ').map(|(name, _)| name))
        .collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{text}");
}

#[test]
fn names_follow_the_rules_of_prometheus() {
    let mut names = BTreeSet::new();
    for metric in ALL {
        assert!(names.insert(metric.name), "{} is there twice", metric.name);
        let is_counter = metric.kind == super::metrics::MetricKind::Counter;
        assert_eq!(metric.name.ends_with("_total"), is_counter, "{}", metric.name);
        assert_eq!(
            metric.name.contains("_seconds"),
            metric.unit == "seconds",
            "{}",
            metric.name
        );
        assert!(
            metric.help.ends_with('.') && !metric.help.contains('\n'),
            "{}",
            metric.name
        );
    }
}
