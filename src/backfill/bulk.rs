//! The bulk order of a backfill: it holds the lanes, copies without guards, and releases the lanes when no late write
//! can land.

use super::circuit_breaker::STUCK_LEASES;
use super::order::{BULK_MS, Chosen, Forecast, GIVEN_UP_MS, OrderChoice, Outlook, choose, lasting};
use super::round::filled;
use super::worker::{Backfill, BackfillReport};
use crate::dynamo::TableCallError;
use crate::fault::{self, Rule, broken};
use crate::plan::TableThroughput;
use crate::repair::{Holder, free, give_up, hold};
use crate::source::SourceFacts;
use crate::state::{BackfillRecord, Order, SplitRecord, StateError, TombstonePhase};
use crate::status::{LaneStatus, lane_status};
use crate::target::{TargetError, throughput};
use crate::worker::{RunError, pause, recorded_shards};
use std::collections::BTreeMap;
use std::convert::Infallible;
use tokio_util::sync::CancellationToken;

/// Between two looks at how old the lanes' places have become, in lease times.
const LOOK_LEASES: u32 = 3;

/// The throughput that the existing targets are set to serve.
#[derive(Default)]
struct Existing {
    /// By service.
    served: BTreeMap<String, TableThroughput>,
    /// A table that may not be described.
    hidden: Option<String>,
}

/// A ledger that is further behind may not keep up.
const LEDGER_LAG_MS: u64 = 3_600_000;

impl Backfill {
    /// The bulk order: hold the lanes, copy without guards, wait until nothing of that can land, release the lanes. They
    /// bring in order whatever the copy read too early or too late.
    pub(super) async fn bulk(
        &self,
        record: &BackfillRecord,
        consistent: bool,
    ) -> Result<BackfillReport, RunError> {
        self.say("holding the lanes", record);
        let since = hold(&self.split, &filled(&self.split, record), &self.stop).await?;
        // A page may not be older than the position of any lane: no lane would write its items again.
        self.settle(record, consistent).await?;
        let halt = self.stop.child_token();
        let copied = tokio::select! {
            biased;
            copied = self.copy(record, consistent, &halt) => copied,
            never = self.watch_age(record, &halt) => match never {},
            never = self.watch_tables(record, &halt) => match never {},
        };
        if let Err(error) = copied {
            let now = self
                .split
                .store
                .get::<BackfillRecord>(BackfillRecord::NAME)
                .await?;
            return match now {
                // This process or another one gave bulk up.
                Some(now)
                    if now.value.order == Order::Concurrent
                        && now.value.services == record.services
                        && !self.stop.is_cancelled() =>
                {
                    Box::pin(self.concurrent(&now.value, consistent)).await
                }
                _ => {
                    if broken(Rule::BulkKept) {
                        SplitRecord::change(&self.split.store, |record| record.switch.free(since)).await?;
                    }
                    Err(error)
                }
            };
        }
        fault::moment("backfill.copied").await;
        self.say(
            "waiting until no late write can land, then releasing the lanes",
            record,
        );
        free(&self.split, since, &self.stop).await?;
        self.finish(record).await?;
        self.report().await
    }

    /// Waits until an eventually consistent read shows nothing of before.
    pub(super) async fn settle(&self, record: &BackfillRecord, consistent: bool) -> Result<(), RunError> {
        let rule = match record.order {
            Order::Concurrent => Rule::Settled,
            Order::Bulk | Order::Import => Rule::BulkSettled,
        };
        if !consistent && !broken(rule) {
            self.say("waiting for eventually consistent reads to settle", record);
            let settle = self.split.timing.settle;
            let what = "eventually consistent reads no longer show items that were deleted before";
            let _waiting = self.split.waits.until(what, settle);
            pause(settle, &self.stop).await?;
        }
        Ok(())
    }

    /// Chooses the order of a backfill that is about to begin; `added`: for services that were added later.
    pub(super) async fn choose(&self, facts: &SourceFacts, added: bool) -> Result<Chosen, RunError> {
        let Some(choice) = self.options.order else {
            return Ok(Chosen {
                order: Order::Concurrent,
                reason: String::new(),
            });
        };
        if let Some(chosen) = self.choose_import(choice, facts, added).await? {
            return Ok(chosen);
        }
        let existing = match choice {
            OrderChoice::Only(Order::Concurrent) => Existing::default(),
            _ => self.existing().await?,
        };
        let outlook = self.outlook(facts, added, existing).await?;
        choose(choice, &outlook).map_err(|refused| RunError::NotYet {
            what: refused.what,
            next: refused.next,
        })
    }

    /// The throughput that the targets are set to serve. A provisioned table, or one with a maximum, may be far
    /// slower than a new one.
    async fn existing(&self) -> Result<Existing, RunError> {
        let mut found = Existing::default();
        for (service, clients) in self.split.services() {
            match throughput(&clients.control, &service.table.name).await {
                Ok(Some(served)) => {
                    found.served.insert(service.name.clone(), served);
                }
                // The copy itself reports a missing table.
                Ok(None) => {}
                Err(TargetError::Call(TableCallError::Denied { .. })) => {
                    found.hidden = Some(service.table.name.clone())
                }
                Err(other) => return Err(other.into()),
            }
        }
        Ok(found)
    }

    async fn outlook(
        &self,
        facts: &SourceFacts,
        added: bool,
        existing: Existing,
    ) -> Result<Outlook, RunError> {
        let record = SplitRecord::read(&self.split.store).await?.value;
        let (lag_ms, gap) = self.places(&record).await?;
        let has_ledger = self.has_ledger(&record).await?;
        let holders: Vec<&str> = record.switch.holders().into_iter().collect();
        let unready = [TombstonePhase::On, TombstonePhase::Sweeping];
        let obstacle = if added {
            Some((
                "it copies a service that was added, while the lanes of the other services continue"
                    .to_owned(),
                "use the concurrent order",
            ))
        } else if let Some(reason) = &record.repair_required {
            Some((
                format!("the targets may hold items that a copy does not overwrite ({reason})"),
                "use the concurrent order, then run `dynasplit verify --repair`",
            ))
        } else if let Some(gap) = gap {
            Some((
                format!("a lane lost records ({gap})"),
                "`dynasplit replicate --restart-tail`",
            ))
        } else if let Some(table) = existing.hidden {
            Some((
                format!(
                    "the throughput of the table {table} is unknown, because DescribeTable is not allowed"
                ),
                "allow dynamodb:DescribeTable on the targets (docs/permissions.md)",
            ))
        } else if record.switch.services_in(&unready).next().is_some() {
            Some((
                format!("tombstones are on, or are not swept yet ({})", holders.join(", ")),
                "let the command that needs them end (if it was interrupted, run it again)",
            ))
        } else {
            None
        };
        Ok(Outlook {
            forecast: Forecast::of(
                &self.split.plan,
                facts,
                self.budgets.source().rate(),
                |service| self.budgets.writes(service).rate(),
                &existing.served,
            ),
            lag_ms,
            has_ledger,
            obstacle,
        })
    }

    /// Whether a ledger keeps the changes while the lanes are on hold: it is there, and keeps up.
    async fn has_ledger(&self, record: &SplitRecord) -> Result<bool, StateError> {
        let split = self.split.without_switched(record);
        let Some(lane) = split.ledger_lane() else {
            return Ok(false);
        };
        let generation = record.stream().map_or(1, |(generation, _)| generation);
        let recorded = recorded_shards(&split, generation).await?;
        let ledger = lane_status(&recorded, &lane, split.now_ms());
        Ok(ledger.gap.is_none() && ledger.lag_ms.is_some_and(|lag_ms| lag_ms < LEDGER_LAG_MS))
    }

    /// How old the oldest record is that a lane needs from the stream, and a gap, if a lane has one.
    pub(super) async fn places(&self, record: &SplitRecord) -> Result<(u64, Option<String>), StateError> {
        let generation = record.stream().map_or(1, |(generation, _)| generation);
        // With the ledger, as it is now.
        let recorded = recorded_shards(&self.split.without_switched(record), generation).await?;
        let lanes = self.split.lanes();
        let lanes: Vec<_> = lanes
            .iter()
            .map(|lane| lane_status(&recorded, lane, self.split.now_ms()))
            .collect();
        let lag_ms = lanes.iter().filter_map(LaneStatus::needed_lag_ms).max();
        let gap = lanes.into_iter().find_map(|lane| lane.gap);
        Ok((lag_ms.unwrap_or(0), gap))
    }

    /// Goes on with a backfill that began: in its own order, unless bulk is given up now.
    pub(super) async fn go_on(&self, record: BackfillRecord) -> Result<BackfillRecord, RunError> {
        match (self.options.order, record.order) {
            (Some(OrderChoice::Only(Order::Bulk | Order::Import)), Order::Concurrent) => {
                Err(RunError::NotYet {
                    what: "this backfill began in the concurrent order".into(),
                    next: "run `dynasplit backfill`, which continues it".into(),
                })
            }
            (Some(OrderChoice::Only(Order::Bulk)), Order::Import)
            | (Some(OrderChoice::Only(Order::Import)), Order::Bulk) => Err(RunError::NotYet {
                what: format!("this backfill began in the {} order", record.order),
                next: format!("run `{}`, which continues it", record.command()),
            }),
            (Some(OrderChoice::Only(Order::Concurrent)), Order::Bulk | Order::Import) => {
                let reason = format!("concurrent, because the {} order was given up", record.order);
                self.give_bulk_up(&record, &reason).await
            }
            _ => Ok(record),
        }
    }

    /// On record, the order is the concurrent one from now on.
    pub(super) async fn give_bulk_up(
        &self,
        record: &BackfillRecord,
        reason: &str,
    ) -> Result<BackfillRecord, RunError> {
        let store = &self.split.store;
        let given_up = store.change::<BackfillRecord, RunError>(BackfillRecord::NAME, |found| {
            let mut known = found.unwrap_or_else(|| record.clone());
            known.order = Order::Concurrent;
            reason.clone_into(&mut known.order_reason);
            Ok(known)
        });
        Ok(given_up.await?.value)
    }

    /// A table that accepts no writes would hold the lanes of all services: after a while, the bulk order is given
    /// up, and the other services continue. Never ends.
    async fn watch_tables(&self, record: &BackfillRecord, halt: &CancellationToken) -> Infallible {
        loop {
            tokio::time::sleep(self.split.timing.lease / 4).await;
            let Some((lane, time)) = self.breaker.longest_open() else {
                continue;
            };
            if time < self.split.timing.lease * STUCK_LEASES || halt.is_cancelled() {
                continue;
            }
            let reason = format!(
                "the table of {lane} accepted no writes for {} s while the lanes of all services were on \
                 hold",
                time.as_secs()
            );
            self.let_the_lanes_go(record, halt, &reason).await;
        }
    }

    /// Gives bulk up, while it copies; the copy ends, and begins in the other order.
    async fn let_the_lanes_go(&self, record: &BackfillRecord, halt: &CancellationToken, reason: &str) {
        let reason = format!(
            "concurrent, because the {} order was given up: {reason}",
            record.order
        );
        match self.give_bulk_up(record, &reason).await {
            Ok(_) => {
                tracing::warn!("{reason}");
                halt.cancel();
            }
            Err(error) => tracing::warn!(%error, reason, "could not give up the bulk order; trying again"),
        }
    }

    /// Before the concurrent order copies anything: a bulk copy that was given up is over.
    pub(super) async fn after_bulk(&self, record: &BackfillRecord) -> Result<(), RunError> {
        let switch = SplitRecord::read(&self.split.store).await?.value.switch;
        if switch.services_in(&[TombstonePhase::Held]).next().is_some() {
            self.say(
                "giving up the bulk order: waiting until none of its writes can land",
                record,
            );
        }
        give_up(&self.split, &Holder::backfill(record), &|_| true, &self.stop).await
    }

    /// Reports when the lanes have been on hold for so long that the stream may trim unread records, and gives up the
    /// bulk order while they have time enough to catch up. Never ends.
    pub(super) async fn watch_age(&self, record: &BackfillRecord, halt: &CancellationToken) -> Infallible {
        loop {
            let behind = async {
                let record = SplitRecord::read(&self.split.store).await?.value;
                Ok::<_, StateError>(self.places(&record).await?.0)
            };
            match behind.await {
                Ok(lag_ms) if lag_ms > GIVEN_UP_MS && !halt.is_cancelled() => {
                    let reason = format!(
                        "the lanes on hold are {} behind, and the stream keeps its records for 24 hours",
                        lasting(lag_ms)
                    );
                    self.let_the_lanes_go(record, halt, &reason).await;
                }
                Ok(lag_ms) if lag_ms > BULK_MS && !halt.is_cancelled() => tracing::warn!(
                    behind = lasting(lag_ms),
                    "the lanes have been on hold for long, and the stream keeps its records for 24 hours. \
                     At {}, the backfill gives up the bulk order, and the lanes continue; `dynasplit \
                     backfill --order concurrent` does so now",
                    lasting(GIVEN_UP_MS)
                ),
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "could not read the age of the lanes; trying again"),
            }
            tokio::time::sleep(self.split.timing.lease * LOOK_LEASES).await;
        }
    }
}
