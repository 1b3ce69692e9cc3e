//! Tests of the conditions of `status --check` and `wait`.

use super::*;
use crate::status::LedgerStatus;
use crate::status::obstacle::Obstacle;

const NOW_MS: u64 = 1_000_000;
const HOUR_MS: u64 = 3_600_000;

fn lane(name: &str, lag_ms: Option<u64>, open_shards: usize) -> LaneStatus {
    LaneStatus {
        lane: name.into(),
        lag_ms,
        shown_lag_ms: lag_ms,
        open_shards,
        ..LaneStatus::default()
    }
}

fn kinds(status: &SplitStatus) -> Vec<AlarmKind> {
    alarms(status, HOUR_MS)
        .into_iter()
        .map(|alarm| alarm.kind)
        .collect()
}

#[test]
fn a_split_that_follows_has_no_alarm() {
    let fine = SplitStatus::sample(Phase::Tailing, vec![lane("a", Some(HOUR_MS), 1)]);
    assert_eq!(kinds(&fine), []);
}

#[test]
fn a_ledger_that_lost_records_or_soon_will_is_an_alarm() {
    let ledger = LedgerStatus {
        place: "s3://b/p/".into(),
        lag_ms: Some(16 * HOUR_MS),
        records: 7,
        gap: None,
        blocked: Some("denied".into()),
        time_left_ms: Some(8 * HOUR_MS),
        lanes: Vec::new(),
    };
    let mut status = SplitStatus::sample(Phase::Tailing, vec![lane("a", Some(1), 1)]);
    status.ledger = Some(ledger.clone());
    assert_eq!(kinds(&status), [], "its lag is not limited by --max-lag");
    status.ledger = Some(LedgerStatus {
        time_left_ms: Some(8 * HOUR_MS - 1),
        ..ledger.clone()
    });
    assert_eq!(kinds(&status), [AlarmKind::Lag]);
    status.ledger = Some(LedgerStatus {
        gap: Some("trimmed".into()),
        ..ledger
    });
    assert_eq!(kinds(&status), [AlarmKind::Gap]);
}

#[test]
fn each_threshold_has_an_alarm() {
    let late = SplitStatus::sample(Phase::Tailing, vec![lane("a", Some(HOUR_MS + 1), 1)]);
    assert_eq!(kinds(&late), [AlarmKind::Lag]);
    let mut lost = SplitStatus::sample(Phase::Tailing, vec![lane("a", Some(1), 1)]);
    lost.lanes[0].gap = Some("trimmed".into());
    assert_eq!(kinds(&lost), [AlarmKind::Gap]);
    let mut dead = SplitStatus::sample(Phase::CatchingUp, vec![lane("a", Some(1), 1)]);
    dead.dead_letters.insert("a".into(), 1);
    assert_eq!(kinds(&dead), [AlarmKind::DeadLetters]);
    assert!(alarms(&dead, 0)[1].what.contains("1 dead letter of a"));
    let mut alone = SplitStatus::sample(Phase::Created, vec![lane("a", None, 0)]);
    alone.workers[0].overdue = true;
    assert_eq!(kinds(&alone), [AlarmKind::NoWorker]);
    alone.workers.clear();
    assert_eq!(kinds(&alone), [AlarmKind::NoWorker]);
}

#[test]
fn what_is_drained_or_over_needs_no_worker() {
    let mut drained = SplitStatus::sample(Phase::Verified, vec![lane("a", Some(50 * HOUR_MS), 0)]);
    drained.workers.clear();
    assert_eq!(kinds(&drained), [], "its lag says nothing");
    let mut done = SplitStatus::sample(Phase::Done, vec![lane("a", Some(2 * HOUR_MS), 1)]);
    done.workers.clear();
    assert_eq!(kinds(&done), []);
}

#[test]
fn a_lane_is_caught_up_past_a_time() {
    let at = |lag_ms, past_ms| {
        let status = SplitStatus::sample(Phase::Tailing, vec![lane("a", Some(1), 1), lane("b", lag_ms, 1)]);
        Condition::CaughtUp { past_ms }.verdict(&status, NOW_MS)
    };
    assert_eq!(at(Some(5000), NOW_MS - 5000), Verdict::Holds);
    let late = at(Some(5000), NOW_MS - 3500);
    assert!(
        matches!(&late, Verdict::NotYet(reasons) if reasons[0].contains("'b' is 5.0 s behind")),
        "{late:?}"
    );
    let uncaptured = at(None, 1);
    assert!(matches!(uncaptured, Verdict::NotYet(_)), "{uncaptured:?}");
}

#[test]
fn what_never_comes_is_told_at_once() {
    let mut lost = SplitStatus::sample(Phase::Tailing, vec![lane("a", Some(1), 1)]);
    lost.lanes[0].gap = Some("trimmed".into());
    for condition in [Condition::CaughtUp { past_ms: 1 }, Condition::Drained] {
        let verdict = condition.verdict(&lost, NOW_MS);
        assert!(
            matches!(&verdict, Verdict::Never(reasons) if reasons[0].contains("--restart-tail")),
            "{verdict:?}"
        );
    }
    let mut drained = SplitStatus::sample(Phase::CatchingUp, vec![lane("a", Some(900), 0)]);
    drained.lanes[0].drained_ms = Some(NOW_MS - 10);
    let past = |past_ms| Condition::CaughtUp { past_ms }.verdict(&drained, NOW_MS);
    assert_eq!(past(NOW_MS - 10), Verdict::Holds);
    assert!(matches!(past(NOW_MS), Verdict::Never(_)));
    let done = SplitStatus::sample(Phase::Done, Vec::new());
    assert!(matches!(
        Condition::CaughtUp { past_ms: 1 }.verdict(&done, NOW_MS),
        Verdict::Never(_)
    ));
}

#[test]
fn drained_and_verified_are_read_off_the_status() {
    let open = SplitStatus::sample(Phase::CatchingUp, vec![lane("a", Some(1), 2)]);
    let verdict = Condition::Drained.verdict(&open, NOW_MS);
    assert!(
        matches!(&verdict, Verdict::NotYet(reasons) if reasons[0].contains("2 open shards")),
        "{verdict:?}"
    );
    let drained = SplitStatus::sample(Phase::CatchingUp, vec![lane("a", Some(1), 0)]);
    assert_eq!(Condition::Drained.verdict(&drained, NOW_MS), Verdict::Holds);
    let mut unclean = SplitStatus::sample(Phase::CatchingUp, vec![lane("a", Some(1), 1)]);
    unclean.obstacles.push(Obstacle {
        services: Vec::new(),
        kind: crate::status::obstacle::ObstacleKind::NotVerified,
        service: None,
        what: "nothing was verified".into(),
        next: "`dynasplit verify`".into(),
    });
    let verdict = Condition::Verified.verdict(&unclean, NOW_MS);
    assert_eq!(
        verdict,
        Verdict::NotYet(vec!["nothing was verified: `dynasplit verify`".into()])
    );
    let completing = SplitStatus::sample(Phase::Completing, vec![lane("a", Some(1), 1)]);
    for condition in [Condition::Verified, Condition::Drained] {
        assert!(matches!(
            condition.verdict(&completing, NOW_MS),
            Verdict::NotYet(_)
        ));
    }
    for phase in [Phase::Verified, Phase::Done] {
        let verified = SplitStatus::sample(phase, vec![lane("a", Some(1), 1)]);
        assert_eq!(Condition::Verified.verdict(&verified, NOW_MS), Verdict::Holds);
    }
}

#[test]
fn a_wait_without_a_worker_says_so() {
    let mut alone = SplitStatus::sample(Phase::Tailing, vec![lane("a", Some(9000), 1)]);
    alone.workers.clear();
    let verdict = Condition::CaughtUp { past_ms: NOW_MS }.verdict(&alone, NOW_MS);
    assert!(
        matches!(&verdict, Verdict::NotYet(reasons) if reasons[1].contains("no worker")),
        "{verdict:?}"
    );
}
