//! A split by hand: a source, three services' tables, and the state as it is after a backfill.

use super::proxy::{Proxy, Rule};
use crate::support::Engine;
use crate::support::contents::{Contents, read};
use crate::support::table::{self, SdkItem, create, item, number, put, text};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use dynasplit::dynamo::{Clients, Endpoint, Timing};
use dynasplit::model::{Key, Position, Value};
use dynasplit::plan::Plan;
use dynasplit::state::{
    BackfillRecord, LaneState, Lease, Owner, ServiceRecord, ShardRecord, SplitRecord, VerifyRecord,
    WorkerRecord,
};
use dynasplit::target::ensure;
use dynasplit::verify::{Verify, VerifyOptions, VerifyResult, VerifyView};
use dynasplit::worker::{RunError, Split};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PLAN: &str = "version: 1
split: shop
source: { table: Shop, keys: { partition: PK, sort: SK } }
timestamp: { attribute: at, type: N }
unrouted: { left-behind: \"begins_with(PK, 'STAYS#') OR attribute_exists(moved)\" }
services:
  - name: orders
    where: begins_with(PK, 'ORDER#') AND attribute_not_exists(moved)
    table: { name: Orders, keys: { partition: PK, sort: SK }, ttl: expires }
  - name: carts
    where: begins_with(PK, 'CART#')
    table: { name: Carts, keys: { partition: cart, sort: line } }
    transform:
      keys:
        from: { PK: 'CART#{cart}', SK: '{line}' }
        to: { cart: '{cart}', line: '{line}' }
  - name: users
    where: begins_with(PK, 'USER#')
    table: { name: Users, keys: { partition: email } }
    transform:
      keys:
        from: { email: '{email}' }
        to: { email: '{email}' }
        vouch: sign-up refuses a second account
";

pub const SOURCE: &str = "Shop";
pub const ORDERS: &str = "Orders";
pub const CARTS: &str = "Carts";
pub const USERS: &str = "Users";
/// How long a difference must stand, where nothing is late.
const PATIENCE: Duration = Duration::from_millis(1200);

pub struct Bench {
    // Ends with the bench.
    _engine: Engine,
    pub client: Client,
    pub split: Split,
}

impl Bench {
    pub async fn new() -> Self {
        let engine = Engine::embedded().await;
        let endpoint = engine.endpoint().to_owned();
        Box::pin(Self::over(engine, endpoint, quick(), PLAN)).await
    }

    /// For what a machine that stands still for a moment must not change.
    pub async fn patient() -> Self {
        let engine = Engine::embedded().await;
        let endpoint = engine.endpoint().to_owned();
        Box::pin(Self::over(engine, endpoint, patient(), PLAN)).await
    }

    /// Of another plan, whose source is [`SOURCE`] too.
    pub async fn of(plan: &str) -> Self {
        let engine = Engine::embedded().await;
        let endpoint = engine.endpoint().to_owned();
        Box::pin(Self::over(engine, endpoint, patient(), plan)).await
    }

    /// With a proxy between the product, which is patient, and the engine.
    pub async fn behind(rule: Rule) -> (Self, Proxy) {
        let engine = Engine::embedded().await;
        let proxy = Proxy::before(engine.endpoint(), rule).await;
        let endpoint = proxy.endpoint.clone();
        (
            Box::pin(Self::over(engine, endpoint, patient(), PLAN)).await,
            proxy,
        )
    }

    async fn over(engine: Engine, endpoint: String, timing: Timing, plan: &str) -> Self {
        let client = engine.dynamodb();
        create(&client, SOURCE).await;
        let endpoint = Endpoint {
            url: Some(endpoint),
            anonymous: true,
            ..Endpoint::default()
        };
        let clients = Clients::load(&endpoint, timing)
            .await
            .expect("the clients are made");
        let plan = Plan::parse(plan, "plan.yaml").unwrap_or_else(|error| panic!("{error}"));
        let split = Split::open(plan, &clients).await;
        for (service, tables) in split.services() {
            ensure(
                &tables.control,
                &service.table,
                &service.keys,
                &service.indexes,
                dynasplit::target::TableStream::Unused,
                &|_| (),
            )
            .await
            .unwrap();
        }
        let bench = Self {
            _engine: engine,
            client,
            split,
        };
        bench.state().await;
        bench
    }

    async fn state(&self) {
        let split = &self.split;
        split.store.ensure_table(&split.source.control).await.unwrap();
        let mut record = SplitRecord::beginning(&split.plan, "arn:by-hand", 1);
        record.streams[0].captured_ms = Some(1);
        split.store.put(SplitRecord::NAME, record, 0).await.unwrap();
        for service in &split.plan.services {
            let record = ServiceRecord {
                captured_ms: Some(1),
                ..ServiceRecord::beginning(service)
            };
            let name = ServiceRecord::record_name(&service.name);
            split.store.put(&name, record, 0).await.unwrap();
        }
        self.drained().await;
        self.backfill(Some(2)).await;
    }

    /// One shard, which every lane has read to its end: nothing is still to come, and no worker is missing.
    async fn drained(&self) {
        let lanes = self.split.lanes().into_iter();
        let record = ShardRecord {
            generation: 1,
            shard: "by-hand".into(),
            parent: None,
            lease: Lease::default(),
            beat: 0,
            lanes: lanes
                .map(|lane| (lane, LaneState::starting(Position::End, 1)))
                .collect(),
        };
        let name = ShardRecord::record_name(1, "by-hand");
        self.split.store.put(&name, record, 0).await.unwrap();
    }

    /// From now on, every lane has a shard to read, and is complete up to now: a worker lives and reads it.
    pub async fn following(&self) -> u64 {
        let now_ms = self.split.now_ms();
        self.complete_to(now_ms).await;
        let worker = WorkerRecord {
            kind: "tail".into(),
            lease: Lease::held_by(&Owner("by-hand".into()), self.split.timing.lease),
            beat: 1,
            acknowledged_epoch: 0,
            seen_ms: now_ms,
            services: self
                .split
                .plan
                .services
                .iter()
                .map(|service| service.name.clone())
                .collect(),
            fingerprint: String::new(),
            routes: BTreeMap::new(),
            chaos: None,
        };
        let name = format!("{}by-hand", WorkerRecord::PREFIX);
        self.split.store.set(&name, &worker).await.unwrap();
        now_ms
    }

    /// Every lane has an open shard, and is complete up to this time.
    pub async fn complete_to(&self, at_ms: u64) {
        let lanes = self.split.lanes().into_iter();
        let record = ShardRecord {
            generation: 1,
            shard: "by-hand".into(),
            parent: None,
            lease: Lease::held_by(&Owner("by-hand".into()), self.split.timing.lease),
            beat: 0,
            lanes: lanes
                .map(|lane| (lane, LaneState::starting(Position::Beginning, at_ms)))
                .collect(),
        };
        let name = ShardRecord::record_name(1, "by-hand");
        self.split.store.set(&name, &record).await.unwrap();
    }

    /// Sets when the backfill was finished.
    pub async fn backfill(&self, finished_ms: Option<u64>) {
        let record = BackfillRecord {
            order: dynasplit::state::Order::Concurrent,
            order_reason: String::new(),
            export: None,
            import: None,
            segments: 1,
            services: self.split.lanes(),
            round: Vec::new(),
            started_ms: 1,
            before_ms: None,
            finished_ms,
            estimated_items: 0,
        };
        self.split.store.set(BackfillRecord::NAME, &record).await.unwrap();
    }

    pub async fn put(&self, table: &str, item: SdkItem) {
        put(&self.client, table, item).await;
    }

    /// Puts an item into the source and, as it should be, into its target.
    pub async fn put_both(&self, source: SdkItem) {
        let (table, target) = target_of(&source);
        self.put(SOURCE, source).await;
        self.put(table, target).await;
    }

    pub async fn delete(&self, table: &str, key: SdkItem) {
        table::delete(&self.client, table, key).await;
    }

    /// Some of everything, the same on both sides.
    pub async fn fill(&self) {
        for n in 0..30 {
            self.put_both(order(n, 1)).await;
            self.put_both(cart(n, 1)).await;
            self.put_both(user(n, &format!("u{n}@x"))).await;
        }
        self.put(SOURCE, item("STAYS#1", "x", [])).await;
    }

    pub fn start(
        &self,
        options: VerifyOptions,
    ) -> (
        JoinHandle<Result<VerifyResult, RunError>>,
        watch::Receiver<VerifyView>,
    ) {
        let (verify, view) = Verify::new(self.split.clone(), options, CancellationToken::new());
        (tokio::spawn(verify.run()), view)
    }

    pub async fn verify(&self, options: VerifyOptions) -> VerifyResult {
        self.start(options).0.await.unwrap().unwrap()
    }

    pub async fn refused(&self, options: VerifyOptions) -> String {
        let error = self.start(options).0.await.unwrap().unwrap_err();
        error.to_string()
    }

    pub async fn record(&self) -> VerifyRecord {
        let found = self
            .split
            .store
            .get::<VerifyRecord>(VerifyRecord::NAME)
            .await
            .unwrap();
        found.unwrap().value
    }

    pub async fn split_record(&self) -> SplitRecord {
        SplitRecord::read(&self.split.store).await.unwrap().value
    }

    pub async fn contents(&self, table: &str) -> Contents {
        read(&self.client, table).await
    }
}

/// Nobody is waited for for long.
fn quick() -> Timing {
    Timing {
        margin: Duration::from_millis(200),
        ..Timing::LOCAL.with_lease(Duration::from_millis(1200))
    }
}

/// An answer may take two seconds, and a sign of life six.
fn patient() -> Timing {
    Timing {
        attempt: Duration::from_secs(2),
        lease: Duration::from_secs(6),
        ..quick()
    }
}

pub fn options() -> VerifyOptions {
    VerifyOptions {
        patience: Some(PATIENCE),
        segments: Some(3),
        ..VerifyOptions::default()
    }
}

pub fn repairing() -> VerifyOptions {
    VerifyOptions {
        repair: true,
        // The tests damage the targets by hand.
        discard_target_writes: true,
        ..options()
    }
}

/// Waits for a phase of a verification.
pub async fn phase(view: &mut watch::Receiver<VerifyView>, phase: &str) {
    view.wait_for(|view| view.phase == phase).await.unwrap();
}

/// Service, class, target key and source keys of each mismatch.
pub fn named(result: &VerifyResult) -> BTreeSet<String> {
    let of = |mismatch: &dynasplit::verify::compare::Mismatch| {
        let sources: Vec<String> = mismatch.source_keys.iter().map(Key::to_string).collect();
        format!(
            "{} {} {} <- {}",
            mismatch.service,
            mismatch.class,
            mismatch.target_key,
            sources.join(" + ")
        )
    };
    result.mismatches.iter().map(of).collect()
}

pub fn order(n: u32, at: u64) -> SdkItem {
    item(&format!("ORDER#{n}"), "x", [("at", number(at)), ("n", number(n))])
}

pub fn cart(n: u32, at: u64) -> SdkItem {
    item(&format!("CART#{n}"), "x", [("at", number(at)), ("n", number(n))])
}

pub fn user(n: u32, email: &str) -> SdkItem {
    item(
        &format!("USER#{n}"),
        "x",
        [("at", number(1)), ("email", text(email))],
    )
}

pub fn with(mut item: SdkItem, name: &str, value: AttributeValue) -> SdkItem {
    item.insert(name.into(), value);
    item
}

/// The plan's meaning, said a second time.
pub fn target_of(source: &SdkItem) -> (&'static str, SdkItem) {
    let pk = source["PK"].as_s().unwrap().clone();
    let mut target = source.clone();
    match pk.split_once('#').unwrap() {
        ("ORDER", _) => (ORDERS, target),
        ("USER", _) => (USERS, target),
        ("CART", cart) => {
            target.insert("cart".into(), text(cart));
            target.insert("line".into(), source["SK"].clone());
            (CARTS, target)
        }
        other => panic!("{other:?}"),
    }
}

/// The key of a target item.
pub fn target_key(table: &str, target: &SdkItem) -> SdkItem {
    let names: &[&str] = match table {
        ORDERS => &["PK", "SK"],
        CARTS => &["cart", "line"],
        _ => &["email"],
    };
    names
        .iter()
        .map(|name| ((*name).to_owned(), target[*name].clone()))
        .collect()
}

pub fn key(text: &str) -> Key {
    Key {
        partition: Value::s(text),
        sort: None,
    }
}
