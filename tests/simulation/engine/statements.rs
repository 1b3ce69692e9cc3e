//! PartiQL: `INSERT INTO "table" VALUE {'name':?,...}`, alone and in batches; and changes of single keys that nothing has, as
//! probes send them.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::items::{consumed, write_units};
use super::refusal::Refusal;
use super::request::Request;
use super::table::Place;
use super::value::{Item, Value, size_of_item};
use super::{Arrival, Engine};

/// Statements in a batch.
const BATCH: usize = 25;

struct Insert {
    table: String,
    place: Place,
    item: Item,
}

impl Engine {
    pub(super) fn execute(&mut self, at: Arrival, body: &Json) -> Result<Json, Refusal> {
        if body["Statement"]
            .as_str()
            .is_some_and(|text| !text.starts_with("INSERT "))
        {
            return self.probe(at, body);
        }
        let insert = self.insert(at, body)?;
        self.land(at, insert)?;
        Ok(json!({ "Items": [] }))
    }

    /// `UPDATE "table" SET ... WHERE "key"=? AND "key"=?`, or `DELETE FROM "table" WHERE ...`, of a key that nothing has.
    fn probe(&mut self, at: Arrival, body: &Json) -> Result<Json, Refusal> {
        let request = Request::of(body, &["Statement", "Parameters"])?;
        let text = request.text("Statement")?;
        let unknown = || Refusal::unsupported(format!("the statement {text}"));
        let table = text.split('"').nth(1).ok_or_else(unknown)?;
        let (_, condition) = text.split_once(" WHERE ").ok_or_else(unknown)?;
        let names = condition.split(" AND ").map(|part| {
            let name = part.strip_suffix("\"=?")?.strip_prefix('"')?;
            Some(name.to_owned())
        });
        let parameters = request.member("Parameters")?.as_array().ok_or_else(unknown)?;
        let key = names
            .zip(parameters)
            .map(|(name, value)| Ok((name.ok_or_else(unknown)?, Value::of(value)?)));
        let key = key.collect::<Result<Item, Refusal>>()?;
        let table = self.usable(at, table)?;
        let place = table.place_of_key(&key)?;
        match (table.items.contains_key(&place), text.split(' ').next()) {
            (false, Some("UPDATE")) => Err(Refusal::condition(None)),
            (false, Some("DELETE")) => Ok(json!({ "Items": [] })),
            _ => Err(unknown()),
        }
    }

    pub(super) fn batch_execute(&mut self, at: Arrival, body: &Json) -> Result<Json, Refusal> {
        let request = Request::of(body, &["Statements", "ReturnConsumedCapacity"])?;
        let told = request.says("ReturnConsumedCapacity", "TOTAL")?;
        let statements = request.member("Statements")?.as_array();
        let statements = statements.ok_or_else(|| Refusal::invalid("Statements is no list"))?;
        if statements.is_empty() || statements.len() > BATCH {
            return Err(Refusal::invalid("a batch has too many statements, or none"));
        }
        // A batch that is refused writes nothing.
        let inserts = statements.iter().map(|statement| self.insert(at, statement));
        let inserts = inserts.collect::<Result<Vec<_>, _>>()?;
        let keys: BTreeSet<_> = inserts
            .iter()
            .map(|insert| (&insert.table, &insert.place))
            .collect();
        if keys.len() < inserts.len() {
            return Err(Refusal::invalid("two statements of a batch are for one key"));
        }
        let (mut responses, mut used) = (Vec::new(), Vec::new());
        for insert in inserts {
            let table = insert.table.clone();
            let bytes = size_of_item(&insert.item);
            let units = match self.land(at, insert) {
                Ok(()) => {
                    responses.push(json!({ "TableName": table }));
                    write_units(bytes)
                }
                Err(Refusal::Service { code, message, .. }) => {
                    let code = code.trim_end_matches("Exception");
                    let error = json!({ "Code": code, "Message": message });
                    responses.push(json!({ "TableName": table, "Error": error }));
                    1.0
                }
                Err(unsupported) => return Err(unsupported),
            };
            used.push(consumed(&table, units));
        }
        let mut answer = json!({ "Responses": responses });
        if told {
            answer["ConsumedCapacity"] = Json::Array(used);
        }
        Ok(answer)
    }

    fn insert(&mut self, at: Arrival, body: &Json) -> Result<Insert, Refusal> {
        let request = Request::of(body, &["Statement", "Parameters"])?;
        let text = request.text("Statement")?;
        let unknown = || Refusal::unsupported(format!("the statement {text}"));
        let rest = text.strip_prefix("INSERT INTO \"").ok_or_else(unknown)?;
        let (table, rest) = rest.split_once('"').ok_or_else(unknown)?;
        let members = rest
            .strip_prefix(" VALUE {")
            .and_then(|rest| rest.strip_suffix('}'));
        let names: Option<Vec<&str>> = members
            .ok_or_else(unknown)?
            .split(",'")
            .map(|member| member.trim_start_matches('\'').strip_suffix("':?"))
            .collect();
        let names = names.ok_or_else(unknown)?;
        let parameters = request.member("Parameters")?.as_array();
        let parameters = parameters.filter(|parameters| parameters.len() == names.len());
        let parameters =
            parameters.ok_or_else(|| Refusal::invalid("the parameters do not fit the statement"))?;
        let members = names.into_iter().zip(parameters);
        let item = members
            .map(|(name, value)| Ok((name.to_owned(), Value::of(value)?)))
            .collect::<Result<Item, Refusal>>()?;
        Ok(Insert {
            place: self.usable(at, table)?.place_of(&item)?,
            table: table.to_owned(),
            item,
        })
    }

    fn land(&mut self, at: Arrival, insert: Insert) -> Result<(), Refusal> {
        let Insert { table, place, item } = insert;
        let table = self.usable(at, &table)?;
        if table.items.contains_key(&place) {
            return Err(Refusal::service(
                "DuplicateItemException",
                "Duplicate primary key exists in table",
            ));
        }
        table.write(at.now_ms, place, Some(item));
        Ok(())
    }
}
