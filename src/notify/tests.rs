//! What is told when, by the status of a split. What the destinations receive is tested with the binary (`tests/cli/notify.rs`).

use super::*;
use crate::plan::Notify;
use crate::state::{CutoverEvent, CutoverPhase, CutoverStep, Limit, NotifyRecord, ShardRecord};
use crate::status::{
    CutoverStatus, EventsPhase, EventsStatus, LaneStatus, LedgerStatus, LimitStatus, Phase, ReverseState,
    SplitStatus,
};

const HOUR_MS: u64 = 3_600_000;
/// A text of a reason that names a key and a value.
const PRIVATE: &str = "the key {\"PK\":\"USER#ann@example.com\"} has the value 4711";
const THRESHOLDS: Thresholds = Thresholds {
    lag: Notify::LAG,
    throttled: Notify::THROTTLED,
};

fn lane(name: &str, lag_ms: u64) -> LaneStatus {
    LaneStatus {
        lane: name.into(),
        lag_ms: Some(lag_ms),
        shown_lag_ms: Some(lag_ms),
        open_shards: 1,
        blocked: Some(PRIVATE.into()),
        ..LaneStatus::default()
    }
}

fn status(lanes: Vec<LaneStatus>) -> SplitStatus {
    SplitStatus::sample(Phase::Tailing, lanes)
}

/// A destination and the time.
struct Told {
    record: NotifyRecord,
    now_ms: u64,
}

impl Told {
    /// A destination that knows the phase.
    fn of_phase() -> Self {
        let mut told = Self {
            record: NotifyRecord::new("the topic x"),
            now_ms: 1000 * HOUR_MS,
        };
        let said = told.hears(&status(vec![lane("A", 0)]));
        assert_eq!(said, ["phase Began tailing"]);
        told
    }

    /// The notifications that a status causes, in order, an hour after the one before.
    fn notices(&mut self, status: &SplitStatus) -> Vec<Notice> {
        self.now_ms += HOUR_MS;
        note_throttling(&mut self.record, status, self.now_ms);
        let mut notices = Vec::new();
        loop {
            let found = subjects(status, &self.record, THRESHOLDS);
            let Some(due) = next_due("split", &self.record, &found, self.now_ms) else {
                return notices;
            };
            let again = next_due("split", &self.record, &found, self.now_ms).unwrap();
            assert_eq!(
                again.notice.id, due.notice.id,
                "it is the same until it is recorded"
            );
            self.record
                .was_sent(&due.subject, due.state.as_deref(), due.until_ms, self.now_ms);
            let text = due.notice.document().to_string();
            assert!(
                !text.contains("ann@example.com") && !text.contains("4711"),
                "{text}"
            );
            notices.push(due.notice);
        }
    }

    fn hears(&mut self, status: &SplitStatus) -> Vec<String> {
        let words = |notice: &Notice| {
            let text = notice.text.strip_prefix("phase ").unwrap_or(&notice.text);
            let first = text.split(':').next().unwrap_or_default();
            format!("{} {:?} {first}", notice.kind, notice.change)
        };
        self.notices(status).iter().map(words).collect()
    }
}

#[test]
fn a_ledger_that_is_behind_or_lost_records_is_told_without_a_service() {
    let mut told = Told::of_phase();
    let ledger = LedgerStatus {
        place: "s3://b/p/".into(),
        lag_ms: Some(300_000),
        records: 7,
        gap: None,
        blocked: Some(PRIVATE.into()),
        time_left_ms: Some(23 * HOUR_MS),
        lanes: Vec::new(),
    };
    let notices = |told: &mut Told, ledger: LedgerStatus| {
        let with = SplitStatus {
            ledger: Some(ledger),
            ..status(vec![lane("A", 0)])
        };
        let words = |notice: &Notice| {
            assert_eq!(notice.service, None, "{notice:?}");
            (notice.change, notice.severity, notice.text.clone())
        };
        told.notices(&with).iter().map(words).collect::<Vec<_>>()
    };
    assert_eq!(notices(&mut told, ledger.clone()), []);
    let late = LedgerStatus {
        lag_ms: Some(HOUR_MS),
        ..ledger.clone()
    };
    let behind = "the ledger is 60m 0s behind".to_owned();
    assert_eq!(
        notices(&mut told, late.clone()),
        [(Change::Began, Severity::Warning, behind)]
    );
    let short = LedgerStatus {
        time_left_ms: Some(7 * HOUR_MS),
        ..late
    };
    let said = notices(&mut told, short);
    assert_eq!(
        (said.len(), said[0].0, said[0].1),
        (1, Change::Changed, Severity::Critical)
    );
    let lost = LedgerStatus {
        gap: Some(PRIVATE.into()),
        lanes: vec!["A".into()],
        ..ledger.clone()
    };
    let said = notices(&mut told, lost);
    assert_eq!(said.len(), 2, "the gap, and the end of the lag: {said:?}");
    assert_eq!(
        said[0],
        (
            Change::Began,
            Severity::Critical,
            "the ledger lost records of the stream, and lanes that are far behind read it: A".into()
        )
    );
    let over = "the ledger has no gap any more".to_owned();
    assert_eq!(
        notices(&mut told, ledger),
        [(Change::Ended, Severity::Info, over)]
    );
}

#[test]
fn a_lag_is_told_once_and_again_when_it_is_over() {
    let mut told = Told::of_phase();
    let hears = |told: &mut Told, lag_ms| told.hears(&status(vec![lane("A", lag_ms)]));
    assert_eq!(hears(&mut told, HOUR_MS - 1), [""; 0]);
    assert_eq!(
        hears(&mut told, HOUR_MS),
        ["lag Began the lane of A is 60m 0s behind"]
    );
    assert_eq!(hears(&mut told, 2 * HOUR_MS), [""; 0], "it is known");
    assert_eq!(
        hears(&mut told, HOUR_MS - 1),
        [""; 0],
        "it is about as long as the limit"
    );
    let short = hears(&mut told, 17 * HOUR_MS);
    assert_eq!(short.len(), 1);
    assert!(
        short[0].starts_with("lag Changed the lane of A has less than 8h"),
        "{short:?}"
    );
    assert_eq!(
        hears(&mut told, 0),
        ["lag Ended the lane of A is not far behind any more"]
    );
    assert_eq!(hears(&mut told, 0), [""; 0]);
}

#[test]
fn a_lane_that_a_bulk_copy_holds_is_not_far_behind_but_may_be_short_of_time() {
    let mut told = Told::of_phase();
    let mut held = status(vec![lane("A", 3 * HOUR_MS)]);
    let switch = crate::state::Tombstones {
        phase: crate::state::TombstonePhase::Held,
        epoch: 1,
    };
    held.tombstones.insert("A".into(), switch);
    assert_eq!(told.hears(&held), [""; 0]);
    held.lanes = vec![lane("A", 17 * HOUR_MS)];
    assert_eq!(told.hears(&held).len(), 1);
}

#[test]
fn what_is_lost_comes_first_and_no_key_and_no_value_is_told() {
    let mut told = Told::of_phase();
    let gap = LaneStatus {
        gap: Some(PRIVATE.into()),
        ..lane("A", 0)
    };
    let mut lost = status(vec![gap, lane(ShardRecord::WATCH, 2 * HOUR_MS)]);
    lost.phase = Phase::Backfilling;
    lost.dead_letters = [("B".to_owned(), 3), ("A".to_owned(), 0)].into();
    assert_eq!(
        told.hears(&lost),
        [
            "gap Began the lane of A lost changes of the stream",
            "dead-letters Began 3 changes of B could not be written",
            "lag Began the lane of items that belong to no service is 2h 0m behind",
            "phase Changed backfilling",
        ]
    );
    lost.dead_letters = [("B".to_owned(), 9)].into();
    assert_eq!(told.hears(&lost), [""; 0], "about as many");
    lost.dead_letters = [("B".to_owned(), 10)].into();
    assert_eq!(
        told.hears(&lost),
        ["dead-letters Changed 10 changes of B could not be written"]
    );
    lost.phase = Phase::Done;
    assert_eq!(
        told.notices(&lost)
            .iter()
            .filter(|notice| notice.kind == NoticeKind::Phase)
            .count(),
        1
    );
}

#[test]
fn what_becomes_of_events_is_told_apart_from_the_tables() {
    let mut told = Told::of_phase();
    let mut late = status(vec![lane("A", 0)]);
    let events = EventsStatus {
        service: "A".into(),
        destination: "the queue x".into(),
        state: EventsPhase::Sending,
        lag_ms: Some(HOUR_MS - 1),
        sent: Some(7),
        dead_letters: 0,
        gap: None,
        blocked: Some(PRIVATE.into()),
        time_left_ms: Some(22 * HOUR_MS),
    };
    let mut hears = |change: &dyn Fn(&mut EventsStatus)| {
        let mut events = events.clone();
        change(&mut events);
        late.events = vec![events];
        told.hears(&late)
    };
    assert_eq!(hears(&|_| ()), [""; 0]);
    let behind = |events: &mut EventsStatus| events.lag_ms = Some(HOUR_MS);
    assert_eq!(hears(&behind), ["lag Began the events of A are 60m 0s behind"]);
    assert_eq!(hears(&|_| ()), [""; 0], "it is about as long as the limit");
    let short = |events: &mut EventsStatus| events.time_left_ms = Some(8 * HOUR_MS - 1);
    let said = "lag Changed the events of A have less than 8h 0m until the stream removes changes that are in no event yet";
    assert_eq!(hears(&short), [said]);
    let lost = |events: &mut EventsStatus| {
        events.gap = Some(PRIVATE.into());
        events.dead_letters = 3;
    };
    assert_eq!(
        hears(&lost),
        [
            "gap Began events of A were lost; its table lacks nothing",
            "dead-letters Began the destination refused 3 events of A",
            "lag Ended the events of A are not far behind any more",
        ]
    );
    let fine = |events: &mut EventsStatus| events.lag_ms = Some(0);
    assert_eq!(
        hears(&fine),
        [
            "dead-letters Ended the events of A have no open dead letters any more",
            "gap Ended the events of A have no gap any more",
        ]
    );
}

#[test]
fn only_throttling_that_lasts_is_told() {
    let mut told = Told::of_phase();
    let mut throttled = status(vec![lane("A", 0)]);
    let limit = |reason: &str| LimitStatus {
        command: "replicate".into(),
        of: "A".into(),
        limit: Limit::held_up(reason.into()),
        text: PRIVATE.into(),
        age_ms: 1000,
    };
    throttled.limits = vec![limit("throttled: TableWriteProvisionedThroughputExceeded on A")];
    assert_eq!(told.hears(&throttled), [""; 0]);
    // The readings of this test are an hour apart, so the first one is forgotten.
    assert_eq!(told.hears(&throttled), [""; 0]);
    for _ in 0..10 {
        told.now_ms -= HOUR_MS - 170_000;
        assert_eq!(told.hears(&throttled), [""; 0]);
    }
    told.now_ms -= HOUR_MS - 170_000;
    assert_eq!(
        told.hears(&throttled),
        ["throttling Began DynamoDB has throttled `replicate` (A) for 31m 10s"]
    );
    throttled.limits = vec![limit("no connection")];
    assert_eq!(
        told.hears(&throttled),
        ["throttling Ended DynamoDB no longer throttles replicate/A/TableWriteProvisionedThroughputExceeded"]
    );
}

fn event(at_ms: u64, step: CutoverStep) -> CutoverEvent {
    CutoverEvent {
        at_ms,
        epoch: 1,
        step,
        operator: "ann".into(),
        what: PRIVATE.into(),
        output: Some(PRIVATE.into()),
    }
}

fn cutover(step: CutoverStep, running: bool, events: Vec<CutoverEvent>) -> CutoverStatus {
    CutoverStatus {
        service: "A".into(),
        phase: CutoverPhase::Fenced,
        epoch: 1,
        step,
        step_ms_ago: 1,
        operator: "ann".into(),
        running,
        pause_ms: Some(61_000),
        paused: !step.is_over(),
        hold: None,
        problem: Some(PRIVATE.into()),
        reverse: None,
        events,
        next: PRIVATE.into(),
    }
}

#[test]
fn each_step_of_a_cutover_is_told_once() {
    let mut told = Told::of_phase();
    let mut cut = status(vec![lane("A", 0)]);
    let mut events = vec![event(10, CutoverStep::Ready), event(20, CutoverStep::Fence)];
    cut.cutovers = vec![cutover(CutoverStep::Fence, true, events.clone())];
    let said = told.notices(&cut);
    assert_eq!(said.len(), 1);
    assert_eq!(
        (said[0].steps.join(" "), said[0].severity),
        ("ready fence".into(), Severity::Info)
    );
    assert_eq!(told.notices(&cut), []);
    events.extend([event(30, CutoverStep::Fence), event(40, CutoverStep::Drain)]);
    cut.cutovers = vec![cutover(CutoverStep::Drain, false, events.clone())];
    let said = told.notices(&cut);
    assert_eq!(said[0].steps, ["fence", "drain"]);
    assert_eq!(
        said[0].severity,
        Severity::Critical,
        "writers are stopped, and nothing goes on"
    );
    assert!(said[0].text.contains("it stopped at the step drain"), "{said:?}");
    events.extend([event(50, CutoverStep::Switch), event(60, CutoverStep::Switched)]);
    cut.cutovers = vec![cutover(CutoverStep::Switched, false, events)];
    let said = told.notices(&cut);
    assert_eq!(said[0].steps, ["switch", "switched"]);
    assert!(said[0].text.contains("the pause took 61.0 s"), "{said:?}");
    assert_eq!(told.notices(&cut), []);
}

#[test]
fn what_is_not_carried_back_is_told() {
    let mut told = Told::of_phase();
    let mut cut = status(vec![lane("A", 0)]);
    cut.cutovers = vec![cutover(
        CutoverStep::Switched,
        false,
        vec![event(10, CutoverStep::Switched)],
    )];
    told.hears(&cut);
    cut.cutovers[0].reverse = Some(ReverseState {
        gap: Some(PRIVATE.into()),
        ..ReverseState::default()
    });
    assert_eq!(
        told.hears(&cut),
        ["gap Began the way back of A lost changes, so a rollback would lose them"]
    );
    cut.cutovers[0].reverse = None;
    assert_eq!(
        told.hears(&cut),
        ["gap Ended the way back of A has no gap any more"]
    );
}

#[test]
fn a_subject_that_flickers_is_told_with_its_last_state_later() {
    let mut told = Told::of_phase();
    let mut heard = 0;
    for n in 0..20 {
        told.now_ms -= HOUR_MS;
        heard += told.hears(&status(vec![lane("A", (n % 2) * 2 * HOUR_MS)])).len();
    }
    assert_eq!(heard, 4);
    assert_eq!(told.hears(&status(vec![lane("A", 2 * HOUR_MS)])).len(), 1);
}
