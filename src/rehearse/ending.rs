//! The end of a rehearsed cutover: every service is completed and pruned, and nothing of dynasplit stays in the items.

use super::application::Application;
use super::cutover::CutoverRehearsal;
use super::error::RehearseError;
use super::exact::{differences, leftovers};
use crate::cutover::{CompleteServiceOptions, Operator, ServiceEnd, complete_service};
use crate::lifecycle::{PruneOptions, prune};
use crate::model::{count, counted};
use crate::worker::{RunError, Split};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Completes the services of a rehearsal. Its writers have stopped, and every table was compared.
pub(super) struct Ending<'a> {
    pub split: &'a Split,
    pub application: &'a Application,
    pub say: &'a (dyn Fn(&str) + Sync),
    pub stop: &'a CancellationToken,
    pub report: CutoverRehearsal,
}

impl Ending<'_> {
    /// Completes every service and compares every table once more, and then prunes every service and compares them again.
    ///
    /// # Errors
    /// If it was interrupted. What goes wrong is in the report.
    pub async fn complete(mut self) -> Result<CutoverRehearsal, RehearseError> {
        // After a step that went wrong, the tables stay as they are.
        if !self.report.wrong.is_empty() {
            return Ok(self.report);
        }
        for service in self.report.services.clone() {
            (self.say)(&format!("completing {service}"));
            let planned = self.split.plan.service(&service);
            let copies = planned.map_or_else(Vec::new, |planned| self.split.plan.copies_of(planned));
            if !copies.is_empty() {
                self.refused(&service).await?;
            }
            self.end(&service).await?;
        }
        self.compare(&[]).await?;
        if self.report.wrong.is_empty() {
            for service in self.report.services.clone() {
                (self.say)(&format!("pruning {service}"));
                self.prune(&service).await?;
            }
            let pruned = self.report.services.clone();
            self.compare(&pruned).await?;
        }
        Ok(self.report)
    }

    /// Every table holds what it should, without the items of services that were pruned, and nothing of dynasplit.
    async fn compare(&mut self, pruned: &[String]) -> Result<(), RehearseError> {
        let mut wrong = differences(self.application, pruned).await?;
        wrong.extend(leftovers(self.application, &self.report.services).await?);
        self.report.wrong.extend(wrong);
        Ok(())
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
