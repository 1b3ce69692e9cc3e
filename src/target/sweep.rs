//! The sweep of tombstones, and the strip of versions.

use super::write::Condition;
use crate::dynamo::convert::{item_to_sdk, value_to_sdk};
use crate::dynamo::{Budget, ConcurrencyLimit, Failure, FailureKind, Health, until_answered};
use crate::fault::{self, Rule, broken};
use crate::flow::tombstone_epoch;
use crate::model::{Item, KeySchema, ReverseMark, TOMBSTONE_ATTRIBUTE, VERSION_ATTRIBUTE};
use crate::source::Scan;
use crate::state::Tombstones;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity};
use std::sync::Arc;

/// Removes reserved attributes from a target when they are no longer needed: whole tombstones after a backfill
/// ([`Sweep::tombstones`]), and the versions of live items when the split completes ([`Sweep::versions`]).
///
/// Both find their items by one consistent scan of the table, several segments at once, which costs one read unit for
/// each 4 KB. The units are counted, reported and kept within a budget, like the writes. Both write on the condition
/// that the item is still what was read, so they can be repeated and interrupted. Temporary failures are retried
/// without end.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// For items.
    pub client: Client,
    /// The target table.
    pub table: String,
    /// Its primary key.
    pub keys: KeySchema,
    /// Read units a second.
    pub reads: Arc<Budget>,
    /// Write units a second.
    pub writes: Arc<Budget>,
    /// Writes at once: as many as the table shows that it can take.
    pub concurrency: Arc<ConcurrencyLimit>,
    /// The reason for a delay.
    pub health: Arc<Health>,
}

/// The result of a sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Items that were removed or stripped.
    pub removed: u64,
    /// Items that were not swept: changed since they were read, or tombstones of a later epoch.
    pub changed: u64,
    /// Read units used, in thousandths.
    pub read_milliunits: u64,
    /// Write units used, in thousandths.
    pub write_milliunits: u64,
}

impl Swept {
    fn add(&mut self, other: Self) {
        self.removed += other.removed;
        self.changed += other.changed;
        self.read_milliunits += other.read_milliunits;
        self.write_milliunits += other.write_milliunits;
    }
}

/// Segments of the scan, read side by side: as many pages, of up to 1 MB each, are in memory. Of an empty segment, the
/// service bills a single unit.
const SEGMENTS: u32 = 8;
/// Writes of each segment that are under way at once.
const AT_ONCE: usize = 8;
/// The least that a write is billed, in thousandths of a unit, also if it was refused. An engine that does not report
/// its use (the embedded one, for updates) is taken to bill this.
const LEAST_MILLIUNITS: u64 = 1000;

/// The failpoint of a request that removes an attribute.
#[derive(Clone, Copy)]
enum Site {
    Stamp,
    Mark,
}

impl Site {
    fn name(self) -> &'static str {
        match self {
            Self::Stamp => "complete.strip",
            Self::Mark => "cutover.unmark",
        }
    }
}

/// The result for an item, with its cost.
struct Done {
    removed: bool,
    write_milliunits: u64,
}

impl Done {
    /// It was not to be swept, and nothing was sent.
    const LEFT: Self = Self {
        removed: false,
        write_milliunits: 0,
    };
    fn removed(consumed: Option<&ConsumedCapacity>) -> Self {
        let units = consumed.and_then(ConsumedCapacity::capacity_units);
        Self {
            removed: true,
            write_milliunits: crate::source::milliunits(units).max(LEAST_MILLIUNITS),
        }
    }

    /// Its condition refused it: it is not what was read any more. Another failure stays one.
    fn refused(failure: Failure) -> Result<Self, Failure> {
        if failure.kind != FailureKind::Condition {
            return Err(failure);
        }
        Ok(Self {
            removed: false,
            write_milliunits: LEAST_MILLIUNITS,
        })
    }
}

impl Sweep {
    /// Removes every tombstone that was left before the switch-off of this epoch, each on the condition that it is
    /// still that tombstone. Later tombstones belong to a command that switched them on again meanwhile, and that may
    /// hold an older read of the source.
    ///
    /// # Errors
    /// If a request fails permanently; if it is run again, it continues.
    pub async fn tombstones(&self, epoch: u64) -> Result<Swept, Failure> {
        self.each(TOMBSTONE_ATTRIBUTE, |item| async move {
            if Tombstones::sweeps(epoch, tombstone_epoch(&item)) || broken(Rule::SweepLeavesLater) {
                self.remove_tombstone(item).await
            } else {
                Ok(Done::LEFT)
            }
        })
        .await
    }

    /// Strips the version from live items, each on the condition that it is still that version.
    ///
    /// # Errors
    /// If a request fails permanently; if it is run again, it continues.
    pub async fn versions(&self) -> Result<Swept, Failure> {
        self.each(VERSION_ATTRIBUTE, |item| {
            self.remove_attribute(item, VERSION_ATTRIBUTE, Site::Stamp)
        })
        .await
    }

    /// Removes the marks that the reverse writes of a service left in the source, each on the condition that it is still that
    /// mark. Marks of another split stay.
    ///
    /// # Errors
    /// If a request fails permanently; if it is run again, it continues.
    pub async fn marks(&self, split: &str, service: &str) -> Result<Swept, Failure> {
        let mark = ReverseMark::attribute(service);
        let mark = mark.as_str();
        self.each(mark, |item| async move {
            if ReverseMark::of(&item, split, service).is_none() {
                return Ok(Done::LEFT);
            }
            self.remove_attribute(item, mark, Site::Mark).await
        })
        .await
    }

    async fn each<F, A>(&self, having: &str, act: F) -> Result<Swept, Failure>
    where
        F: Fn(Item) -> A,
        A: Future<Output = Result<Done, Failure>>,
    {
        let segments: Vec<_> = (0..SEGMENTS)
            .map(|segment| self.segment(segment, having, &act))
            .collect();
        let mut swept = Swept::default();
        for segment in futures::future::try_join_all(segments).await? {
            swept.add(segment);
        }
        Ok(swept)
    }

    async fn segment<F, A>(&self, segment: u32, having: &str, act: &F) -> Result<Swept, Failure>
    where
        F: Fn(Item) -> A,
        A: Future<Output = Result<Done, Failure>>,
    {
        use futures::{StreamExt, TryStreamExt};
        let scan = Scan::new(self.client.clone(), &self.table, self.keys.clone(), true).keeping_marks();
        let mut swept = Swept::default();
        let mut after = None;
        loop {
            let page = until_answered(&self.health, || async {
                self.reads.ready().await;
                scan.page_where(segment, SEGMENTS, after.as_ref(), Some(having))
                    .await
            })
            .await?;
            self.reads.pay(page.read_milliunits);
            swept.read_milliunits += page.read_milliunits;
            let mut done = futures::stream::iter(page.items)
                .map(act)
                .buffer_unordered(AT_ONCE);
            while let Some(done) = done.try_next().await? {
                self.writes.pay(done.write_milliunits);
                swept.add(Swept {
                    removed: u64::from(done.removed),
                    changed: u64::from(!done.removed),
                    read_milliunits: 0,
                    write_milliunits: done.write_milliunits,
                });
            }
            after = page.next;
            if after.is_none() {
                return Ok(swept);
            }
        }
    }

    /// Writes when the budget and the table allow it, until the write is answered.
    async fn permit<A: Future<Output = Result<Done, Failure>>>(
        &self,
        write: impl Fn() -> A,
    ) -> Result<Done, Failure> {
        let write = &write;
        until_answered(&self.health, || async move {
            self.writes.ready().await;
            let mut place = self.concurrency.enter().await;
            let done = write().await;
            match &done {
                Ok(_) => place.answered(1),
                Err(failure) => place.failed(failure),
            }
            done
        })
        .await
    }

    async fn remove_tombstone(&self, item: Item) -> Result<Done, Failure> {
        let Some(key) = self.keys.key_of(&item) else {
            return Ok(Done::LEFT);
        };
        let Some(marker) = item.get(TOMBSTONE_ATTRIBUTE) else {
            return Ok(Done::LEFT);
        };
        let mut guard = crate::flow::GuardExpression {
            text: "#d = :d".into(),
            names: [("#d".to_owned(), TOMBSTONE_ATTRIBUTE.to_owned())].into(),
            values: [(":d".to_owned(), marker.clone())].into(),
        };
        guard.names.insert("#v".into(), VERSION_ATTRIBUTE.into());
        match item.get(VERSION_ATTRIBUTE) {
            Some(version) => {
                guard.text.push_str(" AND #v = :v");
                guard.values.insert(":v".into(), version.clone());
            }
            None => guard.text.push_str(" AND attribute_not_exists(#v)"),
        }
        if broken(Rule::SweepConditional) {
            guard = crate::flow::GuardExpression::default();
        }
        let Condition { text, names, values } = Condition::of(guard);
        let key = item_to_sdk(self.keys.item_of(&key));
        self.permit(|| async {
            fault::before("sweep.delete").await?;
            let sent = self
                .client
                .delete_item()
                .table_name(&self.table)
                .set_key(Some(key.clone()))
                .set_condition_expression(text.clone())
                .set_expression_attribute_names(names.clone())
                .set_expression_attribute_values(values.clone())
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await;
            fault::after("sweep.delete").await?;
            let sent = sent.map(|answer| Done::removed(answer.consumed_capacity()));
            sent.or_else(|error| Done::refused(Failure::of("dynamodb:DeleteItem", &*self.table, &error)))
        })
        .await
    }

    /// Removes an attribute, on the condition that it still has the value that was read.
    async fn remove_attribute(&self, item: Item, name: &str, site: Site) -> Result<Done, Failure> {
        let (Some(key), Some(value)) = (self.keys.key_of(&item), item.get(name)) else {
            return Ok(Done::LEFT);
        };
        let key = item_to_sdk(self.keys.item_of(&key));
        let value: aws_sdk_dynamodb::types::AttributeValue = value_to_sdk(value.clone());
        self.permit(|| async {
            fault::before(site.name()).await?;
            let sent = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key.clone()))
                .update_expression("REMOVE #a")
                .condition_expression("#a = :a")
                .expression_attribute_names("#a", name)
                .expression_attribute_values(":a", value.clone())
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await;
            fault::after(site.name()).await?;
            let sent = sent.map(|answer| Done::removed(answer.consumed_capacity()));
            sent.or_else(|error| Done::refused(Failure::of("dynamodb:UpdateItem", &*self.table, &error)))
        })
        .await
    }
}
