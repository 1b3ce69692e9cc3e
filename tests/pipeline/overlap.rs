//! One item in several services with different shapes; items that move from one to another; what is left behind, and
//! what nobody takes.

use super::running::{Running, only, text, with, without};
use crate::support::Engine;
use crate::support::contents::{Plain, PlainItem};
use crate::support::long::in_the_long_run;
use crate::support::table::{SdkItem, create, delete, item, key, number, put, put_all, text as string};
use dynasplit::backfill::BackfillOptions;
use dynasplit::state::ShardRecord;

/// `client` and `common` share items; `open` and `closed` pass tickets to one another; `mail` has a key that is vouched
/// for, and changes.
const PLAN: &str = "
version: 1
split: overlap
source:
  table: Office
  keys: { partition: PK, sort: SK }
timestamp: none
unrouted:
  left-behind: begins_with(PK, 'OLD#')
services:
  - name: client
    where: begins_with(PK, 'CLIENT#')
    table:
      name: Client
      keys: { partition: client }
    transform:
      keys:
        from: { PK: 'CLIENT#{id}', SK: 'INFO' }
        to: { client: '{id}' }
      drop: [PK, SK]
  - name: common
    where: begins_with(PK, 'CLIENT#') AND attribute_exists(name)
    table:
      name: Common
      keys: { partition: PK, sort: SK }
    transform:
      keep: [name]
  - name: open
    where: begins_with(PK, 'TICKET#') AND status = 'open'
    table:
      name: Open
      keys: { partition: PK, sort: SK }
  - name: closed
    where: begins_with(PK, 'TICKET#') AND status <> 'open'
    table:
      name: Closed
      keys: { partition: PK, sort: SK }
  - name: mail
    where: begins_with(PK, 'CLIENT#') AND attribute_exists(email)
    table:
      name: Mail
      keys: { partition: address }
    transform:
      keys:
        from: { email: '{address}' }
        to: { address: '{address}' }
        vouch: the application lets nobody register an address twice
      keep: [name]
";

fn client(n: u32, visits: u32, email: &str) -> SdkItem {
    item(
        &format!("CLIENT#{n}"),
        "INFO",
        [
            ("name", string(format!("Client {n}"))),
            ("visits", number(visits)),
            ("email", string(email)),
        ],
    )
}

fn ticket(n: u32, status: &str) -> SdkItem {
    item(&format!("TICKET#{n}"), "x", [("status", string(status))])
}

fn is(item: &PlainItem, prefix: &str) -> bool {
    text(item, "PK").starts_with(prefix)
}

async fn assert_split(running: &Running) {
    running
        .assert_holds("client", |item| {
            is(item, "CLIENT#").then(|| {
                let id = text(item, "PK").trim_start_matches("CLIENT#").to_owned();
                with(without(item, &["PK", "SK"]), "client", Plain::Text(id))
            })
        })
        .await;
    running
        .assert_holds("common", |item| {
            is(item, "CLIENT#").then(|| only(item, &["PK", "SK", "name"]))
        })
        .await;
    for service in ["open", "closed"] {
        running
            .assert_holds(service, |item| {
                (is(item, "TICKET#") && (text(item, "status") == "open") == (service == "open"))
                    .then(|| item.clone())
            })
            .await;
    }
    running
        .assert_holds("mail", |item| {
            let address = item.get("email").filter(|_| is(item, "CLIENT#"))?;
            Some(with(only(item, &["name"]), "address", address.clone()))
        })
        .await;
}

async fn shapes_and_moves(engine: &Engine) {
    let mut running = Running::open(engine, PLAN).await;
    let (client_, source) = (running.client.clone(), running.source().to_owned());
    create(&client_, &source).await;
    let clients = (0..60).map(|n| client(n, 0, &format!("{n}@example.com")));
    let tickets = (0..60).map(|n| ticket(n, if n % 2 == 0 { "open" } else { "closed" }));
    let old = (0..5).map(|n| item(&format!("OLD#{n}"), "x", []));
    put_all(&client_, &source, clients.chain(tickets).chain(old)).await;
    put(&client_, &source, item("STRAY#1", "x", [])).await;
    running.begin().await;
    let ((), report) = tokio::join!(
        async {
            for n in 0..30 {
                put(
                    &client_,
                    &source,
                    ticket(n, if n % 3 == 0 { "open" } else { "waiting" }),
                )
                .await;
                put(&client_, &source, client(n, 1, &format!("new-{n}@example.com"))).await;
                if n % 5 == 0 {
                    delete(&client_, &source, key(&format!("CLIENT#{n}"), "INFO")).await;
                    // It comes back, under its old address: still nobody else ever had it.
                    put(&client_, &source, client(n, 1, &format!("{n}@example.com"))).await;
                }
            }
            // One goes to and fro between its own.
            for round in 0..4 {
                let email = if round % 2 == 0 {
                    "41-too@example.com"
                } else {
                    "41@example.com"
                };
                put(&client_, &source, client(41, round, email)).await;
            }
            put(&client_, &source, item("STRAY#2", "x", [])).await;
        },
        running.backfill(BackfillOptions::default())
    );
    running.drained().await;
    assert_split(&running).await;

    let watch = report
        .lanes
        .iter()
        .find(|lane| lane.lane == ShardRecord::WATCH)
        .unwrap();
    assert_eq!(watch.counters.left_behind, 5);
    let mut strays: Vec<String> = running
        .letters(ShardRecord::WATCH)
        .await
        .into_iter()
        .map(|(key, _)| key["PK"]["S"].as_str().unwrap().to_owned())
        .collect();
    strays.sort();
    assert_eq!(strays, ["STRAY#1", "STRAY#2"]);
    for service in ["client", "common", "open", "closed", "mail"] {
        assert_eq!(running.letters(service).await, [], "{service}");
    }

    a_record_that_changes_nothing_in_a_shape_costs_no_write(&mut running).await;
    running.stop_tail().await;
}

async fn a_record_that_changes_nothing_in_a_shape_costs_no_write(running: &mut Running) {
    let (client_, source) = (running.client.clone(), running.source().to_owned());
    // Whoever writes this item of the target again takes the mark away.
    let marked = item(
        "CLIENT#50",
        "INFO",
        [("name", string("Client 50")), ("mark", number(1))],
    );
    put(&client_, running.target("common"), marked).await;
    let (saved, put_before) = {
        let counters = running.lane("common").counters;
        (counters.unchanged, counters.put)
    };
    for visits in 2..42 {
        put(&client_, &source, client(50, visits, "50@example.com")).await;
    }
    running.drained().await;
    let held = running.held("common").await;
    let key = [Plain::Text("CLIENT#50".into()), Plain::Text("INFO".into())];
    assert!(held[&key.to_vec()].contains_key("mark"), "nobody wrote it");
    let counters = running.lane("common").counters;
    assert_eq!(counters.put, put_before);
    assert!(
        counters.unchanged > saved,
        "groups of records may be saved together"
    );
    assert_eq!(
        counters.write_milliunits,
        running.lane("common").counters.write_milliunits
    );
    // And a change of the shape does.
    let mut renamed = client(50, 42, "50@example.com");
    renamed.insert("name".to_owned(), string("Renamed"));
    put(&client_, &source, renamed).await;
    running.drained().await;
    assert_split(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shapes_and_moves_on_the_embedded_engine() {
    in_the_long_run!(shapes_and_moves_on_the_embedded_engine);
    Box::pin(shapes_and_moves(&Engine::embedded().await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shapes_and_moves_on_dynamodb_local() {
    in_the_long_run!(shapes_and_moves_on_dynamodb_local);
    Box::pin(shapes_and_moves(&Engine::genuine().await)).await;
}
