use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A budget of capacity units a second. What a request used is known only afterwards, so a request may start
/// while the account is not in debt, and pays after: over time, the rate is kept.
#[derive(Debug)]
pub struct Budget {
    account: Option<Mutex<Account>>,
}

#[derive(Debug)]
struct Account {
    per_second: f64,
    units: f64,
    at: Instant,
}

/// Unused units are saved for at most this many seconds.
const BURST_SECONDS: f64 = 1.0;

impl Budget {
    /// Of this many units a second; without a bound where none is given.
    #[must_use]
    pub fn new(per_second: Option<f64>) -> Self {
        let account = per_second.map(|per_second| {
            Mutex::new(Account {
                per_second,
                units: per_second * BURST_SECONDS,
                at: Instant::now(),
            })
        });
        Self { account }
    }

    /// Waits until a request may start.
    pub async fn ready(&self) {
        while let Some(wait) = self.debt() {
            tokio::time::sleep(wait).await;
        }
    }

    /// How long until the account is out of debt; `None` if it is not in debt.
    fn debt(&self) -> Option<Duration> {
        let mut account = self
            .account
            .as_ref()?
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        account.earn(Instant::now());
        (account.units <= 0.0)
            .then(|| Duration::from_secs_f64((-account.units / account.per_second).clamp(0.002, 1.0)))
    }

    /// Pays for a request: thousandths of units.
    #[allow(clippy::cast_precision_loss)] // a request uses few units
    pub fn pay(&self, milliunits: u64) {
        if let Some(account) = &self.account {
            let mut account = account.lock().unwrap_or_else(PoisonError::into_inner);
            account.earn(Instant::now());
            account.units -= milliunits as f64 / 1000.0;
        }
    }
}

impl Account {
    fn earn(&mut self, now: Instant) {
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * self.per_second;
        self.units = (self.units + earned).min(self.per_second * BURST_SECONDS);
        self.at = now;
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
    }
}
