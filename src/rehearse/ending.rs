//! The end of a rehearsed cutover: every service is completed and pruned while the application writes, then the split is
//! completed, and nothing of dynasplit stays in the items.

use super::application::Application;
use super::cutover::CutoverRehearsal;
use super::error::RehearseError;
use super::exact::{copies, differences, leftovers, pruned_copies};
use super::writers::LiveWriters;
use crate::cutover::{CompleteServiceOptions, Operator, ServiceEnd, complete_service};
use crate::lifecycle::{CompleteOptions, PruneOptions, complete, prune};
use crate::model::{count, counted};
use crate::plan::Service;
use crate::state::PruneSide;
use crate::worker::{RunError, Split};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The lanes must have caught up with the last write within this.
const CATCH_UP: Duration = Duration::from_secs(180);
/// How long the source must be quiet at the end: its writers have stopped.
const QUIET: Duration = Duration::from_secs(1);

/// Completes the services of a rehearsal.
pub(super) struct Ending<'a> {
    pub split: &'a Split,
    pub application: &'a Application,
    pub say: &'a (dyn Fn(&str) + Sync),
    pub stop: &'a CancellationToken,
    pub report: CutoverRehearsal,
}

impl Ending<'_> {
    /// Compares every table, completes every service and prunes it, beside the live writers, which rest during a comparison.
    /// Returns after how many milliseconds of rest every table was as it should be.
    ///
    /// # Errors
    /// If it was interrupted. What goes wrong is in the report.
    pub async fn services(&mut self, writers: &LiveWriters) -> Result<u64, RehearseError> {
        let caught_up = self.compare(writers, &[], false).await?;
        // After a step that went wrong, the tables stay as they are.
        if !self.report.wrong.is_empty() {
            return Ok(caught_up);
        }
        let services = self.report.services.clone();
        for service in &services {
            (self.say)(&format!("completing {service}"));
            let planned = self.split.plan.service(service);
            let copies = planned.map_or_else(Vec::new, |planned| self.split.plan.copies_of(planned));
            // A service that has switched receives nothing any more.
            if copies.iter().any(|copy| !services.contains(&copy.name)) {
                self.refused(service).await?;
            }
            self.application.watch_the_end();
            self.end(service).await?;
            self.report.wrong.extend(self.application.ended(service).await?);
        }
        self.compare(writers, &[], true).await?;
        if self.report.wrong.is_empty() {
            for service in &services {
                (self.say)(&format!("pruning {service}"));
                self.prune(service).await?;
            }
            let split = self.split;
            for service in split
                .plan
                .services
                .iter()
                .filter(|service| service.irrelevant.is_some())
            {
                if services.contains(&service.name) {
                    self.prune_copies(service).await?;
                }
            }
            self.compare(writers, &services, true).await?;
        }
        Ok(caught_up)
    }

    /// Completes the split. The writers have stopped, and a verify was clean.
    ///
    /// # Errors
    /// If it was interrupted. What goes wrong is in the report.
    pub async fn split(&mut self) -> Result<(), RehearseError> {
        if !self.report.wrong.is_empty() {
            return Ok(());
        }
        (self.say)("completing the split");
        let began = Instant::now();
        let options = CompleteOptions {
            quiet: QUIET,
            ..CompleteOptions::default()
        };
        let outcome = match Box::pin(complete(self.split, options, self.stop, self.say)).await {
            Ok(_) => "the split is completed",
            Err(error @ RunError::Stopped(_)) => return Err(error.into()),
            Err(error) => {
                self.report.wrong.push(format!("complete of the split: {error}"));
                "refused"
            }
        };
        self.report.note("complete", None, outcome, began);
        let services = self.split.plan.services.iter();
        let all: Vec<String> = services.map(|service| service.name.clone()).collect();
        let mut wrong = differences(self.application, &self.report.services).await?;
        wrong.extend(leftovers(self.application, &all).await?);
        self.report.wrong.extend(wrong);
        Ok(())
    }

    /// Waits until every table holds what it should, without the items of services that were pruned. What still differs after a
    /// while is in the report. `ended`: nothing of dynasplit may be left.
    async fn compare(
        &mut self,
        writers: &LiveWriters,
        pruned: &[String],
        ended: bool,
    ) -> Result<u64, RehearseError> {
        (self.say)("the writers rest; comparing every table with what they wrote");
        let _resting = writers.rest().await;
        let since = Instant::now();
        let wrong = loop {
            let wrong = differences(self.application, pruned).await?;
            if wrong.is_empty() || since.elapsed() > CATCH_UP {
                break wrong;
            }
            tokio::select! {
                () = self.stop.cancelled() => return Err(RunError::Stopped("the rehearsal was interrupted".into()).into()),
                () = tokio::time::sleep(Duration::from_millis(300)) => {}
            }
        };
        let ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.report.wrong.extend(wrong);
        if ended {
            let left = leftovers(self.application, &self.report.services).await?;
            self.report.wrong.extend(left);
        }
        Ok(ms)
    }

    /// Deletes from the source what a service owned alone.
    async fn prune(&mut self, service: &str) -> Result<(), RehearseError> {
        let began = Instant::now();
        let options = PruneOptions {
            no_backup: true,
            ..PruneOptions::default()
        };
        let pruning = prune(self.split, service, &options, "the rehearsal", self.stop);
        let outcome = match Box::pin(pruning).await {
            Ok(pruned) => format!(
                "{} deleted from the source, {} kept for other services",
                counted(pruned.counts.deleted, "item"),
                count(pruned.counts.shared)
            ),
            Err(error @ RunError::Stopped(_)) => return Err(error.into()),
            Err(error) => {
                self.report.wrong.push(format!("prune of {service}: {error}"));
                "refused".to_owned()
            }
        };
        self.report.note("prune", Some(service), &outcome, began);
        Ok(())
    }

    /// Deletes the irrelevant copies from the table of a service that had received everything. The other copies stay.
    async fn prune_copies(&mut self, service: &Service) -> Result<(), RehearseError> {
        (self.say)(&format!("pruning the copies of {}", service.name));
        let began = Instant::now();
        let before = copies(self.application, service).await?;
        let options = PruneOptions {
            side: PruneSide::Target,
            no_backup: true,
            ..PruneOptions::default()
        };
        let pruning = prune(self.split, &service.name, &options, "the rehearsal", self.stop);
        let outcome = match Box::pin(pruning).await {
            Ok(pruned) => {
                let wrong = pruned_copies(self.application, service, before).await?;
                self.report.wrong.extend(wrong);
                format!(
                    "{} of others deleted from its own table, {} kept",
                    counted(pruned.counts.deleted, "irrelevant item"),
                    count(pruned.counts.kept)
                )
            }
            Err(error @ RunError::Stopped(_)) => return Err(error.into()),
            Err(error) => {
                let what = format!("prune --target of {}: {error}", service.name);
                self.report.wrong.push(what);
                "refused".to_owned()
            }
        };
        self.report
            .note("prune --target", Some(&service.name), &outcome, began);
        Ok(())
    }

    /// A service whose items another service receives is not completed without a word.
    async fn refused(&mut self, service: &str) -> Result<(), RehearseError> {
        let began = Instant::now();
        match self.try_to_end(service, false).await {
            Err(RunError::Unclean { .. }) => {
                let outcome = "refused, because another service receives its items";
                self.report.note("complete", Some(service), outcome, began);
            }
            Err(error @ RunError::Stopped(_)) => return Err(error.into()),
            other => {
                let seen = other.map_or_else(|error| error.to_string(), |_| "it was completed".to_owned());
                self.report.wrong.push(format!(
                    "the end of {service} was not refused, although another service receives its items: {seen}"
                ));
            }
        }
        Ok(())
    }

    async fn end(&mut self, service: &str) -> Result<(), RehearseError> {
        let began = Instant::now();
        let outcome = match self.try_to_end(service, true).await {
            Ok(end) => format!(
                "{} removed from the source, {} from its own table",
                counted(end.marks, "mark"),
                counted(end.stripped, "stamp")
            ),
            Err(error @ RunError::Stopped(_)) => return Err(error.into()),
            Err(error) => {
                self.report.wrong.push(format!("complete of {service}: {error}"));
                "refused".to_owned()
            }
        };
        self.report.note("complete", Some(service), &outcome, began);
        Ok(())
    }

    async fn try_to_end(&self, service: &str, end_copies: bool) -> Result<ServiceEnd, RunError> {
        let operator = Operator {
            name: "the rehearsal".to_owned(),
            tell: self.say,
            confirm: None,
        };
        let options = CompleteServiceOptions {
            end_copies,
            end_way_back: false,
        };
        let ending = complete_service(self.split, service, options, &operator, self.stop);
        Box::pin(ending).await
    }
}
