//! The processes that share the work of a command: each has a record, and counts the records of the others.

use super::leased_record::LeasedRecord;
use super::split::Split;
use crate::state::{Lease, LeaseWatch, MemberRecord, Owner, StateError, Stored};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// The membership of this process, and the others as they were counted last.
pub(crate) struct Members {
    split: Split,
    leased: Arc<LeasedRecord<MemberRecord>>,
    /// The beginning of the names of the records of this command's processes.
    prefix: String,
    renewing: AbortOnDropHandle<Result<(), StateError>>,
    done: CancellationToken,
    watch: LeaseWatch,
    counted: Option<(Instant, Duration)>,
}

/// Records of members that one read unit shows, if they may be a second old: two blocks of 4 KiB with some 250 bytes each.
const MEMBERS_A_UNIT: f64 = 32.0;

impl Members {
    /// Joins them.
    ///
    /// # Errors
    /// If the state can't be written.
    pub async fn join(split: &Split, owner: &Owner) -> Result<Self, StateError> {
        let prefix = MemberRecord::of_kind(owner.kind());
        let name = format!("{}{owner}", MemberRecord::PREFIX);
        let stored = Stored {
            value: MemberRecord {
                lease: Lease::default(),
                beat: 0,
            },
            revision: 0,
        };
        let taken = LeasedRecord::take(&split.store, &name, stored, owner, split.timing).await?;
        let leased = taken.ok_or(StateError::Conflict { record: name })?;
        let done = CancellationToken::new();
        Ok(Self {
            split: split.clone(),
            renewing: AbortOnDropHandle::new(tokio::spawn(Arc::clone(&leased).renew_until(done.clone()))),
            leased,
            prefix,
            done,
            watch: LeaseWatch::default(),
            counted: None,
        })
    }

    /// Counts the members, this one among them, if it is due. The count decides only how often this process reads, and its
    /// share of the budgets.
    pub async fn refresh(&mut self) {
        if self.counted.is_some_and(|(at, pause)| at.elapsed() < pause) {
            return;
        }
        match self.split.store.list_recent::<MemberRecord>(&self.prefix).await {
            Ok(members) => {
                let now = Instant::now();
                let others = members.into_iter().filter(|(name, member)| {
                    name != self.leased.name()
                        && !self
                            .watch
                            .is_free(name, &member.value.lease, member.revision, now)
                });
                let number = others.count() + 1;
                self.split.fleet.note(number);
                #[allow(clippy::cast_precision_loss)] // there are few
                let units = (number as f64 / MEMBERS_A_UNIT).max(0.5);
                self.counted = Some((now, self.split.fleet.pause(self.split.timing.renew(), units)));
            }
            Err(error) => tracing::warn!(%error, "could not count the processes; trying again"),
        }
    }

    /// Leaves them. A record that can't be removed expires.
    pub async fn leave(self) {
        self.done.cancel();
        match self.renewing.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "could not release the record of this process"),
            Err(error) => tracing::error!(%error, "the task that renews the record of this process failed"),
        }
        let (store, name) = (&self.split.store, self.leased.name());
        let removed = async {
            match store.get::<MemberRecord>(name).await? {
                Some(stored) => store.delete(name, stored.revision).await,
                None => Ok(()),
            }
        };
        if let Err(error) = removed.await {
            tracing::debug!(%error, "could not remove the record of this process; it expires by itself");
        }
    }
}
