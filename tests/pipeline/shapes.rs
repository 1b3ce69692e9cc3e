//! A service with several shapes and a number in its key: backfill, tail, and what fits no shape.

use super::running::{Running, text, with, without};
use crate::support::Engine;
use crate::support::contents::{Plain, PlainItem};
use crate::support::table::{create, item, number, put_all, text as value};
use dynasplit::backfill::BackfillOptions;

const PLAN: &str = concat!(
    "version: 1
split: shapes
source: { table: Source, keys: { partition: PK, sort: SK } }
timestamp: none
unrouted: fail
services:
",
    include_str!("../support/documents.yaml")
);

/// What an item means, by hand.
fn meaning(item: &PlainItem) -> Option<PlainItem> {
    let (pk, sk) = (text(item, "PK"), text(item, "SK"));
    let (id, version) = match (pk.strip_prefix("POLICY#"), pk.strip_prefix("DOC#")) {
        (Some(policy), _) => (format!("policy#{policy}"), sk.strip_prefix("V#")?),
        (_, Some(doc)) => (format!("doc#{doc}"), sk),
        _ => return None,
    };
    if version.starts_with('0') && version.len() > 1 {
        return None;
    }
    let number: bigdecimal::BigDecimal = version.parse().ok()?;
    let kept = match pk.starts_with("DOC#") {
        true => without(item, &["PK", "SK", "more"]),
        false => without(item, &["PK", "SK"]),
    };
    Some(with(
        with(kept, "id", Plain::Text(id)),
        "version",
        Plain::Number(number),
    ))
}

async fn write(running: &Running, values: std::ops::Range<u32>) {
    let items = values.flat_map(|n| {
        let more = [("n", number(n)), ("more", number(7)), ("kind", value("Policy"))];
        [
            item(&format!("POLICY#{}", n % 5), &format!("V#{n}"), more.clone()),
            item(&format!("DOC#{}", n % 5), &n.to_string(), more),
        ]
    });
    put_all(&running.client, running.source(), items).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_shape_arrives_under_its_own_key() {
    let engine = Engine::embedded().await;
    let mut running = Running::open(&engine, PLAN).await;
    create(&running.client, running.source()).await;
    write(&running, 0..60).await;
    running.begin().await;
    let (_, ()) = tokio::join!(
        running.backfill(BackfillOptions::default()),
        write(&running, 40..90)
    );
    let odd = item("DOC#1", "007", [("n", number(1))]);
    put_all(&running.client, running.source(), [odd]).await;
    running.drained().await;
    assert_eq!(running.held("documents").await.len(), 180);
    running.assert_holds("documents", meaning).await;
    let letters = running.letters("documents").await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert!(
        letters[0].1.contains("is not a number in plain digits: '007'"),
        "{letters:?}"
    );
    running.stop_tail().await;
}
