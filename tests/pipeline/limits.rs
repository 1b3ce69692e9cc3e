//! Items that a target can't take become dead letters, and hold nothing else up.

use super::running::{Running, text, with, without};
use crate::support::Engine;
use crate::support::contents::PlainItem;
use crate::support::table::{SdkItem, create, item, key, number, put, text as string};
use aws_sdk_dynamodb::types::AttributeValue;
use dynasplit::backfill::BackfillOptions;
use dynasplit::repair::reconcile_dead_letters;
use tokio_util::sync::CancellationToken;

/// One service as it is, one where `body` gets a longer name, one with indexes.
const PLAN: &str = "
version: 1
split: limits
source:
  table: Pages
  keys: { partition: PK, sort: SK }
timestamp: { attribute: at, type: N }
unrouted: fail
services:
  - name: same
    where: attribute_exists(body)
    table:
      name: Same
      keys: { partition: PK, sort: SK }
  - name: longer
    where: attribute_exists(body)
    table:
      name: Longer
      keys: { partition: PK, sort: SK }
    transform:
      rename: { body: contents }
  - name: indexed
    where: begins_with(PK, 'CARD')
    table:
      name: Indexed
      keys: { partition: PK, sort: SK }
      global-indexes:
        - name: by-owner
          keys: { partition: owner, sort: { name: rank, type: N } }
      local-indexes:
        - name: by-date
          sort: { name: date, type: B }
";

const MOST: usize = 400 * 1024;

/// An item of exactly this many bytes: names and texts count by their UTF-8 length, the number `1` has two.
fn sized(name: &str, bytes: usize) -> SdkItem {
    let rest = "PK".len() + name.len() + "SK".len() + 1 + "at".len() + 2 + "body".len();
    item(
        name,
        "x",
        [("at", number(1)), ("body", string("y".repeat(bytes - rest)))],
    )
}

fn card<const N: usize>(name: &str, attributes: [(&str, AttributeValue); N]) -> SdkItem {
    let mut card = item(name, "x", attributes);
    card.insert("at".to_owned(), number(1));
    card
}

/// Cards, and whether an index takes them.
fn cards(prefix: &str) -> Vec<(SdkItem, bool)> {
    let name = |n: u32| format!("CARD#{prefix}{n}");
    vec![
        (
            card(&name(0), [("owner", string("ann")), ("rank", number(1))]),
            true,
        ),
        // Parts of an index key may be absent: the index leaves the item out.
        (card(&name(1), [("owner", string("ann"))]), true),
        (card(&name(2), [("rank", number(2))]), true),
        (card(&name(3), []), true),
        // Of another type, or empty, they are refused with the whole item.
        (card(&name(4), [("owner", number(1))]), false),
        (
            card(&name(5), [("owner", string("ann")), ("rank", string("1"))]),
            false,
        ),
        (card(&name(6), [("owner", string(""))]), false),
        (card(&name(7), [("date", string("2026"))]), false),
        (card(&name(8), [("owner", AttributeValue::Null(true))]), false),
    ]
}

fn as_letters(keys: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = keys.iter().map(ToString::to_string).collect();
    names.sort();
    names
}

async fn letters(running: &Running, service: &str) -> Vec<String> {
    let letters = running.letters(service).await;
    let mut names: Vec<String> = letters
        .iter()
        .map(|(key, reason)| {
            assert!(!reason.is_empty());
            key["PK"]["S"].as_str().unwrap().to_owned()
        })
        .collect();
    names.sort();
    names
}

fn fits(item: &PlainItem) -> bool {
    // `contents` has four bytes more than `body`.
    !item.contains_key("body") || text(item, "body").len() <= MOST - 4 - overhead(item)
}

fn overhead(item: &PlainItem) -> usize {
    "PK".len() + text(item, "PK").len() + "SK".len() + 1 + "at".len() + 2 + "body".len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_target_can_not_take_is_a_dead_letter_and_the_rest_goes_on() {
    let engine = Engine::embedded().await;
    let mut running = Running::open(&engine, PLAN).await;
    let source = running.source().to_owned();
    create(&running.client, &source).await;
    for item in [
        sized("page#a", MOST),
        sized("page#b", MOST - 4),
        sized("page#c", MOST - 3),
        sized("page#d", 100),
    ] {
        put(&running.client, &source, item).await;
    }
    for (card, _) in cards("old") {
        put(&running.client, &source, card).await;
    }
    running.begin().await;
    running.backfill(BackfillOptions::default()).await;
    for item in [
        sized("page#e", MOST),
        sized("page#f", MOST - 4),
        sized("page#g", 100),
    ] {
        put(&running.client, &source, item).await;
    }
    for (card, _) in cards("new") {
        put(&running.client, &source, card).await;
    }
    running.drained().await;

    assert_eq!(letters(&running, "same").await, Vec::<String>::new());
    assert_eq!(
        letters(&running, "longer").await,
        as_letters(&["page#a", "page#c", "page#e"])
    );
    let refused: Vec<String> = (4..9)
        .flat_map(|n| [format!("CARD#new{n}"), format!("CARD#old{n}")])
        .collect();
    let refused: Vec<&str> = refused.iter().map(String::as_str).collect();
    assert_eq!(letters(&running, "indexed").await, as_letters(&refused));
    let body = |item: &PlainItem| item.contains_key("body");
    running
        .assert_holds("same", |item| body(item).then(|| item.clone()))
        .await;
    let renamed = |item: &PlainItem| with(without(item, &["body"]), "contents", item["body"].clone());
    running
        .assert_holds("longer", |item| (body(item) && fits(item)).then(|| renamed(item)))
        .await;
    let taken = |item: &PlainItem| {
        let name = text(item, "PK");
        name.starts_with("CARD") && !refused.contains(&name)
    };
    running
        .assert_holds("indexed", |item| taken(item).then(|| item.clone()))
        .await;

    // Mended in the source, they are settled; one that was not stays.
    put(&running.client, &source, sized("page#a", 200)).await;
    crate::support::table::delete(&running.client, &source, key("page#c", "x")).await;
    running.drained().await;
    let heads = running.split.dead_letters.list(Some("longer")).await.unwrap();
    let settled = reconcile_dead_letters(&running.split, &heads, &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(
        settled.iter().filter(|letter| letter.settled).count(),
        2,
        "{settled:?}"
    );
    assert_eq!(letters(&running, "longer").await, ["page#e"]);
    running.stop_tail().await;
    running
        .assert_holds("longer", |item| (body(item) && fits(item)).then(|| renamed(item)))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_item_that_turns_bad_is_removed_and_comes_back_when_it_is_fixed() {
    let engine = Engine::embedded().await;
    let mut running = Running::open(&engine, PLAN).await;
    let source = running.source().to_owned();
    create(&running.client, &source).await;
    put(
        &running.client,
        &source,
        card("CARD#1", [("owner", string("ann"))]),
    )
    .await;
    running.begin().await;
    running.backfill(BackfillOptions::default()).await;
    let at = |at: u32, owner| item("CARD#1", "x", [("at", number(at)), ("owner", owner)]);
    put(&running.client, &source, at(2, number(7))).await;
    running.drained().await;
    assert_eq!(
        running.held("indexed").await.len(),
        0,
        "what it was is not what it is"
    );
    assert_eq!(letters(&running, "indexed").await, ["CARD#1"]);
    put(&running.client, &source, at(3, string("bob"))).await;
    running.drained().await;
    running.stop_tail().await;
    running.assert_holds("indexed", |item| Some(item.clone())).await;
}
