//! A split that runs, and what its targets should hold.

use crate::support::contents::{self, Contents, Plain, PlainItem};
use crate::support::{Engine, unique};
use dynasplit::backfill::{Backfill, BackfillOptions, BackfillReport};
use dynasplit::dynamo::Clock;
use dynasplit::dynamo::{Clients, Endpoint, Timing};
use dynasplit::lifecycle::apply;
use dynasplit::plan::Plan;
use dynasplit::status::LaneStatus;
use dynasplit::tail::{Ended, Tail, TailOptions};
use dynasplit::worker::{RunError, Split};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Attributes of the product's own begin so, and nobody else's may.
const OWN: &str = "dynasplit:";
const TOMBSTONE: &str = "dynasplit:tombstone";
/// Nothing takes longer, or its test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A split with its tables.
pub struct Running {
    pub split: Split,
    pub client: aws_sdk_dynamodb::Client,
    prefix: String,
    endpoint: Endpoint,
    tail: Option<RunningTail>,
}

struct RunningTail {
    stop: CancellationToken,
    lanes: watch::Receiver<Vec<LaneStatus>>,
    task: JoinHandle<Result<Ended, RunError>>,
}

impl Running {
    /// Opens a plan on an engine; its tables get a prefix, since others may use the engine. Nothing is sent yet.
    pub async fn open(engine: &Engine, plan: &str) -> Self {
        let endpoint = Endpoint {
            url: Some(engine.endpoint().to_owned()),
            anonymous: true,
            ..Endpoint::default()
        };
        let prefix = format!("{}-", unique("pipeline"));
        Self {
            split: Box::pin(opened(plan, &prefix, &endpoint)).await,
            client: engine.dynamodb(),
            prefix,
            endpoint,
            tail: None,
        }
    }

    /// Goes on with an edited plan.
    pub async fn replan(&mut self, plan: &str) {
        self.split = Box::pin(opened(plan, &self.prefix, &self.endpoint)).await;
    }

    /// The source's name.
    pub fn source(&self) -> &str {
        &self.split.plan.source.table
    }

    /// The name of a service's table.
    pub fn target(&self, service: &str) -> &str {
        &self.split.plan.service(service).unwrap().table.name
    }

    /// Creates what is missing.
    pub async fn apply(&self) {
        apply(
            &self.split,
            dynasplit::lifecycle::ApplyOptions::default(),
            &|_| {},
        )
        .await
        .unwrap();
    }

    /// Starts a tail, and returns when the stream is captured for every lane.
    pub async fn start_tail(&mut self, options: TailOptions) {
        let stop = CancellationToken::new();
        let (tail, mut lanes) = Tail::new(self.split.clone(), options, stop.clone());
        let task = tokio::spawn(tail.run());
        let captured =
            |lanes: &Vec<LaneStatus>| !lanes.is_empty() && lanes.iter().all(|lane| lane.lag_ms.is_some());
        let seen = tokio::time::timeout(PATIENCE, lanes.wait_for(captured)).await;
        if !seen.is_ok_and(|seen| seen.is_ok()) {
            panic!("the tail did not capture: {:?}", task.await);
        }
        self.tail = Some(RunningTail { stop, lanes, task });
    }

    /// Applies and starts a tail.
    pub async fn begin(&mut self) {
        self.apply().await;
        self.start_tail(TailOptions::default()).await;
    }

    /// Runs a backfill to its end.
    pub async fn backfill(&self, options: BackfillOptions) -> BackfillReport {
        let (backfill, _) = Backfill::new(self.split.clone(), options, CancellationToken::new());
        backfill.run().await.unwrap()
    }

    /// What a lane of the tail says.
    pub fn lane(&self, service: &str) -> LaneStatus {
        let lanes = self.tail.as_ref().unwrap().lanes.borrow();
        lanes.iter().find(|lane| lane.lane == service).unwrap().clone()
    }

    /// Waits until every write that was made before is in the targets. Answers how long that took.
    pub async fn drained(&mut self) -> Duration {
        let began = Instant::now();
        let asked_ms = Clock::SYSTEM.now_ms();
        let tail = self.tail.as_mut().unwrap();
        let drained = |lanes: &Vec<LaneStatus>| {
            lanes.iter().all(|lane| {
                lane.lag_ms
                    .is_some_and(|lag| Clock::SYSTEM.now_ms().saturating_sub(lag) >= asked_ms)
            })
        };
        let seen = tokio::time::timeout(PATIENCE, tail.lanes.wait_for(drained)).await;
        if !seen.is_ok_and(|seen| seen.is_ok()) {
            panic!("not drained: {:?}", tail.lanes.borrow());
        }
        began.elapsed()
    }

    /// Stops the tail: everything is saved when this returns.
    pub async fn stop_tail(&mut self) {
        let tail = self.tail.take().unwrap();
        tail.stop.cancel();
        assert_eq!(tail.task.await.unwrap().unwrap(), Ended::Stopped);
    }

    /// Source keys and reasons of the dead letters of a service.
    pub async fn letters(&self, service: &str) -> Vec<(serde_json::Value, String)> {
        let letters = self.split.dead_letters.list(Some(service)).await.unwrap();
        letters
            .into_iter()
            .map(|letter| (letter.key, letter.reason))
            .collect()
    }

    /// Compares a target with what the source's items mean for it: nothing, or an item.
    pub async fn assert_holds(&self, service: &str, meaning: impl Fn(&PlainItem) -> Option<PlainItem>) {
        let source = contents::read(&self.client, self.source()).await;
        let keys = &self.split.plan.service(service).unwrap().keys;
        let mut expected = Contents::new();
        for item in source.values().filter_map(meaning) {
            let key = keys.attributes().map(|key| item[&key.name].clone()).collect();
            let twice = expected.insert(key, item);
            assert!(
                twice.is_none(),
                "the test's own meaning puts two items under one key"
            );
        }
        contents::assert_same(&self.held(service).await, &expected);
    }

    /// What a target holds, without the product's own attributes; it must hold no tombstone.
    pub async fn held(&self, service: &str) -> Contents {
        let mut held = contents::read(&self.client, self.target(service)).await;
        for (key, item) in &mut held {
            assert!(!item.contains_key(TOMBSTONE), "a tombstone was left at {key:?}");
            item.retain(|name, _| !name.starts_with(OWN));
        }
        held
    }
}

async fn opened(plan: &str, prefix: &str, endpoint: &Endpoint) -> Split {
    let plan = Plan::parse(plan, "plan.yaml").unwrap_or_else(|error| panic!("{error}"));
    let clients = Clients::load(endpoint, Timing::LOCAL)
        .await
        .expect("the clients are made");
    Split::open(plan.prefixed(prefix), &clients).await
}

/// A text of an item.
pub fn text<'a>(item: &'a PlainItem, name: &str) -> &'a str {
    match item.get(name) {
        Some(Plain::Text(text)) => text,
        other => panic!("{name} is {other:?}"),
    }
}

/// An item without some attributes.
pub fn without(item: &PlainItem, names: &[&str]) -> PlainItem {
    let mut item = item.clone();
    item.retain(|name, _| !names.contains(&name.as_str()));
    item
}

/// An item with only some attributes.
pub fn only(item: &PlainItem, names: &[&str]) -> PlainItem {
    let kept = item.iter().filter(|(name, _)| names.contains(&name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone()))
        .collect::<BTreeMap<_, _>>()
}

/// With another attribute.
pub fn with(mut item: PlainItem, name: &str, value: Plain) -> PlainItem {
    item.insert(name.to_owned(), value);
    item
}
