//! Reads a trace line by line, and tells what concerns one item.

use std::collections::HashMap;

use serde_json::{Value as Json, json};

use super::sentence::{condition, fate, image, key_text, refusal};

/// What was sent, until it is answered.
struct Sent {
    body: Json,
    is_told: bool,
}

/// Reads lines, and remembers what was sent.
pub struct Reader {
    /// The last part of the item's key.
    number: Option<String>,
    sent: HashMap<String, Sent>,
    /// Nothing happens in the source any more.
    is_quiet: bool,
}

/// A write of one item: what it does, in the form of a single request.
struct Write<'a> {
    operation: &'a str,
    table: String,
    item: Json,
    request: Json,
}

impl Reader {
    /// For an item of the source, by its number; without one, only what workers do is told.
    pub fn new(number: Option<usize>) -> Self {
        Self {
            number: number.map(|number| number.to_string()),
            sent: HashMap::new(),
            is_quiet: false,
        }
    }

    /// The sentence of a line, if it is told.
    pub fn sentence(&mut self, line: &str) -> Option<String> {
        let (at, rest) = line.trim_start().split_once(' ')?;
        let seconds = at.parse::<f64>().ok()? / 1000.0;
        let text = self.told(rest)?;
        Some(format!("{seconds:>8.3} s  {text}"))
    }

    fn told(&mut self, rest: &str) -> Option<String> {
        let words: Vec<&str> = rest.splitn(5, ' ').collect();
        match words.as_slice() {
            [name, ">", number, operation, rest] => self.sends(name, number, operation, rest),
            [name, "<", number, operation, rest] => self.receives(name, number, operation, rest),
            ["shop:", ..] => self.in_the_shop(rest),
            ["calm"] => Some("From here on, nothing goes wrong any more.".to_owned()),
            ["the", "writers", "stop" | "rest"] => {
                self.is_quiet = true;
                Some("The applications stop.".to_owned())
            }
            ["trouble", "begins", "again"] => {
                self.is_quiet = false;
                Some("Trouble begins again, and the applications write.".to_owned())
            }
            ["everybody", ..] => Some(format!("Everybody {}.", rest.trim_start_matches("everybody "))),
            [name, "is", "suspended"] => Some(format!("{name} is suspended.")),
            [name, "goes", "on"] => Some(format!("{name} goes on.")),
            [name, "begins," | "ends:" | "dies", ..] if *name != "writers" => Some(life(name, rest)),
            [shard, "splits" | "rolls"] if !self.is_quiet => {
                Some(format!("The shard {shard} ends: it {}.", words[1]))
            }
            _ => None,
        }
    }

    /// What an application writes, and what becomes of it.
    fn in_the_shop(&self, rest: &str) -> Option<String> {
        let is_other = |number: &String| rest.contains("DOC#") && !rest.contains(&format!(" DOC#{number} "));
        let is_told =
            !self.number.as_ref().is_some_and(is_other) && (self.number.is_some() || !rest.contains("DOC#"));
        is_told.then(|| rest.trim_start_matches("shop: ").to_owned())
    }

    fn sends(&mut self, name: &str, number: &str, operation: &str, rest: &str) -> Option<String> {
        let (body, became) = rest.rsplit_once(' ')?;
        let body: Json = serde_json::from_str(body).ok()?;
        let told = self.write(operation, &body).and_then(|write| {
            let trouble = fate(became)?;
            Some(format!("{name} sends: {}. {trouble}", write.text()))
        });
        let is_told = told.is_some();
        self.sent
            .insert(format!("{name} {number}"), Sent { body, is_told });
        told
    }

    fn receives(&mut self, name: &str, number: &str, operation: &str, rest: &str) -> Option<String> {
        let sent = self.sent.get(&format!("{name} {number}"))?;
        if let Some(landed) = rest.strip_prefix("lands") {
            return self.lands(name, operation, sent, landed.strip_prefix(", refused "));
        }
        let answer = rest.strip_prefix("answered 200 ")?;
        let answer: Json = serde_json::from_str(answer).ok()?;
        self.reads(name, operation, sent, &answer)
    }

    fn lands(&self, name: &str, operation: &str, sent: &Sent, refused: Option<&str>) -> Option<String> {
        if let Some(text) = self.turn(name, &sent.body).filter(|_| refused.is_none()) {
            return Some(text);
        }
        let write = self.write(operation, &sent.body)?;
        let who = if name == "writers" { "An application" } else { name };
        let told = match (sent.is_told, refused) {
            (true, None) => format!("That request of {who} takes effect: {}.", write.text()),
            (true, Some(why)) => format!("That request of {who} is refused: {}.", refusal(why)),
            (false, None) => format!("{who} {}.", write.text()),
            (false, Some(why)) => format!("{who} {}. That is refused: {}.", write.text(), refusal(why)),
        };
        Some(told)
    }

    /// What somebody finds out about the item.
    fn reads(&self, name: &str, operation: &str, sent: &Sent, answer: &Json) -> Option<String> {
        let table = sent.body["TableName"].as_str().unwrap_or_default();
        match operation {
            "Scan" | "GetItem" => {
                let items = answer["Items"].as_array().cloned().unwrap_or_default();
                let one = answer.get("Item").cloned();
                let found = items.into_iter().chain(one).find(|item| self.is_about(item))?;
                Some(format!("{name} has read from {table}: {}.", image(&found)))
            }
            "GetRecords" => {
                let records = answer["Records"].as_array()?.iter();
                let own = records
                    .map(|record| &record["dynamodb"])
                    .filter(|record| self.is_about(&record["Keys"]));
                let told: Vec<String> = own
                    .map(|record| {
                        let [old, new] = ["OldImage", "NewImage"].map(|side| image(&record[side]));
                        format!(
                            "{} ({old} -> {new})",
                            record["SequenceNumber"].as_str().unwrap_or_default()
                        )
                    })
                    .collect();
                (!told.is_empty()).then(|| format!("{name} has read these records: {}.", told.join(", ")))
            }
            _ => None,
        }
    }

    /// The tombstone switch, if a write of the split's record turns it.
    fn turn(&self, name: &str, body: &Json) -> Option<String> {
        if body["Item"]["sk"]["S"] != "SPLIT" {
            return None;
        }
        let record: Json = serde_json::from_str(body["Item"]["record"]["S"].as_str()?).ok()?;
        let epoch = record["tombstones"]["epoch"]
            .as_u64()
            .filter(|epoch| *epoch > 0)?;
        let services = record["service_tombstones"].as_object().into_iter().flatten();
        let each: Vec<String> = services
            .map(|(service, switch)| format!("{service} {}", switch["phase"].as_str().unwrap_or_default()))
            .collect();
        Some(format!(
            "{name} saves the split: the tombstone switches are {}, epoch {epoch}.",
            if each.is_empty() {
                "off".to_owned()
            } else {
                each.join(", ")
            }
        ))
    }

    fn is_about(&self, item: &Json) -> bool {
        let Some(number) = &self.number else {
            return false;
        };
        let source = item["SK"]["S"]
            .as_str()
            .and_then(|sort| sort.strip_prefix("DOC#"));
        let document = item["document"]["S"].as_str();
        let shown = source.or_else(|| document.map(|text| text.trim_start_matches("DOC#")));
        shown == Some(number)
    }

    /// What a request does to the item.
    fn write<'a>(&self, operation: &'a str, body: &Json) -> Option<Write<'a>> {
        let table = || body["TableName"].as_str().unwrap_or_default().to_owned();
        let single = |item: &Json| Write {
            operation,
            table: table(),
            item: item.clone(),
            request: body.clone(),
        };
        match operation {
            "PutItem" => Some(single(&body["Item"])),
            "DeleteItem" | "UpdateItem" => Some(single(&body["Key"])),
            "BatchExecuteStatement" => {
                let statements = body["Statements"].as_array()?.iter().map(inserted);
                let (table, item) = statements.flatten().find(|(_, item)| self.is_about(item))?;
                Some(Write {
                    operation: "insert",
                    table,
                    item,
                    request: json!({ "ConditionExpression": "attribute_not_exists(#p)" }),
                })
            }
            "BatchWriteItem" => body["RequestItems"]
                .as_object()?
                .iter()
                .find_map(|(table, requests)| {
                    let items = requests
                        .as_array()?
                        .iter()
                        .map(|request| &request["PutRequest"]["Item"]);
                    let item = items.into_iter().find(|item| self.is_about(item))?;
                    Some(Write {
                        operation: "put",
                        table: table.clone(),
                        item: item.clone(),
                        request: Json::Null,
                    })
                }),
            _ => None,
        }
        .filter(|write| self.is_about(&write.item))
    }
}

impl Write<'_> {
    fn text(&self) -> String {
        let (table, item) = (&self.table, &self.item);
        let guard = condition(&self.request);
        match self.operation {
            "DeleteItem" => format!("deletes {} of {table}{guard}", key_text(item)),
            "UpdateItem" => format!(
                "updates {} of {table}: {}",
                key_text(item),
                self.request["ExpressionAttributeValues"]
            ),
            _ if item.get("dynasplit:tombstone").is_some() => {
                format!("leaves a tombstone at {} of {table}{guard}", image(item))
            }
            _ => format!("puts into {table}: {}{guard}", image(item)),
        }
    }
}

/// The table and the item of an `INSERT`.
fn inserted(statement: &Json) -> Option<(String, Json)> {
    let text = statement["Statement"].as_str()?;
    let table = text.split('"').nth(1)?.to_owned();
    let names = text.split('\'').skip(1).step_by(2);
    let values = statement["Parameters"].as_array()?;
    let item = names
        .zip(values)
        .map(|(name, value)| (name.to_owned(), value.clone()));
    Some((table, Json::Object(item.collect())))
}

/// The life of a worker.
fn life(name: &str, rest: &str) -> String {
    if rest.contains(" begins,") {
        return format!("{name} begins.");
    }
    match rest.split_once(" ends: ") {
        Some((_, "")) => format!("{name} was stopped."),
        Some((_, how)) => format!("{name} ends: {how}."),
        None => format!("{rest}."),
    }
}
