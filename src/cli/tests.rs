//! The reports of the commands fit narrow terminals, with long names, large figures and many services: no line is wider
//! than the terminal, and no figure, unit, name or reason is cut.

use super::wrapping::at;
use super::{
    abandon, apply, backfill, complete, dead_letters, rehearse, replicate, status, switched, tune, verify,
    wait,
};
use crate::backfill::BackfillReport;
use crate::lifecycle::{AbandonedThing, AppliedTable, ApplyReport, CompleteReport, SwitchReport};
use crate::model::Counters;
use crate::rehearse::writers::WriterReport;
use crate::rehearse::{ImportRehearsal, ImportedService, LedgerRehearsal, RehearseReport};
use crate::repair::SettledDeadLetter;
use crate::state::{
    Attempt, Attempts, Bound, DeadLetterHead, Limit, ShardRecord, TombstonePhase, Tombstones, TuningRecord,
};
use crate::status::{
    Condition, DeadLetterCauses, FillStatus, LaneStatus, LimitStatus, Obstacle, ObstacleKind, Phase,
    SplitStatus,
};
use crate::tail::Ended;
use crate::target::{Difference, HELD, TargetError};
use crate::verify::compare::{ClassCounts, Report, ServiceReport};
use crate::verify::{InvalidItem, VerifyResult};
use crate::worker::Tuned;
use std::collections::BTreeMap;

const WIDTHS: [usize; 3] = [60, 80, 120];
const HUGE: u64 = 123_456_789_012;
const REASON: &str =
    "throttled: TableWriteProvisionedThroughputExceeded of the table, 1,234.5 units/s for 12.5 s";

/// Twenty names, one of them of 60 characters.
fn names() -> Vec<String> {
    let long = format!("service-{}", "with-a-long-name-".repeat(4));
    let mut names: Vec<String> = (0..19).map(|n| format!("service-{n}")).collect();
    names.push(long[..60].to_owned());
    names
}

fn table() -> String {
    format!("a-table-{}", "with-a-long-name-".repeat(20))[..255].to_owned()
}

fn counters() -> Counters {
    Counters {
        seen: HUGE,
        put: HUGE - 1,
        removed: HUGE - 2,
        superseded: HUGE - 3,
        unchanged: HUGE - 4,
        write_milliunits: HUGE * 1000,
        estimated_write_milliunits: 1,
        ..Counters::default()
    }
}

fn lanes() -> Vec<LaneStatus> {
    let lane = |(n, lane): (usize, String)| LaneStatus {
        lane,
        lag_ms: Some(11_100_000),
        shown_lag_ms: Some(11_100_000),
        open_shards: 1,
        dead_letters: HUGE,
        gap: (n == 3).then(|| REASON.to_owned()),
        blocked: (n == 19).then(|| REASON.to_owned()),
        counters: counters(),
        ..LaneStatus::default()
    };
    names().into_iter().enumerate().map(lane).collect()
}

fn fills() -> Vec<FillStatus> {
    let fill = |lane| FillStatus {
        lane,
        segments: 1_000_000,
        segments_done: 999_999,
        dead_letters: HUGE,
        counters: counters(),
    };
    names().into_iter().map(fill).collect()
}

/// Without spaces and line breaks, so that wrapped text is whole again.
fn joined(text: &str) -> String {
    text.split_whitespace().collect()
}

/// Renders at each width, and looks for everything that must be there.
fn holds(what: &str, render: impl Fn() -> String, wanted: &[&str]) {
    for width in WIDTHS {
        let (rendered, text) = at(width, &render);
        for line in rendered.lines().filter(|line| !line.starts_with("  invalid")) {
            let is_row = line.trim().contains("  ");
            assert!(
                !is_row || console::measure_text_width(line) <= width,
                "{what} at {width}: a row of a table does not fit: {line:?}"
            );
        }
        for line in text.lines() {
            let wide = console::measure_text_width(line);
            assert!(
                wide <= width,
                "{what} at {width}: {wide} columns in {line:?}\n{text}"
            );
        }
        assert!(!text.contains('…'), "{what} at {width}: something is cut\n{text}");
        let whole = joined(&text);
        for each in wanted {
            assert!(
                whole.contains(&joined(each)),
                "{what} at {width} lacks {each:?}\n{text}"
            );
        }
    }
}

fn split_status() -> SplitStatus {
    let obstacle = |kind, what: String| Obstacle {
        services: Vec::new(),
        kind,
        service: None,
        what,
        next: "run `dynasplit verify --repair`, then `dynasplit verify`".into(),
    };
    SplitStatus {
        split: "s".repeat(100),
        backfill: fills(),
        scanned: HUGE,
        read_milliunits: HUGE,
        backfill_blocked: [REASON.to_owned()].into(),
        switched: names().into_iter().map(|name| (name, 1)).collect(),
        obstacles: vec![
            obstacle(
                ObstacleKind::Gap,
                format!("gap in {}: {REASON}", names().join(", ")),
            ),
            obstacle(ObstacleKind::NotVerified, format!("{} was not verified", table())),
        ],
        next: "run `dynasplit replicate --restart-tail`".into(),
        ..SplitStatus::sample(Phase::Backfilling, lanes())
    }
}

#[test]
fn the_status_fits() {
    let long = names().pop().unwrap();
    let wanted = [
        &*long,
        REASON,
        "3h 5m",
        "123,456,789,012",
        "`dynasplit verify --repair`",
    ];
    holds("status", || status::render(&split_status()), &wanted);
}

#[test]
fn a_backfill_fits() {
    let report = BackfillReport {
        scanned: HUGE,
        read_milliunits: HUGE,
        lanes: fills(),
        swept: names().into_iter().map(|name| (name, HUGE)).collect(),
        written_singly: [(names()[0].clone(), REASON.to_owned())].into(),
        order_reason: format!("bulk: about 12 min ({REASON})"),
        ..BackfillReport::default()
    };
    let long = names().pop().unwrap();
    let wanted = [
        &*long,
        REASON,
        "~123,456,789,012",
        "123,456,789,009",
        "123,456,789 read units",
    ];
    holds("backfill", || backfill::render(&report, false, "wait"), &wanted);
    let (told, _) = at(80, || backfill::render(&report, true, "wait"));
    assert!(!told.contains("about 12 min"), "told twice: {told}");
}

#[test]
fn a_verify_fits() {
    let service = |name: String| ServiceReport {
        expected: HUGE,
        found: HUGE,
        changed: HUGE,
        tombstones: HUGE,
        unsettled: HUGE,
        invalid: HUGE,
        mismatches: ClassCounts {
            missing: HUGE,
            extra: HUGE,
            different: HUGE,
            misrouted: HUGE,
            collision: HUGE,
            expired: HUGE,
        },
        ..ServiceReport::new(name)
    };
    let result = VerifyResult {
        report: Report {
            services: names().into_iter().map(service).collect(),
        },
        total_mismatches: HUGE,
        invalid: vec![InvalidItem {
            service: names()[19].clone(),
            source_key: serde_json::json!({"PK": {"S": "USER#".repeat(30)}}),
            reason: REASON.into(),
        }],
        notes: vec![REASON.into()],
        ..VerifyResult::default()
    };
    let long = names().pop().unwrap();
    let wanted = [
        &*long,
        REASON,
        "123,456,789,012 misrouted",
        "123,456,789,012 expired",
        "617,283,945,060",
    ];
    holds("verify", || verify::render(&result), &wanted);
}

#[test]
fn a_rehearsal_fits() {
    let report = RehearseReport {
        cutover: None,
        split: "s".into(),
        engine: format!("http://{}", "host.".repeat(30)),
        seed: u64::MAX,
        loaded: HUGE,
        writes: WriterReport::default(),
        backfill: BackfillReport {
            lanes: fills(),
            ..BackfillReport::default()
        },
        lanes: lanes(),
        most_lag_ms: names().into_iter().map(|name| (name, 11_100_000)).collect(),
        catch_up_ms: 850,
        verify: VerifyResult::default(),
        dead_letters: [(names()[19].clone(), HUGE)].into(),
        chaos: None,
        import: Some(ImportRehearsal {
            items: HUGE,
            bytes: 345_600_000,
            services: [(names()[19].clone(), ImportedService::default())].into(),
            given_up: Some(REASON.into()),
            ..ImportRehearsal::default()
        }),
        ledger: Some(LedgerRehearsal {
            service: names()[19].clone(),
            outage_ms: 604_800_000,
            forgotten: HUGE,
            wrong: vec![REASON.into()],
            ..LedgerRehearsal::default()
        }),
        stand_ins: vec![REASON.into()],
        seconds: 1000.0,
        clean: false,
    };
    let long = names().pop().unwrap();
    holds(
        "rehearse",
        || rehearse::render(&report),
        &[
            &*long,
            "3h 5m",
            "18446744073709551615",
            "850 ms",
            "329.6 MB",
            "forgotten 123,456,789,012",
            "stand-in for",
            REASON,
        ],
    );
}

#[test]
fn tables_of_names_fit() {
    let (long, table) = (names().pop().unwrap(), table());
    let things = [AbandonedThing {
        what: long.clone(),
        table: table.clone(),
        outcome: "is kept (--delete-targets)".into(),
    }];
    holds(
        "abandon",
        || abandon::render(&things),
        &[&long, &table, "is kept (--delete-targets)"],
    );
    let applied = ApplyReport {
        state_table: table.clone(),
        state_created: true,
        stream: "arn".into(),
        stream_enabled: true,
        widened: None,
        ledger: None,
        tables: vec![AppliedTable {
            service: long.clone(),
            table: table.clone(),
            created: true,
            awaits_import: false,
            added: vec!["an index".into()],
            notes: vec![REASON.into()],
        }],
    };
    holds(
        "apply",
        || apply::render(&applied, "wait"),
        &[&long, &table, REASON, "created"],
    );
    let settled = [SettledDeadLetter {
        id: "0123456789abcdef".into(),
        service: long.clone(),
        settled: false,
        outcome: REASON.into(),
    }];
    holds(
        "reconcile",
        || dead_letters::render_settled(&settled),
        &["0123456789abcdef", REASON],
    );
    let head = DeadLetterHead {
        id: "0123456789abcdef".into(),
        service: long.clone(),
        key: serde_json::json!({"PK": {"S": "USER#".repeat(30)}}),
        reason: REASON.into(),
        origin: "verify".into(),
        at_ms: 1,
        parts: 1,
        writing: 1,
        attempts: (0..3).fold(Attempts::default(), |all, at_ms| {
            all.and(Attempt {
                at_ms,
                origin: "verify".into(),
                reason: REASON.into(),
            })
        }),
        damage: None,
    };
    let key = "USER#".repeat(30);
    let listed = [dead_letters::Listed::of(&head)];
    holds(
        "dead-letters",
        || dead_letters::render_list(&listed, &BTreeMap::new(), DeadLetterCauses::default()),
        &[&key, REASON],
    );
    let mut now = TuningRecord::default();
    now.services
        .insert(long.clone(), Bound::MilliunitsPerSecond(HUGE));
    let tuned = Tuned {
        was: TuningRecord::default(),
        now,
    };
    holds("tune", || tune::render(&tuned, true), &[&long, "123456789.012/s"]);
}

#[test]
fn the_reports_of_the_last_steps_fit() {
    let (long, table) = (names().pop().unwrap(), table());
    // A command that is wider than the terminal is left to the terminal, so that it can be copied.
    let (service, part) = (&long[..40], &long[..20]);
    let switch = |switched_ms, already| SwitchReport {
        service: service.to_owned(),
        table: table.clone(),
        switched_ms,
        verified_ms: None,
        already,
        overridden: vec![REASON.into()],
    };
    for (switched_ms, already) in [(Some(1), false), (Some(1), true), (None, false), (None, true)] {
        let report = switch(switched_ms, already);
        holds(
            "switched",
            || switched::render(&report, &report.next()),
            &[part, REASON],
        );
    }
    let completed = CompleteReport {
        source_at_rest: Some(REASON.into()),
        stripped: names().into_iter().map(|name| (name, HUGE)).collect(),
        ttl: [(table.clone(), "expiresAt".to_owned())].into(),
        notes: vec![REASON.into()],
        already_completed: false,
    };
    let wanted = [&*long, &table, REASON, "stripped 123,456,789,012 items"];
    holds("complete", || complete::render(&completed), &wanted);
    let waited = wait::Report {
        condition: Condition::Verified,
        holds: false,
        waited_ms: 11_100_000,
        missing: names()
            .iter()
            .map(|name| format!("the lane '{name}' is 3h 5m behind ({REASON})"))
            .collect(),
    };
    holds("wait", || wait::render(&waited), &[&*long, REASON, "after 3h 5m"]);
    let followed = replicate::Report {
        ended: "completed",
        lanes: lanes(),
    };
    for ended in [Ended::Completed, Ended::Stopped, Ended::Drained] {
        let wanted = [&*long, REASON, "123,456,789,012"];
        holds("replicate", || replicate::render(&followed, ended), &wanted);
    }
}

#[test]
fn the_differences_of_a_table_fit() {
    // A table's name stands between backticks and is left whole, so that it can be copied.
    let name = &table()[..40];
    let error = TargetError::Differs {
        table: name.to_owned(),
        differences: vec![Difference {
            what: "global index by-customer-and-time".into(),
            planned: format!("customerId (S), updatedAt (S), {REASON}"),
            actual: "none".into(),
        }],
        adopted: false,
    };
    holds("apply", || error.to_string(), &[name, REASON, "actual none"]);
}

#[test]
fn the_hold_of_a_bulk_copy_is_told_once() {
    let mut status = split_status();
    for lane in &mut status.lanes {
        (lane.gap, lane.blocked) = (None, Some(HELD.to_owned()));
    }
    let switch = Tombstones {
        phase: TombstonePhase::Held,
        epoch: 1,
    };
    status.tombstones.insert("Content".into(), switch);
    let limit = |lane: &LaneStatus| LimitStatus {
        command: "replicate".into(),
        of: lane.lane.clone(),
        limit: Limit::Held,
        text: Limit::Held.to_string(),
        age_ms: 1,
    };
    status.limits = status.lanes.iter().map(limit).collect();
    status.obstacles = vec![Obstacle {
        services: Vec::new(),
        kind: ObstacleKind::LanesHeld,
        service: None,
        what: "a bulk copy holds the lanes".into(),
        next: "wait".into(),
    }];
    let (told, _) = at(80, || status::render(&status));
    assert_eq!(told.matches("bulk copy").count(), 1, "{told}");
    assert!(!told.contains("idle"), "{told}");
}

#[test]
fn every_open_dead_letter_is_in_the_table_and_explains_the_exit_code() {
    let watch = FillStatus {
        lane: ShardRecord::WATCH.into(),
        dead_letters: 1234,
        ..FillStatus::default()
    };
    let report = BackfillReport {
        lanes: vec![watch],
        ..BackfillReport::default()
    };
    let (told, _) = at(80, || backfill::render(&report, true, "wait"));
    let row = told.lines().find(|line| line.starts_with(ShardRecord::WATCH));
    let cells: Vec<&str> = row.expect("its row").split_whitespace().collect();
    assert_eq!(cells, [ShardRecord::WATCH, "-", "-", "1,234", "-", "-"]);
    assert!(
        told.contains("1,234 dead letters of the backfill are open, so the exit code is 3"),
        "{told}"
    );
}
