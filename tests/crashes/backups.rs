//! What no engine of these tests has: point-in-time recovery. An endpoint that answers for it, and hands all else on.

use std::collections::BTreeSet;
use std::io::{Error, Read, Result, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::scripted::{Answer, Request, Scripted};

/// The embedded engine asks that a signature is there, and checks none.
const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, \
                      SignedHeaders=host, Signature=none";

/// An engine with point-in-time recovery, in front of one without.
pub struct Backups {
    scripted: Scripted,
    tables: Arc<Mutex<BTreeSet<String>>>,
}

impl Backups {
    /// In front of the engine at an endpoint. No table has it yet.
    pub fn before(engine: &str) -> Self {
        let tables: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let (engine, on) = (engine.to_owned(), Arc::clone(&tables));
        let scripted = Scripted::start(move |request| answer(request, &engine, &on));
        Self { scripted, tables }
    }

    /// Its endpoint URL.
    pub fn endpoint(&self) -> &str {
        self.scripted.endpoint()
    }

    /// Whether a table has it.
    pub fn has(&self, table: &str) -> bool {
        self.tables.lock().expect("no thread panicked").contains(table)
    }
}

fn answer(request: &Request, engine: &str, on: &Mutex<BTreeSet<String>>) -> Answer {
    let enables = request.operation == "UpdateContinuousBackups";
    if !enables && request.operation != "DescribeContinuousBackups" {
        return hand_on(request, engine).unwrap_or_else(|error| Answer {
            status: 500,
            body: error.to_string(),
        });
    }
    let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
    let table = body["TableName"].as_str().unwrap_or_default();
    let mut on = on.lock().expect("no thread panicked");
    if enables {
        on.insert(table.to_owned());
    }
    let status = if on.contains(table) { "ENABLED" } else { "DISABLED" };
    Answer::ok(json!({ "ContinuousBackupsDescription": {
        "ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": { "PointInTimeRecoveryStatus": status }
    } }))
}

/// A connection for each request, which ends with the answer.
fn hand_on(request: &Request, engine: &str) -> Result<Answer> {
    let address = engine.trim_start_matches("http://");
    let Request { operation, body, .. } = request;
    let length = body.len();
    let text = format!(
        "POST / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/x-amz-json-1.0\r\n\
         x-amz-target: DynamoDB_20120810.{operation}\r\nx-amz-date: 20260101T000000Z\r\nauthorization: {SIGNED}\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(text.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Answer {
        status: status.ok_or_else(|| Error::other("it did not answer"))?,
        body: body.to_owned(),
    })
}
