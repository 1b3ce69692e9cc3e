//! The engine itself: it must do what the other tests rest on, and nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use aws_sdk_dynamodbstreams::types::ShardIteratorType::{AfterSequenceNumber, AtSequenceNumber};
use aws_sdk_dynamodbstreams::types::{ShardFilter, ShardFilterType};

use crate::support::contents::{self, Contents};
use crate::support::faulty::stream::control::Seen;
use crate::support::faulty::{Fault, FaultKind, Gate, Rule, Script};
use crate::support::table::{self, item, key, number};
use crate::support::trial::{Mode, Trial};
use crate::support::{Engine, role, stream, unique};

#[tokio::test]
async fn records_of_an_item_keep_their_order_across_rolls_and_splits() {
    let engine = Engine::scripted(
        Script::quiet(7)
            .shards(2)
            .reshard_every(20)
            .listed_at_once(3)
            .records_at_once(7),
    )
    .await;
    let client = engine.dynamodb();
    let table = unique("source");
    table::create(&client, &table).await;
    for turn in 0..40 {
        for index in 0..10 {
            table::put(
                &client,
                &table,
                item("ACC#1", &format!("DOC#{index}"), [("turn", number(turn))]),
            )
            .await;
        }
        if turn % 10 == 0 {
            engine.faults().stream(&table).split_all().await;
        }
    }
    engine.faults().stream(&table).roll_all().await;
    assert!(
        engine.faults().count(FaultKind::Rolled) > 3,
        "{}",
        engine.faults().told()
    );
    assert!(
        engine.faults().count(FaultKind::Split) > 3,
        "{}",
        engine.faults().told()
    );

    let streams = engine.streams();
    let arn = stream::arn(&client, &table).await;
    let shards = stream::shards(&streams, &arn).await;
    assert!(shards.len() > 10, "more than a page: {}", shards.len());
    let parents: BTreeSet<&str> = shards
        .iter()
        .filter_map(|shard| shard.parent_shard_id())
        .collect();
    // Oldest first, so parents before their children: then each item's records are in the order of its writes.
    let mut last = std::collections::BTreeMap::new();
    let mut seen = 0;
    for shard in &shards {
        let iterator = stream::trim_horizon(&streams, &arn, stream::id(shard)).await;
        let (records, ended) = stream::drain(&streams, iterator, 3).await;
        assert_eq!(
            ended,
            parents.contains(stream::id(shard)),
            "only a closed shard ends"
        );
        assert_eq!(stream::range(shard).1.is_some(), ended);
        for record in records {
            let image = record
                .dynamodb()
                .and_then(|change| change.new_image())
                .expect("an image");
            let turn: u32 = image["turn"].as_n().expect("a number").parse().expect("a number");
            let name = image["SK"].as_s().expect("a text").clone();
            let before = last.insert(name, turn);
            assert!(
                before.is_none_or(|before| before + 1 == turn),
                "{before:?} then {turn}"
            );
            seen += 1;
        }
    }
    assert_eq!(seen, 400, "every record is in one shard");
}

#[tokio::test]
async fn a_write_that_changes_nothing_leaves_no_record() {
    let engine = Engine::scripted(Script::quiet(7)).await;
    let client = engine.dynamodb();
    let table = unique("source");
    table::create(&client, &table).await;
    let same = item("ACC#1", "DOC#1", [("turn", number(1))]);
    for _ in 0..3 {
        table::put(&client, &table, same.clone()).await;
    }
    table::delete(&client, &table, key("ACC#1", "DOC#1")).await;
    let arn = stream::arn(&client, &table).await;
    let streams = engine.streams();
    let shards = stream::shards(&streams, &arn).await;
    let iterator = stream::trim_horizon(&streams, &arn, stream::id(&shards[0])).await;
    let (records, _) = stream::drain(&streams, iterator, 2).await;
    assert_eq!(records.len(), 2, "the first put, and the removal");
    assert_eq!(engine.faults().count(FaultKind::NoChange), 2);
}

#[tokio::test]
async fn what_is_forgotten_is_refused_as_aws_refuses_it() {
    let engine = Engine::scripted(Script::quiet(7).records_at_once(2)).await;
    let (client, streams) = (engine.dynamodb(), engine.streams());
    let table = unique("source");
    table::create(&client, &table).await;
    for turn in 0..5 {
        table::put(&client, &table, item("ACC#1", "DOC#1", [("turn", number(turn))])).await;
    }
    let arn = stream::arn(&client, &table).await;
    let shard = stream::shards(&streams, &arn).await.remove(0);
    let id = stream::id(&shard).to_owned();
    let start = stream::range(&shard).0.expect("a starting number").to_owned();
    assert_eq!(start.len(), 21);
    let iterator = stream::trim_horizon(&streams, &arn, &id).await;
    let (records, next) = stream::page(&streams, &iterator).await.expect("a page");
    assert_eq!(records.len(), 2);
    let read = stream::sequence(&records[1]).to_owned();
    let commands = engine.faults().stream(&table);

    // Iterators expire; a place that is still kept is found again.
    commands.expire_iterators().await;
    let next = next.expect("an open shard");
    assert_eq!(
        stream::page(&streams, &next).await.map(drop),
        Err("ExpiredIteratorException".to_owned())
    );
    let again = stream::iterator_at(&streams, &arn, &id, AfterSequenceNumber, &read)
        .await
        .expect("an iterator");
    let (records, _) = stream::page(&streams, &again).await.expect("a page");
    assert_ne!(stream::sequence(&records[0]), read);

    // An open shard whose records are forgotten is still there, a closed one is not.
    assert_eq!(commands.trim(&id).await, 5);
    for place in [AtSequenceNumber, AfterSequenceNumber] {
        let refused = stream::iterator_at(&streams, &arn, &id, place, &read).await;
        assert_eq!(refused, Err("TrimmedDataAccessException".to_owned()));
    }
    assert_eq!(
        stream::page(&streams, &again).await.map(drop),
        Err("TrimmedDataAccessException".to_owned())
    );
    table::put(&client, &table, item("ACC#1", "DOC#1", [("turn", number(9))])).await;
    let horizon = stream::trim_horizon(&streams, &arn, &id).await;
    assert_eq!(stream::page(&streams, &horizon).await.expect("a page").0.len(), 1);
    commands.split(&id).await;
    let filter = ShardFilter::builder()
        .r#type(ShardFilterType::ChildShards)
        .shard_id(&id)
        .build();
    let children = streams
        .describe_stream()
        .stream_arn(&arn)
        .shard_filter(filter)
        .send()
        .await;
    let children = children
        .expect("an answer")
        .stream_description
        .expect("a description");
    let parents = children.shards().iter().map(|shard| shard.parent_shard_id());
    assert_eq!(parents.collect::<Vec<_>>(), [Some(id.as_str()); 2]);
    commands.trim(&id).await;
    let gone = stream::iterator_at(&streams, &arn, &id, AtSequenceNumber, &start).await;
    assert_eq!(gone, Err("ResourceNotFoundException".to_owned()));
    assert_eq!(
        stream::shards(&streams, &arn).await.len(),
        2,
        "only the children are listed"
    );
}

#[test]
fn each_table_of_a_trial_has_a_role_of_its_own_which_is_the_same_in_every_trial() {
    for _ in 0..2 {
        let trial = Trial::new(Mode::Sequence);
        let state = trial.state_table();
        let tables = [
            &trial.source,
            &state,
            &trial.orders,
            &trial.invoices,
            &trial.names,
        ];
        assert_eq!(
            tables.map(|table| role(table)),
            ["source", "dynasplit-trial", "orders", "invoices", "names"]
        );
    }
    for name in ["", "orders", "dynasplit-learning", "a-table-by-hand"] {
        assert_eq!(role(name), name, "nothing was appended");
    }
}

#[tokio::test]
async fn a_seed_draws_the_same_for_the_same_calls_in_every_run() {
    let first = Box::pin(drawn(7)).await;
    let again = Box::pin(drawn(7)).await;
    let other = Box::pin(drawn(8)).await;
    assert_eq!(first, again);
    for (of_seed, of_other) in first.iter().zip(&other) {
        assert_ne!(of_seed.struck, of_other.struck);
        assert_ne!(of_seed.told, of_other.told);
        assert_ne!(of_seed.contents, of_other.contents);
        assert_ne!(of_seed.shards, of_other.shards);
    }
    let [source, orders] = &first;
    assert_ne!(source.struck, orders.struck, "each table has draws of its own");
}

const WRITES: [&str; 2] = ["PutItem", "BatchWriteItem"];

/// What was drawn for the calls to one table.
#[derive(Debug, PartialEq)]
struct Drawn {
    /// Calls with which something went wrong: which one, and what, its delay included.
    struck: Vec<String>,
    /// What each caller was told in place of an answer.
    told: Vec<Option<String>>,
    /// What was not left out.
    contents: Contents,
    shards: Vec<Seen>,
}

/// The same calls, one after another, to two tables of a new engine that rolls the dice for most things.
async fn drawn(seed: u64) -> [Drawn; 2] {
    let soon = Gate::Between(Duration::ZERO, Duration::from_millis(50));
    let script = Script::quiet(seed)
        .rule(
            Rule::new(Fault::ThrottledSomehow)
                .on(&["PutItem"])
                .sometimes(0.25),
        )
        .rule(Rule::new(Fault::server_error(500)).on(&WRITES).sometimes(0.1))
        .rule(Rule::new(Fault::Held(soon)).on(&["PutItem"]).sometimes(0.2))
        .rule(
            Rule::new(Fault::Unprocessed)
                .on(&["BatchWriteItem"])
                .sometimes(0.5),
        )
        .shards(2)
        .reshard_every(15);
    let engine = Engine::scripted(script).await;
    let drawn = [
        drawn_for("source", &engine).await,
        drawn_for("orders", &engine).await,
    ];
    let faults = engine.faults();
    for kind in [
        FaultKind::Throttled,
        FaultKind::ServerError,
        FaultKind::Held,
        FaultKind::Unprocessed,
        FaultKind::Split,
        FaultKind::Rolled,
    ] {
        assert!(faults.count(kind) > 2, "{kind:?} of {}", faults.told());
    }
    drawn
}

async fn drawn_for(name: &str, engine: &Engine) -> Drawn {
    let (client, caller, table) = (engine.dynamodb(), engine.product_dynamodb(), unique(name));
    table::create(&client, &table).await;
    let record = engine.faults().record(&WRITES, &table);
    let mut told = Vec::new();
    for turn in 0..80 {
        let new = |place: u32| {
            item(
                &format!("ACC#{turn}"),
                &format!("DOC#{place}"),
                [("turn", number(turn))],
            )
        };
        let refused = if turn % 4 == 0 {
            let puts = (0..10).map(|place| {
                let put = PutRequest::builder()
                    .set_item(Some(new(place)))
                    .build()
                    .expect("a whole put");
                WriteRequest::builder().put_request(put).build()
            });
            let batch = caller.batch_write_item().request_items(&table, puts.collect());
            batch.send().await.err().map(|error| refusal(&error, &table))
        } else {
            let put = caller.put_item().table_name(&table).set_item(Some(new(0)));
            put.send().await.err().map(|error| refusal(&error, &table))
        };
        told.push(refused);
    }
    let struck = record.asked().into_iter().filter_map(|asked| {
        let (fault, call) = (asked.fault?, asked.call);
        Some(format!("{} {}: {fault:?}", call.operation, call.nth))
    });
    Drawn {
        struck: struck.collect(),
        told,
        contents: contents::read(&client, &table).await,
        shards: engine.faults().stream(&table).shards().await,
    }
}

/// What came in place of an answer, without the table's name.
fn refusal<E>(error: &SdkError<E>, table: &str) -> String {
    let body = error.raw_response().and_then(|answer| answer.body().bytes());
    String::from_utf8_lossy(body.unwrap_or_default()).replace(table, "")
}
