//! Tests of the adaptive read rate, with simulated readers and simulated time.

use super::rate::{DECISION, FAIR_SHARE, LONGEST_DEBT};
use super::*;
use crate::model::cases::cases;
use proptest::prelude::*;

const RANGE: &str = "TableReadKeyRangeThroughputExceeded";
const TABLE: &str = "TableReadProvisionedThroughputExceeded";
const ACCOUNT: &str = "TableReadAccountLimitExceeded";

/// Simulated readers of one table, and the simulated time.
struct World {
    start: Instant,
    now: Instant,
    state: State,
    readers: Vec<Reader>,
    /// Reads that were answered: when, of which part, and what they used.
    answered: Vec<(Duration, Option<u32>, f64)>,
    refused: u32,
}

struct Reader {
    part: Option<u32>,
    next: Instant,
    attempt: i32,
}

const ANSWER: Duration = Duration::from_millis(20);

impl World {
    fn new(parts: impl IntoIterator<Item = Option<u32>>) -> Self {
        let start = Instant::now();
        let reader = |part| Reader {
            part,
            next: start,
            attempt: 0,
        };
        Self {
            start,
            now: start,
            state: State::new(start, 0),
            readers: parts.into_iter().map(reader).collect(),
            answered: Vec::new(),
            refused: 0,
        }
    }

    /// Reads for some seconds. The table says what a read uses, or why it is throttled.
    fn run(
        &mut self,
        seconds: u64,
        mut table: impl FnMut(Duration, Option<u32>) -> Result<f64, RequestOutcome>,
    ) {
        let until = self.now + Duration::from_secs(seconds);
        loop {
            let next = self.readers.iter_mut().min_by_key(|reader| reader.next);
            let reader = next.expect("a reader");
            if reader.next >= until {
                self.now = until;
                return;
            }
            self.now = self.now.max(reader.next);
            let (now, part) = (self.now, reader.part);
            let reserved = match self.state.start(part, 0, now) {
                Ok(reserved) => reserved,
                Err(wait) => {
                    reader.next = now + wait;
                    continue;
                }
            };
            let at = now - self.start;
            match table(at, part) {
                Ok(units) => {
                    self.state.answered(part, reserved, units, now + ANSWER);
                    self.answered.push((at, part, units));
                    (reader.next, reader.attempt) = (now + ANSWER, 0);
                }
                Err(outcome) => {
                    self.state.give_back(part, reserved);
                    self.state.throttled(part, outcome, 0, now + ANSWER);
                    self.refused += 1;
                    let wait = 0.05 * 2f64.powi(reader.attempt);
                    reader.next = now + Duration::from_secs_f64(wait.min(5.0));
                    reader.attempt += 1;
                }
            }
        }
    }

    /// Units a second from one second to another, of one part or all.
    fn rate(&self, from: u64, to: u64, part: Option<u32>) -> f64 {
        let (from, to) = (Duration::from_secs(from), Duration::from_secs(to));
        let among = self
            .answered
            .iter()
            .filter(|(at, of, _)| (from..to).contains(at) && (part.is_none() || *of == part));
        among.map(|(_, _, units)| units).sum::<f64>() / (to - from).as_secs_f64()
    }
}

fn failure(reason: &str) -> Failure {
    Failure {
        kind: FailureKind::Throttled(vec![format!("{reason} (arn)")]),
        action: "dynamodb:Scan".into(),
        resource: "t".into(),
        code: "ThrottlingException".into(),
        message: String::new(),
    }
}

#[test]
fn a_throttled_read_lowers_the_rate_and_it_comes_back_slowly() {
    let mut world = World::new([None]);
    let mut throttled_at = vec![40, 20, 10];
    world.run(200, |at, _| match throttled_at.last() {
        Some(second) if at.as_secs() >= *second => {
            throttled_at.pop();
            Err(RequestOutcome::Overloaded)
        }
        _ => Ok(128.0),
    });
    let (free, lower) = (world.rate(5, 10, None), world.rate(11, 13, None));
    assert!(free > 6000.0, "{free}");
    assert!((0.65..0.9).contains(&(lower / free)), "{lower} of {free}");
    let lowest = world.rate(21, 23, None);
    assert!(lowest < free * 0.95, "{lowest} of {free}");
    assert!(world.rate(60, 65, None) > lowest, "it comes back");
    assert_eq!(
        world.state.table.bound(),
        None,
        "and the bound is lifted in the end"
    );
}

#[test]
fn a_table_that_throttles_the_first_read_is_read_slowly_at_first() {
    let mut world = World::new([None]);
    let mut first = true;
    world.run(50, |_, _| match std::mem::take(&mut first) {
        true => Err(RequestOutcome::Overloaded),
        false => Ok(128.0),
    });
    let slow = world.rate(0, 50, None);
    assert!((2.0..12.0).contains(&slow), "{slow}");
    assert!(world.state.table.bound().is_some());
}

#[test]
fn all_throttles_of_one_decision_interval_lead_to_one_decrease() {
    let mut world = World::new((0..8).map(|_| None));
    world.run(10, |_, _| Ok(128.0));
    let free = world.rate(5, 10, None);
    let now = world.now;
    for n in 0..100 {
        world
            .state
            .throttled(None, RequestOutcome::Overloaded, 0, now + DECISION / 101 * n);
    }
    let bound = world.state.table.bound().unwrap();
    assert!((0.4..0.9).contains(&(bound / free)), "{bound} of {free}");
    world
        .state
        .throttled(None, RequestOutcome::Overloaded, 0, now + DECISION);
    let second = world.state.table.bound().unwrap();
    // Most reads of that interval were refused: now it is half.
    assert!((0.45..0.55).contains(&(second / bound)), "{second} of {bound}");
}

#[test]
fn a_key_range_that_is_always_throttled_slows_nothing_else() {
    let table = |hot: Option<u32>| {
        move |_: Duration, part: Option<u32>| {
            if part == hot {
                Err(RequestOutcome::KeyRange)
            } else {
                Ok(128.0)
            }
        }
    };
    let mut free = World::new((1..4).map(Some));
    free.run(60, table(Some(0)));
    let mut beside = World::new((0..4).map(Some));
    beside.run(60, table(Some(0)));
    assert!(beside.refused > 10, "{}", beside.refused);
    assert_eq!(beside.rate(0, 60, None), free.rate(0, 60, None));
    assert_eq!(beside.state.table.bound(), None);
    // So it is with reads of single keys, of which one is hot.
    let mut keys = World::new((0..4).map(|_| None));
    let mut nth = 0;
    keys.run(60, |_, _| {
        nth += 1;
        if nth % 4 == 0 {
            Err(RequestOutcome::KeyRange)
        } else {
            Ok(1.0)
        }
    });
    assert_eq!((keys.state.table.bound(), keys.state.parts.len()), (None, 0));
}

#[test]
fn a_hot_part_is_read_more_slowly_and_not_slower_than_its_floor() {
    let mut world = World::new((0..4).map(Some));
    let mut nth = 0;
    world.run(120, |_, part| {
        nth += 1;
        // Every third read of the hot part is refused.
        if part == Some(0) && nth % 3 == 0 {
            Err(RequestOutcome::KeyRange)
        } else {
            Ok(128.0)
        }
    });
    let (hot, other) = (world.rate(20, 120, Some(0)), world.rate(20, 120, Some(1)));
    assert!(hot < other / 3.0, "{hot} beside {other}");
    assert!(hot > PART_FLOOR / 2.0, "{hot}");
    world.run(600, |_, _| Ok(128.0));
    assert_eq!(
        world.state.parts.len(),
        0,
        "a part that is not throttled any more is forgotten"
    );
}

#[test]
fn occasional_throttles_of_the_table_leave_a_fair_share() {
    let mut world = World::new((0..32).map(|_| None));
    let mut nth = 0;
    world.run(300, |at, _| {
        nth += 1;
        if at.as_secs() >= 5 && nth % 33 == 0 {
            Err(RequestOutcome::Overloaded)
        } else {
            Ok(1.0)
        }
    });
    let (free, rate) = (world.rate(0, 5, None), world.rate(60, 300, None));
    assert!(rate > free * FAIR_SHARE * 0.8, "{rate} of {free}");
}

#[test]
fn a_table_whose_users_need_it_all_is_read_at_a_small_rate_that_never_ends() {
    // 1,000 units a second, of which users take 950. Unused units are saved for a second.
    let (mut units, mut last) = (1000.0, Duration::ZERO);
    let mut world = World::new((0..8).map(Some));
    world.run(600, move |at, _| {
        units = f64::min(units + (at - last).as_secs_f64() * 50.0, 1000.0);
        last = at;
        if units <= 0.0 {
            return Err(RequestOutcome::Overloaded);
        }
        units -= 128.0;
        Ok(128.0)
    });
    let refused = f64::from(world.refused) / 600.0;
    let rate = world.rate(60, 600, None);
    assert!((20.0..60.0).contains(&rate), "{rate}");
    assert!(refused < 2.0, "{refused} a second");
}

#[tokio::test]
async fn a_limit_of_the_account_slows_the_reads_of_all_tables_and_a_hot_key_those_of_none() {
    let account_limit = AccountLimit::default();
    let (one, other) = (
        AdaptiveReadRate::under(&account_limit),
        AdaptiveReadRate::under(&account_limit),
    );
    one.ready(None).await.failed(&failure(RANGE));
    one.ready(Some(3)).await.failed(&failure(RANGE));
    drop(other.ready(None).await);
    assert_eq!((one.bound(), other.bound()), (None, None));
    one.ready(None).await.failed(&failure(TABLE));
    drop(other.ready(None).await);
    assert!(one.bound().is_some() && other.bound().is_none());
    let one = AdaptiveReadRate::under(&account_limit);
    one.ready(None).await.failed(&failure(ACCOUNT));
    drop(other.ready(None).await);
    assert!(one.bound().is_some() && other.bound().is_some());
}

#[tokio::test]
async fn reads_that_wait_do_not_start_together_and_one_that_is_dropped_gives_its_units_back() {
    let read_rate = AdaptiveReadRate::default();
    read_rate.ready(None).await.failed(&failure(TABLE));
    let first = read_rate.ready(None).await;
    let second = read_rate.ready(None);
    tokio::pin!(second);
    assert!(
        futures::poll!(&mut second).is_pending(),
        "the first has reserved its units"
    );
    drop(first);
    second.await.answered(1000);
}

proptest! {
    #![proptest_config(cases(32))]

    /// Whatever share of the reads is refused, for whatever reason, and whatever the reads use: reads go on, at least one
    /// each time that a debt and a wait may last.
    #[test]
    fn reads_always_go_on(
        refused in 0.0f64..0.95,
        units in prop_oneof![Just(0.5), Just(1.0), Just(128.0), Just(4096.0)],
        readers in 1u32..16,
        seed in any::<u64>(),
        reasons in prop::collection::vec(prop_oneof![Just(RequestOutcome::Overloaded), Just(RequestOutcome::KeyRange)], 1..4),
    ) {
        use rand::{Rng as _, SeedableRng as _};
        let mut chance = rand::rngs::StdRng::seed_from_u64(seed);
        let mut world = World::new((0..readers).map(Some));
        // The longest wait between two attempts is 5 s: enough of them that one is answered.
        let seconds = 1200;
        world.run(seconds, |_, _| {
            if chance.random_bool(refused) {
                Err(reasons[chance.random_range(0..reasons.len())])
            } else {
                Ok(units)
            }
        });
        let mut times: Vec<Duration> = world.answered.iter().map(|(at, ..)| *at).collect();
        times.push(Duration::from_secs(seconds));
        let longest = times.windows(2).map(|two| two[1] - two[0]).max().unwrap();
        // At most one in 20 attempts is answered, and one starts each 35 s at the latest.
        let bound = (LONGEST_DEBT + Duration::from_secs(5)).as_secs_f64() * (1.0 / (1.0 - refused)) * 6.0;
        prop_assert!(longest.as_secs_f64() < bound, "{longest:?}");
        if refused < 0.3 {
            prop_assert!(longest < LONGEST_DEBT * 2, "{longest:?}");
        }
    }
}
