//! Events that a destination did not take for so long that the stream forgot their changes.

use std::sync::{Arc, Mutex};

use dynasplit::state::{ShardRecord, Store};
use serde_json::{Value, json};

use super::course::{put, seen, set, stream};
use crate::support::faulty::Script;
use crate::support::process::{lanes, obstacles};
use crate::support::scripted::{Answer, Request, Scripted};
use crate::support::stage::Stage;
use crate::support::trial::{Mode, Stamps};

const QUEUE: &str = "arn:aws:sqs:us-east-1:123456789012:orders";
const HOUR_MS: u64 = 3_600_000;

/// A queue that refuses to work when it is told so, and what came to it.
#[derive(Clone, Default)]
struct Queue {
    is_down: Arc<Mutex<bool>>,
    came: Arc<Mutex<Vec<Value>>>,
}

impl Queue {
    fn start(&self) -> Scripted {
        let this = self.clone();
        Scripted::start(move |request| this.answer(request))
    }

    fn answer(&self, request: &Request) -> Answer {
        if request.operation == "GetQueueUrl" {
            return Answer::ok(
                json!({ "QueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/orders" }),
            );
        }
        if *self.is_down.lock().expect("no thread panicked") {
            return Answer {
                status: 500,
                body: String::new(),
            };
        }
        let asked: Value = serde_json::from_str(&request.body).expect("a document");
        let entries = asked["Entries"].as_array().expect("entries");
        let documents = entries.iter().map(|entry| {
            serde_json::from_str(entry["MessageBody"].as_str().expect("a text")).expect("a document")
        });
        self.came.lock().expect("no thread panicked").extend(documents);
        let accepted = entries
            .iter()
            .map(|entry| json!({ "Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "m" }));
        Answer::ok(json!({ "Successful": accepted.collect::<Vec<_>>() }))
    }

    /// Whether an event about this order came.
    fn has(&self, id: usize) -> bool {
        let (document, came) = (
            json!({ "S": format!("DOC#{id}") }),
            self.came.lock().expect("no thread panicked"),
        );
        came.iter().any(|event| event["data"]["key"]["SK"] == document)
    }

    async fn until(&self, id: usize) {
        let waits = async {
            while !self.has(id) {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        super::course::in_time("the event", waits).await;
    }
}

/// Makes the lanes of the events as old as they would be after a day: the engine ages its records, and nothing ages the state.
async fn age_events(stage: &Stage) {
    let store = Store::new(stage.client.clone(), &stage.trial.state_table());
    let mut aged = 0;
    for (name, stored) in store
        .list::<ShardRecord>(ShardRecord::PREFIX)
        .await
        .expect("the state can be read")
    {
        let mut record = stored.value;
        for (lane, state) in &mut record.lanes {
            if ShardRecord::of_events(lane).is_some() {
                state.complete_to_ms = state.complete_to_ms.saturating_sub(25 * HOUR_MS);
                state.saved_ms = state.saved_ms.saturating_sub(25 * HOUR_MS);
                aged += 1;
            }
        }
        store
            .put(&name, record, stored.revision)
            .await
            .expect("nobody else writes");
    }
    assert!(aged > 0);
}

/// The first 1, 2, ... orders are in the table.
async fn until_applied(cli: &crate::support::process::Cli, count: u64) {
    cli.until("the changes", |status| seen(status, "orders") >= count)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_the_stream_forgot_are_a_gap_of_their_own_and_begin_anew() {
    let stage = set(Script::quiet(5), Mode::Sequence).await;
    let queue = Queue::default();
    let receiver = queue.start();
    let events = format!("  - name: orders\n    events: {{ to: {{ sqs: '{QUEUE}' }} }}\n");
    let cli = stage
        .edited("  - name: orders\n", &events)
        .with_variable("AWS_ENDPOINT_URL_SQS", receiver.endpoint());
    let tail = cli.begin().await;
    put(&stage, 1, 1, "told").await;
    queue.until(1).await;

    // Nothing gets through, and the tables go on, into the children of the shard.
    *queue.is_down.lock().unwrap() = true;
    for id in 2..12 {
        put(&stage, id, 1, "never told").await;
    }
    until_applied(&cli, 11).await;
    let parent = stream(&stage).open().await.remove(0);
    stream(&stage).split(&parent).await;
    for id in 20..30 {
        put(&stage, id, 1, "in a child").await;
    }
    until_applied(&cli, 21).await;
    cli.until_caught_up().await;
    tail.signal("TERM");
    tail.end().await;
    assert!(stream(&stage).trim(&parent).await >= 10, "records are lost");
    age_events(&stage).await;

    // The gap is one of the events. The tables go on.
    *queue.is_down.lock().unwrap() = false;
    let tail = cli.start(&["replicate"]);
    let has_gap = |status: &Value| status["events"][0]["gap"].is_string();
    let status = cli.until("the gap", has_gap).await;
    assert!(obstacles(&status).contains("--restart-events"), "{status:#}");
    put(&stage, 40, 1, "beside the gap").await;
    until_applied(&cli, 22).await;
    assert!(
        lanes(&cli.look().await).all(|lane| lane["gap"].is_null()),
        "the tables lack nothing"
    );
    tail.signal("TERM");
    tail.end().await;

    let tail = cli.start(&["replicate", "--restart-events"]);
    cli.until("events without a gap", |status| !has_gap(status)).await;
    put(&stage, 50, 1, "told again").await;
    queue.until(50).await;
    assert!((2..12).all(|id| !queue.has(id)), "these events are lost");
    let status = cli.look().await;
    assert!(!has_gap(&status), "{status:#}");

    // No repair is needed.
    cli.succeed(&["backfill"]).await;
    cli.succeed(&["verify"]).await;
    stage.trial.assert_equal(&stage.client, Stamps::Stripped).await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}
