//! The writer: what it answers for what the engine says, and when it goes on, waits or stops.

use crate::support::table::{SdkItem, create_with, number, put, text};
use crate::support::{Engine, Kind, contents, unique};
use aws_sdk_dynamodb::Client;
use dynasplit::dynamo::{AccountLimit, Budget, Clock, ConcurrencyLimit, Health};
use dynasplit::fault::Writer;
use dynasplit::flow::{Guard, Outcome, Sink, SinkError, VersionFields, Write, WriteKind};
use dynasplit::model::{
    AttributeKind, Item, Key, KeyAttribute, KeySchema, Number, TOMBSTONE_ATTRIBUTE, VERSION_ATTRIBUTE, Value,
    Version,
};
use dynasplit::plan::PutCost;
use dynasplit::state::{Moment, Phases, TombstonePhase, Tombstones, Validity};
use dynasplit::target::{Fence, Gate, Sweep, TargetWriter};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(20);

fn keys() -> KeySchema {
    KeySchema {
        partition: KeyAttribute {
            name: "id".into(),
            kind: AttributeKind::S,
        },
        sort: None,
    }
}

fn writer(client: &Client, table: &str) -> TargetWriter {
    TargetWriter {
        written_by: Writer::Tail,
        endless: true,
        client: client.clone(),
        table: table.into(),
        keys: keys(),
        fields: VersionFields {
            partition: "id".into(),
            live: "at".into(),
        },
        gate: Gate::default().of(SERVICE),
        always_leaves_tombstones: false,
        fence: Fence::new([]),
        concurrency: Arc::new(ConcurrencyLimit::new(
            Duration::from_secs(5),
            &AccountLimit::default(),
        )),
        budget: Arc::new(Budget::new(None)),
        cost: PutCost::default(),
        health: Arc::new(Health::default()),
        stop: CancellationToken::new(),
        margin: Duration::from_millis(100),
    }
}

const SERVICE: &str = "a";

fn tombstones(on: bool, epoch: u64) -> Phases {
    let phase = if on {
        TombstonePhase::On
    } else {
        TombstonePhase::Sweeping
    };
    Phases::one(SERVICE, Tombstones { phase, epoch })
}

fn v(at: i64) -> Version {
    Version::Number(Number::from(at))
}

fn key() -> Key {
    Key {
        partition: Value::s("x"),
        sort: None,
    }
}

fn puts(at: i64, guard: Guard) -> Write {
    let item = Item::from([
        ("id".to_owned(), Value::s("x")),
        ("at".to_owned(), Value::N(at.into())),
    ]);
    Write {
        key: key(),
        kind: WriteKind::Put(item),
        guard,
    }
}

fn removes(at: i64) -> Write {
    Write {
        key: key(),
        kind: WriteKind::Remove(Some(v(at))),
        guard: Guard::NotNewer(v(at)),
    }
}

async fn outcome(writer: &TargetWriter, write: Write) -> Outcome {
    writer.write_copied(&write).await.expect("an answer").outcome
}

async fn only_item(client: &Client, table: &str) -> Option<contents::PlainItem> {
    let mut found = contents::read(client, table).await.into_values();
    let first = found.next();
    assert_eq!(found.next(), None);
    first
}

fn plain<const N: usize>(
    attributes: [(&str, aws_sdk_dynamodb::types::AttributeValue); N],
) -> contents::PlainItem {
    let item: SdkItem = attributes
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    contents::plain_item(&item)
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_on_the_embedded_engine() {
    outcomes(&Engine::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_on_genuine_dynamodb() {
    outcomes(&Engine::genuine().await).await;
}

async fn outcomes(engine: &Engine) {
    let (client, table) = (engine.dynamodb(), unique("writer"));
    create_with(&client, &table, &["id"], false).await;
    let writer = writer(&client, &table);
    assert_eq!(outcome(&writer, puts(3, Guard::Absent)).await, Outcome::Written);
    assert_eq!(
        outcome(&writer, puts(9, Guard::Absent)).await,
        Outcome::Superseded
    );
    let landed = writer
        .write_copied(&puts(5, Guard::NotNewer(v(5))))
        .await
        .expect("an answer");
    assert_eq!(landed.outcome, Outcome::Written);
    if engine.kind() == Kind::Genuine {
        assert_eq!(landed.used.milliunits, 1000);
    }
    assert_eq!(
        outcome(&writer, puts(5, Guard::Older(v(5)))).await,
        Outcome::Superseded
    );
    assert_eq!(outcome(&writer, removes(4)).await, Outcome::Superseded);

    writer.gate.switch(tombstones(true, 1));
    assert_eq!(outcome(&writer, removes(4)).await, Outcome::Superseded);
    assert_eq!(outcome(&writer, removes(7)).await, Outcome::TombstoneWritten);
    let dead = plain([
        ("id", text("x")),
        // Under which switch-on it was left.
        (TOMBSTONE_ATTRIBUTE, number(1)),
        (VERSION_ATTRIBUTE, number(7)),
    ]);
    assert_eq!(only_item(&client, &table).await, Some(dead), "and nothing else");
    for late in [
        Guard::Absent,
        Guard::Older(v(6)),
        Guard::Older(v(7)),
        Guard::NotNewer(v(6)),
    ] {
        assert_eq!(
            outcome(&writer, puts(6, late)).await,
            Outcome::SupersededByTombstone
        );
    }
    assert_eq!(outcome(&writer, removes(6)).await, Outcome::SupersededByTombstone);
    assert_eq!(
        outcome(&writer, puts(7, Guard::NotNewer(v(7)))).await,
        Outcome::Written
    );

    writer.gate.switch(tombstones(false, 2));
    assert_eq!(outcome(&writer, removes(8)).await, Outcome::Written);
    assert_eq!(only_item(&client, &table).await, None);
    assert_eq!(outcome(&writer, removes(8)).await, Outcome::Written, "again");
    let repair = TargetWriter {
        always_leaves_tombstones: true,
        ..writer.clone()
    };
    assert_eq!(outcome(&repair, removes(8)).await, Outcome::TombstoneWritten);
    assert_eq!(writer.health.blocked(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_on_the_embedded_engine() {
    refusals(&Engine::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_on_genuine_dynamodb() {
    refusals(&Engine::genuine().await).await;
}

/// What DynamoDB never takes is answered, and not tried for ever.
async fn refusals(engine: &Engine) {
    let (client, table) = (engine.dynamodb(), unique("refusals"));
    create_with(&client, &table, &["id"], false).await;
    let writer = writer(&client, &table);
    for odd in [
        Value::Ss(vec![]),
        Value::s("x".repeat(400 * 1024)),
        (0..40).fold(Value::Null, |inner, _| Value::L(vec![inner])),
    ] {
        let mut write = puts(1, Guard::Any);
        if let WriteKind::Put(item) = &mut write.kind {
            item.insert("odd".into(), odd);
        }
        let answer = tokio::time::timeout(SOON, writer.write_copied(&write))
            .await
            .expect("no retries");
        assert!(matches!(answer, Err(SinkError::Rejected(_))), "{answer:?}");
    }
}

async fn until_blocked(health: &Health) -> String {
    let begun = Instant::now();
    loop {
        if let Some(reason) = health.blocked() {
            return reason;
        }
        assert!(begun.elapsed() < SOON, "it shows why it waits");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_waits_can_be_stopped() {
    let engine = Engine::embedded().await;
    let writer = writer(&engine.dynamodb(), &unique("missing"));
    let waiting = tokio::spawn({
        let writer = writer.clone();
        async move { writer.write_copied(&removes(1)).await }
    });
    let reason = until_blocked(&writer.health).await;
    assert!(reason.contains("ResourceNotFound"), "{reason}");
    writer.stop.cancel();
    let answer = tokio::time::timeout(SOON, waiting)
        .await
        .expect("soon")
        .expect("no panic");
    assert!(matches!(answer, Err(SinkError::Stop(_))), "{answer:?}");
    // Nothing starts after that.
    assert!(matches!(
        writer.write_copied(&removes(1)).await,
        Err(SinkError::Stop(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_of_the_tombstones_holds_for_what_is_tried_again() {
    for (from, to, expected) in [
        (false, true, Outcome::TombstoneWritten),
        (true, false, Outcome::Written),
    ] {
        let engine = Engine::embedded().await;
        let (client, table) = (engine.dynamodb(), unique("later"));
        let writer = TargetWriter {
            gate: Gate::new(tombstones(from, 1)).of(SERVICE),
            ..writer(&client, &table)
        };
        let waiting = tokio::spawn({
            let writer = writer.clone();
            async move { writer.write_copied(&removes(1)).await }
        });
        until_blocked(&writer.health).await;
        writer.gate.switch(tombstones(to, 2));
        create_with(&client, &table, &["id"], false).await;
        let answer = tokio::time::timeout(SOON, waiting)
            .await
            .expect("soon")
            .expect("no panic");
        assert_eq!(answer.expect("an answer").outcome, expected);
        assert_eq!(writer.gate.acknowledged(), 2);
        assert_eq!(only_item(&client, &table).await.is_some(), to);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_write_starts_under_a_lease_that_ends_before_it() {
    let engine = Engine::embedded().await;
    let (client, table) = (engine.dynamodb(), unique("leased"));
    create_with(&client, &table, &["id"], false).await;
    let second = Duration::from_secs(1);
    let lease = Validity::new(Clock::SYSTEM, Moment::now(Clock::SYSTEM), second, 2 * second);
    let writer = TargetWriter {
        fence: Fence::new([
            Validity::new(Clock::SYSTEM, Moment::now(Clock::SYSTEM), 600 * second, second),
            lease.clone(),
        ]),
        ..writer(&client, &table)
    };
    let write = puts(1, Guard::Any);
    let writing = writer.write_copied(&write);
    tokio::pin!(writing);
    assert!(tokio::time::timeout(second / 4, &mut writing).await.is_err());
    assert_eq!(only_item(&client, &table).await, None);
    lease.renew(Moment::now(Clock::SYSTEM), 600 * second);
    let landed = tokio::time::timeout(SOON, writing)
        .await
        .expect("soon")
        .expect("an answer");
    assert_eq!(landed.outcome, Outcome::Written);
}

#[tokio::test(flavor = "multi_thread")]
async fn sweeps_take_what_is_reserved_and_nothing_else() {
    for engine in [Engine::embedded().await, Engine::genuine().await] {
        let (client, table) = (engine.dynamodb(), unique("sweep"));
        create_with(&client, &table, &["id"], false).await;
        let buried = aws_sdk_dynamodb::types::AttributeValue::Bool(true);
        let with = |id: &str, attributes: &[(&str, aws_sdk_dynamodb::types::AttributeValue)]| {
            let mut item: SdkItem = [("id".to_owned(), text(id))].into();
            item.extend(
                attributes
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), value.clone())),
            );
            item
        };
        for item in [
            with(
                "dead",
                &[
                    (TOMBSTONE_ATTRIBUTE, buried.clone()),
                    (VERSION_ATTRIBUTE, number(7)),
                ],
            ),
            with("dead too", &[(TOMBSTONE_ATTRIBUTE, buried)]),
            with(
                "dead later",
                &[(TOMBSTONE_ATTRIBUTE, number(5)), (VERSION_ATTRIBUTE, number(7))],
            ),
            with("dead before", &[(TOMBSTONE_ATTRIBUTE, number(4))]),
            with("stamped", &[(VERSION_ATTRIBUTE, text("7")), ("a", number(1))]),
            with("plain", &[("a", number(1))]),
        ] {
            put(&client, &table, item).await;
        }
        let sweep = Sweep {
            client: client.clone(),
            table: table.clone(),
            keys: keys(),
            reads: Arc::default(),
            writes: Arc::default(),
            concurrency: Arc::new(ConcurrencyLimit::new(
                Duration::from_secs(5),
                &AccountLimit::default(),
            )),
            health: Arc::default(),
        };
        let swept = sweep.tombstones(5).await.expect("a sweep");
        assert_eq!(
            (swept.removed, swept.changed),
            (3, 1),
            "the later one is somebody else's"
        );
        assert_eq!(sweep.tombstones(6).await.expect("a sweep").removed, 1);
        assert_eq!(contents::read(&client, &table).await.len(), 2);
        let stripped = sweep.versions().await.expect("a sweep");
        assert_eq!((stripped.removed, stripped.changed), (1, 0));
        let left: Vec<_> = contents::read(&client, &table).await.into_values().collect();
        assert!(left.iter().all(|item| item.keys().eq(["a", "id"])), "{left:?}");
        assert_eq!(sweep.tombstones(u64::MAX).await.expect("a sweep").removed, 0);
    }
}
