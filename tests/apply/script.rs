//! An engine that answers by script.

use super::client;
use aws_sdk_dynamodb::Client;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// An engine that answers each operation from a list; the last answer is repeated.
#[derive(Default)]
pub struct Script {
    answers: HashMap<&'static str, VecDeque<(u16, Value)>>,
    pub asked: Vec<String>,
}

impl Script {
    pub fn answer(mut self, operation: &'static str, status: u16, body: Value) -> Self {
        self.answers
            .entry(operation)
            .or_default()
            .push_back((status, body));
        self
    }

    pub fn refuse(self, operation: &'static str, code: &str, message: &str) -> Self {
        self.answer(
            operation,
            400,
            json!({ "__type": format!("com.amazonaws#{code}"), "message": message }),
        )
    }

    pub fn next(&mut self, operation: &str) -> (u16, Value) {
        self.asked.push(operation.to_owned());
        let unknown = (
            400,
            json!({ "__type": "com.amazonaws#UnknownOperationException" }),
        );
        match self.answers.get_mut(operation) {
            Some(answers) if answers.len() > 1 => answers.pop_front().unwrap_or(unknown),
            Some(answers) => answers.front().cloned().unwrap_or(unknown),
            None => unknown,
        }
    }

    pub async fn serve(self) -> (Client, Arc<Mutex<Self>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = Arc::new(Mutex::new(self));
        let shared = Arc::clone(&script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&shared)));
            }
        });
        (client(port), script)
    }
}

/// Reads requests of one connection and answers each; enough of HTTP for the SDK.
pub async fn answer(stream: TcpStream, script: Arc<Mutex<Script>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut operation, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            let lower = line.trim().to_ascii_lowercase();
            if lower.is_empty() {
                break;
            }
            if lower.starts_with("x-amz-target:") {
                operation = line.trim().rsplit('.').next().unwrap_or_default().to_owned();
            }
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let (status, body) = script.lock().unwrap().next(&operation);
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream
            .get_mut()
            .write_all(format!("{head}{body}").as_bytes())
            .await
            .unwrap();
    }
}

/// A table of a real account, as AWS shows it.
pub fn described(status: &str, more: Value) -> Value {
    let mut table = json!({
        "TableName": "Courses",
        "TableArn": "arn:aws:dynamodb:eu-west-1:111122223333:table/Courses",
        "TableStatus": status,
        "KeySchema": [
            { "AttributeName": "PK", "KeyType": "HASH" }, { "AttributeName": "SK", "KeyType": "RANGE" }
        ],
        "AttributeDefinitions": [
            { "AttributeName": "PK", "AttributeType": "S" }, { "AttributeName": "SK", "AttributeType": "S" }
        ],
        "BillingModeSummary": { "BillingMode": "PAY_PER_REQUEST" }
    });
    table
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!({ "Table": table })
}
