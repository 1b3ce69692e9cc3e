//! Notifications: what topics, event buses and webhooks receive, and that no destination keeps a command from its work.

use crate::shell::{Running, Shell};
use crate::support::scripted::{Answer, Request, Scripted};
use crate::support::{Engine, failpoints, table};
use crate::tables::PLAN;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:split";
const BUS: &str = "arn:aws:events:us-east-1:123456789012:event-bus/ops";
/// A part of the path of the webhook, which nothing may show.
const SECRET: &str = "T000-secret";
/// A value of an item, which nothing may show.
const VALUE: &str = "4711-4711";
/// What has not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(150);
/// Where processes die in these tests.
const POINTS: [&str; 3] = ["state.notify.put.before", "state.notify.put.after", "notify.sent"];

fn plan() -> String {
    let notify = format!(
        "notify:\n  to:\n    - sns: {TOPIC}\n    - event-bus: {BUS}\n    - webhook: {{ variable: HOOK }}\nunrouted: fail\n"
    );
    PLAN.replace("unrouted: fail\n", &notify)
}

/// Everything that came, as the documents of the notifications or as the text for people.
#[derive(Clone, Default)]
struct Received(Arc<Mutex<BTreeMap<&'static str, Vec<Json>>>>);

impl Received {
    fn add(&self, from: &'static str, document: Json) {
        self.0.lock().unwrap().entry(from).or_default().push(document);
    }

    fn of(&self, from: &str) -> Vec<Json> {
        self.0.lock().unwrap().get(from).cloned().unwrap_or_default()
    }

    /// The notifications of a kind that came to a destination.
    fn kinds(&self, from: &str, kind: &str) -> Vec<Json> {
        let all = self.of(from).into_iter();
        all.filter(|document| document["kind"] == kind).collect()
    }
}

pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waited = Instant::now();
    while !is_so() {
        assert!(waited.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The value of a field of a form.
pub(super) fn field(form: &str, name: &str) -> Option<String> {
    let value = form
        .split('&')
        .find_map(|field| field.strip_prefix(&format!("{name}=")))?;
    let (mut bytes, mut rest) = (Vec::new(), value.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Topics, event buses and webhooks. The webhook answers with a status that the test may change.
fn receiver(received: &Received, webhook: &Arc<AtomicU16>) -> Scripted {
    let (received, webhook) = (received.clone(), Arc::clone(webhook));
    Scripted::start(move |request: &Request| match request.operation.as_str() {
        "Publish" => {
            assert_eq!(field(&request.body, "TopicArn").as_deref(), Some(TOPIC));
            assert_eq!(field(&request.body, "MessageStructure").as_deref(), Some("json"));
            let forms: Json = serde_json::from_str(&field(&request.body, "Message").unwrap()).unwrap();
            let document: Json = serde_json::from_str(forms["default"].as_str().unwrap()).unwrap();
            let words = forms["email"].as_str().unwrap();
            assert!(
                words.starts_with("dynasplit learning: ") && !words.contains(VALUE),
                "{words}"
            );
            received.add("sns", document);
            let body = "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult>\
                        <MessageId>1</MessageId></PublishResult><ResponseMetadata><RequestId>1</RequestId>\
                        </ResponseMetadata></PublishResponse>";
            Answer {
                status: 200,
                body: body.into(),
            }
        }
        "PutEvents" => {
            let events: Json = serde_json::from_str(&request.body).unwrap();
            let entry = &events["Entries"][0];
            assert_eq!(entry["EventBusName"], BUS);
            assert_eq!(entry["Source"], "dynasplit");
            assert_eq!(entry["DetailType"], "dynasplit notification");
            let document = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
            received.add("events", document);
            Answer::ok(json!({ "FailedEntryCount": 0, "Entries": [{ "EventId": "1" }] }))
        }
        "" => {
            let status = webhook.load(Ordering::Relaxed);
            let from = if status == 200 { "webhook" } else { "refused" };
            received.add(from, serde_json::from_str(&request.body).unwrap());
            Answer {
                status,
                body: "ok".into(),
            }
        }
        other => panic!("{other} was asked"),
    })
}

async fn split(receiver: &Scripted) -> (Engine, Shell) {
    let engine = Engine::embedded().await;
    table::create(&engine.dynamodb(), "Learning").await;
    let shell = Shell::new(&plan())
        .at(engine.endpoint())
        .with("AWS_ENDPOINT_URL_SNS", receiver.endpoint())
        .with("AWS_ENDPOINT_URL_EVENTBRIDGE", receiver.endpoint())
        .with("HOOK", &format!("{}/services/{SECRET}", receiver.endpoint()));
    shell.run("apply plan.yaml").ended(0);
    (engine, shell)
}

async fn put(engine: &Engine, pk: &str) {
    let attribute = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.into());
    let put = engine.dynamodb().put_item().table_name("Learning");
    put.item("PK", attribute(pk))
        .item("SK", attribute("1"))
        .item("card", attribute(VALUE))
        .send()
        .await
        .unwrap();
}

async fn is_copied(engine: &Engine, pk: &str) -> bool {
    let key = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.into());
    let get = engine.dynamodb().get_item().table_name("Courses");
    let got = get.key("PK", key(pk)).key("SK", key("1")).send().await;
    got.unwrap().item.is_some()
}

pub(super) fn stop(running: Running) -> String {
    running.interrupt();
    running.end().ended(0).stderr
}

#[tokio::test(flavor = "multi_thread")]
async fn every_destination_gets_each_notification_from_one_of_two_processes() {
    let (received, webhook) = (Received::default(), Arc::new(AtomicU16::new(200)));
    let receiver = receiver(&received, &webhook);
    let (engine, shell) = split(&receiver).await;
    let running = [
        shell.start("replicate plan.yaml -vv"),
        shell.start("replicate plan.yaml -vv"),
    ];
    for process in &running {
        process.until_told("following the stream");
    }
    // It belongs to no service.
    put(&engine, "NOBODY#1").await;
    for from in ["sns", "events"] {
        until("the notification of a dead letter", || {
            !received.kinds(from, "dead-letters").is_empty()
        });
    }
    let slack = |words: &str| {
        let all = received.of("webhook").into_iter();
        all.filter(|body| body["text"].as_str().unwrap().contains(words))
            .count()
    };
    until("the message of a dead letter", || {
        slack("could not be written") > 0
    });
    let [first, second] = running;
    let logs = stop(first) + &stop(second);
    for from in ["sns", "events"] {
        let letters = received.kinds(from, "dead-letters");
        assert_eq!(letters.len(), 1, "{letters:#?}");
        assert_eq!(letters[0]["change"], "began");
        assert_eq!(letters[0]["split"], "learning");
        let phases = received.kinds(from, "phase");
        let tailing = phases
            .iter()
            .filter(|phase| phase["text"].to_string().contains("phase tailing"));
        assert_eq!(tailing.count(), 1, "{phases:#?}");
        let all = received.of(from);
        let mut ids: Vec<&str> = all
            .iter()
            .map(|document| document["id"].as_str().unwrap())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all.len(), "each has an id of its own: {all:#?}");
    }
    assert_eq!(slack("could not be written"), 1);
    let status = shell.run("status plan.yaml --output json");
    assert_eq!(status.json().get("unnotified"), None, "everything got through");
    for text in [logs, format!("{:?}", received.0.lock().unwrap()), status.stdout] {
        assert!(!text.contains(SECRET) && !text.contains(VALUE), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_answers_500_holds_nothing_up_and_gets_the_state_later() {
    let (received, webhook) = (Received::default(), Arc::new(AtomicU16::new(500)));
    let receiver = receiver(&received, &webhook);
    let (engine, shell) = split(&receiver).await;
    let running = shell.start("replicate plan.yaml -vv");
    running.until_told("the webhook answered HTTP 500");
    put(&engine, "COURSE#1").await;
    let waited = Instant::now();
    while !is_copied(&engine, "COURSE#1").await {
        assert!(
            waited.elapsed() < PATIENCE,
            "the tail is held up:\n{}",
            running.told()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    until("a notification for the topic", || !received.of("sns").is_empty());
    let status = shell.run("status plan.yaml");
    let failing = "no notification has reached the webhook of the variable HOOK";
    assert!(status.stdout.contains(failing), "{}", status.stdout);
    let unnotified = shell.run("status plan.yaml --output json").json()["unnotified"].clone();
    assert_eq!(unnotified[0]["reason"], "the webhook answered HTTP 500");
    webhook.store(200, Ordering::Relaxed);
    until("a message after the failure", || {
        !received.of("webhook").is_empty()
    });
    until("the end of the failure", || {
        !shell.run("status plan.yaml").stdout.contains(failing)
    });
    let told = stop(running);
    assert!(told.contains("notifications get through again"), "{told}");
    for text in [told, status.stdout] {
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn destinations_that_cannot_be_reached_end_no_command() {
    let silent = Scripted::silent();
    let engine = Engine::embedded().await;
    table::create(&engine.dynamodb(), "Learning").await;
    let shell = Shell::new(&plan())
        .at(engine.endpoint())
        .with("AWS_ENDPOINT_URL_SNS", silent.endpoint())
        // Nobody listens there.
        .with("AWS_ENDPOINT_URL_EVENTBRIDGE", "http://127.0.0.1:9");
    shell.run("apply plan.yaml").ended(0);
    let running = shell.start("replicate plan.yaml");
    running.until_told(
        "warning: this process sends no notifications to the webhook of the variable HOOK: the variable HOOK is not set",
    );
    running.until_told("following the stream");
    put(&engine, "COURSE#1").await;
    let backfill = shell.run("backfill plan.yaml").ended(0);
    assert!(backfill.took < PATIENCE, "{:?}", backfill.took);
    let waited = Instant::now();
    while !is_copied(&engine, "COURSE#1").await {
        assert!(
            waited.elapsed() < PATIENCE,
            "the tail is held up:\n{}",
            running.told()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stop(running);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_after_it_has_sent_is_followed_by_the_same_notification() {
    let (received, webhook) = (Received::default(), Arc::new(AtomicU16::new(200)));
    let receiver = receiver(&received, &webhook);
    let (_engine, shell) = split(&receiver).await;
    // The phase does not change any more. This plan has no destinations.
    shell.write("quiet.yaml", PLAN);
    let quiet = shell.start("replicate quiet.yaml --lease-seconds 3");
    until("the capture of the stream", || {
        shell.run("status plan.yaml --output json").json()["phase"] == "tailing"
    });
    quiet.until_told("following the stream");
    stop(quiet);
    for point in POINTS {
        let died = shell.run_to_death("replicate plan.yaml --lease-seconds 3", point);
        assert_eq!(died.code, None, "{point}: {}", died.shown());
    }
    let running = shell.start("replicate plan.yaml --lease-seconds 3");
    running.until_told("following the stream");
    // The process that died at `notify.sent` had sent, and the same comes again, with the same id. The messages of the webhook have
    // no id, but the same text.
    let ids = |from| -> Vec<Json> {
        let phases = received.kinds(from, "phase").into_iter();
        phases.map(|phase| phase["id"].clone()).collect()
    };
    until("the same notification again", || {
        [ids("sns"), ids("events"), received.of("webhook")]
            .iter()
            .any(|all| has_twice(all))
    });
    stop(running);
}

fn has_twice(documents: &[Json]) -> bool {
    let mut documents_and_places = documents.iter().enumerate();
    documents_and_places.any(|(n, document)| documents[..n].contains(document))
}

#[test]
fn processes_die_at_every_failpoint_of_notifications() {
    let points = failpoints::points().filter(|point| failpoints::is_of_notifications(point));
    assert_eq!(points.collect::<Vec<_>>(), POINTS);
}

#[test]
fn a_secret_in_the_plan_is_refused_and_not_shown() {
    for (written, said) in [
        (
            "webhook: { variable: 'https://hooks.example/T000-secret' }",
            "this is not the name of an environment variable",
        ),
        (
            "webhook: { file: 'https://hooks.example/T000-secret' }",
            "this is not the path of a file",
        ),
        ("webhook: {}", "exactly one of `variable` and `file`"),
        ("sns: split", "`split` is not the ARN of a topic"),
        (
            "event-bus: 'arn:aws:events:us-east-1:123456789012:rule/x'",
            "is not the ARN of an event bus",
        ),
    ] {
        let plan = PLAN.replace(
            "unrouted: fail\n",
            &format!("unrouted: fail\nnotify:\n  to:\n    - {written}\n"),
        );
        let refused = Shell::new(&plan).run("plan plan.yaml --offline").ended(2);
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
}
