//! Tables and their settings: created, described, changed, deleted.

use serde_json::{Value as Json, json};

use super::refusal::Refusal;
use super::request::Request;
use super::stream::Stream;
use super::table::{KeyPart, Table};
use super::{Arrival, Engine};

impl Engine {
    pub(super) fn create_table(&mut self, at: Arrival, body: &Json) -> Result<Json, Refusal> {
        const KNOWN: [&str; 6] = [
            "TableName",
            "KeySchema",
            "AttributeDefinitions",
            "BillingMode",
            "StreamSpecification",
            "DeletionProtectionEnabled",
        ];
        let request = Request::of(body, &KNOWN)?;
        let name = request.text("TableName")?;
        if request.text("BillingMode")? != "PAY_PER_REQUEST" {
            return Err(Refusal::unsupported("provisioned tables"));
        }
        if name.len() < 3 {
            return Err(Refusal::invalid("a table's name has at least three characters"));
        }
        if self.tables.contains_key(name) {
            return Err(Refusal::service(
                "ResourceInUseException",
                format!("Table already exists: {name}"),
            ));
        }
        let part = |role: &str| -> Option<KeyPart> {
            let element = list(&body["KeySchema"]).find(|element| element["KeyType"] == role)?;
            let name = element["AttributeName"].as_str()?;
            let mut definitions = list(&body["AttributeDefinitions"]);
            let definition = definitions.find(|definition| definition["AttributeName"] == name)?;
            Some(KeyPart {
                name: name.to_owned(),
                kind: definition["AttributeType"].as_str()?.to_owned(),
            })
        };
        let partition = part("HASH").ok_or_else(|| Refusal::invalid("the partition key is missing"))?;
        let ready_ms = at.now_ms + self.habits.creation_ms;
        let mut table = Table::new(name, partition, part("RANGE"), at.now_ms, ready_ms);
        self.tables_made += 1;
        table.id = format!("simulated-{}", self.tables_made);
        table.deletion_protection = request.is("DeletionProtectionEnabled");
        if let Some(specification) = body.get("StreamSpecification") {
            self.switch_stream(at, &mut table, specification)?;
        }
        let description = table.describe(at.now_ms);
        self.tables.insert(name.to_owned(), table);
        Ok(json!({ "TableDescription": description }))
    }

    fn switch_stream(&self, at: Arrival, table: &mut Table, specification: &Json) -> Result<(), Refusal> {
        let is_on = table.streams.last().is_some_and(|stream| stream.on);
        let wanted = specification["StreamEnabled"] == true;
        match (is_on, wanted) {
            (true, true) => Err(Refusal::invalid("Table already has an enabled stream")),
            (false, false) => Err(Refusal::invalid("Table is already without a stream")),
            (true, false) => {
                table
                    .streams
                    .iter_mut()
                    .for_each(|stream| stream.disable(at.now_ms));
                Ok(())
            }
            (false, true) if specification["StreamViewType"] == "NEW_AND_OLD_IMAGES" => {
                let generation = table.streams.len();
                let (shards, records) = (self.habits.shards, self.habits.page_records);
                let stream = Stream::new(&table.name, generation, shards, records);
                table.streams.push(stream);
                Ok(())
            }
            (false, true) => Err(Refusal::unsupported("streams of other views")),
        }
    }

    pub(super) fn describe_table(&mut self, at: Arrival, body: &Json) -> Result<Json, Refusal> {
        let name = Request::of(body, &["TableName"])?.text("TableName")?;
        let table = self.known(name)?;
        Ok(json!({ "Table": table.describe(at.now_ms) }))
    }

    pub(super) fn update_table(&mut self, at: Arrival, body: &Json) -> Result<Json, Refusal> {
        let request = Request::of(body, &["TableName", "StreamSpecification"])?;
        let specification = request.member("StreamSpecification")?;
        let name = request.text("TableName")?;
        self.usable(at, name)?;
        let Some(mut table) = self.tables.remove(name) else {
            return Err(Refusal::missing(name));
        };
        let switched = self.switch_stream(at, &mut table, specification);
        let description = table.describe(at.now_ms);
        self.tables.insert(name.to_owned(), table);
        switched.map(|()| json!({ "TableDescription": description }))
    }

    pub(super) fn delete_table(&mut self, at: Arrival, body: &Json) -> Result<Json, Refusal> {
        let name = Request::of(body, &["TableName"])?.text("TableName")?;
        if self.known(name)?.ready_ms == u64::MAX {
            return Err(Refusal::service("ResourceInUseException", "it is being imported"));
        }
        let table = self.usable(at, name)?;
        if table.deletion_protection {
            return Err(Refusal::invalid("Resource cannot be deleted as it is protected"));
        }
        let description = table.describe(at.now_ms);
        self.tables.remove(name);
        Ok(json!({ "TableDescription": description }))
    }

    /// Whether a table can be restored to each moment.
    pub(super) fn describe_backups(&mut self, at: Arrival, body: &Json) -> Result<Json, Refusal> {
        let name = Request::of(body, &["TableName"])?.text("TableName")?;
        let recovery = match self.known(name)?.restorable_from_ms {
            None => json!({ "PointInTimeRecoveryStatus": "DISABLED" }),
            Some(from_ms) => json!({
                "PointInTimeRecoveryStatus": "ENABLED",
                "EarliestRestorableDateTime": from_ms.div_ceil(1000),
                "LatestRestorableDateTime": at.now_ms / 1000 - 300,
            }),
        };
        Ok(json!({ "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "ENABLED",
            "PointInTimeRecoveryDescription": recovery,
        } }))
    }

    pub(super) fn describe_ttl(&mut self, body: &Json) -> Result<Json, Refusal> {
        let name = Request::of(body, &["TableName"])?.text("TableName")?;
        let description = match &self.known(name)?.ttl {
            Some(attribute) => json!({ "TimeToLiveStatus": "ENABLED", "AttributeName": attribute }),
            None => json!({ "TimeToLiveStatus": "DISABLED" }),
        };
        Ok(json!({ "TimeToLiveDescription": description }))
    }

    pub(super) fn update_ttl(&mut self, body: &Json) -> Result<Json, Refusal> {
        let request = Request::of(body, &["TableName", "TimeToLiveSpecification"])?;
        let specification = request.member("TimeToLiveSpecification")?;
        let attribute = specification["AttributeName"]
            .as_str()
            .ok_or_else(|| Refusal::invalid("AttributeName is missing"))?;
        let enabled = specification["Enabled"] == true;
        let table = self.known(request.text("TableName")?)?;
        if table.ttl.is_some() == enabled {
            let state = if enabled { "enabled" } else { "disabled" };
            return Err(Refusal::invalid(format!("TimeToLive is already {state}")));
        }
        table.ttl = enabled.then(|| attribute.to_owned());
        Ok(json!({ "TimeToLiveSpecification": specification }))
    }

    /// A table, also one that is still being made.
    pub(super) fn known(&mut self, name: &str) -> Result<&mut Table, Refusal> {
        let found = self.tables.get_mut(name);
        found
            .ok_or_else(|| Refusal::missing(format!("Requested resource not found: Table: {name} not found")))
    }
}

fn list(json: &Json) -> impl Iterator<Item = &Json> {
    json.as_array().into_iter().flatten()
}
