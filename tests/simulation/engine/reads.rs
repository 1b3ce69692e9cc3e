//! Pages: scans in parallel segments, and queries of one partition.

use serde_json::{Value as Json, json};

use super::expression::{Condition, Placeholders};
use super::items::consumed;
use super::refusal::Refusal;
use super::request::Request;
use super::table::{Page, hash_of};
use super::value::{Item, item_json, item_of};
use super::{Arrival, Engine};

/// Members that scans and queries share.
const SHARED: [&str; 7] = [
    "TableName",
    "ConsistentRead",
    "ExclusiveStartKey",
    "Limit",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "ReturnConsumedCapacity",
];

impl Engine {
    pub(super) fn scan(&mut self, at: Arrival, body: &Json) -> Result<Json, Refusal> {
        let mut known = SHARED.to_vec();
        known.extend(["Segment", "TotalSegments", "FilterExpression"]);
        let request = Request::of(body, &known)?;
        let hashes = match (request.number("Segment"), request.number("TotalSegments")) {
            (None, None) => (0, u64::MAX),
            (Some(segment), Some(total)) if segment < total && total <= 1_000_000 => {
                let width = u64::MAX / total;
                let is_last = segment + 1 == total;
                let last = if is_last {
                    u64::MAX
                } else {
                    (segment + 1) * width - 1
                };
                (segment * width, last)
            }
            _ => return Err(Refusal::invalid("Segment and TotalSegments do not fit")),
        };
        let placeholders = Placeholders::of(body);
        let filter = request.optional("FilterExpression");
        let filter = filter
            .map(|text| Condition::of(text, &placeholders))
            .transpose()?;
        placeholders.all_used()?;
        self.read(at, &request, hashes, None, filter.as_ref())
    }

    /// Of one partition, whose sort keys begin with a prefix.
    pub(super) fn query(&mut self, at: Arrival, body: &Json) -> Result<Json, Refusal> {
        let mut known = SHARED.to_vec();
        known.push("KeyConditionExpression");
        let request = Request::of(body, &known)?;
        let placeholders = Placeholders::of(body);
        let condition = Condition::of(request.text("KeyConditionExpression")?, &placeholders)?;
        placeholders.all_used()?;
        let table = self.usable(at, request.text("TableName")?)?;
        let partition = condition
            .partition(&table.partition.name)
            .ok_or_else(|| Refusal::unsupported("a query without a partition, or of another form"))?;
        let hash = hash_of(partition);
        self.read(at, &request, (hash, hash), Some(&condition), None)
    }

    fn read(
        &mut self,
        at: Arrival,
        request: &Request<'_>,
        hashes: (u64, u64),
        key: Option<&Condition>,
        filter: Option<&Condition>,
    ) -> Result<Json, Refusal> {
        // Queries of the state have many items: pages of a few would cost more requests than they show.
        let most = if key.is_some() {
            usize::MAX
        } else {
            self.habits.page_items
        };
        let limit = request
            .number("Limit")
            .and_then(|limit| usize::try_from(limit).ok());
        let consistent = request.is("ConsistentRead");
        let name = request.text("TableName")?;
        let table = self.usable(at, name)?;
        let start: Option<Item> = request.0.get("ExclusiveStartKey").map(item_of).transpose()?;
        let start = start.map(|key| table.place_of_key(&key)).transpose()?;
        if let Some(start) = &start
            && !(hashes.0..=hashes.1).contains(&start.hash)
        {
            return Err(Refusal::invalid(
                "The provided starting key is outside the segment",
            ));
        }
        let as_of_ms = if consistent {
            at.now_ms
        } else {
            at.now_ms.saturating_sub(at.stale_ms)
        };
        let most = limit.map_or(most, |limit| limit.min(most));
        let wanted = |item: &Item| key.is_none_or(|key| key.holds(Some(item)));
        let Page { items, bytes, last } = table.page(hashes, start.as_ref(), as_of_ms, wanted, most);
        let scanned = items.len();
        let holds = |item: &Item| filter.is_none_or(|filter| filter.holds(Some(item)));
        let found: Vec<Json> = items.iter().filter(|item| holds(item)).map(item_json).collect();
        let mut answer = json!({ "Count": found.len(), "ScannedCount": scanned, "Items": found });
        if let Some(last) = last {
            answer["LastEvaluatedKey"] = item_json(&table.key_at(&last));
        }
        if request.says("ReturnConsumedCapacity", "TOTAL")? {
            #[allow(clippy::cast_precision_loss, reason = "pages are small")]
            let blocks = bytes.div_ceil(4096).max(1) as f64;
            answer["ConsumedCapacity"] = consumed(name, if consistent { blocks } else { blocks / 2.0 });
        }
        Ok(answer)
    }
}
