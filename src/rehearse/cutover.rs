//! The cutover part of a rehearsal: every service that can be cut over moves to its own table under live writers, one of them
//! goes back and moves once more, and forgotten writers write the source meanwhile.

use super::application::{Application, Side};
use super::error::RehearseError;
use super::forgotten::{self, Forgotten};
use super::ignored::Ignoring;
use super::pauses::{Pauses, RehearsedStep};
use super::reverse_lag::{LagProbe, ReverseLag};
use super::timestamps::live_timestamp;
use super::write_rate::Rests;
use super::writers::LiveWriters;
use crate::cutover::{
    Confirmation, CutoverOptions, CutoverReport, Operator, Outcome, RollbackOptions, cutover, rollback,
};
use crate::model::counted;
use crate::plan::Plan;
use crate::verify::{Verify, VerifyOptions};
use crate::worker::{RunError, Split};
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// What stands in for the hooks, the policies and the person of the plan's fences.
const STAND_IN: &str = "the rehearsal's own writers";
/// For how long the stand-in of a fence is proven, and a drained lane is watched: an engine on this machine shows every write
/// at once.
const WATCHED: Duration = Duration::from_secs(1);
/// How live writers write on an engine that rounds the times of its stream's records. A rest is longer than the time after which
/// a silent shard counts as read to its end.
pub(super) const RESTS: Rests = Rests {
    write_for: Duration::from_millis(1500),
    rest_for: Duration::from_millis(1500),
};
/// Within this, a writer writes again.
const LONGEST_REST: Duration = Duration::from_secs(10);
/// Attempts of a verify beside live writers. A key that changes all the time gets no verdict.
const VERIFIES: usize = 5;

/// What a rehearsed cutover did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CutoverRehearsal {
    /// The services that were cut over.
    pub services: Vec<String>,
    /// The services that cannot be cut over, each with the reason.
    pub not_cut_over: Vec<String>,
    /// What was replaced, because an engine without AWS lacks it.
    pub stand_ins: Vec<String>,
    /// The steps, in their order.
    pub steps: Vec<RehearsedStep>,
    /// How long the pauses of the cutovers were.
    pub pauses: Option<Pauses>,
    /// How long writes of the services' own tables took to arrive in the source.
    pub reverse_lag: Option<ReverseLag>,
    /// Writes of a writer that ignored the fence. They were copied.
    pub past_the_fence: u64,
    /// Writes of forgotten writers, which were expected.
    pub strays: u64,
    /// Why it ended early, and what differs at the end from what the application wrote.
    pub wrong: Vec<String>,
}

impl CutoverRehearsal {
    /// Adds a step that ends now.
    pub(super) fn note(&mut self, step: &str, service: Option<&str>, outcome: &str, began: Instant) {
        self.steps.push(RehearsedStep {
            step: step.to_owned(),
            service: service.map(str::to_owned),
            outcome: outcome.to_owned(),
            ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            pause_ms: None,
            writers_waited_ms: None,
        });
    }
}

/// The services of a plan that can be cut over, and why the others cannot.
pub(super) fn services(plan: &Plan) -> (Vec<String>, Vec<String>) {
    let (mut can, mut cannot) = (Vec::new(), Vec::new());
    for found in plan.cutover() {
        if found.can_be_cut_over {
            can.push(found.service);
            continue;
        }
        let remarks = found.not_reversible.iter().chain(&found.refusals);
        let reasons: Vec<&str> = remarks.map(|remark| &*remark.message).collect();
        cannot.push(format!("{}: {}", found.service, reasons.join("; ")));
    }
    (can, cannot)
}

/// The plan with a stand-in for its fences and hooks, and what was replaced. `rounded`: the engine rounds the times of its
/// stream's records.
pub(super) fn stood_in(plan: Plan, rounded: bool) -> (Plan, Vec<String>) {
    let mut told = Vec::new();
    if rounded {
        told.push(format!(
            "precise times of stream records, which DynamoDB Local rounds to the minute: the live writers rest for {} ms after {} \
             ms of writing, and the silence shows how far the stream was read",
            RESTS.rest_for.as_millis(),
            RESTS.write_for.as_millis()
        ));
    }
    if !plan.hooks.is_empty() {
        let hooks: Vec<String> = plan.hooks.keys().map(ToString::to_string).collect();
        told.push(format!(
            "hooks ({}): the rehearsal stops and moves its own writers",
            hooks.join(", ")
        ));
    }
    let fences = || plan.services.iter().map(|service| plan.fence_of(service));
    if fences().any(|fence| fence.policy.is_some()) {
        told.push("resource policies: no policy is put; the rehearsal stops its own writers".into());
    }
    if fences().any(|fence| fence.manual.is_some()) {
        told.push("writers that a person stops: the rehearsal stops its own writers".into());
    }
    told.push(
        "backups: `prune` asks for none, because an engine without AWS has no point-in-time recovery".into(),
    );
    let longest = fences().map(|fence| fence.prove_for).max().unwrap_or_default();
    let less = longest.saturating_sub(WATCHED) + plan.drain.quiet_for.saturating_sub(WATCHED);
    if !less.is_zero() {
        told.push(format!(
            "waits: `prove-for` and `quiet-for` are 1 s here, so a pause with this plan is up to {} s longer",
            less.as_secs()
        ));
    }
    (plan.with_stand_in_fence(STAND_IN, WATCHED), told)
}

/// Waits within a function that cannot wait.
fn waited(work: impl Future<Output = ()>) {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(work));
}

/// Plays the cutovers.
pub(super) struct Play<'a> {
    pub split: &'a Split,
    pub application: &'a Arc<Application>,
    pub writers: &'a LiveWriters,
    /// How long the writers write between two steps.
    pub between: Duration,
    /// How often the first service goes back and is cut over again.
    pub rounds: u32,
    pub say: &'a (dyn Fn(&str) + Sync),
    /// Follows writes back to the source.
    pub lag: LagProbe,
    pub stop: &'a CancellationToken,
    pub report: CutoverRehearsal,
}

impl Play<'_> {
    /// Plays everything until the last service has switched for the last time.
    ///
    /// # Errors
    /// If it could not be completed. What goes wrong in a step is in the report.
    pub async fn play(&mut self) -> Result<(), RehearseError> {
        let services = self.report.services.clone();
        let Some(first) = services.first() else {
            return Ok(());
        };
        for service in &services {
            self.verify().await?;
            let ignoring = match service == first {
                true => Ignoring::of(self.application, first, live_timestamp(&self.split.plan.versions)),
                false => None,
            };
            if !self.cut_over(service, ignoring).await? {
                return Ok(());
            }
        }
        self.write_own_tables(first).await?;
        self.forgotten_writers(first).await?;
        for _ in 0..self.rounds {
            if !self.roll_back(first).await? {
                return Ok(());
            }
            self.write_on("a service writes the source again").await?;
            self.verify().await?;
            if !self.cut_over(first, None).await? {
                return Ok(());
            }
            self.write_own_tables(first).await?;
        }
        Ok(())
    }

    /// The services write their own tables for a while, and the source holds what the first one wrote.
    async fn write_own_tables(&mut self, first: &str) -> Result<(), RehearseError> {
        let (probe, enough) = (self.lag.clone(), CancellationToken::new());
        let (application, until) = (Arc::clone(self.application), enough.clone());
        let following =
            AbortOnDropHandle::new(tokio::spawn(
                async move { probe.follow(&application, &until).await },
            ));
        let written = self.write_on("the services write their own tables").await;
        enough.cancel();
        let followed = following.await;
        written?;
        followed
            .map_err(|error| RunError::Failed(error.to_string()))?
            .map_err(RunError::from)?;
        (self.say)(&format!("comparing the source with what {first} wrote"));
        let options = VerifyOptions {
            services: Some(vec![first.to_owned()]),
            ..VerifyOptions::default()
        };
        self.compare("verify of what was carried back", Some(first), &options)
            .await
    }

    /// A clean verify beside the live writers. A cutover asks for it.
    async fn verify(&mut self) -> Result<(), RehearseError> {
        (self.say)("verifying beside the live writers");
        self.compare("verify", None, &VerifyOptions::default()).await
    }

    async fn compare(
        &mut self,
        step: &str,
        service: Option<&str>,
        options: &VerifyOptions,
    ) -> Result<(), RehearseError> {
        let began = Instant::now();
        let mut attempts = 0;
        let clean = loop {
            attempts += 1;
            let (verify, _) = Verify::new(self.split.clone(), options.clone(), self.stop.clone());
            let result = Box::pin(verify.run()).await?;
            if result.clean || attempts == VERIFIES {
                break result.clean;
            }
        };
        let outcome = if clean { "clean" } else { "not clean" };
        self.report.note(step, service, outcome, began);
        // Without a clean verify of the split, the next cutover refuses.
        if !clean && service.is_some() {
            self.report
                .wrong
                .push(format!("{step}: it was not clean in {VERIFIES} attempts"));
        }
        Ok(())
    }

    /// Cuts a service over, perhaps with a writer that ignores the fence until somebody notices it. Returns whether the service
    /// writes its own table now.
    async fn cut_over(
        &mut self,
        service: &str,
        ignoring: Option<Arc<Ignoring>>,
    ) -> Result<bool, RehearseError> {
        (self.say)(&format!("cutting {service} over"));
        let began = Instant::now();
        let moved = {
            let fence = self.fence(service);
            let confirm = |what: &str| -> Confirmation {
                let (stopped, ignoring) = (fence(what), ignoring.clone());
                Box::pin(async move {
                    let is_so = stopped.await;
                    if let Some(ignoring) = ignoring {
                        ignoring.begin().await;
                    }
                    is_so
                })
            };
            // What is told after the fence was raised comes from the proof of the fence, or from a later step.
            let tell = |what: &str| {
                ignoring.iter().for_each(|ignoring| waited(ignoring.end()));
                (self.say)(what);
            };
            let operator = Operator {
                name: "the rehearsal".to_owned(),
                tell: &tell,
                confirm: Some(&confirm),
            };
            let options = CutoverOptions::default();
            Box::pin(cutover(self.split, service, options, &operator, self.stop)).await
        };
        if let Some(ignoring) = ignoring {
            let is_switched = moved
                .as_ref()
                .is_ok_and(|report| report.outcome == Outcome::Switched);
            self.ignored(service, &ignoring, is_switched, began).await?;
        }
        let wanted = Outcome::Switched;
        self.moved(
            "cutover",
            service,
            began,
            moved,
            (wanted, Side::Target, Side::Source),
        )
        .await
    }

    /// What a writer wrote that ignored the fence is in the service's own table before the service writes there.
    async fn ignored(
        &mut self,
        service: &str,
        ignoring: &Ignoring,
        is_switched: bool,
        began: Instant,
    ) -> Result<(), RehearseError> {
        let made = ignoring.made().await?;
        self.report.past_the_fence += made;
        if is_switched && !ignoring.is_copied().await? {
            self.report.wrong.push(format!(
                "a write of {service} that was accepted after the fence is not in its own table"
            ));
        }
        let outcome = format!(
            "{} accepted after it was raised, and copied",
            counted(made, "write")
        );
        self.report.note("ignored fence", Some(service), &outcome, began);
        Ok(())
    }

    /// Moves a service back. Returns whether it writes the source now.
    async fn roll_back(&mut self, service: &str) -> Result<bool, RehearseError> {
        (self.say)(&format!("rolling {service} back"));
        let began = Instant::now();
        let moved = self.try_to_roll_back(service).await;
        let wanted = Outcome::RolledBack;
        self.moved(
            "rollback",
            service,
            began,
            moved,
            (wanted, Side::Source, Side::Target),
        )
        .await
    }

    async fn try_to_roll_back(&self, service: &str) -> Result<CutoverReport, RunError> {
        let (confirm, name) = (self.fence(service), "the rehearsal".to_owned());
        let operator = Operator {
            name,
            tell: self.say,
            confirm: Some(&confirm),
        };
        let options = RollbackOptions::default();
        Box::pin(rollback(self.split, service, options, &operator, self.stop)).await
    }

    /// The stand-in of a fence: it stops the writers of the service, and waits until none of their writes is under way.
    fn fence(&self, service: &str) -> impl Fn(&str) -> Confirmation + Sync + use<> {
        let (application, service) = (Arc::clone(self.application), service.to_owned());
        move |_: &str| {
            let (application, service) = (Arc::clone(&application), service.clone());
            Box::pin(async move {
                application.move_to(&service, Side::Nowhere).await;
                true
            })
        }
    }

    /// The writers go where the command says. Returns whether that is what was wanted.
    async fn moved(
        &mut self,
        step: &str,
        service: &str,
        began: Instant,
        moved: Result<CutoverReport, RunError>,
        (wanted, there, otherwise): (Outcome, Side, Side),
    ) -> Result<bool, RehearseError> {
        let report = match moved {
            Ok(report) => report,
            Err(error @ RunError::Stopped(_)) => return Err(error.into()),
            Err(error) => {
                self.report.wrong.push(format!("{step} of {service}: {error}"));
                self.report.note(step, Some(service), "refused", began);
                return Ok(false);
            }
        };
        let is_wanted = report.outcome == wanted;
        let side = if is_wanted { there } else { otherwise };
        self.application.move_to(service, side).await;
        self.first_write(service).await?;
        let outcome = if is_wanted {
            match side {
                Side::Target => "it writes its own table",
                Side::Source | Side::Nowhere => "it writes the source",
            }
        } else {
            let reason = report.reason.unwrap_or_default();
            self.report
                .wrong
                .push(format!("{step} of {service} was cancelled: {reason}"));
            "cancelled"
        };
        let waited = self.application.activity(service).waited_ms;
        self.report.note(step, Some(service), outcome, began);
        if let Some(noted) = self.report.steps.last_mut() {
            noted.pause_ms = report.pause_ms;
            noted.writers_waited_ms = waited;
        }
        Ok(is_wanted)
    }

    /// Waits for the first write after the writers were moved, which ends the measured wait. A service of few items may write
    /// rarely.
    async fn first_write(&self, service: &str) -> Result<(), RehearseError> {
        let began = Instant::now();
        while self.application.activity(service).waited_ms.is_none() && began.elapsed() < self.between {
            self.sleep(Duration::from_millis(20)).await?;
        }
        Ok(())
    }

    /// Lets the writers write for a while.
    async fn write_on(&mut self, what: &str) -> Result<(), RehearseError> {
        (self.say)(what);
        let (began, before) = (Instant::now(), self.written());
        let mut now = before;
        // The writers may rest just now.
        while began.elapsed() < self.between || (now == before && began.elapsed() < LONGEST_REST) {
            self.sleep(Duration::from_millis(100)).await?;
            now = self.written();
        }
        let outcome = format!(
            "{} writes of the services to the source, {} to their own tables",
            now.0 - before.0,
            now.1 - before.1
        );
        self.report.note("write", None, &outcome, began);
        Ok(())
    }

    /// Forgotten writers write the source. A rollback is refused until these writes are settled.
    async fn forgotten_writers(&mut self, service: &str) -> Result<(), RehearseError> {
        (self.say)(&format!("forgotten writers of {service} write the source"));
        let began = Instant::now();
        let forgotten = Forgotten {
            split: self.split,
            application: self.application,
            service,
            stop: self.stop,
        };
        let made = forgotten.write().await?;
        self.report.strays = made;
        self.report.note(
            "forgotten writers",
            Some(service),
            &format!("{made} stray writes, all of them found"),
            began,
        );
        if made == 0 {
            return Ok(());
        }
        let began = Instant::now();
        match self.try_to_roll_back(service).await {
            Err(RunError::Unclean { .. }) => {
                self.report.note(
                    "rollback",
                    Some(service),
                    "refused, because of the stray writes",
                    began,
                );
            }
            Err(error @ RunError::Stopped(_)) => return Err(error.into()),
            other => {
                let seen = other.map_or_else(
                    |error| error.to_string(),
                    |report| format!("{:?}", report.outcome),
                );
                self.report.wrong.push(format!(
                    "a rollback of {service} was not refused, although there are stray writes: {seen}"
                ));
            }
        }
        let began = Instant::now();
        forgotten.settle().await?;
        self.report.note(
            "reverse settle",
            Some(service),
            "the source holds what the service wrote",
            began,
        );
        Ok(())
    }

    fn written(&self) -> (u64, u64) {
        let services = self.report.services.iter();
        services.fold((0, 0), |(source, target), service| {
            let activity = self.application.activity(service);
            (source + activity.source, target + activity.target)
        })
    }

    /// Waits, unless the rehearsal is stopped or a writer failed.
    async fn sleep(&self, time: Duration) -> Result<(), RehearseError> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(forgotten::interrupted().into()),
            // The writers say why when they are stopped.
            () = self.writers.failed() => Err(RunError::Failed("a live writer failed".into()).into()),
            () = tokio::time::sleep(time) => Ok(()),
        }
    }
}
