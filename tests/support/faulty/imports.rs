//! Imports as DynamoDB makes them: of every object below a prefix, into a new table that is not there for a while, in a random order, so
//! that a random one of two items with one key wins. An import may fail before there is a table, or leave a part of the items.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use flate2::read::MultiGzDecoder;
use rand::seq::SliceRandom;
use serde_json::{Value, json};

use super::answer::Answer;
use super::backend::{Backend, tables};
use super::call::Call;
use super::chance;

/// The account that the embedded engine shows.
const ACCOUNT: &str = "000000000000";

/// The text of an object, if it is compressed as the request says.
fn unpacked(compression: &Value, packed: &[u8]) -> String {
    let mut text = String::new();
    let read = match compression.as_str() {
        Some("GZIP") => MultiGzDecoder::new(packed).read_to_string(&mut text),
        Some("ZSTD") => zstd::stream::read::Decoder::new(packed)
            .expect("memory")
            .read_to_string(&mut text),
        Some("NONE") => {
            let mut packed = packed;
            packed.read_to_string(&mut text)
        }
        other => panic!("an import of {other:?}"),
    };
    read.expect("an object that is compressed as the request says");
    text
}

/// How an import ends.
#[derive(Clone, Debug)]
pub enum ImportEnd {
    /// With the table.
    Completed,
    /// Without a table.
    FailedEarly(&'static str),
    /// With a part of the items.
    FailedLate(&'static str),
    /// As if all were well, with one item less than there are.
    Short,
}

/// The imports of an engine.
pub struct Imports {
    seed: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Where an S3 server finds its buckets.
    root: Option<PathBuf>,
    made: BTreeMap<String, Import>,
    /// The id of each table that an import made, and of what took its name.
    ids: BTreeMap<String, String>,
    /// How the next imports end.
    ends: Vec<ImportEnd>,
    tables_made: u64,
    /// Imports of others in the account, which run for ever.
    others: usize,
}

#[derive(Clone)]
struct Import {
    token: String,
    table: String,
    table_id: String,
    request: Value,
    end: ImportEnd,
    looks: u32,
    /// Items that were read, imported, and refused.
    counts: (u64, u64, u64),
}

impl Import {
    fn status(&self) -> &'static str {
        match (&self.end, self.looks) {
            (_, 0..2) => "IN_PROGRESS",
            (ImportEnd::FailedEarly(_) | ImportEnd::FailedLate(_), _) => "FAILED",
            _ if self.counts.2 > 0 => "FAILED",
            _ => "COMPLETED",
        }
    }
}

impl Imports {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no thread panicked")
    }

    /// Objects are read here: a folder for each bucket.
    pub fn of(&self, root: &Path) {
        self.state().root = Some(root.to_owned());
    }

    /// The next imports end like this, the first one first.
    pub fn end_next(&self, ends: impl IntoIterator<Item = ImportEnd>) {
        self.state().ends.extend(ends);
    }

    /// So many imports of others run in the account.
    pub fn others_run(&self, others: usize) {
        self.state().others = others;
    }

    /// How many imports were made.
    pub fn count(&self) -> usize {
        self.state().made.len()
    }

    /// The answer to a call about imports, or about a table that is being imported.
    pub(super) async fn answer(&self, call: &Call, backend: &Backend) -> Option<Answer> {
        match call.operation.as_str() {
            "ImportTable" => Some(self.request(&call.json(), backend).await),
            "DescribeImport" => Some(self.describe(&call.json(), backend).await),
            "ListImports" => Some(self.list()),
            "DescribeTable" if self.is_creating(call.table()) => {
                let id = self.state().ids.get(call.table()).cloned();
                Some(Answer::ok(&json!({ "Table": {
                    "TableName": call.table(), "TableStatus": "CREATING", "TableId": id, "TableArn": arn_of(call.table()),
                    "KeySchema": [], "AttributeDefinitions": []
                } })))
            }
            "CreateTable" | "DeleteTable" if self.is_creating(call.table()) => {
                Some(Answer::error("ResourceInUseException", "Table is being created"))
            }
            _ if self.is_creating(call.table()) => Some(Answer::error(
                "ResourceNotFoundException",
                "Requested resource not found",
            )),
            _ => None,
        }
    }

    /// The answer of the embedded engine, which gives no ids.
    pub(super) fn amended(&self, call: &Call, answer: Answer) -> Answer {
        if answer.status != 200 {
            return answer;
        }
        let mut state = self.state();
        if call.operation == "CreateTable" && state.ids.contains_key(call.table()) {
            state.tables_made += 1;
            let id = format!("somebody-elses-{}", state.tables_made);
            state.ids.insert(call.table().to_owned(), id);
        }
        let id = state.ids.get(call.table()).cloned();
        match (call.operation.as_str(), id) {
            ("DescribeTable", Some(id)) => {
                let mut body = answer.json();
                body["Table"]["TableId"] = id.into();
                Answer::ok(&body)
            }
            _ => answer,
        }
    }

    fn is_creating(&self, table: &str) -> bool {
        let state = self.state();
        let mut imports = state.made.values();
        imports.any(|import| {
            let creates = !matches!(import.end, ImportEnd::FailedEarly(_));
            creates && import.table == table && import.looks < 2
        })
    }

    async fn request(&self, body: &Value, backend: &Backend) -> Answer {
        let token = body["ClientToken"].as_str().unwrap_or_default().to_owned();
        let table = body["TableCreationParameters"]["TableName"].as_str();
        let table = table.unwrap_or_default().to_owned();
        let known = self
            .state()
            .made
            .iter()
            .find_map(|(arn, import)| (import.token == token).then(|| described(arn, import)));
        if let Some(known) = known {
            return known;
        }
        let there = backend
            .ask(&tables("DescribeTable"), &json!({ "TableName": table }))
            .await;
        if there.is_ok() || self.is_creating(&table) {
            return Answer::error("ResourceInUseException", "Table already exists");
        }
        let mut state = self.state();
        state.tables_made += 1;
        let import = Import {
            token,
            table_id: format!("imported-{}", state.tables_made),
            table: table.clone(),
            request: body.clone(),
            end: match state.ends.is_empty() {
                true => ImportEnd::Completed,
                false => state.ends.remove(0),
            },
            looks: 0,
            counts: (0, 0, 0),
        };
        state.ids.insert(table.clone(), import.table_id.clone());
        let arn = format!("{}/import/{:014}-a1b2c3d4", arn_of(&table), state.made.len() + 1);
        let answer = described(&arn, &import);
        state.made.insert(arn, import);
        answer
    }

    async fn describe(&self, body: &Value, backend: &Backend) -> Answer {
        let arn = body["ImportArn"].as_str().unwrap_or_default().to_owned();
        let Some(mut import) = self.state().made.get(&arn).cloned() else {
            return Answer::error("ImportNotFoundException", "The specified import was not found.");
        };
        import.looks += 1;
        if import.looks == 2 {
            self.carry_out(&mut import, backend).await;
        }
        self.state().made.insert(arn.clone(), import.clone());
        described(&arn, &import)
    }

    async fn carry_out(&self, import: &mut Import, backend: &Backend) {
        if matches!(import.end, ImportEnd::FailedEarly(_)) {
            return;
        }
        let parameters = import.request["TableCreationParameters"].clone();
        backend
            .ask(&tables("CreateTable"), &parameters)
            .await
            .expect("the table is created");
        let source = &import.request["S3BucketSource"];
        let root = self.state().root.clone().expect("a place for objects");
        let bucket = root.join(source["S3Bucket"].as_str().expect("a bucket"));
        let prefix = source["S3KeyPrefix"].as_str().unwrap_or_default();
        let mut lines: Vec<String> = files(&bucket)
            .into_iter()
            .filter(|file| {
                let key = file
                    .strip_prefix(&bucket)
                    .expect("below")
                    .to_string_lossy()
                    .into_owned();
                key.starts_with(prefix)
            })
            .flat_map(|file| {
                let packed = fs::read(file).expect("an object");
                let text = unpacked(&import.request["InputCompressionType"], &packed);
                text.lines().map(str::to_owned).collect::<Vec<_>>()
            })
            .collect();
        // The order of an import is not defined.
        let mut order = chance::at(self.seed, &["import"], lines.len() as u64);
        lines.shuffle(&mut order);
        match import.end {
            ImportEnd::FailedLate(_) => lines.truncate(lines.len() / 2),
            ImportEnd::Short => lines.truncate(lines.len() - 1),
            ImportEnd::Completed | ImportEnd::FailedEarly(_) => {}
        }
        for line in lines {
            import.counts.0 += 1;
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            let put = json!({ "TableName": import.table, "Item": line["Item"] });
            match backend.ask(&tables("PutItem"), &put).await {
                Ok(_) => import.counts.1 += 1,
                Err(_) => import.counts.2 += 1,
            }
        }
    }

    fn list(&self) -> Answer {
        let state = self.state();
        let others = (0..state.others).map(|other| {
            json!({
                "ImportArn": format!("{}/import/{other:014}-0ther000", arn_of("others")), "ImportStatus": "IN_PROGRESS",
                "TableArn": arn_of("others"), "S3BucketSource": { "S3Bucket": "others" }, "InputFormat": "CSV"
            })
        });
        let imports: Vec<Value> = state
            .made
            .iter()
            .map(|(arn, import)| {
                json!({
                    "ImportArn": arn, "ImportStatus": import.status(), "TableArn": arn_of(&import.table),
                    "S3BucketSource": import.request["S3BucketSource"], "InputFormat": "DYNAMODB_JSON"
                })
            })
            .chain(others)
            .collect();
        Answer::ok(&json!({ "ImportSummaryList": imports }))
    }
}

fn arn_of(table: &str) -> String {
    format!("arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{table}")
}

fn described(arn: &str, import: &Import) -> Answer {
    let mut description = json!({
        "ImportArn": arn, "ImportStatus": import.status(), "TableArn": arn_of(&import.table), "TableId": import.table_id,
        "ClientToken": import.token, "S3BucketSource": import.request["S3BucketSource"], "InputFormat": "DYNAMODB_JSON",
        "InputCompressionType": import.request["InputCompressionType"],
        "TableCreationParameters": import.request["TableCreationParameters"],
        "ProcessedItemCount": import.counts.0, "ImportedItemCount": import.counts.1, "ErrorCount": import.counts.2,
        "CloudWatchLogGroupArn": "arn:aws:logs:us-east-1:000000000000:log-group:/aws-dynamodb/imports:*"
    });
    if import.status() == "FAILED" {
        let code = match import.end {
            ImportEnd::FailedEarly(code) | ImportEnd::FailedLate(code) => code,
            _ => "ItemValidationError",
        };
        description["FailureCode"] = code.into();
        description["FailureMessage"] = "as the test says".into();
    }
    Answer::ok(&json!({ "ImportTableDescription": description }))
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}
