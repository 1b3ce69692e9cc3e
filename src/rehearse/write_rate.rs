//! How fast the live writers write, all of them together.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Times at which nobody writes: after each spell of writing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rests {
    /// How long they write.
    pub write_for: Duration,
    /// How long they rest then.
    pub rest_for: Duration,
}

/// Gives all tasks together this many turns per second.
pub(super) struct WriteRate {
    gap: Duration,
    rests: Option<Rests>,
    began: Instant,
    next: Mutex<Instant>,
}

impl WriteRate {
    /// How far turns that were missed may be made up for, by going faster for a moment.
    pub const CATCH_UP: Duration = Duration::from_millis(250);

    /// `None` for a rate of 0.
    pub fn of(writes_per_second: u32, rests: Option<Rests>) -> Option<Self> {
        let gap = Duration::from_secs(1).checked_div(writes_per_second)?;
        let began = Instant::now();
        Some(Self {
            gap,
            rests,
            began,
            next: Mutex::new(began),
        })
    }

    /// Takes the next turn: when it is.
    pub fn next_turn(&self, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (*next).max(now.checked_sub(Self::CATCH_UP).unwrap_or(now));
        let turn = self.after_rest(turn, now);
        *next = turn + self.gap;
        turn
    }

    /// The same turn, or the end of the rest in which it would be.
    fn after_rest(&self, turn: Instant, now: Instant) -> Instant {
        let Some(Rests { write_for, rest_for }) = self.rests else {
            return turn;
        };
        let (turn, period) = (turn.max(now), write_for + rest_for);
        let since = turn.duration_since(self.began).as_millis();
        let into = since.checked_rem(period.as_millis()).unwrap_or(0);
        let left = period.as_millis().saturating_sub(into);
        if into < write_for.as_millis() {
            return turn;
        }
        turn + Duration::from_millis(u64::try_from(left).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nobody_writes_during_a_rest() {
        let rests = Rests {
            write_for: Duration::from_secs(2),
            rest_for: Duration::from_secs(1),
        };
        let rate = WriteRate::of(10, Some(rests)).unwrap();
        let mut spells = [0; 4];
        let mut turn = rate.began;
        while turn < rate.began + Duration::from_secs(6) {
            turn = rate.next_turn(turn);
            let into = turn.duration_since(rate.began).as_millis() % 3000;
            assert!(into < 2000, "a turn {into} ms after the beginning of a spell");
            let spell = turn.duration_since(rate.began).as_millis() / 3000;
            spells[usize::try_from(spell).unwrap()] += 1;
        }
        assert_eq!(spells[..2], [20, 20]);
    }
}
