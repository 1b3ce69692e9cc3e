//! One life of a command: it ends by itself, is stopped, is suspended for a while, or dies. Dropping it is its death:
//! what it sent still lands.

use std::time::Duration;

use dynasplit::dynamo::{Clock, Timing};
use dynasplit::plan::Plan;
use rand::Rng;
use rand::rngs::StdRng;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::network::Doom;
use crate::worker::{Job, Report};
use crate::world::World;

/// Clocks are fast or slow by up to so many millionths.
const WRONG_PPM: i32 = 2000;

/// How a life ended.
#[derive(Clone, Debug)]
pub enum End {
    /// Well.
    Done(Report),
    /// With an error, as an operator sees it.
    Failed(String),
    /// It was killed.
    Killed(&'static str),
}

impl End {
    /// In words without names, for a count.
    pub fn words(&self) -> &str {
        match self {
            Self::Done(report) => &report.words,
            Self::Failed(error) => error,
            Self::Killed(how) => how,
        }
    }
}

/// When somebody dies at a request, if they do.
pub fn doom(rng: &mut StdRng) -> Option<Doom> {
    rng.random_bool(0.6).then(|| Doom {
        at_request: rng.random_range(0.0..6.2_f64).exp() as u64 + 1,
        sends_it: rng.random(),
    })
}

impl World {
    /// One life of a command.
    pub async fn life(&self, job: &Job, plan: &Plan, name: &str, rng: &mut StdRng) -> End {
        let is_spared = || self.is_calm() || self.cast.spares_lives || !self.cuts.may_die(name);
        let doom = doom(rng).filter(|_| !is_spared());
        let (wire, died) = self.network.join(name, true, doom);
        let timing = Timing {
            clock: self.clock(rng),
            ..self.timing()
        };
        let stop = CancellationToken::new();
        let (stopped_after, killed_after) = (rng.random_range(2..90), rng.random_range(1..90));
        let later = async |seconds: u64| {
            sleep(Duration::from_secs(seconds)).await;
            if is_spared() {
                std::future::pending::<()>().await;
            }
        };
        let stopping = async {
            later(stopped_after).await;
            self.network.count("stopped by a signal");
            self.note_dead(name);
            stop.cancel();
            std::future::pending::<()>().await;
        };
        let suspended = (self.cast.suspends && rng.random_bool(0.4))
            .then(|| [rng.random_range(500..30_000), rng.random_range(200..30_000)]);
        let suspending = async {
            if let Some([after, lasting]) = suspended.map(|times| times.map(Duration::from_millis)) {
                sleep(after).await;
                if !is_spared() {
                    self.note_dead(name);
                    self.network.suspend(name);
                    sleep(lasting).await;
                    self.network.wake(name);
                }
            }
            std::future::pending::<()>().await;
        };
        let end = tokio::select! {
            biased;
            () = died.notified() => End::Killed("died at a request"),
            () = later(killed_after) => End::Killed("was killed"),
            () = self.everybody_leaves() => End::Killed("was left"),
            () = stopping => unreachable!("it never ends"),
            () = suspending => unreachable!("it never ends"),
            end = job.clone().work(plan.clone(), wire, timing, stop.clone(), self.shop.clone()) => match end {
                Ok(report) => End::Done(report),
                Err(error) => End::Failed(error),
            },
        };
        if let End::Killed(how) = end {
            self.note_dead(name);
            self.network.count(how);
        }
        self.network.bury(name, end.words());
        self.note_end(&format!("{}: {}", job.name(), end.words()));
        end
    }

    /// A clock that is wrong, and that somebody may set.
    fn clock(&self, rng: &mut StdRng) -> Clock {
        let wrong_ms = rng.random_range(-self.cast.wrong_ms..=self.cast.wrong_ms);
        let now = Instant::now();
        let began_ms = self.now_ms().saturating_add_signed(wrong_ms);
        let ppm = rng.random_range(-WRONG_PPM..WRONG_PPM);
        let clock = Clock::simulated(now, began_ms, if self.cuts.right_clocks { 0 } else { ppm });
        let (after, by_ms) = (
            rng.random_range(1..30),
            rng.random_range(-self.cast.wrong_ms..=self.cast.wrong_ms),
        );
        if self.cast.sets_clocks && !self.is_calm() && rng.random() {
            self.network.count("clock set");
            return clock.set_at(now + Duration::from_secs(after), by_ms);
        }
        clock
    }
}
