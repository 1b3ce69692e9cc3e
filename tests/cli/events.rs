//! Events about items: what queues, topics and event buses receive, in which order, and that no destination keeps a table from
//! being copied.

use crate::notify::{field, stop, until};
use crate::shell::Shell;
use crate::support::long::in_the_long_run;
use crate::support::scripted::{Answer, Request, Scripted};
use crate::support::{Engine, failpoints, table};
use crate::tables::PLAN;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const QUEUE: &str = "arn:aws:sqs:us-east-1:123456789012:courses.fifo";
const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:users";
const BUS: &str = "arn:aws:events:us-east-1:123456789012:event-bus/courses";
/// A value of an item, which no log and no status may show.
const VALUE: &str = "4711-4711";
/// Where processes die in these tests.
const POINTS: [&str; 1] = ["events.sent"];

/// A plan in which services have these `events`.
fn plan(courses: Option<&str>, users: Option<&str>) -> String {
    let with = |plan: String, service: &str, events: Option<&str>| match events {
        None => plan,
        Some(events) => plan.replace(
            &format!("  - name: {service}\n"),
            &format!("  - name: {service}\n    events: {events}\n"),
        ),
    };
    with(with(PLAN.to_owned(), "Courses", courses), "Users", users)
}

fn to_queue(settings: &str) -> String {
    format!("{{ to: {{ sqs: '{QUEUE}' }}{settings} }}")
}

/// A message that came, with the FIFO settings of queues.
#[derive(Clone, Debug)]
struct Came {
    document: Json,
    group: Option<String>,
    deduplication: Option<String>,
}

/// What destinations do, and what came to them.
#[derive(Clone)]
struct Destination {
    /// What was accepted, in order.
    came: Arc<Mutex<Vec<Came>>>,
    /// The status of each answer.
    status: Arc<AtomicU16>,
    /// Every n-th entry fails and can be repeated; 0: none.
    fails_each: Arc<AtomicUsize>,
    /// Entries so far.
    entries: Arc<AtomicUsize>,
    /// An entry whose body contains this is refused.
    refuses: Arc<Mutex<Option<String>>>,
}

impl Destination {
    fn new() -> Self {
        Self {
            came: Arc::default(),
            status: Arc::new(AtomicU16::new(200)),
            fails_each: Arc::default(),
            entries: Arc::default(),
            refuses: Arc::default(),
        }
    }

    fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }

    /// Those about an item, by its partition key.
    fn about(&self, pk: &str) -> Vec<Json> {
        let all = self.came().into_iter().map(|came| came.document);
        all.filter(|document| document["data"]["key"]["PK"]["S"] == pk)
            .collect()
    }

    /// What becomes of an entry: the code of its failure, and whether it is the sender's fault.
    fn takes(
        &self,
        body: &str,
        group: Option<&Json>,
        deduplication: Option<&Json>,
    ) -> Result<(), (&'static str, bool)> {
        let number = self.entries.fetch_add(1, Ordering::SeqCst) + 1;
        let refuses = self.refuses.lock().unwrap();
        if refuses.as_ref().is_some_and(|text| body.contains(text)) {
            return Err(("InvalidMessageContents", true));
        }
        let each = self.fails_each.load(Ordering::SeqCst);
        if each > 0 && number.is_multiple_of(each) {
            return Err(("InternalError", false));
        }
        let text = |value: Option<&Json>| value.and_then(Json::as_str).map(str::to_owned);
        self.came.lock().unwrap().push(Came {
            document: serde_json::from_str(body).unwrap(),
            group: text(group),
            deduplication: text(deduplication),
        });
        Ok(())
    }

    fn start(&self) -> Scripted {
        let this = self.clone();
        Scripted::start(move |request| this.answer(request))
    }

    fn answer(&self, request: &Request) -> Answer {
        let status = self.status.load(Ordering::SeqCst);
        if status != 200 {
            return Answer {
                status,
                body: "it does not work".into(),
            };
        }
        match request.operation.as_str() {
            "GetQueueUrl" => {
                let asked: Json = serde_json::from_str(&request.body).unwrap();
                assert_eq!(asked["QueueName"], "courses.fifo");
                assert_eq!(asked["QueueOwnerAWSAccountId"], "123456789012");
                Answer::ok(
                    json!({ "QueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/courses.fifo" }),
                )
            }
            "SendMessageBatch" => self.queued(request),
            "PutEvents" => self.put(request),
            "Publish" => {
                let (topic, message) = (field(&request.body, "TopicArn"), field(&request.body, "Message"));
                assert_eq!(topic.as_deref(), Some(TOPIC));
                self.takes(&message.unwrap(), None, None).unwrap();
                xml("Publish", "<MessageId>1</MessageId>")
            }
            "PublishBatch" => self.published(request),
            other => panic!("{other} was asked"),
        }
    }

    fn queued(&self, request: &Request) -> Answer {
        let asked: Json = serde_json::from_str(&request.body).unwrap();
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        let entries = asked["Entries"].as_array().unwrap();
        assert!(
            entries.len() <= 10 && request.body.len() < 300_000,
            "the limits of SQS"
        );
        let groups: BTreeSet<String> = entries
            .iter()
            .map(|entry| entry["MessageGroupId"].to_string())
            .collect();
        assert_eq!(groups.len(), entries.len(), "an item occurs once in a request");
        for entry in entries {
            let body = entry["MessageBody"].as_str().unwrap();
            let attributes = &entry["MessageAttributes"];
            assert_eq!(attributes["service"]["StringValue"], "Courses");
            assert!(body.contains(attributes["type"]["StringValue"].as_str().unwrap()));
            match self.takes(
                body,
                entry.get("MessageGroupId"),
                entry.get("MessageDeduplicationId"),
            ) {
                Ok(()) => {
                    successful.push(json!({ "Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "m" }))
                }
                Err((code, fault)) => {
                    failed.push(json!({ "Id": entry["Id"], "Code": code, "SenderFault": fault }))
                }
            }
        }
        Answer::ok(json!({ "Successful": successful, "Failed": failed }))
    }

    fn put(&self, request: &Request) -> Answer {
        let asked: Json = serde_json::from_str(&request.body).unwrap();
        let entries = asked["Entries"].as_array().unwrap();
        assert!(entries.len() <= 10);
        let mut failures = 0;
        let answers: Vec<Json> = entries
            .iter()
            .map(|entry| {
                assert_eq!(entry["EventBusName"], BUS);
                assert_eq!(entry["Source"], "dynasplit");
                let detail = entry["Detail"].as_str().unwrap();
                assert!(detail.contains(entry["DetailType"].as_str().unwrap()));
                match self.takes(detail, None, None) {
                    Ok(()) => json!({ "EventId": "e" }),
                    Err((code, _)) => {
                        failures += 1;
                        json!({ "ErrorCode": code, "ErrorMessage": detail })
                    }
                }
            })
            .collect();
        Answer::ok(json!({ "FailedEntryCount": failures, "Entries": answers }))
    }

    fn published(&self, request: &Request) -> Answer {
        let of = |number: usize, name: &str| {
            field(
                &request.body,
                &format!("PublishBatchRequestEntries.member.{number}.{name}"),
            )
        };
        let (mut successful, mut failed) = (String::new(), String::new());
        for number in 1..=10 {
            let Some(id) = of(number, "Id") else { break };
            match self.takes(&of(number, "Message").unwrap(), None, None) {
                Ok(()) => {
                    successful += &format!("<member><Id>{id}</Id><MessageId>m</MessageId></member>");
                }
                Err((code, fault)) => {
                    failed += &format!(
                        "<member><Id>{id}</Id><Code>{code}</Code><SenderFault>{fault}</SenderFault></member>"
                    );
                }
            }
        }
        xml(
            "PublishBatch",
            &format!("<Successful>{successful}</Successful><Failed>{failed}</Failed>"),
        )
    }
}

fn xml(action: &str, result: &str) -> Answer {
    let body = format!(
        "<{action}Response xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><{action}Result>{result}</{action}Result>\
         <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{action}Response>"
    );
    Answer { status: 200, body }
}

async fn split(plan: &str, receiver: &Scripted) -> (Engine, Shell) {
    let engine = Engine::embedded().await;
    table::create(&engine.dynamodb(), "Learning").await;
    let shell = Shell::new(plan)
        .at(engine.endpoint())
        .with("AWS_ENDPOINT_URL_SQS", receiver.endpoint())
        .with("AWS_ENDPOINT_URL_SNS", receiver.endpoint())
        .with("AWS_ENDPOINT_URL_EVENTBRIDGE", receiver.endpoint());
    shell.run("apply plan.yaml").ended(0);
    (engine, shell)
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.into())
}

async fn put(engine: &Engine, pk: &str, value: &str) {
    let put = engine.dynamodb().put_item().table_name("Learning");
    let item = put.item("PK", text(pk)).item("SK", text("1"));
    item.item("value", text(value)).send().await.unwrap();
}

async fn delete(engine: &Engine, pk: &str) {
    let delete = engine.dynamodb().delete_item().table_name("Learning");
    delete
        .key("PK", text(pk))
        .key("SK", text("1"))
        .send()
        .await
        .unwrap();
}

async fn is_copied(engine: &Engine, table: &str, pk: &str) -> bool {
    let get = engine.dynamodb().get_item().table_name(table);
    let got = get.key("PK", text(pk)).key("SK", text("1")).send().await;
    got.unwrap().item.is_some()
}

/// The events without those that came again, each by what it tells.
fn first_told(events: &[Json]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let fresh = events.iter().filter(|event| seen.insert(event["id"].to_string()));
    let told = fresh.map(|event| {
        let kind = event["type"]
            .as_str()
            .unwrap()
            .strip_prefix("dynasplit.item-")
            .unwrap();
        let value = |image: &str| {
            let value = event["data"][image]["value"]["S"].as_str();
            value.unwrap_or("-").to_owned()
        };
        format!("{kind} {} {}", value("old"), value("new"))
    });
    told.collect()
}

/// Writes of one item: what was written, and what the events must tell.
#[derive(Default)]
struct Writer {
    current: Option<String>,
    expected: Vec<String>,
}

impl Writer {
    async fn write(&mut self, engine: &Engine, pk: &str, round: usize) {
        let old = self.current.clone().unwrap_or_else(|| "-".into());
        if self.current.is_some() && round % 5 == 4 {
            delete(engine, pk).await;
            self.current = None;
            self.expected.push(format!("removed {old} -"));
            return;
        }
        let value = format!("{VALUE} {round}");
        put(engine, pk, &value).await;
        let kind = if self.current.is_some() {
            "updated"
        } else {
            "created"
        };
        self.expected.push(format!("{kind} {old} {value}"));
        self.current = Some(value);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_write_is_told_in_order_while_two_processes_send_and_entries_fail() {
    in_the_long_run!(every_write_is_told_in_order_while_two_processes_send_and_entries_fail);
    const ITEMS: [&str; 12] = [
        "COURSE#0",
        "COURSE#1",
        "COURSE#2",
        "COURSE#3",
        "COURSE#4",
        "COURSE#5",
        "COURSE#6",
        "COURSE#7",
        "COURSE#8",
        "COURSE#9",
        "COURSE#10",
        "COURSE#11",
    ];
    let destination = Destination::new();
    let receiver = destination.start();
    let (engine, shell) = split(&plan(Some(&to_queue(", images: new-and-old")), None), &receiver).await;
    destination.fails_each.store(7, Ordering::SeqCst);
    let mut running = vec![
        shell.start("replicate plan.yaml -vv --lease-seconds 3"),
        shell.start("replicate plan.yaml -vv --lease-seconds 3"),
    ];
    for process in &running {
        process.until_told("following the stream");
    }
    let mut writers: BTreeMap<&str, Writer> = BTreeMap::new();
    for round in 0..40 {
        for (number, pk) in ITEMS.iter().enumerate() {
            writers
                .entry(pk)
                .or_default()
                .write(&engine, pk, round + number)
                .await;
        }
        put(&engine, &format!("USER#{round}"), VALUE).await;
        if round == 10 {
            // Its shard goes to the other process.
            stop(running.remove(0));
        }
        if round == 20 {
            running.push(shell.start("replicate plan.yaml -vv --lease-seconds 3"));
        }
    }
    for (pk, writer) in &writers {
        until(&format!("the events of {pk}"), || {
            let told = first_told(&destination.about(pk));
            let begins = writer.expected.starts_with(&told);
            assert!(begins, "{pk}: {told:#?} instead of {:#?}", writer.expected);
            told.len() == writer.expected.len()
        });
    }
    let mut ids: BTreeMap<String, Json> = BTreeMap::new();
    let mut groups: BTreeMap<String, String> = BTreeMap::new();
    for came in destination.came() {
        let document = came.document;
        let (id, pk) = (
            document["id"].to_string(),
            document["data"]["key"]["PK"]["S"].as_str().unwrap(),
        );
        assert!(
            pk.starts_with("COURSE#"),
            "only the events of the service: {document}"
        );
        assert_eq!(came.deduplication.unwrap(), document["id"].as_str().unwrap());
        assert_eq!(document["source"], "/dynasplit/learning/Courses");
        let group = groups
            .entry(pk.to_owned())
            .or_insert_with(|| came.group.clone().unwrap());
        assert_eq!(*group, came.group.unwrap(), "an item stays in its group");
        let first = ids.entry(id).or_insert_with(|| document.clone());
        assert_eq!(*first, document, "the same id is the same event");
    }
    assert_eq!(groups.values().collect::<BTreeSet<_>>().len(), ITEMS.len());
    let sent = || shell.run("status plan.yaml --output json").json()["events"][0]["sent"].as_u64();
    let least: usize = writers.values().map(|writer| writer.expected.len()).sum();
    until("the count of what was sent", || sent() >= Some(least as u64));
    let status = shell.run("status plan.yaml").stdout;
    let logs: Vec<String> = running.into_iter().map(stop).collect();
    for told in logs.iter().chain([&status]) {
        assert!(!told.contains(VALUE), "{told}");
    }
    assert!(status.contains("events of Courses to the queue"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_answers_500_holds_no_table_and_gets_everything_later() {
    let destination = Destination::new();
    let receiver = destination.start();
    let (engine, shell) = split(
        &plan(
            Some(&to_queue("")),
            Some(&format!("{{ to: {{ sns: '{TOPIC}' }}, images: new }}")),
        ),
        &receiver,
    )
    .await;
    destination.status.store(500, Ordering::SeqCst);
    let running = shell.start("replicate plan.yaml -vv");
    running.until_told("following the stream");
    let write = async |numbers: std::ops::Range<usize>| {
        for number in numbers {
            put(&engine, &format!("COURSE#{number}"), VALUE).await;
            put(&engine, &format!("USER#{number}"), VALUE).await;
        }
    };
    let is_there = |table: &'static str, pk: &'static str| {
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(is_copied(&engine, table, pk))
        })
    };
    write(0..15).await;
    running.until_told("events do not get through; trying again");
    let blocked = || shell.run("status plan.yaml --output json").json()["events"][0]["blocked"].clone();
    until("the reason in the status", || {
        blocked().as_str().is_some_and(|reason| reason.contains("500"))
    });
    // The lanes of the tables go on while nothing gets through.
    write(15..30).await;
    until("the copies", || {
        is_there("Courses", "COURSE#29") && is_there("Users", "USER#29")
    });
    assert_eq!(destination.came().len(), 0);
    destination.status.store(200, Ordering::SeqCst);
    for kind in ["COURSE", "USER"] {
        until("every event", || {
            (0..30).all(|number| destination.about(&format!("{kind}#{number}")).len() == 1)
        });
    }
    let course = &destination.about("COURSE#3")[0];
    assert_eq!(course["type"], "dynasplit.item-created");
    assert!(
        course["data"].get("new").is_none(),
        "the plan asks for keys only: {course}"
    );
    let user = &destination.about("USER#3")[0];
    assert_eq!(user["data"]["new"]["value"]["S"], VALUE);
    until("the end of the failure", || blocked().is_null());
    stop(running);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_after_it_has_sent_is_followed_by_the_same_events() {
    let destination = Destination::new();
    let receiver = destination.start();
    let (engine, shell) = split(&plan(Some(&to_queue(", images: new")), None), &receiver).await;
    for number in 0..25 {
        put(&engine, &format!("COURSE#{number}"), VALUE).await;
    }
    for point in POINTS {
        let died = shell.run_to_death("replicate plan.yaml --lease-seconds 3", point);
        assert_eq!(died.code, None, "{point}: {}", died.shown());
    }
    let before = destination.came().len();
    assert!(before > 0, "it had sent");
    let running = shell.start("replicate plan.yaml --lease-seconds 3");
    until("every event", || {
        (0..25).all(|number| !destination.about(&format!("COURSE#{number}")).is_empty())
    });
    until("the events that were sent before the death", || {
        let came = destination.came();
        let again = &came[before..];
        came[..before].iter().all(|first| {
            again.iter().any(|second| {
                second.document == first.document && second.deduplication == first.deduplication
            })
        })
    });
    stop(running);
}

#[test]
fn processes_die_at_every_failpoint_of_events() {
    let points = failpoints::points().filter(|point| failpoints::is_of_events(point));
    assert_eq!(points.collect::<Vec<_>>(), POINTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_refused_is_a_dead_letter_and_is_sent_again() {
    let destination = Destination::new();
    let receiver = destination.start();
    let (engine, shell) = split(
        &plan(Some(&to_queue(", images: new, attempts: 2")), None),
        &receiver,
    )
    .await;
    *destination.refuses.lock().unwrap() = Some("COURSE#bad".into());
    let running = shell.start("replicate plan.yaml -vv");
    running.until_told("following the stream");
    put(&engine, "COURSE#bad", VALUE).await;
    put(&engine, "COURSE#good", VALUE).await;
    running.until_told("the destination refuses an event: a dead letter");
    until("the other event", || !destination.about("COURSE#good").is_empty());
    let listed = shell
        .run("dead-letters list plan.yaml --events --output json")
        .ended(3)
        .json();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed[0]["key"]["key"]["PK"]["S"], "COURSE#bad");
    assert!(
        listed[0]["reason"]
            .as_str()
            .unwrap()
            .contains("InvalidMessageContents")
    );
    let id = listed[0]["id"].as_str().unwrap().to_owned();
    let shown = shell
        .run(&format!(
            "dead-letters show plan.yaml {id} --events --output json"
        ))
        .ended(0)
        .json();
    assert_eq!(shown["image"]["data"]["new"]["value"]["S"], VALUE);
    assert_eq!(
        shell
            .run("dead-letters list plan.yaml --output json")
            .ended(0)
            .json(),
        json!([]),
        "the table lacks nothing"
    );
    let status = shell.run("status plan.yaml").stdout;
    assert!(
        status.contains("1 dead letter of the events of Courses"),
        "{status}"
    );
    shell.run("dead-letters reconcile plan.yaml --events").ended(3);
    let again = shell
        .run("dead-letters list plan.yaml --events --output json")
        .ended(3)
        .json();
    assert_eq!(again[0]["attempts"], 2);
    *destination.refuses.lock().unwrap() = None;
    let settled = shell
        .run("dead-letters reconcile plan.yaml --events --output json")
        .ended(0)
        .json();
    assert_eq!(settled[0]["settled"], true);
    assert_eq!(
        destination.about("COURSE#bad"),
        [shown["image"].clone()],
        "the same event, with the same id"
    );
    shell.run("dead-letters list plan.yaml --events").ended(0);
    let told = stop(running);
    assert!(!told.contains(VALUE) && !status.contains(VALUE), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_above_the_size_limit_has_its_key_only_and_an_event_bus_and_a_topic_take_batches() {
    let destination = Destination::new();
    let receiver = destination.start();
    let (engine, shell) = split(
        &plan(
            Some(&format!(
                "{{ to: {{ event-bus: '{BUS}' }}, images: new-and-old }}"
            )),
            Some(&format!("{{ to: {{ sns: '{TOPIC}' }} }}")),
        ),
        &receiver,
    )
    .await;
    destination.fails_each.store(5, Ordering::SeqCst);
    put(&engine, "COURSE#large", &"x".repeat(300_000)).await;
    for number in 0..40 {
        put(&engine, &format!("COURSE#{number}"), &"y".repeat(30_000)).await;
        put(&engine, &format!("USER#{number}"), VALUE).await;
    }
    let running = shell.start("replicate plan.yaml");
    until("every event", || {
        let all =
            |kind: &str| (0..40).all(|number| !destination.about(&format!("{kind}#{number}")).is_empty());
        all("COURSE") && all("USER") && !destination.about("COURSE#large").is_empty()
    });
    let large = &destination.about("COURSE#large")[0];
    assert_eq!(large["data"]["omitted"], "too-large");
    assert_eq!(large["data"]["key"]["PK"]["S"], "COURSE#large");
    assert!(large["data"].get("new").is_none());
    let small = &destination.about("COURSE#7")[0];
    assert!(small["data"].get("omitted").is_none() && small["data"]["new"]["value"]["S"].is_string());
    assert!(
        receiver
            .asked()
            .iter()
            .any(|operation| operation == "PublishBatch")
    );
    stop(running);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_begin_and_end_with_apply_and_the_newest_plan() {
    let destination = Destination::new();
    let receiver = destination.start();
    let (engine, shell) = split(PLAN, &receiver).await;
    shell.write("events.yaml", &plan(Some(&to_queue("")), None));
    let running = shell.start("replicate plan.yaml");
    running.until_told("following the stream");
    let refused = shell.run("replicate events.yaml").ended(1);
    let said = "the plan sends events of Courses, and the split sends events of no service";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    shell.run("apply events.yaml").ended(0);
    // A worker that does not know the events ends, so that they do not wait for it.
    let old = running.end().ended(1);
    assert!(
        old.stderr.contains("start this command with the newest plan"),
        "{}",
        old.stderr
    );
    let running = shell.start("replicate events.yaml");
    running.until_told("following the stream");
    put(&engine, "COURSE#1", VALUE).await;
    until("the event", || !destination.about("COURSE#1").is_empty());
    shell.run("apply plan.yaml").ended(0);
    running.end().ended(1);
    let running = shell.start("replicate plan.yaml");
    running.until_told("following the stream");
    put(&engine, "COURSE#2", VALUE).await;
    until("the copy", || {
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(is_copied(&engine, "Courses", "COURSE#2"))
        })
    });
    assert!(destination.about("COURSE#2").is_empty());
    stop(running);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_end_at_a_switch_with_what_came_before_it() {
    let destination = Destination::new();
    let receiver = destination.start();
    let (engine, shell) = split(&plan(Some(&to_queue(", attempts: 1")), None), &receiver).await;
    *destination.refuses.lock().unwrap() = Some("COURSE#bad".into());
    let running = shell.start("replicate plan.yaml --lease-seconds 3");
    running.until_told("following the stream");
    put(&engine, "COURSE#bad", VALUE).await;
    running.until_told("the destination refuses an event: a dead letter");
    destination.status.store(500, Ordering::SeqCst);
    put(&engine, "COURSE#before", VALUE).await;
    running.until_told("events do not get through");
    shell.run("backfill plan.yaml").ended(0);
    shell.run("verify plan.yaml").ended(0);
    // Events that are late or refused are in the way of completing, and hold up no switch.
    let obstacles = shell.run("status plan.yaml --output json").json()["obstacles"].clone();
    let listed = obstacles.as_array().unwrap();
    assert!(
        listed.iter().any(|obstacle| obstacle["kind"] == "events"),
        "{obstacles}"
    );
    shell.run("switched plan.yaml --service Courses").ended(0);
    put(&engine, "COURSE#after", VALUE).await;
    put(&engine, "USER#after", VALUE).await;
    until("the copy for the other service", || {
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(is_copied(&engine, "Users", "USER#after"))
        })
    });
    destination.status.store(200, Ordering::SeqCst);
    until("the event from before the switch", || {
        !destination.about("COURSE#before").is_empty()
    });
    let events = || shell.run("status plan.yaml --output json").json()["events"][0].clone();
    until("the end of the events", || events()["sent"].is_null());
    assert_eq!(events()["state"], "ended");
    let status = shell.run("status plan.yaml").stdout;
    assert!(status.contains("ended with the switch"), "{status}");
    assert!(
        destination.about("COURSE#after").is_empty(),
        "its table does not hold the item"
    );
    stop(running);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_pause_at_a_cutover_and_continue_after_a_rollback() {
    in_the_long_run!(events_pause_at_a_cutover_and_continue_after_a_rollback);
    let destination = Destination::new();
    let receiver = destination.start();
    let fence = "unrouted: fail\nfence: { manual: all writers, prove-for: 1 }\ndrain: { quiet-for: 1 }\n";
    let plan = plan(Some(&to_queue(", images: new")), None).replace("unrouted: fail\n", fence);
    let (engine, shell) = split(&plan, &receiver).await;
    let running = shell.start("replicate plan.yaml --lease-seconds 3");
    running.until_told("following the stream");
    put(&engine, "COURSE#before", VALUE).await;
    shell.run("backfill plan.yaml").ended(0);
    shell.run("verify plan.yaml").ended(0);
    until("the event from before", || {
        !destination.about("COURSE#before").is_empty()
    });
    // Nothing gets through while the service moves, and nothing waits for it.
    destination.status.store(500, Ordering::SeqCst);
    put(&engine, "COURSE#late", VALUE).await;
    let preview = shell
        .run("cutover plan.yaml --service Courses --dry-run")
        .ended(0)
        .stdout;
    assert!(
        preview.contains("the events of Courses pause at the switch"),
        "{preview}"
    );
    shell
        .run("cutover plan.yaml --service Courses --stopped --yes")
        .ended(0);
    let write = engine.dynamodb().put_item().table_name("Courses");
    let own = write.item("PK", text("COURSE#own")).item("SK", text("1"));
    own.item("value", text(VALUE)).send().await.unwrap();
    let in_source = |pk: &str| {
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(is_copied(&engine, "Learning", pk))
        })
    };
    until("the way back of the service's write", || in_source("COURSE#own"));
    let state = || shell.run("status plan.yaml --output json").json()["events"][0]["state"].clone();
    assert_eq!(state(), "paused");
    shell
        .run("rollback plan.yaml --service Courses --stopped --yes")
        .ended(0);
    put(&engine, "COURSE#after", VALUE).await;
    destination.status.store(200, Ordering::SeqCst);
    until("the event from after the rollback", || {
        !destination.about("COURSE#after").is_empty()
    });
    assert_eq!(
        destination.about("COURSE#late").len(),
        1,
        "it came before the switch"
    );
    assert_eq!(
        destination.about("COURSE#own"),
        [] as [Json; 0],
        "it came from the service's own table"
    );
    assert_eq!(state(), "sending");
    stop(running);
}

#[test]
fn a_rehearsal_says_that_it_sends_no_events() {
    let said = |plan: &str| {
        // The plan has no sample data, so nothing more happens.
        let rehearsal = Shell::new(plan).run("rehearse plan.yaml").ended(2);
        rehearsal
            .stderr
            .lines()
            .find(|line| line.contains("sends nothing"))
            .map(str::to_owned)
    };
    assert_eq!(said(PLAN), None);
    let with_events = plan(Some(&to_queue("")), None);
    let expected = "the plan has `events`: a rehearsal sends nothing to others, so it does not test them";
    assert_eq!(said(&with_events).as_deref(), Some(expected));
    let notify = format!("notify: {{ to: [{{ event-bus: '{BUS}' }}] }}\n");
    assert!(
        said(&format!("{with_events}{notify}")).is_some_and(|said| said.contains("`events` and `notify`"))
    );
}

#[test]
fn wrong_events_are_refused_with_their_line() {
    for (written, said) in [
        ("{ to: {} }", "exactly one of `sqs`, `sns` and `event-bus`"),
        ("{ to: { sqs: courses } }", "`courses` is not the ARN of a queue"),
        (
            "{ to: { sns: 'arn:aws:sqs:us-east-1:123456789012:x' } }",
            "is not the ARN of a topic",
        ),
        (
            "{ to: { sqs: 'arn:aws:sqs:us-east-1:123456789012:x' }, attempts: 0 }",
            "0 attempts are not possible",
        ),
        (
            "{ to: { sqs: 'arn:aws:sqs:us-east-1:123456789012:x' }, images: all }",
            "images",
        ),
    ] {
        let refused = Shell::new(&plan(Some(written), None))
            .run("plan plan.yaml --offline")
            .ended(2);
        assert!(
            refused.stderr.contains(said) && refused.stderr.contains("plan.yaml:10:"),
            "{}",
            refused.stderr
        );
    }
}
