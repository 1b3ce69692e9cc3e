//! The conditions of the sweeps: what they read may be something else by the time they remove it. Between the scan and
//! each removal somebody else writes the item.

use crate::support::table::{SdkItem, create_with, number, put, text};
use crate::support::{Engine, contents, unique};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::types::AttributeValue;
use dynasplit::dynamo::{AccountLimit, ConcurrencyLimit};
use dynasplit::model::{AttributeKind, KeyAttribute, KeySchema, TOMBSTONE_ATTRIBUTE, VERSION_ATTRIBUTE};
use dynasplit::target::Sweep;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// What stands under each key now: nothing, or an item.
type Now = BTreeMap<String, Option<SdkItem>>;

/// Writes each item as it is now just before the first request about it is sent.
#[derive(Debug)]
struct Meanwhile {
    other: Other,
    now: Mutex<Now>,
}

/// Somebody else who writes the table: a thread and a runtime of its own, since whoever waits for it stands still with all
/// that it has under way.
#[derive(Clone, Debug)]
struct Other(mpsc::Sender<(String, Option<SdkItem>, mpsc::Sender<()>)>);

impl Other {
    fn of(client: Client, table: String) -> Self {
        let (ask, asked) = mpsc::channel::<(String, Option<SdkItem>, mpsc::Sender<()>)>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                while let Ok((key, item, done)) = asked.recv() {
                    match item {
                        Some(item) => put(&client, &table, item).await,
                        None => {
                            let deleted = client.delete_item().table_name(&table);
                            deleted.key("id", text(&key)).send().await.expect("a delete");
                        }
                    }
                    done.send(()).expect("somebody waits");
                }
            });
        });
        Self(ask)
    }

    fn write(&self, key: &str, item: Option<SdkItem>) {
        let (done, written) = mpsc::channel();
        self.0.send((key.to_owned(), item, done)).expect("it lives");
        tokio::task::block_in_place(|| written.recv()).expect("it was written");
    }
}

impl Intercept for Meanwhile {
    fn name(&self) -> &'static str {
        "meanwhile"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.request().body().bytes().unwrap_or_default();
        let body: serde_json::Value = serde_json::from_slice(body)?;
        let Some(key) = body["Key"]["id"]["S"].as_str() else {
            return Ok(());
        };
        let Some(now) = self.now.lock().expect("not poisoned").remove(key) else {
            return Ok(());
        };
        self.other.write(key, now);
        Ok(())
    }
}

fn tombstone(marker: AttributeValue, version: Option<AttributeValue>) -> SdkItem {
    let mut item = SdkItem::from([(TOMBSTONE_ATTRIBUTE.to_owned(), marker)]);
    item.extend(version.map(|version| (VERSION_ATTRIBUTE.to_owned(), version)));
    item
}

fn versions() -> [Option<AttributeValue>; 4] {
    [None, Some(number(7)), Some(number(8)), Some(text("7"))]
}

/// Tombstones as they may be read: those of before epochs, those of two epochs.
fn tombstones() -> Vec<SdkItem> {
    let markers = || [AttributeValue::Bool(true), number(4), number(5)];
    versions()
        .into_iter()
        .flat_map(|version| markers().map(|marker| tombstone(marker, version.clone())))
        .collect()
}

fn live() -> Vec<SdkItem> {
    let bare = SdkItem::from([("a".to_owned(), number(1))]);
    versions()
        .into_iter()
        .map(|version| {
            let mut item = bare.clone();
            item.extend(version.map(|version| (VERSION_ATTRIBUTE.to_owned(), version)));
            item
        })
        .collect()
}

/// Every state that is read with every state that is met.
fn pairs(read: &[SdkItem], met: &[Option<SdkItem>]) -> Vec<(String, SdkItem, Option<SdkItem>)> {
    let mut pairs = vec![];
    for read in read {
        for met in met {
            let key = format!("item {}", pairs.len());
            let named = |item: &SdkItem| {
                let mut item = item.clone();
                item.insert("id".to_owned(), text(&key));
                item
            };
            pairs.push((key.clone(), named(read), met.as_ref().map(named)));
        }
    }
    pairs
}

async fn sweep(engine: &Engine, pairs: &[(String, SdkItem, Option<SdkItem>)]) -> Sweep {
    let client = &engine.dynamodb();
    let table = unique("swept");
    create_with(client, &table, &["id"], false).await;
    for (_, read, _) in pairs {
        put(client, &table, read.clone()).await;
    }
    let meanwhile = Meanwhile {
        other: Other::of(engine.dynamodb(), table.clone()),
        now: Mutex::new(
            pairs
                .iter()
                .map(|(key, _, met)| (key.clone(), met.clone()))
                .collect(),
        ),
    };
    let config = client.config().to_builder().interceptor(meanwhile).build();
    let partition = KeyAttribute {
        name: "id".into(),
        kind: AttributeKind::S,
    };
    Sweep {
        client: Client::from_conf(config),
        table,
        keys: KeySchema {
            partition,
            sort: None,
        },
        reads: Arc::default(),
        writes: Arc::default(),
        concurrency: Arc::new(ConcurrencyLimit::new(
            Duration::from_secs(5),
            &AccountLimit::default(),
        )),
        health: Arc::default(),
    }
}

/// What the table should hold: what was met, but for what the sweep made of it.
async fn holds(
    client: &Client,
    table: &str,
    pairs: &[(String, SdkItem, Option<SdkItem>)],
    swept: impl Fn(&SdkItem, &SdkItem) -> Option<SdkItem>,
) {
    let expected = pairs
        .iter()
        .filter_map(|(key, read, met)| {
            let left = swept(read, met.as_ref()?)?;
            Some((
                vec![contents::Plain::Text(key.clone())],
                contents::plain_item(&left),
            ))
        })
        .collect();
    contents::assert_same(&contents::read(client, table).await, &expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_is_removed_only_while_it_is_the_one_that_was_read() {
    for engine in [Engine::embedded().await, Engine::genuine().await] {
        let client = engine.dynamodb();
        let buried = tombstones();
        let met: Vec<_> = [None]
            .into_iter()
            .chain(buried.iter().chain(&live()).cloned().map(Some))
            .collect();
        let pairs = pairs(&buried, &met);
        let sweep = sweep(&engine, &pairs).await;
        let swept = sweep.tombstones(9).await.expect("a sweep");
        assert_eq!((swept.removed, swept.changed), (12, 12 * 16));
        holds(&client, &sweep.table, &pairs, |read, met| {
            (read != met).then(|| met.clone())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_stripped_only_while_it_is_the_one_that_was_read() {
    for engine in [Engine::embedded().await, Engine::genuine().await] {
        let client = engine.dynamodb();
        let versioned: Vec<_> = live()
            .into_iter()
            .filter(|item| item.contains_key(VERSION_ATTRIBUTE))
            .collect();
        let met: Vec<_> = [None].into_iter().chain(live().into_iter().map(Some)).collect();
        let pairs = pairs(&versioned, &met);
        let sweep = sweep(&engine, &pairs).await;
        let swept = sweep.versions().await.expect("a sweep");
        assert_eq!((swept.removed, swept.changed), (3, 3 * 4));
        holds(&client, &sweep.table, &pairs, |read, met| {
            let mut left = met.clone();
            if read == met {
                left.remove(VERSION_ATTRIBUTE);
            }
            Some(left)
        })
        .await;
    }
}
