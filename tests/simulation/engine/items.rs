//! Single items: read, put, deleted, updated under conditions; and batches of puts and deletes.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

use super::expression::{Condition, Placeholders};
use super::refusal::Refusal;
use super::request::Request;
use super::table::Place;
use super::update::Update;
use super::value::{Item, item_json, item_of, size_of_item};
use super::{Arrival, Engine};

/// Members that say when a write lands, and what is told of it.
const CONDITIONAL: [&str; 7] = [
    "TableName",
    "ConditionExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "ReturnValuesOnConditionCheckFailure",
    "ReturnConsumedCapacity",
    "ReturnValues",
];
/// Operations in a batch.
const BATCH: usize = 25;

impl Engine {
    pub(super) fn get_item(&mut self, at: Arrival, body: &Json) -> Result<Json, Refusal> {
        let request = Request::of(body, &["TableName", "Key", "ConsistentRead"])?;
        let table = self.usable(at, request.text("TableName")?)?;
        let place = table.place_of_key(&request.item("Key")?)?;
        if !request.is("ConsistentRead") {
            return Err(Refusal::unsupported("an eventually consistent GetItem"));
        }
        Ok(match table.items.get(&place) {
            Some(item) => json!({ "Item": item_json(item) }),
            None => json!({}),
        })
    }

    pub(super) fn put_item(&mut self, at: Arrival, body: &Json) -> Result<Json, Refusal> {
        let request = conditional(body, "Item")?;
        let item = request.item("Item")?;
        let table = self.usable(at, request.text("TableName")?)?;
        let place = table.place_of(&item)?;
        self.write_if(at, &request, place, |_| Ok(Some(item)))
    }

    pub(super) fn delete_item(&mut self, at: Arrival, body: &Json) -> Result<Json, Refusal> {
        let request = conditional(body, "Key")?;
        let table = self.usable(at, request.text("TableName")?)?;
        let place = table.place_of_key(&request.item("Key")?)?;
        self.write_if(at, &request, place, |_| Ok(None))
    }

    pub(super) fn update_item(&mut self, at: Arrival, body: &Json) -> Result<Json, Refusal> {
        let mut known = CONDITIONAL.to_vec();
        known.extend(["Key", "UpdateExpression"]);
        let request = Request::of(body, &known)?;
        let key = request.item("Key")?;
        let place = self.usable(at, request.text("TableName")?)?.place_of_key(&key)?;
        let text = request.optional("UpdateExpression").unwrap_or_default();
        let placeholders = Placeholders::of(body);
        let update = Update::of(text, &placeholders)?;
        self.write_with(at, &request, &placeholders, place, |old| {
            update.applied(old, &key).map(Some)
        })
    }

    fn write_if(
        &mut self,
        at: Arrival,
        request: &Request<'_>,
        place: Place,
        new: impl FnOnce(Option<&Item>) -> Result<Option<Item>, Refusal>,
    ) -> Result<Json, Refusal> {
        self.write_with(at, request, &Placeholders::of(request.0), place, new)
    }

    fn write_with(
        &mut self,
        at: Arrival,
        request: &Request<'_>,
        placeholders: &Placeholders<'_>,
        place: Place,
        new: impl FnOnce(Option<&Item>) -> Result<Option<Item>, Refusal>,
    ) -> Result<Json, Refusal> {
        let condition = request.optional("ConditionExpression");
        let condition = condition
            .map(|text| Condition::of(text, placeholders))
            .transpose()?;
        placeholders.all_used()?;
        let shown = request.says("ReturnValuesOnConditionCheckFailure", "ALL_OLD")?;
        let told = request.says("ReturnConsumedCapacity", "TOTAL")?;
        let before = request.says("ReturnValues", "ALL_OLD")?;
        let name = request.text("TableName")?;
        let table = self.usable(at, name)?;
        let old = table.items.get(&place);
        if condition.is_some_and(|condition| !condition.holds(old)) {
            return Err(Refusal::condition(old.filter(|_| shown).map(item_json)));
        }
        let new = new(old)?;
        let bytes = [old, new.as_ref()].into_iter().flatten().map(size_of_item).max();
        let was = table.write(at.now_ms, place, new);
        let mut answer = json!({});
        if told {
            answer["ConsumedCapacity"] = consumed(name, write_units(bytes.unwrap_or(0)));
        }
        if let Some(was) = was.filter(|_| before) {
            answer["Attributes"] = item_json(&was);
        }
        Ok(answer)
    }

    pub(super) fn batch_write(&mut self, at: Arrival, body: &Json) -> Result<Json, Refusal> {
        let request = Request::of(body, &["RequestItems", "ReturnConsumedCapacity"])?;
        let told = request.says("ReturnConsumedCapacity", "TOTAL")?;
        let tables = request.member("RequestItems")?.as_object();
        let tables = tables.ok_or_else(|| Refusal::invalid("RequestItems is no object"))?;
        let mut writes: Vec<(String, Place, Option<Item>)> = Vec::new();
        for (name, operations) in tables {
            let table = self.usable(at, name)?;
            for operation in operations.as_array().into_iter().flatten() {
                let (place, new) = match (operation.get("PutRequest"), operation.get("DeleteRequest")) {
                    (Some(put), None) => {
                        let item = item_of(&put["Item"])?;
                        (table.place_of(&item)?, Some(item))
                    }
                    (None, Some(delete)) => (table.place_of_key(&item_of(&delete["Key"])?)?, None),
                    _ => return Err(Refusal::invalid(format!("{operation} is no operation"))),
                };
                writes.push((name.clone(), place, new));
            }
        }
        let distinct: BTreeSet<_> = writes.iter().map(|(name, place, _)| (name, place)).collect();
        if distinct.len() < writes.len() || writes.is_empty() || writes.len() > BATCH {
            return Err(Refusal::invalid(
                "a batch has too many operations, or none, or two of one key",
            ));
        }
        let mut units = std::collections::BTreeMap::<String, f64>::new();
        for (name, place, new) in writes {
            let used = write_units(new.as_ref().map_or(0, size_of_item));
            *units.entry(name.clone()).or_default() += used;
            self.usable(at, &name)?.write(at.now_ms, place, new);
        }
        let mut answer = json!({ "UnprocessedItems": {} });
        if told {
            let consumed = units.iter().map(|(name, units)| consumed(name, *units));
            answer["ConsumedCapacity"] = consumed.collect();
        }
        Ok(answer)
    }
}

/// A request with a condition.
fn conditional<'a>(body: &'a Json, with: &str) -> Result<Request<'a>, Refusal> {
    let mut known = CONDITIONAL.to_vec();
    known.push(with);
    Request::of(body, &known)
}

/// What a request used, as it is told.
pub fn consumed(table: &str, units: f64) -> Json {
    let members = [("TableName", json!(table)), ("CapacityUnits", json!(units))];
    let members = members.map(|(name, value)| (name.to_owned(), value));
    Json::Object(members.into_iter().collect::<Map<_, _>>())
}

/// A unit for each KiB.
#[allow(clippy::cast_precision_loss, reason = "items are small")]
pub fn write_units(bytes: usize) -> f64 {
    bytes.div_ceil(1024).max(1) as f64
}
