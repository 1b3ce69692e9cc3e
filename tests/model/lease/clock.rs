//! The product's answers to "may I take it" and "may I write", at given ages. A step of time is five seconds.

use super::Rules;
use dynasplit::dynamo::Clock;
use dynasplit::state::{Lease, LeaseWatch, Moment, Owner, Validity};
use std::time::Duration;
use tokio::time::Instant;

/// Steps that a lease lasts, that a request takes at most, and that it may land later.
pub const LEASE: u8 = 4;
pub const ATTEMPT: u8 = 1;
pub const MARGIN: u8 = 1;
/// Beyond this age, nothing changes any more.
pub const OLDEST: u8 = 8;

fn steps(count: u8) -> Duration {
    Duration::from_secs(5) * u32::from(count)
}

/// Whether somebody else's lease is free, whose record was seen unchanged for so long.
pub fn is_free(seen_for: u8, rules: Rules) -> bool {
    if !rules.seen_to_pass {
        return true;
    }
    let mut watch = if rules.until_landed {
        LeaseWatch::until_landed(steps(ATTEMPT + MARGIN))
    } else {
        LeaseWatch::default()
    };
    let lease = Lease::held_by(&Owner("another".into()), steps(LEASE));
    let first = Instant::now();
    watch.is_free("shard", &lease, 1, first) || watch.is_free("shard", &lease, 1, first + steps(seen_for))
}

/// Whether a write may start under a lease that was renewed so long ago, on the steady clock and on the wall's.
pub fn may_write(steady: u8, wall: u8, rules: Rules) -> bool {
    let renewed = Moment::now(Clock::SYSTEM);
    let attempt = if rules.attempt {
        steps(ATTEMPT)
    } else {
        Duration::ZERO
    };
    let slept = if rules.both_clocks { wall - steady } else { 0 };
    let now = renewed.after(steps(steady)).slept(steps(slept));
    Validity::new(Clock::SYSTEM, renewed, steps(LEASE), attempt).may_write_at(now)
}
