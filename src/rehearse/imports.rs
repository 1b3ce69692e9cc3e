//! A stand-in for `ImportTable`, which local engines do not have: it makes a new table of the objects below a prefix, as DynamoDB does.
//! While it works, the table is being created, and nobody can use it. A random one of two items with one key wins. An item that the
//! engine refuses makes the import fail.

use super::tables::until_active;
use crate::dynamo::{AskedOfEngine, EngineAnswer, RawEngine, Tables};
use crate::model::Compression;
use crate::s3::Bucket;
use futures::stream::{self, StreamExt};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::task::AbortOnDropHandle;

/// What it answers to. A description of a table says the time, which an import needs to know.
pub(super) const OPERATIONS: [&str; 4] = ["ImportTable", "DescribeImport", "ListImports", "DescribeTable"];
/// Items that are put at the same time.
const PUTS_AT_ONCE: usize = 16;
/// The account that the embedded engine shows.
const ACCOUNT: &str = "000000000000";

/// How an import is.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Progress {
    Running,
    Completed,
    /// The code and the message.
    Failed(&'static str, String),
}

#[derive(Clone, Copy, Default, Debug)]
struct Counts {
    bytes: u64,
    read: u64,
    imported: u64,
    refused: u64,
}

#[derive(Debug)]
struct Import {
    token: String,
    table: String,
    request: Value,
    progress: Progress,
    counts: Counts,
    /// The id of the table, as soon as it exists.
    table_id: Option<String>,
    /// The work.
    _task: Option<AbortOnDropHandle<()>>,
}

/// The imports of a rehearsal, by their ARNs.
#[derive(Debug)]
pub(super) struct Imports {
    /// For its bucket.
    tables: Tables,
    seed: u64,
    made: Arc<Mutex<BTreeMap<String, Import>>>,
}

impl Imports {
    /// None yet. The objects are read with these clients.
    pub fn new(tables: Tables, seed: u64) -> Self {
        Self {
            tables,
            seed,
            made: Arc::default(),
        }
    }

    fn made(&self) -> MutexGuard<'_, BTreeMap<String, Import>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an import works on its table.
    pub fn is_busy(&self) -> bool {
        let made = self.made();
        made.values().any(|import| import.progress == Progress::Running)
    }

    /// The answer to a request about imports, or about a table that is being imported.
    pub async fn answer(&self, asked: &AskedOfEngine) -> Option<EngineAnswer> {
        match asked.operation.as_str() {
            "ImportTable" => Some(self.request(asked).await),
            "DescribeImport" => Some(self.describe(&asked.json())),
            "ListImports" => Some(self.list()),
            operation => {
                let table = self.being_created(asked)?;
                Some(match operation {
                    "DescribeTable" => EngineAnswer::ok(json!({ "Table": {
                        "TableName": table, "TableStatus": "CREATING", "TableArn": arn_of(&table),
                        "KeySchema": [], "AttributeDefinitions": []
                    } })),
                    "CreateTable" | "DeleteTable" => {
                        EngineAnswer::error("ResourceInUseException", "Table is being created")
                    }
                    _ => EngineAnswer::error("ResourceNotFoundException", "Requested resource not found"),
                })
            }
        }
    }

    /// The table of a request, if an import works on it.
    fn being_created(&self, asked: &AskedOfEngine) -> Option<String> {
        let made = self.made();
        let mut running = made
            .values()
            .filter(|import| import.progress == Progress::Running);
        let found = running.find(|import| asked.names(&import.table))?;
        Some(found.table.clone())
    }

    async fn request(&self, asked: &AskedOfEngine) -> EngineAnswer {
        let body = asked.json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let token = text(&body["ClientToken"]);
        let table = text(&body["TableCreationParameters"]["TableName"]);
        if let Some(known) = self.of_token(&token) {
            return known;
        }
        let there = asked
            .engine
            .ask("DescribeTable", &json!({ "TableName": table }))
            .await;
        let mut made = self.made();
        // Another request may have come meanwhile.
        if let Some((arn, known)) = made.iter().find(|(_, import)| import.token == token) {
            return described(arn, known);
        }
        let is_running = |import: &Import| import.table == table && import.progress == Progress::Running;
        if there.is_ok() || made.values().any(is_running) {
            return EngineAnswer::error("ResourceInUseException", "Table already exists");
        }
        let number = made.len() as u64 + 1;
        let arn = format!("{}/import/{number:014}-standin", arn_of(&table));
        let work = Work {
            engine: asked.engine.clone(),
            tables: self.tables.clone(),
            request: body.clone(),
            table: table.clone(),
            random: StdRng::seed_from_u64(self.seed.wrapping_add(number)),
            made: Arc::clone(&self.made),
            arn: arn.clone(),
        };
        let import = Import {
            token,
            table,
            request: body,
            progress: Progress::Running,
            counts: Counts::default(),
            table_id: None,
            _task: Some(AbortOnDropHandle::new(tokio::spawn(work.run()))),
        };
        let answer = described(&arn, &import);
        made.insert(arn, import);
        answer
    }

    fn of_token(&self, token: &str) -> Option<EngineAnswer> {
        let made = self.made();
        let (arn, import) = made.iter().find(|(_, import)| import.token == token)?;
        Some(described(arn, import))
    }

    fn describe(&self, body: &Value) -> EngineAnswer {
        let arn = body["ImportArn"].as_str().unwrap_or_default();
        let made = self.made();
        made.get(arn).map_or_else(
            || EngineAnswer::error("ImportNotFoundException", "The specified import was not found."),
            |import| described(arn, import),
        )
    }

    fn list(&self) -> EngineAnswer {
        let made = self.made();
        let imports = made.iter().map(|(arn, import)| {
            json!({
                "ImportArn": arn, "ImportStatus": status(import), "TableArn": arn_of(&import.table),
                "S3BucketSource": import.request["S3BucketSource"], "InputFormat": "DYNAMODB_JSON"
            })
        });
        EngineAnswer::ok(json!({ "ImportSummaryList": imports.collect::<Vec<_>>() }))
    }
}

fn arn_of(table: &str) -> String {
    format!("arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{table}")
}

fn status(import: &Import) -> &'static str {
    match import.progress {
        Progress::Running => "IN_PROGRESS",
        Progress::Completed => "COMPLETED",
        Progress::Failed(..) => "FAILED",
    }
}

fn described(arn: &str, import: &Import) -> EngineAnswer {
    let mut description = json!({
        "ImportArn": arn, "ImportStatus": status(import), "TableArn": arn_of(&import.table),
        "ClientToken": import.token, "S3BucketSource": import.request["S3BucketSource"], "InputFormat": "DYNAMODB_JSON",
        "InputCompressionType": import.request["InputCompressionType"],
        "TableCreationParameters": import.request["TableCreationParameters"],
        "ProcessedSizeBytes": import.counts.bytes, "ProcessedItemCount": import.counts.read,
        "ImportedItemCount": import.counts.imported, "ErrorCount": import.counts.refused,
    });
    if let Some(id) = &import.table_id {
        description["TableId"] = id.as_str().into();
    }
    if let Progress::Failed(code, message) = &import.progress {
        description["FailureCode"] = (*code).into();
        description["FailureMessage"] = message.as_str().into();
    }
    EngineAnswer::ok(json!({ "ImportTableDescription": description }))
}

/// The work of one import.
struct Work {
    engine: RawEngine,
    tables: Tables,
    request: Value,
    table: String,
    random: StdRng,
    made: Arc<Mutex<BTreeMap<String, Import>>>,
    arn: String,
}

impl Work {
    async fn run(mut self) {
        let mut counts = Counts::default();
        let progress = match Box::pin(self.carry_out(&mut counts)).await {
            Err((code, message)) => Progress::Failed(code, message),
            Ok(()) if counts.refused > 0 => {
                let message = format!("{} items were refused", counts.refused);
                Progress::Failed("ItemValidationError", message)
            }
            Ok(()) => Progress::Completed,
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(import) = made.get_mut(&self.arn) {
            import.counts = counts;
            import.progress = progress;
        }
    }

    async fn carry_out(&mut self, counts: &mut Counts) -> Result<(), (&'static str, String)> {
        let source = &self.request["S3BucketSource"];
        let bucket = source["S3Bucket"].as_str().unwrap_or_default();
        let bucket = Bucket::new(&self.tables, None, bucket, None);
        let prefix = source["S3KeyPrefix"].as_str().unwrap_or_default().to_owned();
        let mut objects = bucket
            .list(&prefix)
            .await
            .map_err(|error| ("S3NoSuchBucket", error.to_string()))?;
        let parameters = &self.request["TableCreationParameters"];
        let created = self.engine.ask("CreateTable", parameters).await;
        let created = created.map_err(|error| ("ValidationException", error))?;
        self.note_id(created["TableDescription"]["TableId"].as_str());
        let active = until_active(&self.tables.control, &self.table).await;
        active.map_err(|error| ("InternalServerError", error.to_string()))?;
        // The order of an import is not defined.
        objects.shuffle(&mut self.random);
        for object in objects {
            let stored = bucket.stored(&object.key, u64::MAX).await;
            let stored = stored.map_err(|error| ("S3AccessDenied", error.to_string()))?;
            let stored = stored.ok_or_else(|| ("S3NoSuchKey", object.key.clone()))?;
            let mut text = String::new();
            let unpacked = self
                .compression()
                .unpacked(stored.bytes.as_slice())
                .and_then(|mut unpacked| unpacked.read_to_string(&mut text));
            let size =
                unpacked.map_err(|error| ("InvalidImportSource", format!("{}: {error}", object.key)))?;
            counts.bytes += size as u64;
            let mut lines: Vec<&str> = text.lines().collect();
            lines.shuffle(&mut self.random);
            self.put(&lines, counts).await;
        }
        Ok(())
    }

    /// As the request says, whatever the names of the objects say.
    fn compression(&self) -> Compression {
        match self.request["InputCompressionType"].as_str() {
            Some("ZSTD") => Compression::Zstd,
            Some("GZIP") => Compression::Gzip,
            _ => Compression::None,
        }
    }

    /// An engine may give no ids.
    fn note_id(&self, id: Option<&str>) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(import) = made.get_mut(&self.arn) {
            import.table_id = id.map(str::to_owned);
        }
    }

    /// Puts the items of these lines. What the engine refuses is counted.
    async fn put(&self, lines: &[&str], counts: &mut Counts) {
        let puts = lines.iter().map(|line| {
            let line: Value = serde_json::from_str(line).unwrap_or_default();
            let put = json!({ "TableName": self.table, "Item": line["Item"] });
            let engine = self.engine.clone();
            async move { engine.ask("PutItem", &put).await }
        });
        let puts: Vec<_> = puts.collect();
        let mut puts = stream::iter(puts).buffer_unordered(PUTS_AT_ONCE);
        while let Some(put) = puts.next().await {
            counts.read += 1;
            match put {
                Ok(_) => counts.imported += 1,
                Err(error) => {
                    counts.refused += 1;
                    tracing::warn!(
                        table = self.table,
                        error,
                        "the stand-in for an import cannot put an item"
                    );
                }
            }
        }
    }
}
