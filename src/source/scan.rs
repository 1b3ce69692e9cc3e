//! Reads of a table: parallel scans by page, and consistent reads of one key.

use crate::dynamo::convert::{item_from_sdk, item_to_sdk};
use crate::dynamo::{Failure, FailureKind, RawScan};
use crate::model::raw::{RawItem, RawPage};
use crate::model::{Item, Key, KeySchema, strip_marks};
use crate::plan::LookedAt;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::scan::ScanOutput;
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use std::sync::Arc;

/// Reads a table: page by page in parallel segments, or one key, consistently.
/// See [parallel scans](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Scan.html#Scan.ParallelScan).
#[derive(Clone, Debug)]
pub struct Scan {
    client: Client,
    table: String,
    keys: KeySchema,
    consistent: bool,
    page_items: Option<u32>,
    keeps_marks: bool,
}

/// One page of a segment, of up to 1 MB.
#[derive(Debug)]
pub struct ScanPage {
    /// Its items, without the markers of cutovers.
    pub items: Vec<Item>,
    /// The key after which to continue; `None` at the end of the segment.
    pub next: Option<Item>,
    /// Read units used, in thousandths.
    pub read_milliunits: u64,
}

/// One page of a segment, of which no more is read than the plan looks at.
#[derive(Debug)]
pub struct RawScanPage {
    /// Its items, without the markers of cutovers.
    pub items: PageItems,
    /// As in [`ScanPage`].
    pub next: Option<Item>,
    /// As in [`ScanPage`].
    pub read_milliunits: u64,
}

/// The items of a page.
#[derive(Debug)]
pub enum PageItems {
    /// As they came.
    Raw(Vec<RawItem>),
    /// Read by the SDK, because the answer holds something unusual.
    Read(Vec<Item>),
}

impl Scan {
    /// Of a table. A consistent scan costs twice, and holds all writes that were completed before it began.
    #[must_use]
    pub fn new(client: Client, table: &str, keys: KeySchema, consistent: bool) -> Self {
        Self {
            client,
            table: table.to_owned(),
            keys,
            consistent,
            page_items: None,
            keeps_marks: false,
        }
    }

    /// With the marks of reverse writes, for a reverse write. Otherwise they are removed from each item, because they say
    /// nothing about it.
    #[must_use]
    pub fn keeping_marks(self) -> Self {
        Self {
            keeps_marks: true,
            ..self
        }
    }

    /// With pages of at most this many items, for a read that must not cost a whole page.
    #[must_use]
    pub fn limited(self, items: u32) -> Self {
        Self {
            page_items: Some(items.max(1)),
            ..self
        }
    }

    /// Reads one page of a segment.
    ///
    /// # Errors
    /// When the request fails, or the answer holds a value of a type that this version does not know.
    pub async fn page(&self, segment: u32, segments: u32, after: Option<&Item>) -> Result<ScanPage, Failure> {
        self.page_where(segment, segments, after, None).await
    }

    /// Reads one page, of the items that have an attribute. It costs as much as the whole page.
    ///
    /// # Errors
    /// As [`Scan::page`].
    pub async fn page_where(
        &self,
        segment: u32,
        segments: u32,
        after: Option<&Item>,
        having: Option<&str>,
    ) -> Result<ScanPage, Failure> {
        let mut request = self.request(segment, segments, after);
        if let Some(attribute) = having {
            request = request
                .filter_expression("attribute_exists(#h)")
                .expression_attribute_names("#h", attribute);
        }
        let page = request
            .send()
            .await
            .map_err(|error| self.failed("dynamodb:Scan", &error))?;
        self.read(page)
    }

    /// Reads one page of a segment: of its items, the attributes that the plan looks at.
    ///
    /// # Errors
    /// As [`Scan::page`].
    pub async fn raw_page(
        &self,
        segment: u32,
        segments: u32,
        after: Option<&Item>,
        looked_at: &Arc<LookedAt>,
    ) -> Result<RawScanPage, Failure> {
        let raw = RawScan::new(looked_at);
        let answer = self
            .request(segment, segments, after)
            .customize()
            .interceptor(raw.clone())
            .send()
            .await
            .map_err(|error| self.failed("dynamodb:Scan", &error))?;
        let Some(RawPage {
            mut items,
            last_key,
            units,
        }) = raw.take()
        else {
            let page = self.read(answer)?;
            return Ok(RawScanPage {
                items: PageItems::Read(page.items),
                next: page.next,
                read_milliunits: page.read_milliunits,
            });
        };
        for item in items.iter_mut().filter(|_| !self.keeps_marks) {
            strip_marks(&mut item.read);
        }
        // A marker of a cutover is no item of anybody.
        items.retain(|item| !self.keys.is_marker(&item.read));
        Ok(RawScanPage {
            items: PageItems::Raw(items),
            next: last_key,
            read_milliunits: milliunits(units),
        })
    }

    fn request(&self, segment: u32, segments: u32, after: Option<&Item>) -> ScanFluentBuilder {
        let request = self
            .client
            .scan()
            .table_name(&self.table)
            .consistent_read(self.consistent)
            .set_limit(
                self.page_items
                    .map(|items| i32::try_from(items).unwrap_or(i32::MAX)),
            )
            .set_exclusive_start_key(after.cloned().map(item_to_sdk))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        if segments == 1 {
            return request;
        }
        request
            .segment(i32::try_from(segment).unwrap_or(i32::MAX))
            .total_segments(i32::try_from(segments).unwrap_or(i32::MAX))
    }

    /// The page of an answer that the SDK has read.
    fn read(&self, page: ScanOutput) -> Result<ScanPage, Failure> {
        let units = page
            .consumed_capacity()
            .and_then(aws_sdk_dynamodb::types::ConsumedCapacity::capacity_units);
        let items = page.items.unwrap_or_default();
        Ok(ScanPage {
            items: items
                .into_iter()
                .map(|item| self.item(item))
                // A marker of a cutover is no item of anybody.
                .filter(|item| !item.as_ref().is_ok_and(|item| self.keys.is_marker(item)))
                .collect::<Result<_, _>>()?,
            next: page.last_evaluated_key.map(|key| self.item(key)).transpose()?,
            read_milliunits: milliunits(units),
        })
    }

    /// Reads one item by its key, consistently.
    ///
    /// # Errors
    /// As [`Scan::page`].
    pub async fn get(&self, key: &Key) -> Result<Option<Item>, Failure> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(item_to_sdk(self.keys.item_of(key))))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| self.failed("dynamodb:GetItem", &error))?;
        answer.item.map(|item| self.item(item)).transpose()
    }

    /// The key schema of the table.
    #[must_use]
    pub fn keys(&self) -> &KeySchema {
        &self.keys
    }

    fn item(
        &self,
        item: std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue>,
    ) -> Result<Item, Failure> {
        let mut item = item_from_sdk(item).map_err(|error| Failure {
            kind: FailureKind::Unknown,
            action: "dynamodb:Scan".into(),
            resource: self.table.clone(),
            code: "UnreadableItem".into(),
            message: error.to_string(),
        })?;
        if !self.keeps_marks {
            strip_marks(&mut item);
        }
        Ok(item)
    }

    fn failed<E, R>(&self, action: &'static str, error: &aws_sdk_dynamodb::error::SdkError<E, R>) -> Failure
    where
        E: aws_sdk_dynamodb::error::ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        Failure::of(action, self.table.clone(), error)
    }
}

/// Capacity units as whole thousandths, so that counts can be added without rounding.
#[must_use]
pub(crate) fn milliunits(units: Option<f64>) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // units are small and positive
    units.map_or(0, |units| (units.max(0.0) * 1000.0).round() as u64)
}
