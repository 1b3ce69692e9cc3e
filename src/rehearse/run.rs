//! Runs a rehearsal: an embedded engine, sample items, live writers, and a whole split.

use super::application::Application;
use super::caught_up::{caught_up, watch_lanes};
use super::cutover::{CutoverRehearsal, Play, RESTS, services, stood_in};
use super::ending::Ending;
use super::error::RehearseError;
use super::generate::Generator;
use super::imported::ImportRehearsal;
use super::load::load;
use super::mortal::{Deaths, mortal};
use super::options::RehearseOptions;
use super::outage::{LedgerRehearsal, Outage};
use super::pauses::Pauses;
use super::population::Population;
use super::report::{ChaosReport, RehearseReport};
use super::reverse_lag::LagProbe;
use super::run_view::RehearseView;
use super::sample;
use super::stage::Stage;
use super::tables::create_source;
use super::timestamps::{live_timestamp, now_as_value};
use super::writers::{LiveWriters, WriterOptions};
use crate::backfill::{Backfill, BackfillOptions, BackfillReport};
use crate::lifecycle::{ApplyOptions, apply};
use crate::plan::Plan;
use crate::tail::{Tail, TailOptions};
use crate::verify::{Verify, VerifyOptions};
use crate::worker::{RunError, Split, uncaptured};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A rehearsal.
pub struct Rehearsal {
    plan: Plan,
    options: RehearseOptions,
    stop: CancellationToken,
    view: watch::Sender<RehearseView>,
}

const LOADS_AT_ONCE: usize = 8;
const WRITERS: usize = 8;

impl Rehearsal {
    /// A rehearsal, and a view of it.
    #[must_use]
    pub fn new(
        plan: Plan,
        options: RehearseOptions,
        stop: CancellationToken,
    ) -> (Self, watch::Receiver<RehearseView>) {
        let (view, seen) = watch::channel(RehearseView::default());
        (
            Self {
                plan,
                options,
                stop,
                view,
            },
            seen,
        )
    }

    /// Runs it: starts the engine, loads the sample, starts live writers, splits, verifies.
    ///
    /// # Errors
    /// If it could not be completed. Tables that differ are not an error here, but a report that is not clean.
    pub async fn run(mut self) -> Result<RehearseReport, RehearseError> {
        let began = Instant::now();
        self.plan = self.plan.clone().in_one_place().without_events();
        let rehearsed = self.stand_in()?;
        let population = self.population()?;
        let stage = Box::pin(Stage::open(self.plan.clone(), &self.options)).await?;
        let result = Box::pin(self.hold(&stage, population, rehearsed, began)).await;
        stage.close().await?;
        result
    }

    /// Replaces the fences and the hooks of the plan, if cutovers are rehearsed. Returns the report of these cutovers, which is
    /// filled in later.
    fn stand_in(&mut self) -> Result<Option<CutoverRehearsal>, RehearseError> {
        if !self.options.cutover {
            return Ok(None);
        }
        let (services, not_cut_over) = services(&self.plan);
        if services.is_empty() {
            return Err(RehearseError::NoCutover {
                reasons: not_cut_over,
            });
        }
        let (plan, stand_ins) = stood_in(self.plan.clone(), self.options.endpoint.is_some());
        self.plan = plan;
        Ok(Some(CutoverRehearsal {
            services,
            not_cut_over,
            stand_ins,
            ..CutoverRehearsal::default()
        }))
    }

    fn population(&self) -> Result<Population, RehearseError> {
        let keys = &self.plan.source.keys;
        if let Some(file) = &self.options.sample {
            return Ok(Population::sampled(sample::read(file, keys)?, keys));
        }
        let spec = self.plan.rehearse.as_ref().ok_or(RehearseError::NoSample)?;
        let generator = Generator::new(spec, self.options.seed, now_as_value(&self.plan.versions))?;
        Ok(Population::generated(generator, self.options.items, keys)?)
    }

    async fn hold(
        &self,
        stage: &Stage,
        population: Population,
        rehearsed: Option<CutoverRehearsal>,
        began: Instant,
    ) -> Result<RehearseReport, RehearseError> {
        let (split, application) = (&stage.split, &stage.application);
        let table = &split.plan.source.table;
        create_source(&application.control, table, &split.plan.source.keys).await?;
        self.say("loading the sample");
        let total = population.len() as u64;
        let loaded = load(
            &application.control,
            table,
            population.items(),
            LOADS_AT_ONCE,
            |items| {
                self.view.send_modify(|view| view.loaded = (items, total));
            },
        )
        .await?;
        let rehearsed = match rehearsed {
            Some(report) => {
                let opened = Application::open(&application.control, &split.plan, &report.services).await?;
                Some((Arc::new(opened), report))
            }
            None => None,
        };
        self.say("the live writers have started; applying the plan");
        let writers = LiveWriters::start(
            &application.control,
            table,
            &split.plan.source.keys,
            population,
            WriterOptions {
                writes_per_second: self.options.writes_per_second,
                seed: self.options.seed,
                timestamp: live_timestamp(&split.plan.versions),
                tasks: WRITERS,
                rests: (rehearsed.is_some() && self.options.endpoint.is_some()).then_some(RESTS),
                application: rehearsed.as_ref().map(|(application, _)| Arc::clone(application)),
            },
        );
        let writing = Instant::now();
        let applying = ApplyOptions {
            for_import: self.options.imports(),
            ..ApplyOptions::default()
        };
        apply(split, applying, &|message| tracing::info!("{message}")).await?;
        let tail_stop = self.stop.child_token();
        let deaths = Deaths::default();
        let (tail_split, stop) = (split.clone(), tail_stop.clone());
        let (lanes, tail) = mortal(self.options.chaos, &deaths, move || {
            let (tail, lanes) = Tail::new(tail_split.clone(), TailOptions::default(), stop.clone());
            (tail.run(), lanes)
        });
        let lags = Arc::new(std::sync::Mutex::new(std::collections::BTreeMap::new()));
        let watching = tokio::spawn(watch_lanes(lanes.clone(), self.view.clone(), Arc::clone(&lags)));
        let doing = async {
            let backfill = Box::pin(self.split_while_writing(split, &writers, writing, &deaths)).await?;
            let ledger = Box::pin(self.let_pass(stage, &writers, &backfill)).await?;
            let played = match rehearsed {
                Some((application, report)) => {
                    let (report, ms) = Box::pin(self.play(split, &application, &writers, report)).await?;
                    Some((application, report, ms))
                }
                None => None,
            };
            Ok::<_, RehearseError>((backfill, ledger, played))
        };
        let done = Box::pin(doing).await;
        // A writer that failed says why, and that is the reason for what failed after it.
        let writes = writers.stop().await;
        let (backfill, ledger, played) = match (done, &writes) {
            (Ok(done), _) => done,
            (Err(error), Ok(_)) => return Err(error),
            (Err(_), Err(_)) => (BackfillReport::default(), None, None),
        };
        let writes = writes?;
        let most_lag_ms = lags
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        let catch_up_ms = match &played {
            None => {
                self.say("the writers have stopped; catching up");
                caught_up(lanes.clone(), split.timing.clock, &self.stop).await?
            }
            Some((_, _, ms)) => *ms,
        };
        self.say("verifying");
        let (verify, _) = Verify::new(split.clone(), VerifyOptions::default(), self.stop.clone());
        let verify = Box::pin(verify.run()).await?;
        let mut dead_letters = std::collections::BTreeMap::new();
        for head in split.dead_letters.list(None).await.map_err(RunError::from)? {
            *dead_letters.entry(head.service).or_insert(0) += 1;
        }
        let cutover = match played {
            Some((application, report, _)) => Some(self.end(split, &application, report).await?),
            None => None,
        };
        tail_stop.cancel();
        tail.await??;
        watching.abort();
        let ledger = match ledger {
            Some(mut ledger) => {
                ledger.check(split).await?;
                Some(ledger)
            }
            None => None,
        };
        let import = match self.options.imports() {
            true => Some(ImportRehearsal::of(split).await?),
            false => None,
        };
        let lanes = lanes.borrow().clone();
        Ok(RehearseReport {
            split: split.plan.split.clone(),
            engine: self
                .options
                .endpoint
                .as_ref()
                .and_then(|e| e.url.clone())
                .unwrap_or_else(|| "embedded".into()),
            seed: self.options.seed,
            loaded: loaded.items,
            writes,
            backfill,
            lanes,
            most_lag_ms,
            catch_up_ms,
            clean: verify.clean
                && dead_letters.is_empty()
                && cutover.as_ref().is_none_or(|cutover| cutover.wrong.is_empty())
                && ledger.as_ref().is_none_or(|ledger| ledger.wrong.is_empty()),
            cutover,
            import,
            ledger,
            stand_ins: stage.stand_ins.clone(),
            verify,
            dead_letters,
            chaos: self.options.chaos.map(|chaos| ChaosReport {
                settings: chaos.to_string(),
                deaths: deaths.count(),
            }),
            seconds: began.elapsed().as_secs_f64(),
        })
    }

    /// Backfills beside the tail, until the writers have written for long enough.
    async fn split_while_writing(
        &self,
        split: &Split,
        writers: &LiveWriters,
        since: Instant,
        deaths: &Deaths,
    ) -> Result<BackfillReport, RehearseError> {
        while !uncaptured(split).await?.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.say("backfilling beside the tail");
        let options = BackfillOptions {
            order: Some(self.options.order),
            ..BackfillOptions::default()
        };
        let (split, stop) = (split.clone(), self.stop.clone());
        let (mut seen, mut backfill) = mortal(self.options.chaos, deaths, move || {
            let (backfill, view) = Backfill::new(split.clone(), options.clone(), stop.clone());
            (backfill.run(), view)
        });
        let report = loop {
            tokio::select! {
                report = &mut backfill => break report??,
                () = writers.failed() => return Ok(BackfillReport::default()),
                changed = seen.changed() => if changed.is_ok() {
                    let now = seen.borrow_and_update().clone();
                    self.view.send_modify(|view| {
                        view.backfill = now;
                        view.writes = writers.report().writes();
                    });
                }
            }
        };
        self.say("the tail follows the live writers");
        let until = Duration::from_secs(self.options.seconds);
        while since.elapsed() < until && !self.stop.is_cancelled() {
            tokio::select! {
                () = writers.failed() => break,
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
            self.view
                .send_modify(|view| view.writes = writers.report().writes());
        }
        Ok(report)
    }

    /// Lets a table accept no writes for days, if a ledger is rehearsed: that of the service with most items.
    async fn let_pass(
        &self,
        stage: &Stage,
        writers: &LiveWriters,
        backfill: &BackfillReport,
    ) -> Result<Option<LedgerRehearsal>, RehearseError> {
        let (Some(lasts), Some(time)) = (self.options.ledger, &stage.stand_in.time) else {
            return Ok(None);
        };
        let services = backfill
            .lanes
            .iter()
            .filter(|lane| stage.plan.service(&lane.lane).is_some());
        let Some(most) = services.max_by_key(|lane| lane.counters.put) else {
            return Ok(None);
        };
        let say = |what: &str| {
            self.view
                .send_modify(|view| view.writes = writers.report().writes());
            self.say(what);
        };
        let outage = Outage {
            split: &stage.split,
            stand_in: &stage.stand_in,
            time,
            writers,
            lasts,
            say: &say,
            stop: &self.stop,
        };
        Box::pin(outage.play(&most.lane)).await.map(Some)
    }

    /// Cuts the services over, completes and prunes them, beside the live writers. Returns after how long every table was as it
    /// should be, when the writers rested after the last cutover.
    async fn play(
        &self,
        split: &Split,
        application: &Arc<Application>,
        writers: &LiveWriters,
        report: CutoverRehearsal,
    ) -> Result<(CutoverRehearsal, u64), RehearseError> {
        let say = |what: &str| {
            self.view
                .send_modify(|view| view.writes = writers.report().writes());
            self.say(what);
        };
        let mut play = Play {
            split,
            application,
            writers,
            between: Duration::from_secs(self.options.seconds.max(1)),
            rounds: self.options.rounds,
            say: &say,
            lag: LagProbe::default(),
            stop: &self.stop,
            report,
        };
        Box::pin(play.play()).await?;
        play.report.pauses = Pauses::of(&play.report.steps);
        play.report.reverse_lag = play.lag.result();
        let mut ending = Ending {
            split,
            application,
            say: &say,
            stop: &self.stop,
            report: play.report,
        };
        let ms = Box::pin(ending.services(writers)).await?;
        Ok((ending.report, ms))
    }

    /// Completes the split after its cutovers.
    async fn end(
        &self,
        split: &Split,
        application: &Application,
        report: CutoverRehearsal,
    ) -> Result<CutoverRehearsal, RehearseError> {
        let say = |what: &str| self.say(what);
        let mut ending = Ending {
            split,
            application,
            say: &say,
            stop: &self.stop,
            report,
        };
        Box::pin(ending.split()).await?;
        Ok(ending.report)
    }

    fn say(&self, phase: &str) {
        tracing::info!(phase, "rehearsal");
        self.view.send_modify(|view| phase.clone_into(&mut view.phase));
    }
}
