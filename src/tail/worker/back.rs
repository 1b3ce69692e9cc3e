//! The reverse lanes of a worker: it follows the streams of services' own tables, beside that of the source.

use super::{Ended, Tail, TailOptions, WorkerContext};
use crate::source::{StreamSource, StreamState, stream_state};
use crate::state::{SplitRecord, StreamPin};
use crate::tail::capture::{record_back_gap, record_pin};
use crate::tail::dead_letter_counts::ShownDeadLetters;
use crate::worker::{RunError, pause};
use futures::future::join_all;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks at a stream that is off, and after a failure.
const AGAIN: Duration = Duration::from_secs(2);

/// The reverse lane of one service: a tail of its own table's stream.
pub(super) struct BackTail {
    tail: Tail,
    source: StreamSource,
    pin: StreamPin,
}

impl Tail {
    /// The reverse lanes of the services that are carried back, by the split's record.
    pub(super) async fn backs(&self, record: &SplitRecord) -> Result<Vec<BackTail>, RunError> {
        let mut backs = Vec::new();
        for (name, epoch) in record.carried_back() {
            let Some((service, tables)) = self.split.target(name) else {
                continue;
            };
            let pin = StreamPin::read(&self.split.store, name, epoch).await?;
            let pin = pin.ok_or_else(|| {
                RunError::Failed(format!("the pin of {name} in its cutover {epoch} is missing"))
            })?;
            let split = self.split.back(name, pin.clone());
            let source = StreamSource::new(
                tables.streams.clone(),
                &pin.stream_arn,
                pin.generation,
                service.keys.clone(),
            );
            let tail = Self {
                dead_letters: ShownDeadLetters::new(&split),
                publishers: BTreeMap::new(),
                split,
                options: TailOptions::default(),
                budgets: Arc::clone(&self.budgets),
                stop: self.stop.clone(),
                view: watch::channel(Vec::new()).0,
            };
            backs.push(BackTail { tail, source, pin });
        }
        Ok(backs)
    }

    /// Follows all of them until the worker ends its work.
    pub(super) async fn follow_backs(backs: &[BackTail], context: &WorkerContext) {
        join_all(backs.iter().map(|back| Box::pin(back.follow(context)))).await;
    }
}

impl BackTail {
    /// A failure ends no other lane: the reverse lane tries again, and its lag shows it.
    async fn follow(&self, context: &WorkerContext) {
        while !context.work.is_cancelled() {
            let own = WorkerContext {
                gate: context.gate.clone(),
                owner: context.owner.clone(),
                alive: context.alive.clone(),
                over: context.over.clone(),
                outdated: context.outdated.clone(),
                work: context.work.child_token(),
                has_back: false,
            };
            match Box::pin(self.follow_once(&own)).await {
                // Every shard was read to its end. The stream may be another one by now, which is looked at again.
                Ok(Some(Ended::Drained)) => {}
                Ok(_) if context.work.is_cancelled() => return,
                Ok(_) => {}
                Err(error) => {
                    let table = self.pin.stream_arn.as_str();
                    tracing::warn!(%error, table, "the reverse lane could not go on; trying again");
                }
            }
            if pause(AGAIN.min(self.tail.split.timing.lease), &context.work)
                .await
                .is_err()
            {
                return;
            }
        }
    }

    async fn follow_once(&self, context: &WorkerContext) -> Result<Option<Ended>, RunError> {
        record_pin(&self.tail.split).await?;
        if let Some(reason) = self.lost().await? {
            tracing::error!(reason, "gap: changes can't be carried back");
            record_back_gap(&self.tail.split, &reason).await?;
        }
        self.tail.follow(&self.source, context).await
    }

    /// Why changes of the service's own table are in no stream that this lane reads.
    async fn lost(&self) -> Result<Option<String>, RunError> {
        let Some(back) = self.tail.split.back_side() else {
            return Ok(None);
        };
        let Some((service, tables)) = self.tail.split.target(&back.service) else {
            return Ok(None);
        };
        let table = &service.table.name;
        Ok(match stream_state(&tables.control, table).await? {
            StreamState::On { arn, .. } if arn == self.pin.stream_arn => None,
            StreamState::On { arn, .. } | StreamState::WrongView { arn, .. } => Some(format!(
                "the stream of {table} was replaced: it is {arn} now, and the way back began in {}",
                self.pin.stream_arn
            )),
            StreamState::Off | StreamState::Starting => {
                Some(format!("the stream of {table} was switched off"))
            }
        })
    }
}
