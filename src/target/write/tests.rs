//! A request without an answer, against an endpoint of our own: real engines always answer.

use super::*;
use crate::dynamo::AccountLimit;
use crate::dynamo::scripted::scripted;
use crate::flow::Guard;
use crate::model::{AttributeKind, Key, KeyAttribute, Value, Version};
use crate::state::{Phases, TombstonePhase, Tombstones};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const MARGIN: Duration = Duration::from_millis(400);

/// The reaction of the endpoint to a request.
#[derive(Clone, Copy, Debug)]
enum Answer {
    HangUp,
    Status(u16, &'static str),
}

/// An endpoint that does this with each connection, and one request a connection.
async fn endpoint(answers: Vec<Answer>) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for answer in answers {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 64 * 1024];
            let _ = connection.read(&mut request).await.unwrap();
            if let Answer::Status(status, body) = answer {
                let text = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                connection.write_all(text.as_bytes()).await.unwrap();
            }
        }
    });
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(url)
        .region(Region::new("us-east-1"))
        .retry_config(RetryConfig::disabled())
        .credentials_provider(Credentials::new("local", "local", None, None, "test"))
        .build();
    Client::from_conf(config)
}

impl TargetWriter {
    /// A writer of the table `mine`, with the key `id`.
    pub(in crate::target) fn sample(client: Client, kind: AttributeKind) -> Self {
        Self {
            written_by: Writer::Tail,
            endless: true,
            client,
            table: "mine".into(),
            keys: KeySchema {
                partition: KeyAttribute {
                    name: "id".into(),
                    kind,
                },
                sort: None,
            },
            fields: VersionFields {
                partition: "id".into(),
                live: "at".into(),
            },
            gate: Gate::default(),
            always_leaves_tombstones: false,
            fence: Fence::new([]),
            concurrency: Arc::new(ConcurrencyLimit::new(
                Duration::from_secs(5),
                &AccountLimit::default(),
            )),
            budget: Arc::new(Budget::new(None)),
            cost: PutCost::default(),
            health: Arc::default(),
            stop: CancellationToken::new(),
            margin: MARGIN,
        }
    }
}

fn writer(client: Client, gate: Gate) -> TargetWriter {
    TargetWriter {
        gate: gate.of(SERVICE),
        ..TargetWriter::sample(client, AttributeKind::S)
    }
}

fn removal() -> Write {
    Write {
        key: Key {
            partition: Value::s("x"),
            sort: None,
        },
        kind: WriteKind::Remove(None),
        guard: Guard::Any,
    }
}

const SERVICE: &str = "a";

/// A gate whose one service has its switch in a phase.
fn phases(phase: TombstonePhase, epoch: u64) -> Phases {
    Phases::one(SERVICE, Tombstones { phase, epoch })
}

#[tokio::test]
async fn a_write_is_answered_only_when_its_lost_request_can_land_no_more() {
    let client = endpoint(vec![Answer::HangUp, Answer::Status(200, "{}")]).await;
    let gate = Gate::default();
    // Long enough for a check on a machine that is busy for a moment.
    let margin = Duration::from_secs(3);
    let writer = TargetWriter {
        margin,
        ..writer(client, gate.clone())
    };
    let write = removal();
    let begun = Instant::now();
    let writing = writer.write_copied(&write);
    tokio::pin!(writing);
    // By now it was repeated, and answered.
    assert!(tokio::time::timeout(margin / 4, &mut writing).await.is_err());
    gate.switch(phases(TombstonePhase::On, 1));
    assert_eq!(gate.acknowledged(), 0, "the lost delete may still land");
    let landed = writing.await.unwrap();
    assert_eq!(landed.outcome, Outcome::Written);
    assert!(begun.elapsed() >= margin);
    assert_eq!(gate.acknowledged(), 1);
    assert_eq!(writer.health.blocked(), None);
}

#[tokio::test]
async fn stopping_waits_for_lost_requests_too() {
    let client = endpoint(vec![Answer::HangUp; 9]).await;
    let writer = writer(client, Gate::default());
    let begun = Instant::now();
    let stop = writer.stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(MARGIN / 4).await;
        stop.cancel();
    });
    let stopped = writer.write_copied(&removal()).await.unwrap_err();
    assert!(matches!(stopped, SinkError::Stop(_)));
    // The next owner of the lease finds none of our requests under way.
    assert!(begun.elapsed() >= MARGIN);
}

#[tokio::test]
async fn a_lost_request_does_not_keep_the_lanes_from_being_held() {
    let mut answers = vec![Answer::HangUp; 3];
    answers.push(Answer::Status(200, "{}"));
    let gate = Gate::default();
    let writer = writer(endpoint(answers).await, gate.clone());
    let write = removal();
    let writing = writer.write_copied(&write);
    tokio::pin!(writing);
    while writer.health.blocked().is_none() {
        let looked = tokio::time::timeout(Duration::from_millis(2), &mut writing);
        assert!(looked.await.is_err(), "it was lost");
    }
    // Before it is sent again, the lanes are held.
    gate.switch(phases(TombstonePhase::Held, 1));
    assert_eq!(gate.acknowledged(), 0, "it may still land");
    assert!(tokio::time::timeout(MARGIN * 2, &mut writing).await.is_err());
    assert_eq!(
        gate.acknowledged(),
        1,
        "it can land no more, and nothing else was sent"
    );
    assert_eq!(writer.health.blocked().as_deref(), Some(HELD));
    gate.switch(phases(TombstonePhase::Off, 2));
    assert_eq!(writing.await.unwrap().outcome, Outcome::Written);
}

#[tokio::test]
async fn what_was_answered_is_decided_and_needs_no_wait() {
    let busy = r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionConflictException"}"#;
    let answers = vec![
        Answer::Status(400, busy),
        Answer::Status(400, busy),
        Answer::Status(200, "{}"),
    ];
    let gate = Gate::new(phases(TombstonePhase::On, 1));
    let writer = TargetWriter {
        margin: Duration::from_secs(600),
        ..writer(endpoint(answers).await, gate)
    };
    let write = removal();
    let writing = tokio::time::timeout(Duration::from_secs(20), writer.write_copied(&write));
    assert_eq!(writing.await.unwrap().unwrap().outcome, Outcome::TombstoneWritten);
}

#[tokio::test]
async fn what_is_sent_again_is_what_was_sent() {
    let failed = (
        500,
        json!({ "__type": "com.amazonaws.dynamodb.v20120810#InternalServerError" }),
    );
    let (client, asked) = scripted(vec![failed.clone(), failed, (200, json!({}))]).await;
    let config = client.config().to_builder();
    let client = Client::from_conf(config.retry_config(RetryConfig::disabled()).build());
    let id = Item::from([("id".to_owned(), Value::s("x")), ("at".to_owned(), Value::s("5"))]);
    let write = Write {
        kind: WriteKind::Put(id),
        guard: Guard::NotNewer(Version::Text("5".into())),
        ..removal()
    };
    let writer = TargetWriter {
        margin: Duration::ZERO,
        ..writer(client, Gate::default())
    };
    let landed = writer.write_copied(&write).await.unwrap();
    assert_eq!(landed.outcome, Outcome::Written);
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 3);
    assert!(asked[0]["ConditionExpression"].is_string(), "{}", asked[0]);
    assert_eq!(asked[0]["Item"]["at"], json!({ "S": "5" }));
    assert_eq!([&asked[1], &asked[2]], [&asked[0]; 2]);
}
