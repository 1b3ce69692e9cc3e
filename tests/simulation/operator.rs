//! Somebody who operates the split: follows the next command and the hints that the tool prints, and does other things
//! at random moments while trouble lasts.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use dynasplit::backfill::OrderChoice;
use dynasplit::state::{Bound, Order, TuningChange, Turn};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use tokio::time::{Instant, sleep};

use crate::advice::{Step, commands, steps};
use crate::check::Wrong;
use crate::engine::Value;
use crate::life::End;
use crate::support::trial::Stamps;
use crate::worker::{CLEAN, Job};
use crate::world::World;
use crate::writers::Writers;

/// Who follows the advice has completed the split after so long.
const PROGRESS: Duration = Duration::from_secs(30 * 60);
/// Writers go on for so long while the advice is followed.
const WRITING: Duration = Duration::from_secs(20);

/// What is noted of a refusal.
const REFUSED: &str = "and a command refused: ";
/// A command that refuses so often in a row, for the same reason, always does.
const MOST_REFUSALS: u32 = 100;

/// Within this, a lane has delivered what is on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(10);

/// A lane that is further behind than this is an obstacle.
const BEHIND: Duration = Duration::from_secs(120);

/// So often, a gap is healed from exports, and not only by a repair of everything.
const HEALS: f64 = 0.8;
/// A restart of the tail is given so long.
const RESTARTING: Duration = Duration::from_secs(20);

/// An operator.
pub struct Operator {
    pub world: Arc<World>,
    pub rng: StdRng,
    /// Commands that were run.
    ran: u64,
    name: &'static str,
    /// When the last restart of the tail began.
    restarted: Option<Instant>,
    /// So much time has passed on purpose, after a clean verify.
    days: Duration,
}

impl Operator {
    /// Of a run.
    pub fn of(world: &Arc<World>) -> Self {
        Self {
            rng: world.rng(6),
            world: Arc::clone(world),
            ran: 0,
            name: "operator",
            restarted: None,
            days: Duration::ZERO,
        }
    }

    /// While trouble lasts: follows the advice, or does something else.
    pub async fn works_beside(mut self) {
        self.name = "busy";
        self.rng = self.world.rng(7);
        loop {
            sleep(Duration::from_millis(self.rng.random_range(300..9000))).await;
            self.world.everybody_is_back().await;
            if self.world.is_calm() {
                continue;
            }
            let own_will = match &self.world.cast {
                cast if cast.cutovers => 0.1,
                cast if cast.repairs => 0.8,
                _ => 0.4,
            };
            if self.rng.random_bool(own_will) {
                self.something_else().await;
            } else if let End::Done(report) = self.run(Job::Status).await
                && let Ok(steps) = steps(&report.next.unwrap_or_default())
            {
                Box::pin(self.follow(steps)).await;
            }
        }
    }

    /// What nobody advised.
    async fn something_else(&mut self) {
        let order = [OrderChoice::Auto, OrderChoice::Only(Order::Bulk)][self.rng.random_range(0..2)];
        let repairs = [0, 0, 0, 4, 11];
        let drawn = match self.world.cast.repairs {
            true => repairs[self.rng.random_range(0..repairs.len())],
            false => self.rng.random_range(0..12),
        };
        let job = match drawn {
            0 | 1 => Job::Verify { repair: true },
            // By no draw, so that a seed draws the same as before.
            2 if self.ran.is_multiple_of(2) => Job::VerifyChanges,
            2 => Job::Verify { repair: false },
            3 => Job::Reconcile,
            4 => Job::Backfill {
                consistent: false,
                order,
            },
            // It gives up the import order.
            7 | 8 if self.world.cast.imports => Job::Backfill {
                consistent: false,
                order: OrderChoice::Only(Order::Concurrent),
            },
            // Somebody does not want to wait for an export.
            7 if self.world.cast.exports => Job::ExportCancel,
            8 if self.world.cast.exports => Job::ExportStart,
            5 => Job::Tune(self.tuning()),
            6 => Job::Complete,
            7 => Job::Apply {
                enable_stream: self.rng.random(),
            },
            8 | 9 => {
                self.world.grow();
                Job::Apply { enable_stream: false }
            }
            10 => {
                // Supervisors of yesterday.
                let is_old = self.rng.random();
                return self.world.supervise_tail(is_old, self.rng.random_bool(0.2));
            }
            _ => {
                self.correct_items().await;
                Job::Reconcile
            }
        };
        self.run(job).await;
    }

    fn tuning(&mut self) -> TuningChange {
        let rng = &mut self.rng;
        let mut bound = |least: f64| Turn::To(Bound::units(rng.random_range(least..200.0)));
        TuningChange {
            reads: bound(5.0),
            writes: bound(20.0),
            workers: Turn::To(self.rng.random_range(1..5)),
            reset: self.rng.random(),
            ..TuningChange::default()
        }
    }

    /// Runs a command.
    pub async fn run(&mut self, job: Job) -> End {
        self.ran += 1;
        let name = format!("{}-{}{}", self.name, job.name(), self.ran);
        let plan = self.world.plan().clone();
        let began = Instant::now();
        let end = Box::pin(self.world.life(&job, &plan, &name, &mut self.rng)).await;
        let is_clean = matches!(&end, End::Done(report) if report.is_clean);
        if let Some(shop) = self.world.shop.as_ref().filter(|_| is_clean) {
            shop.verified(began);
        }
        end
    }

    /// Follows an advice, step by step, until one fails. Answers what the last command said.
    async fn follow(&mut self, steps: Vec<Step>) -> Option<End> {
        let mut last = None;
        for step in self.chosen(steps) {
            match step {
                Step::Run(job) => {
                    let end = self.run(job).await;
                    let is_done = matches!(end, End::Done(_));
                    last = Some(end);
                    if !is_done {
                        break;
                    }
                }
                Step::Replicate => {
                    if !self.world.has_tail() {
                        self.world.supervise_tail(false, false);
                    }
                    sleep(Duration::from_secs(3)).await;
                }
                // A heal restarts the tail by itself, and repairs soon what was lost.
                Step::RestartTail if self.world.cast.heals && self.rng.random_bool(HEALS) => {
                    let end = self.run(Job::Heal { new_exports: false }).await;
                    let is_done = matches!(end, End::Done(_));
                    last = Some(end);
                    if !is_done {
                        break;
                    }
                }
                Step::RestartTail => {
                    if self.restarted.is_none_or(|moment| moment.elapsed() > RESTARTING) {
                        self.restarted = Some(Instant::now());
                        self.world.supervise_tail(false, true);
                    }
                    sleep(Duration::from_secs(3)).await;
                }
                Step::RestartLedger => {
                    if self.restarted.is_none_or(|moment| moment.elapsed() > RESTARTING) {
                        self.restarted = Some(Instant::now());
                        self.world.supervise_tail_from(false, Job::RestartLedger);
                    }
                    sleep(Duration::from_secs(3)).await;
                }
                Step::EndOldWorkers => self.world.end_old_tails(),
                Step::StopTableWriters => {
                    if let Some(shop) = &self.world.shop {
                        shop.stop_table_strays();
                    }
                }
                Step::CorrectItems => self.correct_items().await,
                Step::SwitchOver if self.world.shop.is_some() => last = Box::pin(self.towards_goal()).await,
                Step::SettleStrays(service) => {
                    let end = self.settles(service).await;
                    let is_done = matches!(end, End::Done(_));
                    last = Some(end);
                    if !is_done {
                        break;
                    }
                }
                Step::Wait | Step::SwitchOver => sleep(Duration::from_secs(2)).await,
            }
        }
        last
    }

    /// Corrects items that belong to no service.
    async fn correct_items(&mut self) {
        let world = Arc::clone(&self.world);
        let table = &world.trial.source;
        // The items of a shop have no kinds.
        if world.shop.is_some() {
            return;
        }
        let is_odd = |kind: Option<&Value>| match kind {
            Some(Value::S(kind)) => !["order", "invoice", "archive"].contains(&kind.as_str()),
            _ => true,
        };
        let keys: Vec<(String, String)> = world.network.with_engine(|engine, _| {
            let items = engine.contents(table).into_iter();
            let odd = items.filter(|(_, item)| is_odd(item.get("kind")));
            odd.filter_map(|(key, _)| match key.as_slice() {
                [Value::S(pk), Value::S(sk)] => Some((pk.clone(), sk.clone())),
                _ => None,
            })
            .collect()
        });
        for (pk, sk) in keys {
            let update = world.hand().update_item().table_name(table);
            let update = update
                .key("PK", AttributeValue::S(pk))
                .key("SK", AttributeValue::S(sk))
                .condition_expression("attribute_exists(#pk)")
                .update_expression("SET #kind = :kind")
                .expression_attribute_names("#pk", "PK")
                .expression_attribute_names("#kind", "kind")
                .expression_attribute_values(":kind", AttributeValue::S("archive".into()));
            // An item that was deleted meanwhile is correct.
            let _ = update.send().await;
        }
    }

    /// Follows the advice until the split is complete. Answers what went wrong, and how often was written.
    pub async fn ends_split(mut self, writers: Writers) -> (Option<Wrong>, u64) {
        let began = Instant::now();
        let mut writers = Some(writers);
        let mut writes = 0;
        let (mut said, mut refusals) = (String::new(), (String::new(), 0));
        self.world.grow();
        let wrong = loop {
            let is_refused = said.contains(REFUSED);
            refusals = match refusals {
                (before, count) if is_refused && before == said => (before, count + 1),
                _ => (said.clone(), 0),
            };
            if began.elapsed() > PROGRESS + self.days || refusals.1 > MOST_REFUSALS {
                break Some(Wrong::because(
                    "an operator who follows the advice does not come to an end",
                    format!(
                        "the last advice is: {said}\nCommands ended so:\n{}",
                        self.world.ends()
                    ),
                ));
            }
            if began.elapsed() > WRITING
                && self.world.shop.as_ref().is_none_or(|shop| shop.goal().is_none())
                && let Some(writers) = writers.take()
            {
                self.world.network.note(|| "the writers stop".into());
                writes = writers.end().await;
                // TTL writes, too (docs/cutover.md).
                self.world.expire_items(false).await;
            }
            if let Some(what) = self.world.unsupported() {
                break Some(what);
            }
            match Box::pin(self.one_advice(&mut said, writers.is_none())).await {
                Ok(false) => {}
                Ok(true) => break Box::pin(self.is_over()).await,
                Err(wrong) => break Some(wrong),
            }
        };
        (wrong, writes)
    }

    /// Asks what to do, and does it. Answers whether the split is complete.
    async fn one_advice(&mut self, said: &mut String, is_quiet: bool) -> Result<bool, Wrong> {
        sleep(Duration::from_millis(300)).await;
        let end = self.run(Job::Status).await;
        let next = match end {
            End::Done(report) if report.is_done => return Ok(true),
            End::Done(report) => report.next.unwrap_or_default(),
            // A command that refuses says what to do instead.
            End::Failed(error) => error,
            End::Killed(_) => return Ok(false),
        };
        next.clone_into(said);
        let steps = steps(&next).map_err(|what| Wrong::because("an advice names no step", what))?;
        let has_goal = self.world.shop.as_ref().is_some_and(|shop| shop.goal().is_some());
        let end = if steps == [Step::SwitchOver] && !has_goal {
            if !is_quiet {
                sleep(Duration::from_secs(2)).await;
                return Ok(false);
            }
            Box::pin(self.switch_over()).await?
        } else {
            Box::pin(self.follow(steps)).await
        };
        match end {
            Some(End::Done(report)) if report.is_clean && is_quiet => {
                self.must_be_exact("verify is clean").await?;
                self.changes_must_be_clean().await?;
                if self.world.cast.ledger && self.days.is_zero() {
                    let began = Instant::now();
                    Box::pin(self.days_pass()).await?;
                    self.days = began.elapsed();
                }
            }
            Some(End::Done(report)) if report.is_done => return Ok(true),
            Some(End::Done(report)) if report.is_completed => self.must_be_without_marks()?,
            Some(End::Failed(error)) => {
                said.push_str(&format!("\n{REFUSED}{error}"));
                self.heed(&error).await;
            }
            _ => {}
        }
        Ok(false)
    }

    /// Follows the hint of a command that failed.
    async fn heed(&mut self, error: &str) {
        sleep(Duration::from_secs(1)).await;
        if commands(error).next().is_some()
            && let Ok(steps) = steps(error)
        {
            Box::pin(self.follow(steps)).await;
        }
    }

    /// Some services switch, then the split is completed.
    async fn switch_over(&mut self) -> Result<Option<End>, Wrong> {
        self.must_be_exact("the tool says that the services can switch")
            .await?;
        if self.world.shop.is_some() {
            return Ok(Some(self.run(Job::Complete).await));
        }
        let mut services: Vec<String> = self
            .world
            .plan()
            .services
            .iter()
            .map(|service| service.name.clone())
            .collect();
        services.shuffle(&mut self.rng);
        services.truncate(self.world.cast.switches);
        for service in services {
            let end = self.run(Job::Switch { service, undo: false }).await;
            if !matches!(end, End::Done(_)) {
                return Ok(Some(end));
            }
        }
        Ok(Some(self.run(Job::Complete).await))
    }

    /// What TTL deleted in the source just before it was switched off may still be on its way: no command counts it.
    pub async fn must_be_exact(&self, claim: &str) -> Result<(), Wrong> {
        if self.world.differences(Stamps::Stripped).is_some() {
            let began = Instant::now();
            sleep(ON_ITS_WAY).await;
            // After an outage, a lane may have to read more: status shows its lag.
            while self.world.is_behind(began.elapsed()).await && began.elapsed() < BEHIND {
                sleep(Duration::from_secs(1)).await;
            }
        }
        match self.world.differences(Stamps::Stripped) {
            None => Ok(()),
            Some(found) => Err(found.when(format!("{claim}, and the targets are not exact"))),
        }
    }

    /// After a verify that was clean, when the targets are exact: one of the changes since then finds nothing either, or is refused.
    async fn changes_must_be_clean(&mut self) -> Result<(), Wrong> {
        match self.run(Job::VerifyChanges).await {
            End::Done(report) if report.words == CLEAN => Ok(()),
            End::Done(report) => Err(Wrong::because(
                "the targets are exact, and a verify of the changes is not clean",
                report.words,
            )),
            End::Failed(_) | End::Killed(_) => Ok(()),
        }
    }

    /// After the split is complete: nothing of it is left, and nothing is written any more.
    async fn is_over(&mut self) -> Option<Wrong> {
        if let Some(found) = self.world.differences(Stamps::Gone) {
            return Some(found.when("the split is complete, and the targets are not exact"));
        }
        sleep(Duration::from_secs(10)).await;
        let found = self.world.differences(Stamps::Gone)?;
        Some(found.when("some time after the split was completed, the targets are not exact"))
    }
}
