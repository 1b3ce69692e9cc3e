//! Imports: DynamoDB makes a new table of every object below a prefix. The table cannot be used for a while; the items come in any
//! order, so that a random one of two items with one key wins; an import may fail without a table, or leave a part of the items.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value as Json, json};

use super::refusal::Refusal;
use super::request::Request;
use super::value::item_of;
use super::{Arrival, Engine};

/// A client token holds for so long.
const TOKEN_MS: u64 = 8 * 60 * 60 * 1000;
/// A page of a list has so many imports.
const LISTED_AT_ONCE: usize = 2;

/// How long the jobs of DynamoDB take, and how often they fail.
#[derive(Clone, Copy, Debug)]
pub struct JobHabits {
    pub seed: u64,
    /// At least and at most.
    pub lasts_ms: (u64, u64),
    /// So many in a hundred fail.
    pub fails: u32,
}

impl JobHabits {
    /// The chances of a job.
    pub(super) fn chances(&self, number: usize) -> StdRng {
        StdRng::seed_from_u64(self.seed ^ (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

impl Default for JobHabits {
    fn default() -> Self {
        Self {
            seed: 1,
            lasts_ms: (1000, 5000),
            fails: 0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Completed,
    /// Without a table.
    FailedEarly,
    /// With a part of the items.
    FailedLate,
}

/// An import.
#[derive(Debug)]
pub struct Import {
    arn: String,
    token: String,
    table: String,
    table_id: Option<String>,
    request: Json,
    asked_ms: u64,
    /// The objects that it reads are listed then.
    lists_ms: u64,
    ends_ms: u64,
    end: End,
    rng: StdRng,
    listed: Option<Vec<String>>,
    has_ended: bool,
    /// Items that were read, imported, and refused.
    counts: [u64; 3],
}

impl Import {
    fn status(&self) -> &'static str {
        match self {
            Self { has_ended: false, .. } => "IN_PROGRESS",
            Self {
                end: End::Completed,
                counts: [_, _, 0],
                ..
            } => "COMPLETED",
            _ => "FAILED",
        }
    }

    fn described(&self) -> Json {
        let mut description = json!({
            "ImportArn": self.arn,
            "ImportStatus": self.status(),
            "ClientToken": self.token,
            "S3BucketSource": self.request["S3BucketSource"],
            "InputFormat": "DYNAMODB_JSON",
            "InputCompressionType": self.request["InputCompressionType"],
            "TableCreationParameters": self.request["TableCreationParameters"],
            "ProcessedItemCount": self.counts[0],
            "ImportedItemCount": self.counts[1],
            "ErrorCount": self.counts[2],
        });
        if let Some(id) = &self.table_id {
            description["TableId"] = json!(id);
        }
        if self.status() == "FAILED" {
            let code = match self.end {
                End::Completed => "ItemValidationError",
                _ => "InternalServerError",
            };
            description["FailureCode"] = json!(code);
            description["FailureMessage"] = json!("as the seed says");
        }
        json!({ "ImportTableDescription": description })
    }
}

/// The text of an object, if it is compressed as the request says.
fn unpacked(compression: &Json, mut packed: &[u8]) -> std::io::Result<String> {
    let mut text = String::new();
    match compression.as_str() {
        Some("GZIP") => MultiGzDecoder::new(packed).read_to_string(&mut text)?,
        Some("ZSTD") => zstd::stream::read::Decoder::new(packed)?.read_to_string(&mut text)?,
        _ => packed.read_to_string(&mut text)?,
    };
    Ok(text)
}

impl Engine {
    pub(super) fn import_table(&mut self, at: Arrival, body: &Json) -> Result<Json, Refusal> {
        const KNOWN: [&str; 5] = [
            "ClientToken",
            "S3BucketSource",
            "InputFormat",
            "InputCompressionType",
            "TableCreationParameters",
        ];
        let request = Request::of(body, &KNOWN)?;
        let compression = request.text("InputCompressionType")?;
        if request.text("InputFormat")? != "DYNAMODB_JSON" || !["GZIP", "NONE", "ZSTD"].contains(&compression)
        {
            return Err(Refusal::unsupported("imports of other files"));
        }
        let token = request.text("ClientToken")?;
        let mut same = self.imports.iter().rev();
        if let Some(known) = same.find(|known| known.token == token && at.now_ms < known.asked_ms + TOKEN_MS)
        {
            return match known.request == *body {
                true => Ok(known.described()),
                false => Err(Refusal::service(
                    "ImportConflictException",
                    "the token has other parameters",
                )),
            };
        }
        let mut creation = request.member("TableCreationParameters")?.clone();
        let table = creation["TableName"].as_str().unwrap_or_default().to_owned();
        let is_making = |import: &Import| import.table == table && !import.has_ended;
        if self.imports.iter().any(is_making) {
            return Err(Refusal::service("ResourceInUseException", "it is being imported"));
        }
        let number = self.imports.len();
        let mut rng = self.jobs.chances(number);
        let end = match rng.random_range(0..100) < self.jobs.fails {
            false => End::Completed,
            true => [End::FailedEarly, End::FailedLate][rng.random_range(0..2)],
        };
        let (shortest, longest) = self.jobs.lasts_ms;
        let lasts_ms = rng.random_range(shortest..=longest);
        let table_id = match end {
            End::FailedEarly if self.tables.contains_key(&table) => {
                return Err(Refusal::service("ResourceInUseException", "Table already exists"));
            }
            End::FailedEarly => None,
            End::Completed | End::FailedLate => {
                creation["DeletionProtectionEnabled"] = json!(false);
                self.create_table(at, &creation)?;
                let made = self.known(&table)?;
                made.ready_ms = u64::MAX;
                Some(made.id.clone())
            }
        };
        self.imports.push(Import {
            arn: format!(
                "arn:aws:dynamodb:us-east-1:111122223333:table/{table}/import/{:014}-a1b2c3d4",
                number + 1
            ),
            token: token.to_owned(),
            table,
            table_id,
            request: body.clone(),
            asked_ms: at.now_ms,
            lists_ms: at.now_ms + rng.random_range(0..=lasts_ms),
            ends_ms: at.now_ms + lasts_ms,
            end,
            rng,
            listed: None,
            has_ended: false,
            counts: [0; 3],
        });
        self.imports_begin(at.now_ms);
        Ok(self.imports[number].described())
    }

    pub(super) fn describe_import(&mut self, body: &Json) -> Result<Json, Refusal> {
        let arn = Request::of(body, &["ImportArn"])?.text("ImportArn")?;
        let found = self.imports.iter().find(|import| import.arn == arn);
        let found = found.ok_or_else(|| Refusal::service("ImportNotFoundException", arn))?;
        Ok(found.described())
    }

    pub(super) fn list_imports(&mut self, body: &Json) -> Result<Json, Refusal> {
        let request = Request::of(body, &["NextToken"])?;
        let from = request
            .optional("NextToken")
            .and_then(|token| token.parse().ok())
            .unwrap_or(0);
        // The newest one comes first.
        let all = self.imports.iter().rev().skip(from);
        let page = all.take(LISTED_AT_ONCE).map(|import| {
            json!({
                "ImportArn": import.arn,
                "ImportStatus": import.status(),
                "S3BucketSource": import.request["S3BucketSource"],
                "InputFormat": "DYNAMODB_JSON",
            })
        });
        let page: Vec<Json> = page.collect();
        let mut answer = json!({ "ImportSummaryList": page });
        if from + LISTED_AT_ONCE < self.imports.len() {
            answer["NextToken"] = json!((from + LISTED_AT_ONCE).to_string());
        }
        Ok(answer)
    }

    /// What imports have done until now.
    pub(super) fn imports_begin(&mut self, now_ms: u64) {
        for place in 0..self.imports.len() {
            let import = &self.imports[place];
            if import.has_ended {
                continue;
            }
            if import.listed.is_none() && now_ms >= import.lists_ms {
                let source = &import.request["S3BucketSource"];
                let (bucket, prefix) = (text(&source["S3Bucket"]), text(&source["S3KeyPrefix"]));
                let keys = self
                    .buckets
                    .get(&bucket)
                    .into_iter()
                    .flat_map(|bucket| bucket.keys());
                let listed = keys.filter(|key| key.starts_with(&prefix)).cloned().collect();
                self.imports[place].listed = Some(listed);
            }
            if now_ms >= self.imports[place].ends_ms {
                self.end_import(place, now_ms);
            }
        }
    }

    fn end_import(&mut self, place: usize, now_ms: u64) {
        let import = &mut self.imports[place];
        import.has_ended = true;
        self.happened.push(match import.end {
            End::Completed => "import ended",
            End::FailedEarly => "import failed without a table",
            End::FailedLate => "import failed with a part of the items",
        });
        if import.end == End::FailedEarly {
            return;
        }
        let bucket = text(&import.request["S3BucketSource"]["S3Bucket"]);
        let bucket = self.buckets.get(&bucket);
        let mut lines: Vec<String> = Vec::new();
        for key in import.listed.iter().flatten() {
            let object = bucket.and_then(|bucket| bucket.get(key));
            let packed = object.map_or(&[][..], |object| &object.bytes);
            match unpacked(&import.request["InputCompressionType"], packed) {
                Ok(text) => lines.extend(text.lines().map(str::to_owned)),
                // An object that is gone, or is none of an import.
                Err(_) => import.counts[2] += 1,
            }
        }
        lines.shuffle(&mut import.rng);
        if import.end == End::FailedLate {
            let kept = import.rng.random_range(0..=lines.len());
            lines.truncate(kept);
        }
        let Some(table) = self.tables.get_mut(&import.table) else {
            return;
        };
        table.ready_ms = now_ms;
        for line in lines {
            import.counts[0] += 1;
            let line: Json = serde_json::from_str(&line).unwrap_or_default();
            let put = item_of(&line["Item"]).and_then(|item| Ok((table.place_of(&item)?, item)));
            match put {
                Ok((place, item)) => {
                    table.write(now_ms, place, Some(item));
                    import.counts[1] += 1;
                }
                Err(_) => import.counts[2] += 1,
            }
        }
    }
}

fn text(value: &Json) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
