//! The page of splits in all kinds of states: nothing is loaded, nothing of a user's is markup, and the parts agree.

use super::{Forecast, Moments, ServiceView, Standing, page, policy, spent};
use crate::plan::Prices;
use crate::state::{
    BackfillRecord, CutoverEvent, CutoverPhase, CutoverStep, Limit, Order, ShardRecord, VerifyRecord,
    VerifyService,
};
use crate::status::{
    ActivityStatus, CutoverStatus, EventsPhase, EventsStatus, FillStatus, HoldStatus, LaneStatus,
    LedgerStatus, LimitStatus, Obstacle, ObstacleKind, Phase, ReverseState, SplitStatus, Unnotified,
    chart_sample,
};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

const NOW: u64 = 1_796_000_000_000;

fn counters(put: u64) -> crate::model::Counters {
    crate::model::Counters {
        seen: put * 2,
        put,
        write_milliunits: put * 1500,
        left_behind: 3,
        ..crate::model::Counters::default()
    }
}

/// A cutover of which every part is told.
fn cutover(name: &str) -> CutoverStatus {
    let event = |step, at_ms| CutoverEvent {
        at_ms,
        epoch: 1,
        step,
        operator: name.to_owned(),
        what: name.to_owned(),
        output: None,
    };
    CutoverStatus {
        service: name.to_owned(),
        phase: CutoverPhase::Switched,
        epoch: 1,
        step: CutoverStep::Switched,
        step_ms_ago: 20_000,
        operator: name.to_owned(),
        running: false,
        pause_ms: Some(2500),
        paused: false,
        hold: Some(HoldStatus {
            operator: name.to_owned(),
            since_ms_ago: 1000,
        }),
        problem: Some(name.to_owned()),
        reverse: Some(ReverseState {
            complete_to_ms: Some(NOW - 4000),
            gap: Some(name.to_owned()),
            blocked: Some(name.to_owned()),
            carried_back: 12,
            ..ReverseState::default()
        }),
        events: vec![
            event(CutoverStep::Ready, NOW - 30_000),
            event(CutoverStep::Switched, NOW - 20_000),
        ],
        next: format!("watch {name}"),
    }
}

/// A split with services of these names, of which every part has something to tell.
fn standing(names: &[String]) -> Standing {
    let lane = |name: &str, put| LaneStatus {
        lane: name.to_owned(),
        lag_ms: Some(90_000),
        shown_lag_ms: Some(90_000),
        open_shards: 1,
        blocked: Some(format!("because of {name}")),
        counters: counters(put),
        ..LaneStatus::default()
    };
    let all = || names.iter().map(String::as_str).chain([ShardRecord::WATCH]);
    let limit = Limit::held_up("throttled: TableReadKeyRangeThroughputExceeded (arn)".into());
    let service = VerifyService {
        expected: 7,
        found: 6,
        mismatches: [("missing".to_owned(), 1)].into(),
        ..VerifyService::default()
    };
    let status = SplitStatus {
        backfill: all()
            .map(|name| FillStatus {
                lane: name.to_owned(),
                segments: 16,
                segments_done: 4,
                dead_letters: 0,
                counters: counters(1000),
            })
            .collect(),
        backfill_record: Some(BackfillRecord {
            segments: 16,
            services: names.to_vec(),
            round: names.to_vec(),
            started_ms: NOW - 3_600_000,
            before_ms: None,
            finished_ms: None,
            estimated_items: 8000,
            order: Order::Concurrent,
            order_reason: String::new(),
            export: None,
            import: None,
        }),
        scanned: 2000,
        read_milliunits: 500_000,
        backfill_blocked: [names[0].clone()].into(),
        running: vec![ActivityStatus {
            command: "backfill".into(),
            phase: names[0].clone(),
            estimate: None,
            waits_for: None,
            age_ms: 1,
        }],
        limits: vec![LimitStatus {
            command: "replicate".into(),
            of: names[0].clone(),
            text: limit.to_string(),
            limit,
            age_ms: 5,
        }],
        dead_letters: [(names[0].clone(), 2)].into(),
        verify: Some(VerifyRecord {
            started_ms: NOW - 100_000,
            ended_ms: NOW - 50_000,
            clean: false,
            repaired: 1,
            services: names.iter().map(|name| (name.clone(), service.clone())).collect(),
            unrouted: 1,
            repairs: 0,
            repaired_for: None,
            last_clean_ms: None,
            received: None,
            places: None,
        }),
        cutovers: vec![cutover(&names[0])],
        events: vec![EventsStatus {
            service: names[0].clone(),
            destination: names[0].clone(),
            state: EventsPhase::Sending,
            lag_ms: Some(5),
            sent: Some(7),
            dead_letters: 1,
            gap: None,
            blocked: Some(names[0].clone()),
            time_left_ms: Some(9),
        }],
        ledger: Some(LedgerStatus {
            place: names[0].clone(),
            lag_ms: Some(5),
            records: 48_113,
            gap: None,
            blocked: Some(names[0].clone()),
            time_left_ms: Some(9),
            lanes: names.to_vec(),
        }),
        unnotified: vec![Unnotified {
            destination: names[0].clone(),
            since_ms_ago: 200_000,
            attempts: 2,
            reason: names[0].clone(),
        }],
        read_ms: NOW,
        switched: [(names[0].clone(), NOW - 10_000)].into(),
        obstacles: vec![Obstacle {
            services: Vec::new(),
            kind: ObstacleKind::DeadLetters,
            service: Some(names[0].clone()),
            what: format!("2 dead letters of {}", names[0]),
            next: "run `dynasplit dead-letters list`".into(),
        }],
        next: "run `dynasplit dead-letters list`".into(),
        split: names[0].clone(),
        ..SplitStatus::sample(Phase::Backfilling, all().map(|name| lane(name, 500)).collect())
    };
    let history = [NOW - 20_000, NOW - 10_000, NOW].map(|read_ms| {
        chart_sample(&SplitStatus {
            read_ms,
            ..status.clone()
        })
    });
    Standing {
        source: names[0].clone(),
        services: names
            .iter()
            .map(|name| ServiceView {
                name: name.clone(),
                table: name.clone(),
                is_on_demand: true,
                is_infrequent: false,
            })
            .collect(),
        moments: Moments {
            created_ms: NOW - 7_200_000,
            captured_ms: Some(NOW - 7_000_000),
            completing_ms: None,
            completed_ms: None,
        },
        prices: Prices::published(),
        forecast: None,
        history: history.to_vec(),
        now_ms: NOW,
        copyable: str::to_owned,
        is_live: false,
        status: Arc::new(status),
    }
}

fn named(names: &[&str]) -> Standing {
    standing(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
}

/// The tags of a page, with their attributes: `div class="x"`. Fails where the page is no well-formed markup.
fn tags(page: &str) -> Vec<String> {
    const VOID: [&str; 2] = ["meta", "!DOCTYPE"];
    let (mut tags, mut open) = (Vec::new(), Vec::new());
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        let (tag, after) = rest[at + 1..].split_once('>').expect("a tag ends");
        rest = after;
        let name = tag.split_whitespace().next().unwrap_or_default().to_owned();
        if let Some(name) = name.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "tags are nested");
        } else {
            // What stands inside is no markup.
            if name == "style" || name == "script" {
                rest = &rest[rest.find(&format!("</{name}>")).expect("it ends")..];
            }
            if !VOID.contains(&name.as_str()) {
                open.push(name);
            }
            tags.push(tag.to_owned());
        }
    }
    assert!(open.is_empty(), "{open:?} are not closed");
    tags
}

fn attributes<'a>(tags: &'a [String], name: &str) -> Vec<&'a str> {
    let begin = format!(" {name}=\"");
    let values = tags.iter().flat_map(|tag| tag.split(begin.as_str()).skip(1));
    values
        .filter_map(|rest| rest.split_once('"').map(|(value, _)| value))
        .collect()
}

#[test]
fn a_page_loads_nothing() {
    for is_live in [false, true] {
        let mut standing = named(&["orders", "users"]);
        standing.is_live = is_live;
        let page = page(&standing);
        let tags = tags(&page);
        for name in [
            "src",
            "srcset",
            "style",
            "onclick",
            "onload",
            "action",
            "xlink:href",
        ] {
            assert_eq!(attributes(&tags, name), Vec::<&str>::new(), "{name}");
        }
        assert_eq!(attributes(&tags, "href"), ["#content"]);
        for forbidden in [
            "link",
            "img",
            "iframe",
            "object",
            "embed",
            "base",
            "form",
            "use",
            "image",
            "foreignObject",
        ] {
            assert!(
                !tags
                    .iter()
                    .any(|tag| tag.split_whitespace().next() == Some(forbidden)),
                "{forbidden}"
            );
        }
        assert!(
            !page.contains("url(")
                && !page.contains("@import")
                && !page.contains("http://")
                && !page.contains("https://")
        );
        let scripts = tags.iter().filter(|tag| *tag == "script").count();
        assert_eq!(scripts, usize::from(is_live));
        let policy = policy(is_live);
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert!(
            !policy.contains("unsafe") && policy.contains("script-src") == is_live,
            "{policy}"
        );
        assert!(page.contains(&format!(
            "http-equiv=\"Content-Security-Policy\" content=\"{policy}\""
        )));
    }
}

#[test]
fn every_part_can_be_read_without_seeing_it() {
    let page = page(&named(&["orders", "users"]));
    let tags = tags(&page);
    let ids = attributes(&tags, "id");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    for label in attributes(&tags, "aria-labelledby") {
        assert!(ids.contains(&label), "{label} labels nothing");
    }
    let count = |name: &str| {
        tags.iter()
            .filter(|tag| tag.split_whitespace().next() == Some(name))
            .count()
    };
    assert_eq!((count("h1"), count("main"), count("title")), (1, 1, 1));
    assert_eq!(count("table"), count("caption"));
    assert!(count("table") >= 7);
    for tag in &tags {
        let name = tag.split_whitespace().next().unwrap_or_default();
        if name == "th" {
            assert!(tag.contains("scope="), "{tag}");
        }
        if name == "svg" && !tag.contains("viewBox=\"0 0 1000") && !tag.contains("class=\"bar\" focusable") {
            assert!(
                tag.contains("aria-hidden=\"true\""),
                "{tag}: its text stands beside it"
            );
        }
    }
    // What a picture shows is there as text.
    for text in [
        "25%",
        "of 24 hours",
        "12 changes carried back",
        "Journal of orders: the last 2 events",
        "orders has received none for 3m 20s (2 attempts): orders",
        "Ledger of all changes",
        "48,113",
        "blocked: orders",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn counts_that_differ_without_a_finding_are_explained() {
    let explained = "Counts may differ without a finding";
    let mut standing = named(&["orders"]);
    assert!(!page(&standing).contains(explained), "an item is missing");
    let mut status = SplitStatus::clone(&standing.status);
    if let Some(service) = status
        .verify
        .as_mut()
        .and_then(|verify| verify.services.get_mut("orders"))
    {
        service.mismatches.clear();
    }
    standing.status = Arc::new(status);
    assert!(page(&standing).contains(explained));
}

#[test]
fn shares_and_costs_are_those_of_the_counters() {
    let mut standing = named(&["orders", "users"]);
    let text = page(&standing);
    // Half of the items each, and three that are left behind.
    assert!(
        text.contains("50% · 1,000") && text.contains("0.1% · 3"),
        "{text}"
    );
    // 1,500 write units of the backfill and 750 of the tail for each service, and 500 read units.
    let dollars: f64 = (2.0 * 2250.0 * 0.625 + 500.0 * 0.125) / 1e6;
    assert!(dollars < 0.01);
    assert!(
        text.contains("So far about <strong>&lt; $0.01</strong>"),
        "{text}"
    );
    let line = r#"{"what":"backfill: write users","read_units":0,"write_units":9,"dollars":12.5}"#;
    let other = r#"{"what":"verify, each time","read_units":5,"write_units":0,"dollars":null}"#;
    let survey = format!(r#"{{"estimate":{{"lines":[{line},{other}],"dollars":20.25,"backfill_hours":1}}}}"#);
    standing.forecast = Some(Forecast::parse(&survey).unwrap());
    let text = page(&standing);
    for shown in ["$12.50", "estimated <strong>$20.25</strong>", "verify, each time"] {
        assert!(text.contains(shown), "{shown}");
    }
}

#[test]
fn what_is_used_is_compared_with_what_was_estimated() {
    let standing = named(&["orders", "users"]);
    let line = r#"{"what":"backfill: read orders","read_units":1800,"write_units":0,"dollars":12.5}"#;
    let other = r#"{"what":"verify, each time","read_units":5,"write_units":0,"dollars":null}"#;
    let wait = r#"{"what":"backfill: wait until reads settle","read_units":0,"write_units":0,"dollars":0}"#;
    let survey =
        format!(r#"{{"estimate":{{"lines":[{line},{other},{wait}],"dollars":20.25,"backfill_hours":3}}}}"#);
    let forecast = Forecast::parse(&survey).unwrap();
    let seen = |status: &SplitStatus| {
        spent(
            status,
            &standing.source,
            &standing.services,
            &standing.prices,
            Some(&forecast),
        )
    };
    // A quarter of the items was copied within an hour.
    let now = seen(&standing.status);
    let [reads, writes, ..] = &now.lines[..] else {
        panic!("{now:?}")
    };
    assert_eq!(
        (reads.read_milliunits, reads.expected_read_units),
        (500_000, Some(2000))
    );
    assert_eq!(reads.forecast.as_ref().unwrap().read_units, 1800);
    assert_eq!(
        (writes.write_milliunits, writes.expected_write_units),
        (1_500_000, Some(6000))
    );
    let tail = now.lines.last().unwrap();
    assert_eq!(
        (&*tail.what, tail.expected_write_units),
        ("tail: write users", None)
    );
    assert_eq!(now.uncounted, [forecast.lines[1].clone()]);
    assert_eq!(
        [
            now.backfill_hours,
            now.expected_backfill_hours,
            now.forecast_backfill_hours
        ],
        [Some(1.0), Some(4.0), Some(3.0)]
    );
    // It has ended: nothing more is expected.
    let mut status = (*standing.status).clone();
    status.backfill_record.as_mut().unwrap().finished_ms = Some(NOW - 1_800_000);
    let ended = seen(&status);
    assert_eq!(ended.lines[0].expected_read_units, Some(500));
    assert_eq!(
        [ended.backfill_hours, ended.expected_backfill_hours],
        [Some(0.5), Some(0.5)]
    );
    // There are more items than the source said: nobody knows how many.
    status.backfill_record.as_mut().unwrap().finished_ms = None;
    status.scanned = 9000;
    let unknown = seen(&status);
    assert_eq!(unknown.lines[0].expected_read_units, None);
    assert_eq!(unknown.expected_backfill_hours, None);
    status.backfill_record = None;
    assert_eq!(seen(&status).backfill_hours, None);
}

#[test]
fn a_split_that_has_just_begun_has_a_page() {
    let mut standing = named(&["orders"]);
    standing.status = Arc::new(SplitStatus::sample(Phase::Created, Vec::new()));
    standing.moments = Moments::default();
    standing.history = Vec::new();
    let text = page(&standing);
    tags(&text);
    for shown in [
        "Nothing has been copied",
        "has not started yet",
        "Nothing has been verified",
        "throttles nothing",
        "No service was cut over yet",
    ] {
        assert!(text.contains(shown), "{shown}");
    }
}

#[test]
fn commands_are_copyable() {
    let mut standing = named(&["orders"]);
    standing.copyable = |text| text.replace("list", "list 'my plan.yaml'");
    let text = page(&standing);
    assert!(
        text.contains("<code>dynasplit dead-letters list 'my plan.yaml'</code>"),
        "{text}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the names are: the page has the same tags as with plain names, and the names are there as text.
    #[test]
    fn names_are_never_markup(name in "[<>&\"'`/=a-c]{1,12}|</(script|style|title|svg)>|\\PC{1,20}", is_live: bool) {
        let build = |name: &str| {
            let mut standing = named(&[name, "other"]);
            standing.is_live = is_live;
            page(&standing)
        };
        let (plain, odd) = (build("plain"), build(&name));
        // In prose, backquotes make code.
        let shape = |page: &str| {
            let tags = tags(page);
            let names = tags.iter().map(|tag| tag.split_whitespace().next().unwrap_or_default().to_owned());
            names.filter(|tag| tag != "code" && tag != "span").collect::<Vec<_>>()
        };
        prop_assert_eq!(shape(&odd), shape(&plain));
        let escaped = name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        let heading = format!("<h1>{escaped}</h1>");
        prop_assert!(odd.contains(&heading), "{}", escaped);
    }
}
