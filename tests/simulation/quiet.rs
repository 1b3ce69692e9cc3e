//! A quiet moment: nothing is written and nothing goes wrong. Then the targets become exact, or the tool names what is
//! in the way.

use std::sync::Arc;
use std::time::Duration;

use dynasplit::dynamo::{Clients, Clock, Timing};
use dynasplit::status::{ObstacleKind, SplitStatus, split_status};
use dynasplit::worker::Split;
use tokio::time::{Instant, sleep};

use crate::check::{self, Wrong};
use crate::history;
use crate::network::EPOCH_MS;
use crate::support::trial::Stamps;
use crate::worker::configuration;
use crate::world::{BUCKET, World};
use crate::writers::Writers;

/// In a quiet moment, everything is exact after so long.
const LIVENESS: Duration = Duration::from_secs(240);
/// Most runs are exact within the first of these. A comparison takes much longer than the simulated time between two.
const SOON: Duration = Duration::from_secs(15);
const OFTEN: Duration = Duration::from_secs(1);
const SELDOM: Duration = Duration::from_secs(5);
/// A ledger that began within an hour has every record.
const IN_TIME_MS: u64 = 60 * 60 * 1000;
/// A tool that says nothing is in the way is believed after so long, unless a lane says that it has not read everything yet: after a
/// long run, one worker may have thousands of records before it, and a few in each page.
const DRAINED: Duration = Duration::from_secs(90);

impl World {
    /// Why the targets are not what they should be, when everything has had its time.
    pub async fn quiet_moment(self: &Arc<Self>, writers: &Writers) -> Option<Wrong> {
        // Copies go on beside the writers until they end, unless something else is in their way.
        let began = Instant::now();
        while !self.is_filled() && began.elapsed() < LIVENESS && self.only_copies().await {
            sleep(Duration::from_secs(2)).await;
        }
        self.network.note(|| "the writers rest".into());
        writers.rest(true);
        let began = Instant::now();
        loop {
            sleep(if began.elapsed() < SOON { OFTEN } else { SELDOM }).await;
            if let Some(what) = self.unsupported() {
                return Some(what);
            }
            let Some(found) = self.differences(Stamps::Stripped) else {
                // A lane that was on hold writes again what the copy has written: older states come before the last one.
                if began.elapsed() < DRAINED && self.is_behind(began.elapsed()).await {
                    continue;
                }
                break;
            };
            if began.elapsed() < DRAINED {
                continue;
            }
            match self.flag().await {
                // What must be dealt with first has a name.
                Some(flag) if self.cast.imports && self.has(ObstacleKind::AwaitingImport).await => {
                    return Some(Wrong::because(
                        "nothing goes wrong, and a table is still left to an import",
                        flag + "\nCommands ended so:\n" + &self.ends(),
                    ));
                }
                Some(flag) if self.cast.ledger && self.is_not_bridged().await => {
                    return Some(Wrong::because(
                        "the ledger bridges an outage, and a lane lost records",
                        flag,
                    ));
                }
                Some(flag) => {
                    self.network
                        .note(|| format!("not exact, and the tool says why: {flag}"));
                    self.network.count("quiet moment with a flag");
                    return None;
                }
                None if began.elapsed() < LIVENESS && self.is_behind(began.elapsed()).await => {}
                None => {
                    let ends = format!("\nCommands ended so:\n{}", self.ends());
                    return Some(
                        found
                            .when("not exact in time, and the tool names nothing")
                            .and(&ends),
                    );
                }
            }
        }
        self.network.count("quiet moment, exact");
        if let Some(wrong) = self.shop.as_ref().and_then(|shop| shop.false_alarm()) {
            return Some(wrong);
        }
        sleep(self.cast.stays).await;
        let found = self.differences(Stamps::Stripped)?;
        if self.flag().await.is_some() {
            return None;
        }
        Some(found.when("exact, and then no more"))
    }

    /// Whether a lane lost records although the ledger began in time, and lost none. If every worker dies soon, the first object of
    /// a ledger may come when the stream has trimmed records already.
    async fn is_not_bridged(&self) -> bool {
        let in_time_ms = EPOCH_MS + IN_TIME_MS;
        let began_in_time = self
            .network
            .with_engine(|engine, _| history::begins_before(engine, BUCKET, in_time_ms));
        if !began_in_time {
            self.network.count("the ledger began late");
            return false;
        }
        self.has(ObstacleKind::Gap).await && !self.has(ObstacleKind::Ledger).await
    }

    /// Whether the tool names an obstacle of a kind.
    async fn has(&self, kind: ObstacleKind) -> bool {
        let status = self.status().await;
        status.is_ok_and(|status| status.obstacles.iter().any(|obstacle| obstacle.kind == kind))
    }

    /// How the targets differ from what the newest plan says.
    pub fn differences(&self, stamps: Stamps) -> Option<Wrong> {
        if let Some(shop) = &self.shop {
            return shop.differences(stamps);
        }
        let services: Vec<&str> = self
            .plan()
            .services
            .iter()
            .map(|service| service.table.name.as_str())
            .collect();
        self.network
            .with_engine(|engine, now_ms| check::differences(engine, &self.trial, &services, stamps, now_ms))
    }

    /// What was found wrong at once: at a moment of the product's choice, or because the engine was asked for something that it
    /// does not know.
    pub fn unsupported(&self) -> Option<Wrong> {
        if let Some(wrong) = self.shop.as_ref().and_then(|shop| shop.wrong()) {
            return Some(wrong);
        }
        if self.cast.ledger {
            let source = &self.trial.source;
            let wrong = self
                .network
                .with_engine(|engine, _| history::wrong(engine, BUCKET, source));
            if wrong.is_some() {
                return wrong;
            }
        }
        let what = self
            .network
            .with_engine(|engine, _| engine.unsupported.first().cloned())?;
        Some(Wrong::because(
            "the simulated engine has to learn something",
            what,
        ))
    }

    /// What the tool says is in the way of exact targets; `None` if they should be exact.
    async fn flag(&self) -> Option<String> {
        let status = match self.status().await {
            Ok(status) => status,
            Err(error) => return Some(error),
        };
        let flag = status.obstacles.iter().find(|obstacle| {
            !matches!(
                obstacle.kind,
                // These are about lanes that have to go on by themselves, and about what was compared.
                ObstacleKind::NoWorker
                    | ObstacleKind::Lag
                    | ObstacleKind::NotVerified
                    | ObstacleKind::NotClean
                    // It is in the way of nothing but itself.
                    | ObstacleKind::Ledger
                    // The items that these are about have been looked at.
                    | ObstacleKind::StrayWrites
                    | ObstacleKind::ReverseDeadLetters
            )
        });
        flag.map(ToString::to_string)
    }

    /// Whether a lane says that it has not read everything from before this time.
    pub async fn is_behind(&self, past: Duration) -> bool {
        let lags = self.status().await.map(|status| status.lanes);
        let mut lags = lags.into_iter().flatten().filter_map(|lane| lane.lag_ms);
        lags.any(|lag_ms| u128::from(lag_ms) > past.as_millis())
    }

    /// Whether nothing is in the way but what a copy deals with by itself, and what lanes do.
    async fn only_copies(&self) -> bool {
        let status = self.status().await;
        status.is_ok_and(|status| {
            status.obstacles.iter().all(|obstacle| {
                matches!(
                    obstacle.kind,
                    ObstacleKind::NotCaptured
                        | ObstacleKind::NotBackfilled
                        | ObstacleKind::BackfillUnfinished
                        | ObstacleKind::LanesHeld
                        | ObstacleKind::AwaitingImport
                        | ObstacleKind::Tombstones
                        | ObstacleKind::Rechecks
                        | ObstacleKind::DeadLetters
                        | ObstacleKind::NoWorker
                        | ObstacleKind::Lag
                        | ObstacleKind::NotVerified
                        | ObstacleKind::NotClean
                        | ObstacleKind::Ledger
                )
            })
        })
    }

    /// Where the split stands, asked over a network on which nothing goes wrong, with a clock that is right.
    async fn status(&self) -> Result<SplitStatus, String> {
        let (wire, _) = self.network.join("observer", false, None);
        let timing = Timing {
            clock: Clock::simulated(Instant::now(), self.now_ms(), 0),
            ..self.timing()
        };
        let clients = Clients::of(configuration(wire), timing);
        let split = Split::open(self.plan().clone(), &clients).await;
        let status = Box::pin(split_status(&split)).await;
        status.map_err(|error| error.to_string())
    }
}
