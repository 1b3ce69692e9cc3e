use super::passes::Run;
use super::record::{Scope, Standing};
use super::result::{VerifyOptions, VerifyResult};
use super::view::VerifyView;
use crate::run::activity::noted;
use crate::run::budgets::Budgets;
use crate::run::checks::check_split;
use crate::run::error::RunError;
use crate::run::repair_lease::{RepairLease, refuse_unready};
use crate::run::split::Split;
use crate::run::stopping::unless_stopped;
use crate::state::SplitRecord;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A verification.
pub struct Verify {
    pub(super) split: Split,
    pub(super) options: VerifyOptions,
    pub(super) budgets: Arc<Budgets>,
    pub(super) stop: CancellationToken,
    pub(super) view: watch::Sender<VerifyView>,
}

impl Verify {
    /// A verification, and a view of it that is refreshed a few times a second.
    #[must_use]
    pub fn new(
        split: Split,
        options: VerifyOptions,
        stop: CancellationToken,
    ) -> (Self, watch::Receiver<VerifyView>) {
        let (view, seen) = watch::channel(VerifyView::default());
        let budgets = Budgets::new(&split, options.read_units, None);
        let verify = Self {
            split,
            options,
            budgets,
            stop,
            view,
        };
        (verify, seen)
    }

    /// Compares every target with what the source says it should hold, and repairs where it is told to.
    ///
    /// Mismatches are a result, not an error.
    ///
    /// # Errors
    /// Where it must not start, or could not compare everything to the end; it then says nothing of the tables, and
    /// a repair that was under way goes on when the same command is run again.
    pub async fn run(self) -> Result<VerifyResult, RunError> {
        let record = unless_stopped(&self.stop, check_split(&self.split)).await?;
        // What changed meanwhile is in no target: there is nothing to compare yet.
        crate::run::hold::refuse(&record)?;
        unless_stopped(&self.stop, self.budgets.read(&self.split.store)).await?;
        let (budgets, store) = (Arc::clone(&self.budgets), self.split.store.clone());
        let (view, waits) = (self.view.clone(), self.split.waits.clone());
        let doing = || {
            let view = view.borrow();
            // Of repairs, the budgets know.
            let mut limits = budgets.limits();
            limits.extend(view.limits.clone());
            (waits.beside(&view.phase), limits)
        };
        let work = budgets.during(&store, Box::pin(self.run_tuned(record)));
        noted(&store, "verify", doing, work).await
    }

    async fn run_tuned(self, record: SplitRecord) -> Result<VerifyResult, RunError> {
        let places = self.places()?;
        if !self.options.repair {
            return Box::pin(self.compare(&record, places, None)).await;
        }
        let lease = RepairLease::take(&self.split, &self.stop).await?;
        let result = lease
            .during(Box::pin(self.compare(&record, places, Some(&lease))))
            .await;
        lease.release().await;
        result.unwrap_or_else(|| {
            Err(RunError::Stopped(
                "another process took over the repair; look at `dynasplit status`".into(),
            ))
        })
    }

    /// Places of the chosen services in the plan.
    fn places(&self) -> Result<Vec<usize>, RunError> {
        let services = &self.split.plan.services;
        let Some(chosen) = &self.options.services else {
            return Ok((0..services.len()).collect());
        };
        if let Some(unknown) = chosen.iter().find(|name| self.split.plan.service(name).is_none()) {
            let known: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
            return Err(RunError::NoSuchService {
                service: unknown.clone(),
                known: known.join(", "),
            });
        }
        let is_chosen = |place: &usize| chosen.contains(&services[*place].name);
        Ok((0..services.len()).filter(is_chosen).collect())
    }

    async fn compare(
        &self,
        record: &SplitRecord,
        places: Vec<usize>,
        lease: Option<&RepairLease>,
    ) -> Result<VerifyResult, RunError> {
        if lease.is_some() {
            refuse_unready(&self.split).await?;
        }
        let whole = places.len() == self.split.plan.services.len();
        // Read once the lease is ours: another repair may have ended just before.
        let mut standing = Standing::read(&self.split, record).await?;
        let run = Run::begin(self, record, places).await?;
        let done = CancellationToken::new();
        // Ends the display too where this future is dropped: when the repair's lease was lost.
        let shown_until = done.clone().drop_guard();
        let shown = tokio::spawn(Arc::clone(&run.progress).show(done));
        let result = run.all(lease, &mut standing).await;
        drop(shown_until);
        if let Err(error) = shown.await {
            tracing::error!(%error, "the progress display ended badly");
        }
        let mut result = result?;
        let scope = Scope {
            whole,
            repair: lease.is_some(),
        };
        standing.keep(&self.split, scope, &mut result).await?;
        Ok(result)
    }
}
