//! Tests of which of several restarts adds a generation.

use super::*;

const LEASE_MS: u64 = 20_000;
const NOW_MS: u64 = 1_000_000;

fn stream(arn: &str, captured_ms: Option<u64>, restarted_ms: Option<u64>) -> StreamRecord {
    StreamRecord {
        arn: arn.into(),
        captured_ms,
        ended_ms: None,
        restarted_ms,
    }
}

fn record(streams: Vec<StreamRecord>) -> SplitRecord {
    SplitRecord {
        streams,
        ..SplitRecord::sample()
    }
}

/// Whether a command that started in generation `seen` restarts the tail at the stream `a`.
fn restarts(seen: u32, has_gap: bool, streams: Vec<StreamRecord>) -> bool {
    let found = Found {
        seen,
        arn: "a".into(),
        has_gap,
    };
    found.is_reason(&record(streams), NOW_MS, LEASE_MS)
}

#[test]
fn a_tail_that_follows_is_restarted_on_demand() {
    assert!(restarts(1, false, vec![stream("a", Some(1), None)]));
    let long_ago = NOW_MS - LEASE_MS - 1;
    assert!(restarts(
        2,
        false,
        vec![stream("a", Some(1), None), stream("a", Some(2), Some(long_ago))]
    ));
}

#[test]
fn a_gap_and_another_stream_are_reasons_at_any_time() {
    let soon = vec![stream("a", Some(1), None), stream("a", Some(2), Some(NOW_MS))];
    assert!(restarts(2, true, soon));
    let other = vec![stream("a", Some(1), None), stream("b", None, Some(NOW_MS))];
    assert!(restarts(2, false, other.clone()));
    assert!(restarts(1, false, other), "the stream was replaced again since");
}

#[test]
fn the_restart_of_another_command_is_recognised() {
    let first = stream("a", Some(1), None);
    for captured_ms in [None, Some(NOW_MS)] {
        let both = vec![first.clone(), stream("a", captured_ms, Some(NOW_MS))];
        assert!(
            !restarts(1, true, both.clone()),
            "it came between our look and our change"
        );
        assert!(!restarts(2, false, both), "it came just before we started");
    }
    assert!(
        !restarts(1, false, vec![stream("a", None, None)]),
        "nothing was read of the stream, so nothing was lost"
    );
}
