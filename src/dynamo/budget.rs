//! A budget of capacity units per second.

use super::Average;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A budget of capacity units per second. The use of a request is known only afterwards, so a request may start while
/// the account is not in debt, and pays afterwards: over time, the rate is kept. Until it pays, the usual use of a
/// request is reserved for it; otherwise all waiting requests would start together as soon as the account is out of
/// debt. A failed request loses its reservation. The rate may be changed at any time; waiting tasks notice it at
/// once.
#[derive(Debug)]
pub struct Budget {
    account: Mutex<Account>,
    changed: Notify,
}

#[derive(Debug)]
struct Account {
    /// Unlimited if `None`.
    per_second: Option<f64>,
    units: f64,
    at: Instant,
    /// The usual use of a request.
    usual: f64,
    /// Put aside for requests that have not paid yet, and how many they are.
    aside: f64,
    unpaid: u32,
    /// Requests that wait for the account to be out of debt.
    waiting: u32,
    /// The share of the last seconds in which a task waited.
    held: Average,
}

/// Unused units are saved for at most this many seconds.
const BURST_SECONDS: f64 = 1.0;
/// A wait is looked at again after this at the latest.
const LONGEST_WAIT: f64 = 1.0;
/// The weight of one request in the usual use.
const LEARNS: f64 = 0.1;
/// If a task waits for this share of the time, the budget is its limit.
const LIMITS: f64 = 0.3;

impl Default for Budget {
    /// Without a bound.
    fn default() -> Self {
        Self::new(None)
    }
}

impl Budget {
    /// A budget of this many units per second; unlimited if `None`.
    #[must_use]
    pub fn new(per_second: Option<f64>) -> Self {
        let now = Instant::now();
        Self {
            account: Mutex::new(Account {
                per_second,
                units: per_second.unwrap_or(0.0) * BURST_SECONDS,
                at: now,
                usual: 1.0,
                aside: 0.0,
                unpaid: 0,
                waiting: 0,
                held: Average::new(now),
            }),
            changed: Notify::new(),
        }
    }

    /// Changes the rate. A debt stays; savings are kept as far as the new rate would have saved them.
    pub fn set_rate(&self, per_second: Option<f64>) {
        let mut account = self.account();
        if account.per_second == per_second {
            return;
        }
        account.set_rate(per_second, Instant::now());
        drop(account);
        self.changed.notify_waiters();
    }

    /// Units a second; `None`: no bound.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        self.account().per_second
    }

    /// The rate, if it limited its users over the last seconds.
    #[must_use]
    pub fn limits(&self) -> Option<f64> {
        let account = self.account();
        account
            .per_second
            .filter(|_| account.held.mean(Instant::now()) >= LIMITS)
    }

    /// Waits until a request may start.
    pub async fn ready(&self) {
        let Some(mut wait) = self.start() else { return };
        let _waiting = Waiting::at(self);
        loop {
            tokio::select! {
                biased;
                () = self.changed.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
            match self.start() {
                Some(more) => wait = more,
                None => return,
            }
        }
    }

    /// Starts a request, if the account is not in debt; otherwise answers how long it will be.
    fn start(&self) -> Option<Duration> {
        let mut account = self.account();
        account.earn(Instant::now());
        let per_second = account.per_second?;
        if account.units > 0.0 {
            account.put_aside();
            return None;
        }
        Some(Duration::from_secs_f64(
            (-account.units / per_second).clamp(0.002, LONGEST_WAIT),
        ))
    }

    /// Pays for a request that was [ready](Budget::ready), once: thousandths of units.
    #[allow(clippy::cast_precision_loss)] // a request uses few units
    pub fn pay(&self, milliunits: u64) {
        let mut account = self.account();
        account.earn(Instant::now());
        if account.per_second.is_some() {
            account.pay(milliunits as f64 / 1000.0);
        }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn earn(&mut self, now: Instant) {
        if let Some(per_second) = self.per_second {
            let earned = now.saturating_duration_since(self.at).as_secs_f64() * per_second;
            self.units = (self.units + earned).min(per_second * BURST_SECONDS);
        }
        self.at = now;
    }

    fn set_rate(&mut self, per_second: Option<f64>, now: Instant) {
        self.earn(now);
        self.per_second = per_second;
        match per_second {
            Some(rate) => self.units = self.units.min(rate * BURST_SECONDS),
            // Without a bound, nothing is owed, put aside or saved.
            None => (self.units, self.aside, self.unpaid) = (0.0, 0.0, 0),
        }
    }

    fn put_aside(&mut self) {
        self.units -= self.usual;
        self.aside += self.usual;
        self.unpaid = self.unpaid.saturating_add(1);
    }

    fn pay(&mut self, units: f64) {
        if self.unpaid > 0 {
            let back = self.aside / f64::from(self.unpaid);
            self.units += back;
            self.aside -= back;
            self.unpaid -= 1;
        }
        self.units -= units;
        self.usual += (units - self.usual) * LEARNS;
    }

    fn wait(&mut self, waiting: u32, now: Instant) {
        self.waiting = waiting;
        self.held.set(f64::from(u8::from(waiting > 0)), now);
    }
}

/// A waiting task, also if it ends early.
struct Waiting<'a>(&'a Budget);

impl<'a> Waiting<'a> {
    fn at(budget: &'a Budget) -> Self {
        let mut account = budget.account();
        let waiting = account.waiting.saturating_add(1);
        account.wait(waiting, Instant::now());
        Self(budget)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut account = self.0.account();
        let waiting = account.waiting.saturating_sub(1);
        account.wait(waiting, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_rate_is_kept_over_time() {
        let budget = Budget::new(Some(1000.0));
        let start = Instant::now();
        for _ in 0..15 {
            budget.ready().await;
            budget.pay(100_000);
        }
        let seconds = start.elapsed().as_secs_f64();
        assert!(
            seconds > 0.3,
            "1500 units at 1000 a second, 1000 saved: {seconds}"
        );
    }

    #[tokio::test]
    async fn no_budget_never_waits() {
        let budget = Budget::new(None);
        budget.pay(u64::MAX);
        budget.ready().await;
        assert_eq!(budget.limits(), None);
    }

    #[tokio::test]
    async fn who_waits_goes_on_at_once_when_the_bound_is_lifted() {
        let budget = std::sync::Arc::new(Budget::new(Some(0.1)));
        budget.pay(1_000_000);
        let waiting = tokio::spawn({
            let budget = std::sync::Arc::clone(&budget);
            async move { budget.ready().await }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!waiting.is_finished());
        budget.set_rate(None);
        // Less than the longest wait: it was woken.
        tokio::time::timeout(Duration::from_millis(500), waiting)
            .await
            .unwrap()
            .unwrap();
    }

    #[tokio::test]
    async fn a_rate_that_is_changed_holds_from_then_on() {
        let budget = Budget::new(None);
        budget.ready().await;
        budget.set_rate(Some(200.0));
        let start = Instant::now();
        for _ in 0..10 {
            budget.ready().await;
            budget.pay(10_000);
        }
        // Nothing was saved while there was no bound; the last request is not waited for.
        let seconds = start.elapsed().as_secs_f64();
        assert!(seconds > 0.4, "90 units at 200 a second: {seconds}");
        budget.set_rate(Some(100_000.0));
        let start = Instant::now();
        for _ in 0..10 {
            budget.ready().await;
            budget.pay(100_000);
        }
        // 900 units, which take 9 ms now, and would have taken 4.5 s.
        assert!(start.elapsed() < Duration::from_secs(2));
    }

    #[tokio::test]
    async fn those_that_wait_do_not_start_all_together() {
        let budget = std::sync::Arc::new(Budget::new(Some(20.0)));
        let start = Instant::now();
        let requests: Vec<_> = (0..60)
            .map(|_| {
                let budget = std::sync::Arc::clone(&budget);
                tokio::spawn(async move {
                    budget.ready().await;
                    // It is under way for a while before it pays.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    budget.pay(1000);
                    Instant::now()
                })
            })
            .collect();
        let mut soon = 0;
        for request in requests {
            let ended = request.await.unwrap();
            soon += u32::from(ended.duration_since(start) < Duration::from_millis(1000));
        }
        assert!(soon <= 41, "{soon} at 20 a second, 20 of them saved");
        assert!(
            start.elapsed() > Duration::from_millis(1900),
            "{:?}",
            start.elapsed()
        );
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    }

    #[tokio::test]
    async fn a_request_that_fails_does_not_hold_others_up_for_ever() {
        let budget = Budget::new(Some(1000.0));
        for _ in 0..3000 {
            budget.ready().await;
        }
        let others = async {
            for _ in 0..10 {
                budget.ready().await;
                budget.pay(1000);
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(2), others).await;
        assert!(ended.is_ok(), "what failed is still put aside");
    }

    #[test]
    fn a_lower_rate_takes_what_was_saved_and_leaves_the_debt() {
        let now = Instant::now();
        let budget = Budget::new(Some(1000.0));
        let mut account = budget.account();
        account.at = now;
        account.set_rate(Some(10.0), now);
        assert!((account.units - 10.0).abs() < 1e-9, "{}", account.units);
        account.units = -50.0;
        account.set_rate(Some(500.0), now);
        assert!((account.units + 50.0).abs() < 1e-9, "{}", account.units);
        account.set_rate(None, now);
        assert!(account.units.abs() < 1e-9, "nothing is owed without a bound");
    }

    #[tokio::test]
    async fn it_limits_while_somebody_waits_for_it() {
        let budget = Budget::new(Some(10.0));
        budget.ready().await;
        assert_eq!(budget.limits(), None, "nobody has waited");
        budget.pay(1_000_000);
        let waited = tokio::time::timeout(Duration::from_millis(1600), budget.ready());
        assert!(waited.await.is_err());
        assert_eq!(budget.limits(), Some(10.0));
        assert_eq!(budget.account().waiting, 0, "who gives up waits no more");
    }
}
