//! Runs a rehearsal: an embedded engine, sample items, live writers, and a whole split.

use super::application::Application;
use super::cutover::{CutoverRehearsal, Play, services, stood_in};
use super::ending::Ending;
use super::engine::EmbeddedEngine;
pub use super::error::RehearseError;
use super::exact::differences;
use super::generate::Generator;
use super::load::load;
use super::mortal::{Deaths, mortal};
use super::mutate;
use super::population::Population;
use super::sample;
use super::tables::{create_source, drop_tables};
use super::writers::{LiveWriters, WriterOptions, WriterReport};
use crate::backfill::{Backfill, BackfillOptions, BackfillReport, BackfillView, OrderChoice};
use crate::dynamo::Clock;
use crate::dynamo::{Chaos, Clients, Endpoint, Tables, Timing};
use crate::lifecycle::{ApplyOptions, apply};
use crate::plan::{Plan, Versions};
use crate::status::LaneStatus;
use crate::tail::{Tail, TailOptions};
use crate::verify::{Verify, VerifyOptions, VerifyResult};
use crate::worker::{RunError, Split, uncaptured};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Options of a rehearsal.
#[derive(Clone, Debug)]
pub struct RehearseOptions {
    /// Another engine than the embedded one.
    pub endpoint: Option<Endpoint>,
    /// Items to load before the split begins.
    pub items: u64,
    /// Writes a second of the live writers.
    pub writes_per_second: u32,
    /// Decides on the items and the writes.
    pub seed: u64,
    /// The live writers write for at least this long.
    pub seconds: u64,
    /// The user's own items.
    pub sample: Option<PathBuf>,
    /// How long things may take; [`Timing::LOCAL`] by default.
    pub timing: Timing,
    /// Keep the tables.
    pub keep: bool,
    /// Whether the lanes continue during the copy.
    pub order: OrderChoice,
    /// What happens to the requests of the split. The live writers are spared.
    pub chaos: Option<Chaos>,
    /// Cut the services over as well, one of them back and over again.
    pub cutover: bool,
}

/// The present phase, for progress.
#[derive(Clone, Debug, Default)]
pub struct RehearseView {
    /// In a few words.
    pub phase: String,
    /// Items that are loaded, of how many.
    pub loaded: (u64, u64),
    /// Writes of the live writers so far.
    pub writes: u64,
    /// The backfill.
    pub backfill: BackfillView,
    /// The lanes.
    pub lanes: Vec<LaneStatus>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn as_text<S: serde::Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

/// The result of a rehearsal.
#[derive(Clone, Debug, Serialize)]
pub struct RehearseReport {
    /// The split.
    pub split: String,
    /// The engine: `embedded`, or its address.
    pub engine: String,
    /// The seed; with it, the rehearsal can be repeated. Text in JSON, whose readers round numbers above 2^53.
    #[serde(serialize_with = "as_text")]
    pub seed: u64,
    /// Items that were loaded at first.
    pub loaded: u64,
    /// The writes of the live writers.
    pub writes: WriterReport,
    /// The backfill.
    pub backfill: BackfillReport,
    /// The lanes at the end.
    pub lanes: Vec<LaneStatus>,
    /// The largest lag of each lane that was seen while writers wrote, in milliseconds.
    pub most_lag_ms: std::collections::BTreeMap<String, u64>,
    /// Milliseconds between the last write and the moment that every lane had caught up with it.
    pub catch_up_ms: u64,
    /// Verification.
    pub verify: VerifyResult,
    /// Dead letters, by service.
    pub dead_letters: std::collections::BTreeMap<String, u64>,
    /// The chaos, if there was any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chaos: Option<ChaosReport>,
    /// The cutovers, if they were rehearsed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cutover: Option<CutoverRehearsal>,
    /// Seconds for everything.
    pub seconds: f64,
    /// Tables are equal, there is no dead letter, and nothing went wrong in a cutover.
    pub clean: bool,
}

/// The chaos of a rehearsal.
#[derive(Clone, Debug, Serialize)]
pub struct ChaosReport {
    /// What happened to requests.
    pub settings: String,
    /// How often a worker died and started again.
    pub deaths: u64,
}

/// A rehearsal.
pub struct Rehearsal {
    plan: Plan,
    options: RehearseOptions,
    stop: CancellationToken,
    view: watch::Sender<RehearseView>,
}

/// The lanes must have caught up with the last write within this.
const CATCH_UP: Duration = Duration::from_secs(180);
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
        self.plan = self.plan.clone().in_one_place();
        let rehearsed = self.stand_in()?;
        let population = self.population()?;
        let engine = match &self.options.endpoint {
            None => Some(EmbeddedEngine::start().await?),
            Some(_) => None,
        };
        let endpoint = match (&engine, &self.options.endpoint) {
            (Some(engine), _) => Endpoint {
                url: Some(engine.endpoint().to_owned()),
                anonymous: true,
                ..Endpoint::default()
            },
            (None, Some(endpoint)) => {
                // On an engine that others may use, the tables get names of their own.
                self.plan = self
                    .plan
                    .clone()
                    .prefixed(&format!("rehearsal-{:08x}-", rand::random::<u32>()));
                let unset = std::env::var_os("AWS_REGION").is_none();
                let region = endpoint
                    .region
                    .clone()
                    .or_else(|| unset.then(|| "us-east-1".into()));
                Endpoint {
                    region,
                    ..endpoint.clone()
                }
            }
            (None, None) => Endpoint::default(),
        };
        let application = Clients::load(&endpoint, self.options.timing).await?;
        let endpoint = Endpoint {
            chaos: self.options.chaos,
            ..endpoint
        };
        let clients = Clients::load(&endpoint, self.options.timing).await?;
        let split = Split::open(self.plan.clone(), &clients).await;
        let tables = application.at(None, None).await;
        let result = Box::pin(self.hold(&split, &tables, population, rehearsed, began)).await;
        if engine.is_none() && !self.options.keep {
            drop_tables(&Split::open(self.plan.clone(), &application).await).await;
        }
        if let Some(engine) = engine {
            engine.stop().await?;
        }
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
        let (plan, stand_ins) = stood_in(self.plan.clone());
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
        split: &Split,
        application: &Tables,
        population: Population,
        rehearsed: Option<CutoverRehearsal>,
        began: Instant,
    ) -> Result<RehearseReport, RehearseError> {
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
                application: rehearsed.as_ref().map(|(application, _)| Arc::clone(application)),
            },
        );
        let writing = Instant::now();
        apply(split, ApplyOptions::default(), &|message| {
            tracing::info!("{message}")
        })
        .await?;
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
            let played = match rehearsed {
                Some((application, report)) => {
                    let report = Box::pin(self.play(split, &application, &writers, report)).await?;
                    Some((application, report))
                }
                None => None,
            };
            Ok::<_, RehearseError>((backfill, played))
        };
        let done = Box::pin(doing).await;
        // A writer that failed says why, and that is the reason for what failed after it.
        let writes = writers.stop().await;
        let (backfill, played) = match (done, &writes) {
            (Ok(done), _) => done,
            (Err(error), Ok(_)) => return Err(error),
            (Err(_), Err(_)) => (BackfillReport::default(), None),
        };
        let writes = writes?;
        let most_lag_ms = lags
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        let (catch_up_ms, cutover) = match played {
            None => (self.catch_up(lanes.clone()).await?, None),
            Some((application, report)) => {
                let (ms, report) = self.until_exact(&application, report).await?;
                let say = |what: &str| self.say(what);
                let ending = Ending {
                    split,
                    application: &application,
                    say: &say,
                    stop: &self.stop,
                    report,
                };
                (ms, Some(Box::pin(ending.complete()).await?))
            }
        };
        self.say("verifying");
        let (verify, _) = Verify::new(split.clone(), VerifyOptions::default(), self.stop.clone());
        let verify = Box::pin(verify.run()).await?;
        tail_stop.cancel();
        tail.await??;
        watching.abort();
        let mut dead_letters = std::collections::BTreeMap::new();
        for head in split.dead_letters.list(None).await.map_err(RunError::from)? {
            *dead_letters.entry(head.service).or_insert(0) += 1;
        }
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
                && cutover.as_ref().is_none_or(|cutover| cutover.wrong.is_empty()),
            cutover,
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

    /// Cuts the services over, beside the live writers.
    async fn play(
        &self,
        split: &Split,
        application: &Arc<Application>,
        writers: &LiveWriters,
        report: CutoverRehearsal,
    ) -> Result<CutoverRehearsal, RehearseError> {
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
            say: &say,
            stop: &self.stop,
            report,
        };
        Box::pin(play.play()).await?;
        Ok(play.report)
    }

    /// Waits until every table holds exactly what the application wrote. Answers how long that took, in milliseconds. What
    /// still differs after a while is in the report.
    async fn until_exact(
        &self,
        application: &Application,
        mut report: CutoverRehearsal,
    ) -> Result<(u64, CutoverRehearsal), RehearseError> {
        self.say("the writers have stopped; comparing every table with what they wrote");
        let since = Instant::now();
        loop {
            let wrong = differences(application, &[]).await?;
            if wrong.is_empty() || since.elapsed() > CATCH_UP {
                report.wrong.extend(wrong);
                let ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
                return Ok((ms, report));
            }
            tokio::select! {
                () = self.stop.cancelled() => return Err(RunError::Stopped("the rehearsal was interrupted".into()).into()),
                () = tokio::time::sleep(Duration::from_millis(300)) => {}
            }
        }
    }

    /// Waits until every lane is complete up to now. Answers how long that took, in milliseconds.
    async fn catch_up(&self, mut lanes: watch::Receiver<Vec<LaneStatus>>) -> Result<u64, RehearseError> {
        self.say("the writers have stopped; catching up");
        let (ended_ms, since) = (Clock::SYSTEM.now_ms(), Instant::now());
        loop {
            let caught_up = {
                let lanes = lanes.borrow_and_update();
                !lanes.is_empty()
                    && lanes.iter().all(|lane| {
                        lane.lag_ms
                            .is_some_and(|lag| Clock::SYSTEM.now_ms().saturating_sub(lag) >= ended_ms)
                    })
            };
            if caught_up {
                return Ok(u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX));
            }
            if since.elapsed() > CATCH_UP {
                let lanes = lanes.borrow().clone();
                let behind: Vec<String> = lanes
                    .iter()
                    .map(|l| format!("{}: {:?}", l.lane, l.blocked))
                    .collect();
                return Err(
                    RunError::Failed(format!("the tail did not catch up: {}", behind.join(", "))).into(),
                );
            }
            tokio::select! {
                () = self.stop.cancelled() => return Err(RunError::Stopped("the rehearsal was interrupted".into()).into()),
                _ = lanes.changed() => {}
                () = tokio::time::sleep(Duration::from_millis(200)) => {}
            }
        }
    }

    fn say(&self, phase: &str) {
        tracing::info!(phase, "rehearsal");
        self.view.send_modify(|view| phase.clone_into(&mut view.phase));
    }
}

async fn watch_lanes(
    mut lanes: watch::Receiver<Vec<LaneStatus>>,
    view: watch::Sender<RehearseView>,
    lags: Arc<std::sync::Mutex<std::collections::BTreeMap<String, u64>>>,
) {
    while lanes.changed().await.is_ok() {
        let now = lanes.borrow_and_update().clone();
        {
            let mut lags = lags.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            for lane in &now {
                let most = lags.entry(lane.lane.clone()).or_insert(0);
                *most = (*most).max(lane.lag_ms.unwrap_or(0));
            }
        }
        view.send_modify(|view| view.lanes = now);
    }
}

fn now_as_value(versions: &Versions) -> impl Fn() -> crate::model::Value + Send + Sync + 'static {
    let timestamp = match versions {
        Versions::Timestamp(timestamp) => Some(timestamp.clone()),
        Versions::Sequence => None,
    };
    move || match &timestamp {
        Some(timestamp) => timestamp.render(SystemTime::now()),
        None => crate::model::Value::s(humantime::format_rfc3339_millis(SystemTime::now()).to_string()),
    }
}

fn live_timestamp(versions: &Versions) -> Option<mutate::Timestamp> {
    match versions {
        Versions::Timestamp(timestamp) => Some(mutate::Timestamp {
            attribute: timestamp.attribute.clone(),
            now: Arc::new(now_as_value(versions)),
        }),
        Versions::Sequence => None,
    }
}
