//! A service with several shapes is compared and repaired like any other.

use super::bench::{Bench, SOURCE, named, options, repairing};
use crate::support::contents::assert_same;
use crate::support::table::{SdkItem, item, number, text};

const TABLE: &str = "Documents";
const HEAD: &str = "version: 1
split: shapes
source: { table: Shop, keys: { partition: PK, sort: SK } }
timestamp: { attribute: at, type: N }
unrouted: fail
services:
";
const PROVEN: &str = include_str!("../support/documents.yaml");
/// Only an attribute that may change tells the shapes apart.
const VOUCHED: &str = "  - name: documents
    table: { name: Documents, keys: { partition: id, sort: { name: version, type: N } } }
    shapes:
      - where: kind = 'policy'
        transform:
          keys:
            from: { PK: '{id}', SK: '{version}' }
            to: { id: 'policy#{id}', version: '{version:N}' }
            vouch: the editor gives each document one kind
          drop: [PK, SK]
      - where: kind = 'doc'
        transform:
          keys:
            from: { PK: '{id}', SK: '{version}' }
            to: { id: 'doc#{id}', version: '{version:N}' }
          drop: [PK, SK]
";

fn target(id: &str, version: u32, at: u32) -> SdkItem {
    SdkItem::from([
        ("id".to_owned(), text(id)),
        ("version".to_owned(), number(version)),
        ("at".to_owned(), number(at)),
        ("kind".to_owned(), text("Policy")),
    ])
}

fn target_key(id: &str, version: u32) -> SdkItem {
    let mut key = target(id, version, 0);
    key.retain(|name, _| name == "id" || name == "version");
    key
}

#[tokio::test]
async fn differences_of_every_shape_are_found_and_repaired() {
    let bench = Bench::of(&format!("{HEAD}{PROVEN}")).await;
    let kind = || ("kind", text("Policy"));
    for n in 0..10 {
        let policy = item(
            &format!("POLICY#{n}"),
            &format!("V#{n}"),
            [("at", number(5)), kind()],
        );
        bench.put(SOURCE, policy).await;
        bench.put(TABLE, target(&format!("policy#{n}"), n, 5)).await;
        let doc = item(&format!("DOC#{n}"), &n.to_string(), [("at", number(5)), kind()]);
        bench.put(SOURCE, doc).await;
        bench.put(TABLE, target(&format!("doc#{n}"), n, 5)).await;
    }
    assert!(bench.verify(options()).await.clean);
    let expected = bench.contents(TABLE).await;

    bench.delete(TABLE, target_key("policy#1", 1)).await;
    bench.put(TABLE, target("doc#2", 2, 4)).await;
    // Extras: of each shape without a source, of the other shape's source, and of no shape at all.
    for (id, version) in [("doc#99", 1), ("policy#99", 1), ("doc#3", 4), ("other#1", 1)] {
        bench.put(TABLE, target(id, version, 5)).await;
    }
    let found = bench.verify(options()).await;
    assert_eq!(found.total_mismatches, 6, "{:?}", named(&found));
    let repaired = bench.verify(repairing()).await;
    assert_eq!(
        (repaired.repaired, repaired.unrepaired.total()),
        (6, 0),
        "{repaired:?}"
    );
    assert_same(&bench.contents(TABLE).await, &expected);
    assert!(bench.verify(options()).await.clean);
}

#[tokio::test]
async fn what_an_item_left_under_another_shape_is_an_extra() {
    let bench = Bench::of(&format!("{HEAD}{VOUCHED}")).await;
    let source = |id: &str, kind: &str| item(id, "1", [("at", number(5)), ("kind", text(kind))]);
    let with_kind = |id: &str, kind: &str| {
        let mut made = target(id, 1, 5);
        made.insert("kind".to_owned(), text(kind));
        made
    };
    bench.put(SOURCE, source("a", "doc")).await;
    bench.put(TABLE, with_kind("doc#a", "doc")).await;
    bench.put(SOURCE, source("b", "policy")).await;
    bench.put(TABLE, with_kind("policy#b", "policy")).await;
    let expected = bench.contents(TABLE).await;
    assert!(bench.verify(options()).await.clean);

    bench.put(TABLE, with_kind("policy#a", "policy")).await;
    let repaired = bench.verify(repairing()).await;
    assert_eq!(
        (repaired.repaired, repaired.unrepaired.total()),
        (1, 0),
        "{repaired:?}"
    );
    assert_same(&bench.contents(TABLE).await, &expected);
}
