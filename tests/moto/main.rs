//! What the import order asks of S3 and of DynamoDB, on an imitation of AWS that shares no code with this project: `moto_server`.
//! `.ci/moto` starts it and runs these tests.
//!
//! A whole rehearsal cannot run there: moto 5.2.5 does not know `ListImports`, ignores the condition of a copy, and its PartiQL fails on
//! parameters within documents, which the state table needs.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use dynasplit::dynamo::{Clients, Endpoint, Tables, Timing, convert};
use dynasplit::model::{Compression, Item, Packer, Value, json};
use dynasplit::plan::Plan;
use dynasplit::s3::{Bucket, PutIf};
use dynasplit::target::{
    DescribedImport, ImportPlace, ImportRequest, ImportStatus, describe_import, request_import,
};

const PLAN: &str = include_str!("../../plans/online-learning.yaml");
/// Nothing takes longer, or it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Clients of the server, with a bucket of this name.
async fn server(bucket: &str) -> Tables {
    let url =
        std::env::var("DYNASPLIT_MOTO").expect("DYNASPLIT_MOTO is the URL of a moto_server: run .ci/moto");
    let endpoint = Endpoint {
        url: Some(url),
        anonymous: true,
        ..Endpoint::default()
    };
    let clients = Clients::load(&endpoint, Timing::LIVE).await.expect("clients");
    let tables = clients.at(None, None).await;
    let created = tables.objects.create_bucket().bucket(bucket).send().await;
    created.expect("the bucket is created");
    tables
}

/// Items of the table `Progress`, with each kind of value. (moto reads the objects by a JSON parser of its own, which knows no escapes.)
fn items() -> Vec<Item> {
    let item = |n: u32| {
        let text = serde_json::json!({
            "userId": { "S": format!("user-{n}") }, "coursePlace": { "S": format!("course-{}#x", n % 7) },
            "course": { "S": format!("course-{}", n % 7) }, "updatedAt": { "S": "2026-11-30T00:00:00.000Z" },
            "percent": { "N": "12.5" }, "completed": { "BOOL": n.is_multiple_of(2) }, "nothing": { "NULL": true },
            "bytes": { "B": "AAEC" }, "list": { "L": [{ "S": "ü" }, { "M": { "deep": { "N": "-1" } } }] },
            "words": { "SS": ["a", "b"] }
        });
        json::item_from_json(text).expect("an item")
    };
    (0..500).map(item).collect()
}

/// As objects of an import, packed as the product packs them.
fn packed(items: &[Item], compression: Compression) -> Vec<u8> {
    let mut packed = Packer::new(compression, Vec::new()).expect("memory");
    let mut line = Vec::new();
    for item in items {
        json::item_line(item, &mut line);
        packed.write_all(&line).expect("bytes");
    }
    packed.finish().expect("bytes")
}

async fn ended(tables: &Tables, arn: &str) -> DescribedImport {
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            let described = describe_import(&tables.control, arn)
                .await
                .expect("it is described");
            if described.status != ImportStatus::InProgress {
                return described;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    waited.await.expect("the import ends in time")
}

fn by_key(items: impl IntoIterator<Item = Item>) -> BTreeMap<String, String> {
    let text = |value: Option<&Value>| format!("{value:?}");
    let keyed = items.into_iter().map(|item| {
        let key = text(item.get("userId"));
        (key, json::item_to_json(&item).to_string())
    });
    keyed.collect()
}

#[tokio::test]
async fn objects_have_the_conditions_that_imports_and_the_ledger_need() {
    let tables = server("conditions").await;
    let bucket = Bucket::new(&tables, None, "conditions", None);
    let etag = bucket.put("a/x", b"first", PutIf::Absent).await.expect("a write");
    let etag = etag.expect("nothing was there");
    assert_eq!(
        bucket
            .put("a/x", b"second", PutIf::Absent)
            .await
            .expect("an answer"),
        None
    );
    assert_eq!(bucket.etag("a/x").await.expect("an ETag"), etag);
    assert_eq!(
        bucket.put_new("a/x", b"first").await.expect("the same object"),
        etag
    );
    // moto ignores x-amz-copy-source-if-match, so `backfill` refuses it: nothing can be shown of a copy whose condition does not hold.
    let other = "0".repeat(32);
    assert_eq!(
        bucket.copy("a/x", &etag, "a/y").await.expect("a copy"),
        Some(etag)
    );
    assert_eq!(
        bucket.copy("a/none", &other, "a/z").await.expect("an answer"),
        None
    );
    let listed = bucket.list("a/").await.expect("a list");
    let keys: Vec<&str> = listed.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(keys, ["a/x", "a/y"]);
    assert_eq!(bucket.folders("").await.expect("folders"), ["a/"]);
    let stored = bucket
        .stored("a/y", 100)
        .await
        .expect("an answer")
        .expect("an object");
    assert_eq!(stored.bytes, b"first");
    assert!(bucket.stored("a/z", 100).await.expect("an answer").is_none());
}

/// Imports the items in this form to a table of this name, and waits for the end.
async fn import(name: &str, items: &[Item], compression: Compression) -> (Tables, DescribedImport) {
    let bucket_name = name.to_lowercase();
    let tables = server(&bucket_name).await;
    let plan = PLAN.replace("name: Progress\n", &format!("name: {name}\n"));
    let plan = Plan::parse(&plan, "plan.yaml").expect("a plan");
    let service = plan.service(name).expect("a service");
    let bucket = Bucket::new(&tables, None, &bucket_name, None);
    let ending = compression.ending();
    for (n, part) in items.chunks(200).enumerate() {
        let key = format!("import/{n:06}{ending}");
        let text = packed(part, compression);
        bucket.put_new(&key, &text).await.expect("a write");
    }
    let other = format!("other/x{ending}");
    bucket
        .put_new(&other, b"not of this import")
        .await
        .expect("a write");
    let request = ImportRequest {
        spec: &service.table,
        keys: &service.keys,
        indexes: &service.indexes,
        from: ImportPlace {
            bucket: &bucket_name,
            owner: None,
            prefix: "import/",
        },
        compression,
        token: name,
    };
    let asked = request_import(&tables.control, &request).await;
    let import = ended(&tables, &asked.expect("an import").arn).await;
    (tables, import)
}

async fn is_made(name: &str, compression: Compression) {
    let items = items();
    let (tables, import) = import(name, &items, compression).await;
    assert_eq!(import.status, ImportStatus::Completed, "{import:?}");
    assert_eq!(
        (import.processed_items, import.imported_items, import.errors),
        (500, 500, 0),
        "{import:?}"
    );
    let described = tables.control.describe_table().table_name(name).send().await;
    let described = described
        .expect("the table is there")
        .table
        .expect("a description");
    let indexes: Vec<&str> = described
        .global_secondary_indexes()
        .iter()
        .filter_map(|index| index.index_name())
        .collect();
    assert_eq!(indexes, ["by-course"]);
    let scan = tables
        .items
        .scan()
        .table_name(name)
        .into_paginator()
        .items()
        .send();
    let found: Vec<_> = scan.try_collect().await.expect("a scan");
    let found = found
        .into_iter()
        .map(|item| convert::item_from_sdk(item).expect("an item"));
    assert_eq!(by_key(found), by_key(items));
}

#[tokio::test]
async fn a_table_is_made_of_objects_with_its_keys_and_indexes_and_every_value() {
    is_made("Packed", Compression::Gzip).await;
}

#[tokio::test]
async fn a_table_is_made_of_objects_that_are_not_compressed() {
    is_made("Plain", Compression::None).await;
}

/// If this fails, moto has learned zstd: then the test above can run with it, and docs/s3.md must say so.
#[tokio::test]
async fn moto_does_not_unpack_zstd() {
    let (_, import) = import("Zstd", &items(), Compression::Zstd).await;
    assert!(matches!(import.status, ImportStatus::Failed(_)), "{import:?}");
    assert_eq!(import.imported_items, 0, "{import:?}");
}
