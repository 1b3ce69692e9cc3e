//! A server with tables on it: what every contender finds when it begins.

use crate::host::{SOURCE, TARGETS};
use crate::items::Items;
use crate::tally::Tally;
use crate::trouble::{Told, Tried, Trouble};
use crate::wire::Wire;
use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Engine {
    /// The embedded engine, which holds what is written.
    Embedded,
    /// The null endpoint, which answers at once.
    Null,
}

impl Engine {
    /// As reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded engine",
            Self::Null => "null endpoint",
        }
    }
}

/// What a server is to be.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Which server.
    pub engine: Engine,
    /// Items of the source.
    pub items: u64,
    /// Services that share them.
    pub services: u64,
    /// Whether it takes PartiQL.
    pub partiql: bool,
    /// Targets that forget, also on the embedded engine.
    pub null_targets: bool,
    /// Milliseconds until the null endpoint answers.
    pub answer_ms: u64,
    /// Read and write units a second of each table of the null endpoint; 0: any number.
    pub rates: [u64; 2],
}

impl Setting {
    /// A source for so many services, on an endpoint that answers at once and limits nothing.
    pub fn new(engine: Engine, items: u64, services: u64) -> Self {
        Self {
            engine,
            items,
            services,
            partiql: true,
            null_targets: false,
            answer_ms: 0,
            rates: [0, 0],
        }
    }
}

/// A running server. It ends with this value.
pub struct Stage {
    /// What it is.
    pub setting: Setting,
    /// To talk to it.
    pub wire: Wire,
    // Its standard input is what keeps the server up.
    _server: Child,
}

impl Stage {
    /// Starts a server with its source.
    pub async fn set(setting: Setting) -> Tried<Self> {
        let mut command = Command::new(std::env::current_exe().told("the benchmark's own program")?);
        command.args(["host", "--services", &setting.services.to_string()]);
        if setting.engine == Engine::Null {
            command.args(["--items", &setting.items.to_string()]);
        }
        command.args(["--answer-ms", &setting.answer_ms.to_string(), "--rates"]);
        command.args(setting.rates.map(|rate| rate.to_string()));
        if !setting.partiql {
            command.arg("--refuse-partiql");
        }
        if setting.null_targets {
            command.arg("--null-targets");
        }
        let mut server = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .told("the server")?;
        let stdout = server.stdout.take().told("the server's output")?;
        let line = BufReader::new(stdout)
            .lines()
            .next_line()
            .await
            .told("the server's endpoint")?;
        let wire = Wire::to(&line.told("the server did not start")?);
        let stage = Self {
            setting,
            wire,
            _server: server,
        };
        // Its stream is for `apply` to switch on: what filled the source is not in it.
        stage.create(SOURCE).await?;
        if setting.engine == Engine::Embedded {
            stage.fill().await?;
        }
        Ok(stage)
    }

    /// Where it is.
    pub fn endpoint(&self) -> &str {
        self.wire.endpoint()
    }

    /// Creates the targets, empty, where a contender does not create them by itself. Those of before are gone.
    pub async fn clear_targets(&self, create: bool) -> Tried<()> {
        let tables = self.wire.ask("ListTables", &json!({})).await?;
        let names = tables["TableNames"].as_array().cloned().unwrap_or_default();
        for name in names
            .iter()
            .filter_map(Value::as_str)
            .filter(|name| *name != SOURCE)
        {
            self.wire
                .ask("DeleteTable", &json!({ "TableName": name }))
                .await?;
        }
        self.wire.command("forget").await?;
        if create {
            for service in 0..self.setting.services {
                self.create(&target(service)).await?;
            }
        }
        Ok(())
    }

    /// Creates a table with string keys. It is active on return.
    async fn create(&self, name: &str) -> Tried<()> {
        let request = json!({
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                { "AttributeName": "pk", "AttributeType": "S" },
                { "AttributeName": "sk", "AttributeType": "S" },
            ],
            "KeySchema": [
                { "AttributeName": "pk", "KeyType": "HASH" },
                { "AttributeName": "sk", "KeyType": "RANGE" },
            ],
        });
        self.wire.ask("CreateTable", &request).await?;
        for _ in 0..200 {
            let answer = self
                .wire
                .ask("DescribeTable", &json!({ "TableName": name }))
                .await?;
            if answer["Table"]["TableStatus"] == "ACTIVE" {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(Trouble::new(format!("{name} does not become active")))
    }

    async fn fill(&self) -> Tried<()> {
        self.put_items(0..self.setting.items, &|_| None).await
    }

    /// Puts items into the source, in batches. Each may be given a title, instead of its own.
    pub async fn put_items(
        &self,
        numbers: std::ops::Range<u64>,
        title: &dyn Fn(u64) -> Option<String>,
    ) -> Tried<()> {
        const AT_ONCE: usize = 8;
        let items = Items::of(self.setting.services);
        let mut batches = Vec::new();
        let mut from = numbers.start;
        while from < numbers.end {
            let until = numbers.end.min(from + 25);
            let mut body = format!(r#"{{"RequestItems":{{"{SOURCE}":["#).into_bytes();
            for number in from..until {
                if number > from {
                    body.push(b',');
                }
                body.extend_from_slice(br#"{"PutRequest":{"Item":"#);
                body.extend_from_slice(&item(&items, number, title(number)));
                body.extend_from_slice(b"}}");
            }
            body.extend_from_slice(b"]}}");
            batches.push(self.wire.ask_text("BatchWriteItem", body.into()));
            from = until;
        }
        let answers = futures::stream::iter(batches).buffer_unordered(AT_ONCE);
        answers.try_for_each(|_| async { Ok(()) }).await
    }

    /// Puts one item with a title into the source.
    pub async fn put_item(&self, number: u64, title: String) -> Tried<()> {
        let items = Items::of(self.setting.services);
        let mut body = format!(r#"{{"TableName":"{SOURCE}","Item":"#).into_bytes();
        body.extend_from_slice(&item(&items, number, Some(title)));
        body.push(b'}');
        self.wire.ask_text("PutItem", body.into()).await.map(|_| ())
    }

    /// Counts begin anew.
    pub async fn reset(&self) -> Tried<()> {
        self.wire.command("reset").await.map(|_| ())
    }

    /// What was counted since.
    pub async fn tally(&self) -> Tried<Tally> {
        let body = self.wire.command("tally").await?;
        serde_json::from_slice(&body).told("the server's counts")
    }

    /// Holds the targets against the source: each has as many items as it should, and a sample of them is what the source
    /// says. A benchmark of a wrong copy is worth nothing.
    ///
    /// # Errors
    /// With what is missing. On the null endpoint there is nothing to look at: what was written is counted instead.
    pub async fn check_copy(&self) -> Tried<()> {
        if self.setting.engine == Engine::Null {
            return Ok(());
        }
        let items = Items::of(self.setting.services);
        for service in 0..self.setting.services {
            let (table, expected) = (target(service), items.of_service(service, self.setting.items));
            let found = self.count(&table).await?;
            if found != expected {
                return Err(Trouble::new(format!("{table} has {found} items, not {expected}")));
            }
            const LOOKS: u64 = 20;
            for nth in (0..expected).step_by(usize::try_from((expected / LOOKS).max(1)).unwrap_or(1)) {
                self.check_item(&table, items.nth_of_service(service, nth))
                    .await?;
            }
        }
        Ok(())
    }

    async fn count(&self, table: &str) -> Tried<u64> {
        let (mut count, mut after) = (0, Value::Null);
        loop {
            let mut request = json!({ "TableName": table, "Select": "COUNT" });
            if !after.is_null() {
                request["ExclusiveStartKey"] = after;
            }
            let mut answer = self.wire.ask("Scan", &request).await?;
            count += answer["Count"].as_u64().told("a count")?;
            after = answer["LastEvaluatedKey"].take();
            if after.is_null() {
                return Ok(count);
            }
        }
    }

    async fn check_item(&self, table: &str, number: u64) -> Tried<()> {
        let key: Value = serde_json::from_str(&Items::key(number)).told("a key")?;
        let mut found = [Value::Null, Value::Null];
        for (found, table) in found.iter_mut().zip([SOURCE, table]) {
            let request = json!({ "TableName": table, "Key": key });
            *found = self.wire.ask("GetItem", &request).await?["Item"].take();
        }
        match found {
            [source, copy] if source == copy && !source.is_null() => Ok(()),
            _ => Err(Trouble::new(format!(
                "item {number} of {table} is not what the source has"
            ))),
        }
    }
}

/// An item's text, with another title where one is given.
fn item(items: &Items, number: u64, title: Option<String>) -> Vec<u8> {
    let mut text = Vec::with_capacity(items.text_bytes());
    items.write(number, &mut text);
    let Some(title) = title else {
        return text;
    };
    let text = String::from_utf8_lossy(&text).into_owned();
    text.replacen("An item with the number", &title, 1).into_bytes()
}

/// The table of a service.
pub fn target(service: u64) -> String {
    format!("{TARGETS}{service:02}")
}
