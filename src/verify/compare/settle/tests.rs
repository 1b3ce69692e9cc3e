//! Tests of the verdict on a candidate.

use super::*;
use crate::model::cases::cases;
use proptest::prelude::*;

const LAG: Duration = Duration::from_millis(1000);

fn digest(n: u64) -> Digest {
    Digest::of_bytes(&n.to_le_bytes())
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Any observation at all: for the encoding.
pub(in crate::verify::compare) fn observation() -> impl Strategy<Value = Observation> {
    let small = || prop::option::of(0u64..3);
    (
        0u64..100_000,
        0u64..100,
        small(),
        0u64..5,
        small(),
        any::<(bool, bool)>(),
        (0u64..100_000, any::<bool>()),
    )
        .prop_map(
            |(began, took, held, desired, source, (source_expired, target_expired), lane)| Observation {
                delivery: Delivery {
                    up_to: ms(lane.0),
                    is_given_up: lane.1,
                },
                began: ms(began),
                ended: ms(began + took),
                held: held.map(digest),
                desired: match desired {
                    0 => Desired::Nothing,
                    4 => Desired::Several,
                    n => Desired::Item(digest(n)),
                },
                source: source.map(digest),
                expired: Expired {
                    source: source_expired,
                    target: target_expired,
                },
            },
        )
}

/// A lane that is behind by the lag, all the time.
fn delivered(at: u64) -> Delivery {
    Delivery {
        up_to: ms(at).saturating_sub(LAG),
        is_given_up: false,
    }
}

/// One look that takes no time.
fn look(at: u64, held: Option<u64>, desired: Option<u64>, source: Option<u64>) -> Observation {
    Observation {
        delivery: delivered(at),
        began: ms(at),
        ended: ms(at),
        held: held.map(digest),
        desired: desired.map_or(Desired::Nothing, |n| Desired::Item(digest(n))),
        source: source.map(digest),
        expired: Expired::default(),
    }
}

fn verdicts(looks: &[Observation]) -> Vec<Outcome> {
    let mut settling = Settling::default();
    looks
        .iter()
        .map(|look| settling.observe(&SettleRules::new(LAG), look))
        .collect()
}

fn last(looks: &[Observation]) -> Outcome {
    *verdicts(looks).last().unwrap()
}

#[test]
fn equal_sides_agree_at_once() {
    assert_eq!(last(&[look(0, Some(1), Some(1), Some(9))]), Outcome::Agreed);
    assert_eq!(last(&[look(0, None, None, None)]), Outcome::Agreed);
    assert_eq!(last(&[look(0, None, None, Some(9))]), Outcome::Agreed);
}

#[test]
fn a_difference_counts_only_beyond_the_lag() {
    let pair = |at| [look(0, None, Some(1), Some(1)), look(at, None, Some(1), Some(1))];
    assert!(matches!(last(&pair(1000)), Outcome::Wait { .. }));
    assert_eq!(last(&pair(1001)), Outcome::Mismatch(MismatchClass::Missing));
}

#[test]
fn a_slow_look_proves_nothing_by_its_length() {
    let mut slow = look(0, None, Some(1), Some(1));
    slow.ended = ms(5000);
    assert!(matches!(last(&[slow]), Outcome::Wait { .. }));
    assert!(matches!(
        last(&[slow, look(5500, None, Some(1), Some(1))]),
        Outcome::Wait { .. }
    ));
}

#[test]
fn the_target_must_have_been_read_beyond_the_lag() {
    // Read early, and the source much later: it may have been late, and no more.
    let mut slow = look(900, None, Some(1), Some(1));
    slow.ended = ms(5000);
    assert!(matches!(
        last(&[look(0, None, Some(1), Some(1)), slow]),
        Outcome::Wait { .. }
    ));
}

#[test]
fn a_write_of_the_source_starts_the_clock_anew() {
    // The same shape, another source item: something was written.
    let looks = [
        look(0, Some(7), Some(1), Some(1)),
        look(900, Some(7), Some(1), Some(2)),
        look(1800, Some(7), Some(1), Some(2)),
    ];
    assert!(matches!(last(&looks), Outcome::Wait { .. }));
    // An item of another service, written meanwhile: it may just have come from there.
    let looks = [
        look(0, Some(7), None, Some(1)),
        look(1001, Some(7), None, Some(2)),
    ];
    assert!(matches!(last(&looks), Outcome::Wait { .. }));
}

#[test]
fn what_the_source_said_within_the_lag_agrees() {
    let moved_on = |at| {
        [
            look(0, None, Some(1), Some(1)),
            look(at, Some(1), Some(2), Some(2)),
        ]
    };
    assert_eq!(last(&moved_on(1000)), Outcome::Agreed);
    assert!(matches!(last(&moved_on(1001)), Outcome::Wait { .. }));
    // A late removal: the source had nothing, and has an item now.
    let removed = [look(0, Some(1), None, None), look(500, None, Some(2), Some(2))];
    assert_eq!(last(&removed), Outcome::Agreed);
}

#[test]
fn classes_say_what_is_wrong() {
    let confirmed = |held, desired, source, expired| {
        let at = |at| Observation {
            expired,
            ..look(at, held, desired, source)
        };
        last(&[at(0), at(1001)])
    };
    let none = Expired::default();
    let both = Expired {
        source: true,
        target: true,
    };
    let (a, b) = (Some(1), Some(2));
    assert_eq!(
        confirmed(None, a, a, none),
        Outcome::Mismatch(MismatchClass::Missing)
    );
    assert_eq!(
        confirmed(a, None, None, none),
        Outcome::Mismatch(MismatchClass::Extra)
    );
    assert_eq!(
        confirmed(a, b, b, none),
        Outcome::Mismatch(MismatchClass::Different)
    );
    assert_eq!(
        confirmed(a, None, b, none),
        Outcome::Mismatch(MismatchClass::Misrouted)
    );
    assert_eq!(
        confirmed(None, a, a, both),
        Outcome::Mismatch(MismatchClass::Expired)
    );
    assert_eq!(
        confirmed(a, None, None, both),
        Outcome::Mismatch(MismatchClass::Expired)
    );
    // TTL explains neither of these.
    assert_eq!(
        confirmed(a, b, b, both),
        Outcome::Mismatch(MismatchClass::Different)
    );
    assert_eq!(
        confirmed(a, None, b, both),
        Outcome::Mismatch(MismatchClass::Misrouted)
    );
    // The existing side has not expired.
    let source = Expired {
        source: true,
        target: false,
    };
    assert_eq!(
        confirmed(a, None, None, source),
        Outcome::Mismatch(MismatchClass::Extra)
    );
}

#[test]
fn a_collision_stands_however_hot_its_items_are() {
    let several = |at, held| Observation {
        desired: Desired::Several,
        ..look(at, Some(held), None, Some(held))
    };
    let looks = [several(0, 1), several(500, 2), several(1001, 3)];
    assert_eq!(last(&looks), Outcome::Mismatch(MismatchClass::Collision));
    // Holding the item of one of them is no excuse.
    let looks = [look(0, None, Some(1), Some(1)), several(500, 1)];
    assert!(matches!(last(&looks), Outcome::Wait { .. }));
    // One of them is gone: an ordinary key again.
    let looks = [several(0, 1), look(1001, Some(1), Some(1), Some(1))];
    assert_eq!(last(&looks), Outcome::Agreed);
}

#[test]
fn a_key_that_never_rests_is_given_up_and_not_called_equal() {
    let mut settling = Settling::default();
    let rules = SettleRules::new(LAG);
    for n in 0.. {
        let version = Some(100 + n);
        let outcome = settling.observe(&rules, &look(n * 125, Some(1), version, version));
        match outcome {
            Outcome::Wait { .. } => assert!(n < 16),
            other => {
                assert_eq!((other, n), (Outcome::Unsettled, 15));
                return;
            }
        }
    }
}

#[test]
fn a_key_that_rests_at_last_is_not_given_up() {
    let mut settling = Settling::default();
    let rules = SettleRules::new(LAG);
    let hot = (0..15).map(|n| look(n * 10, Some(1), Some(100 + n), Some(100 + n)));
    // It rests since 140; the cap of looks falls into its window.
    let resting = [200, 300].map(|at| look(at, Some(1), Some(114), Some(114)));
    for look in hot.chain(resting) {
        assert!(matches!(settling.observe(&rules, &look), Outcome::Wait { .. }));
    }
    let end = settling.observe(&rules, &look(1141, Some(1), Some(114), Some(114)));
    assert_eq!(end, Outcome::Mismatch(MismatchClass::Different));
}

#[test]
fn waits_lead_to_a_verdict_in_few_looks() {
    let mut settling = Settling::default();
    let mut at = 0;
    let mut looks = 1;
    while let Outcome::Wait { due } =
        settling.observe(&SettleRules::new(LAG), &look(at, None, Some(1), Some(1)))
    {
        at = due.as_millis() as u64;
        looks += 1;
    }
    assert_eq!((at, looks), (1001, 5));
}

#[test]
fn a_target_that_a_stranger_keeps_writing_is_a_mismatch_in_the_end() {
    let outcome = |source| {
        let mut settling = Settling::default();
        let rules = SettleRules::new(LAG);
        (0..100)
            .map(|n| settling.observe(&rules, &look(n * 125, Some(100 + n), source, source)))
            .find(|outcome| !matches!(outcome, Outcome::Wait { .. }))
    };
    assert_eq!(
        outcome(Some(1)),
        Some(Outcome::Mismatch(MismatchClass::Different))
    );
    // Without a source item, an item may come and go between two looks.
    assert_eq!(outcome(None), Some(Outcome::Unsettled));
}

/// A missing item that both sides show all the time, and how far the lane is at each look.
fn while_the_lane(looks: &[(u64, u64)], is_given_up: bool) -> Outcome {
    let missing = |&(at, up_to): &(u64, u64)| Observation {
        delivery: Delivery {
            up_to: ms(up_to),
            is_given_up,
        },
        ..look(at, None, Some(1), Some(1))
    };
    last(&looks.iter().map(missing).collect::<Vec<_>>())
}

#[test]
fn a_difference_stays_open_until_the_lane_has_passed_it() {
    let waits = |looks: &[(u64, u64)]| matches!(while_the_lane(looks, false), Outcome::Wait { .. });
    assert!(waits(&[(5000, 4000), (6001, 4000)]));
    assert!(waits(&[(5000, 4000), (6001, 4000), (60_000, 5000)]));
    let missing = Outcome::Mismatch(MismatchClass::Missing);
    assert_eq!(while_the_lane(&[(5000, 4000), (6001, 5001)], false), missing);
    // A lane that is further ends no rest: its clock may be wrong.
    assert!(waits(&[(5000, 4000), (6000, 9000)]));
}

#[test]
fn a_lane_that_is_given_up_leaves_no_verdict() {
    let looks = [(5000, 4000), (6001, 5000)];
    assert_eq!(while_the_lane(&looks, true), Outcome::Undelivered);
    // Both sides must rest in any case.
    assert!(matches!(
        while_the_lane(&[(5000, 4000), (6000, 4000)], true),
        Outcome::Wait { .. }
    ));
    // It got there after all.
    let looks = [(5000, 4000), (6001, 5001)];
    let missing = Outcome::Mismatch(MismatchClass::Missing);
    assert_eq!(while_the_lane(&looks, true), missing);
}

#[test]
fn looks_wait_for_a_lane_that_is_behind() {
    // Behind by a minute: nothing new shows before it has come near.
    let Outcome::Wait { due } = while_the_lane(&[(60_000, 0)], false) else {
        panic!("no wait");
    };
    let delivery = |up_to| Delivery {
        up_to: ms(up_to),
        is_given_up: false,
    };
    let is_due = |now, up_to| delivery(up_to).clock(ms(now), LAG) >= due;
    assert!(!is_due(100_000, 0));
    assert!(is_due(100_000, 200));
    let given_up = Delivery {
        is_given_up: true,
        ..delivery(0)
    };
    assert_eq!(given_up.clock(ms(100_000), LAG), ms(100_000));
}

#[test]
fn of_a_service_that_writes_its_own_table_the_source_may_be_late() {
    let verdict = |looks: &[Observation]| {
        let mut settling = Settling::default();
        let rules = SettleRules {
            written: Written::Target,
            ..SettleRules::new(LAG)
        };
        looks
            .iter()
            .map(|look| settling.observe(&rules, look))
            .last()
            .unwrap()
    };
    // The source shows what the table held a moment ago.
    let late = [
        look(0, Some(1), Some(7), Some(7)),
        look(500, Some(2), Some(1), Some(1)),
    ];
    assert_eq!(verdict(&late), Outcome::Agreed);
    // The other way round, it would be the table that is late.
    assert!(matches!(last(&late), Outcome::Wait { .. }));
    let lost = [
        look(0, Some(2), Some(1), Some(1)),
        look(1001, Some(2), Some(1), Some(1)),
    ];
    assert_eq!(verdict(&lost), Outcome::Mismatch(MismatchClass::Different));
    // A stranger keeps writing the source, and the table rests.
    let strange: Vec<_> = (0..40)
        .map(|n| look(n * 500, Some(2), Some(n + 10), Some(n + 10)))
        .collect();
    assert_eq!(verdict(&strange), Outcome::Mismatch(MismatchClass::Different));
}

/// A history of one key: at each time, which life of the item begins or ends, or its new contents.
#[derive(Clone, Debug)]
struct History {
    /// (time, the item that the target should hold, whether there is a source item), by time.
    writes: Vec<(u64, Option<u64>, bool)>,
    /// When each arrives in the target: in order, within the lag.
    arrivals: Vec<u64>,
}

impl History {
    fn last_before(times: impl Iterator<Item = u64>, at: u64) -> Option<usize> {
        times.take_while(|time| *time <= at).count().checked_sub(1)
    }

    /// The write that the source shows: its index is its version.
    fn source(&self, at: u64) -> Option<usize> {
        Self::last_before(self.writes.iter().map(|write| write.0), at)
    }

    /// An item of a service's own table shows only itself: so each has a timestamp.
    fn item(&self, written: Written, version: Option<usize>) -> Option<u64> {
        let (version, item) = version.and_then(|version| Some((version as u64, self.writes[version].1?)))?;
        Some(match written {
            Written::Source => item,
            Written::Target => 10_000_000 * version + item,
        })
    }

    /// The write that the copy shows; `lost` never arrives.
    fn copied(&self, at: u64, lost: Option<usize>) -> Option<usize> {
        let arrived = Self::last_before(self.arrivals.iter().copied(), at)?;
        if Some(arrived) == lost {
            arrived.checked_sub(1)
        } else {
            Some(arrived)
        }
    }

    /// Looks at the key until there is a verdict, which comes with the time it took.
    fn settle(&self, written: Written, start: u64, took: &[u64], lost: Option<usize>) -> (Outcome, u64) {
        let mut settling = Settling::default();
        let rules = SettleRules {
            written,
            ..SettleRules::new(LAG)
        };
        let mut at = start;
        for (round, took) in took.iter().cycle().enumerate() {
            assert!(round < 40, "no verdict after {round} looks");
            let version = self.source(at + took / 2);
            let present = version.is_some_and(|version| self.writes[version].2);
            let copy = self.item(written, self.copied(at, lost));
            let there = self.item(written, version);
            let (held, desired) = match written {
                Written::Source => (copy, there),
                Written::Target => (there, copy),
            };
            let source = match written {
                Written::Source => version
                    .filter(|_| present)
                    .map(|version| 1_000_000 + version as u64),
                Written::Target => copy,
            };
            let observation = Observation {
                delivery: delivered(at),
                began: ms(at),
                ended: ms(at + took),
                held: held.map(digest),
                desired: desired.map_or(Desired::Nothing, |n| Desired::Item(digest(n))),
                source: source.map(digest),
                expired: Expired::default(),
            };
            match settling.observe(&rules, &observation) {
                Outcome::Wait { due } => at = (at + took).max(due.as_millis() as u64),
                verdict => return (verdict, at),
            }
        }
        unreachable!()
    }
}

/// Writes up to a time, `gap` apart at most: the shape flips among few values (within one life of the item),
/// the item belongs elsewhere at times, or is deleted.
fn history(gap: u64) -> impl Strategy<Value = History> {
    let write = (1..gap, 0u64..6, 0u64..1000);
    prop::collection::vec(write, 1..40).prop_map(|writes| {
        let (mut at, mut life, mut arrival) = (0, 0, 0);
        let mut history = History {
            writes: vec![],
            arrivals: vec![],
        };
        for (gap, what, lag) in writes {
            at += gap;
            let (desired, present) = match what {
                0 => (None, false),
                1 => (None, true),
                shape => (Some(life * 10 + shape), true),
            };
            life += u64::from(!present);
            arrival = (at + lag).max(arrival);
            history.writes.push((at, desired, present));
            history.arrivals.push(arrival);
        }
        history
    })
}

/// Either side.
fn written() -> impl Strategy<Value = Written> {
    prop_oneof![Just(Written::Source), Just(Written::Target)]
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn a_copy_that_is_only_late_is_never_called_wrong(
        history in prop_oneof![history(20), history(300), history(2500)],
        start in 0u64..20_000,
        took in prop::collection::vec(0u64..400, 1..5),
        written in written(),
    ) {
        let (verdict, _) = history.settle(written, start, &took, None);
        prop_assert!(matches!(verdict, Outcome::Agreed | Outcome::Unsettled), "{verdict:?}");
    }

    #[test]
    fn a_lost_write_is_always_found_once_the_written_side_rests(
        mut history in prop_oneof![history(20), history(300), history(2500)],
        start in 0u64..20_000,
        took in prop::collection::vec(0u64..400, 1..5),
        written in written(),
    ) {
        // The last write says something that was never said before, and gets lost.
        let lost = history.writes.len() - 1;
        history.writes[lost] = (history.writes[lost].0, Some(999_999), true);
        let rests = history.writes[lost].0;
        let (verdict, at) = history.settle(written, start, &took, Some(lost));
        if start > rests + 1000 {
            // The bound: one lag, and the time of the reads themselves.
            prop_assert!(matches!(verdict, Outcome::Mismatch(_)), "{verdict:?}");
            prop_assert!(at <= start + 1001 + 6 * 400, "{at}");
        } else {
            // Before, the target was as right as lag allows, or the key still moved.
            let excused = match verdict {
                Outcome::Agreed => at <= rests + 1000 + 400,
                Outcome::Unsettled => at <= rests + 2 * (1000 + 400),
                _ => true,
            };
            prop_assert!(excused, "{verdict:?} at {at}");
        }
    }

    #[test]
    fn a_key_that_rests_always_gets_a_verdict(
        history in history(100),
        took in prop::collection::vec(0u64..400, 1..5),
        written in written(),
    ) {
        let rests = history.writes.last().unwrap().0 + 1000;
        prop_assert_eq!(history.settle(written, rests, &took, None).0, Outcome::Agreed);
    }
}
