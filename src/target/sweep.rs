use super::write::Condition;
use crate::dynamo::convert::{item_to_sdk, value_to_sdk};
use crate::dynamo::{Failure, FailureKind, again};
use crate::fault;
use crate::flow::tombstone_epoch;
use crate::model::{Item, KeySchema, TOMBSTONE_ATTRIBUTE, VERSION_ATTRIBUTE};
use crate::source::Scan;
use crate::state::Tombstones;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;

/// Removes reserved attributes from a target when they are no longer needed: whole tombstones after a backfill
/// ([`Sweep::tombstones`]), and the versions of live items when the split completes ([`Sweep::versions`]).
///
/// Both find their items by one consistent scan of the table, which costs one read unit for each 4 KB; that is
/// counted and reported. Both are conditional on what was read, so they can be repeated and interrupted.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// For items.
    pub client: Client,
    /// The target table.
    pub table: String,
    /// Its primary key.
    pub keys: KeySchema,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Items that were removed or stripped.
    pub removed: u64,
    /// Items that were not to be swept: changed since they were read, or tombstones of somebody else's.
    pub changed: u64,
    /// Read units used, in thousandths.
    pub read_milliunits: u64,
}

const AT_ONCE: usize = 16;

impl Sweep {
    /// Removes every tombstone that was left before the switch-off of this epoch, each on the condition that it is
    /// still that tombstone. Later ones belong to somebody who switched them on again meanwhile, and who may hold a
    /// read of the source that is older than they are.
    ///
    /// # Errors
    /// When requests fail for good; running it again goes on.
    pub async fn tombstones(&self, epoch: u64) -> Result<Swept, Failure> {
        self.each(TOMBSTONE_ATTRIBUTE, |item| async move {
            if Tombstones::sweeps(epoch, tombstone_epoch(&item)) {
                self.remove_tombstone(item).await
            } else {
                Ok(false)
            }
        })
        .await
    }

    /// Strips the version from live items, on the condition that it is still that version.
    ///
    /// # Errors
    /// When requests fail for good; running it again goes on.
    pub async fn versions(&self) -> Result<Swept, Failure> {
        self.each(VERSION_ATTRIBUTE, |item| self.strip_version(item))
            .await
    }

    async fn each<F, A>(&self, having: &str, act: F) -> Result<Swept, Failure>
    where
        F: Fn(Item) -> A,
        A: Future<Output = Result<bool, Failure>>,
    {
        use futures::{StreamExt, TryStreamExt};
        let scan = Scan::new(self.client.clone(), &self.table, self.keys.clone(), true);
        let mut swept = Swept::default();
        let mut after = None;
        loop {
            let page = again(|| scan.page_where(0, 1, after.as_ref(), Some(having))).await?;
            swept.read_milliunits += page.read_milliunits;
            let done: Vec<bool> = futures::stream::iter(page.items)
                .map(&act)
                .buffer_unordered(AT_ONCE)
                .try_collect()
                .await?;
            let removed = done.iter().filter(|done| **done).count() as u64;
            swept.removed += removed;
            swept.changed += done.len() as u64 - removed;
            after = page.next;
            if after.is_none() {
                return Ok(swept);
            }
        }
    }

    async fn remove_tombstone(&self, item: Item) -> Result<bool, Failure> {
        let Some(key) = self.keys.key_of(&item) else {
            return Ok(false);
        };
        let Some(marker) = item.get(TOMBSTONE_ATTRIBUTE) else {
            return Ok(false);
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
        let Condition { text, names, values } = Condition::of(guard);
        let key = item_to_sdk(self.keys.item_of(&key));
        again(|| async {
            fault::before("sweep.delete").await?;
            let sent = self
                .client
                .delete_item()
                .table_name(&self.table)
                .set_key(Some(key.clone()))
                .set_condition_expression(text.clone())
                .set_expression_attribute_names(names.clone())
                .set_expression_attribute_values(values.clone())
                .send()
                .await;
            fault::after("sweep.delete").await?;
            match sent {
                Ok(_) => Ok(true),
                Err(error) => match error.as_service_error() {
                    Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(false),
                    _ => Err(Failure::of("dynamodb:DeleteItem", &*self.table, &error)),
                },
            }
        })
        .await
    }

    async fn strip_version(&self, item: Item) -> Result<bool, Failure> {
        let (Some(key), Some(version)) = (self.keys.key_of(&item), item.get(VERSION_ATTRIBUTE)) else {
            return Ok(false);
        };
        let key = item_to_sdk(self.keys.item_of(&key));
        let version: aws_sdk_dynamodb::types::AttributeValue = value_to_sdk(version.clone());
        again(|| async {
            fault::before("complete.strip").await?;
            let sent = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key.clone()))
                .update_expression("REMOVE #v")
                .condition_expression("#v = :v")
                .expression_attribute_names("#v", VERSION_ATTRIBUTE)
                .expression_attribute_values(":v", version.clone())
                .send()
                .await;
            fault::after("complete.strip").await?;
            match sent {
                Ok(_) => Ok(true),
                Err(error) => {
                    let failure = Failure::of("dynamodb:UpdateItem", &*self.table, &error);
                    if failure.kind == FailureKind::Condition {
                        Ok(false)
                    } else {
                        Err(failure)
                    }
                }
            }
        })
        .await
    }
}
