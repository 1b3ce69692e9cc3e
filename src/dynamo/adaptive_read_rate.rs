//! The adaptive read rate of one table. Other applications use the table, and their reads come first.
//!
//! What a throttled read means depends on the reason that DynamoDB gives:
//!
//! - A key range is at its limit. Only the part of the table (a segment of the scan) that holds the range is read more
//!   slowly. A read of a single key is just repeated after a wait.
//! - The table, an index, or the account is at its limit. All reads of the table slow down; a limit of the account also
//!   slows the reads of the other tables that share the [`AccountLimit`].

mod rate;

use super::{AccountLimit, Failure, FailureKind, RequestOutcome};
use rate::Rate;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Reads of one table that yield to the table's other users. Units are read units, as for a budget, which applies beside
/// this.
#[derive(Debug)]
pub struct AdaptiveReadRate {
    state: Mutex<State>,
    account_limit: AccountLimit,
}

/// One read that may start. Report its result by [`ReadTurn::answered`] or [`ReadTurn::failed`]; a read that is dropped
/// before gives back the units that were reserved for it.
#[derive(Debug)]
pub struct ReadTurn<'a> {
    read_rate: &'a AdaptiveReadRate,
    part: Option<u32>,
    reserved: Option<Reserved>,
}

/// Units that a read is expected to use, of the table and of its part.
#[derive(Clone, Copy, Debug, Default)]
struct Reserved {
    table: f64,
    part: f64,
}

/// Pure: its caller passes the time.
#[derive(Debug)]
struct State {
    table: Rate,
    /// Parts of the table whose key range was throttled.
    parts: BTreeMap<u32, Rate>,
    /// Throttles by the account that were taken in.
    account_hits: u64,
}

/// The read units a second that one partition gives.
const PARTITION_UNITS: f64 = 3000.0;
/// A throttled part keeps this rate: a twentieth of what one partition gives.
const PART_FLOOR: f64 = PARTITION_UNITS / 20.0;

impl Default for AdaptiveReadRate {
    fn default() -> Self {
        Self::under(&AccountLimit::default())
    }
}

impl AdaptiveReadRate {
    /// Reads that slow down when any table that shares the account limit is throttled by a limit of the account.
    #[must_use]
    pub fn under(account_limit: &AccountLimit) -> Self {
        Self {
            state: Mutex::new(State::new(Instant::now(), account_limit.hits())),
            account_limit: account_limit.clone(),
        }
    }

    /// Waits until a read may start. `part` is the part of the table that it is for, if it is a page of a scan.
    pub async fn ready(&self, part: Option<u32>) -> ReadTurn<'_> {
        loop {
            let started = self.lock().start(part, self.account_limit.hits(), Instant::now());
            match started {
                Ok(reserved) => {
                    return ReadTurn {
                        read_rate: self,
                        part,
                        reserved: Some(reserved),
                    };
                }
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    /// The read units a second that are left to this process, while the table throttles.
    #[must_use]
    pub fn bound(&self) -> Option<f64> {
        self.lock().table.bound()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadTurn<'_> {
    /// The read was answered, and used these thousandths of read units.
    #[allow(clippy::cast_precision_loss)] // a request uses few units
    pub fn answered(mut self, milliunits: u64) {
        if let Some(reserved) = self.reserved.take() {
            let units = milliunits as f64 / 1000.0;
            let mut state = self.read_rate.lock();
            state.answered(self.part, reserved, units, Instant::now());
        }
    }

    /// The read failed. The reads slow down if it was throttled.
    pub fn failed(mut self, failure: &Failure) {
        let Some(reserved) = self.reserved.take() else {
            return;
        };
        let mut state = self.read_rate.lock();
        state.give_back(self.part, reserved);
        if matches!(failure.kind, FailureKind::Throttled(_)) {
            let outcome = RequestOutcome::of(failure);
            if outcome == RequestOutcome::Account {
                self.read_rate.account_limit.hit();
            }
            state.throttled(
                self.part,
                outcome,
                self.read_rate.account_limit.hits(),
                Instant::now(),
            );
        }
    }
}

impl Drop for ReadTurn<'_> {
    fn drop(&mut self) {
        if let Some(reserved) = self.reserved.take() {
            self.read_rate.lock().give_back(self.part, reserved);
        }
    }
}

impl State {
    fn new(now: Instant, account_hits: u64) -> Self {
        Self {
            table: Rate::new(now),
            parts: BTreeMap::new(),
            account_hits,
        }
    }

    /// Reserves units for a read, or says how long to wait.
    fn start(&mut self, part: Option<u32>, account_hits: u64, now: Instant) -> Result<Reserved, Duration> {
        self.obey(account_hits, now);
        let mut of_part = part.and_then(|part| self.parts.get_mut(&part));
        let waits = [
            self.table.wait(now),
            of_part.as_mut().and_then(|rate| rate.wait(now)),
        ];
        match waits.into_iter().flatten().max() {
            Some(wait) => Err(wait),
            None => Ok(Reserved {
                table: self.table.reserve(),
                part: of_part.map_or(0.0, Rate::reserve),
            }),
        }
    }

    fn answered(&mut self, part: Option<u32>, reserved: Reserved, units: f64, now: Instant) {
        self.give_back(part, reserved);
        self.table.pay(units, now);
        if let Some(rate) = part.and_then(|part| self.parts.get_mut(&part)) {
            rate.pay(units, now);
        }
        self.parts.retain(|_, rate| rate.bound().is_some());
    }

    fn give_back(&mut self, part: Option<u32>, reserved: Reserved) {
        self.table.give_back(reserved.table);
        if let Some(rate) = part.and_then(|part| self.parts.get_mut(&part)) {
            rate.give_back(reserved.part);
        }
    }

    fn throttled(&mut self, part: Option<u32>, outcome: RequestOutcome, account_hits: u64, now: Instant) {
        match (outcome, part) {
            (RequestOutcome::Account, _) => self.obey(account_hits, now),
            // The read is repeated after a wait, and no other read is concerned.
            (RequestOutcome::KeyRange, None) => {}
            (RequestOutcome::KeyRange, Some(part)) => {
                let rate = self.parts.entry(part);
                let rate = rate.or_insert_with(|| Rate::bounded(PARTITION_UNITS, PART_FLOOR, now));
                rate.throttle(now);
            }
            (RequestOutcome::Overloaded | RequestOutcome::Neutral | RequestOutcome::Fast, _) => {
                self.table.throttle(now)
            }
        }
    }

    /// Takes in throttles by the account, which were seen here or at another table.
    fn obey(&mut self, account_hits: u64, now: Instant) {
        if account_hits > self.account_hits {
            self.account_hits = account_hits;
            self.table.throttle(now);
        }
    }
}

#[cfg(test)]
mod tests;
