//! The check of a rollback finds a write of the service that is not in the source, although no lane noticed that; and verify in
//! the direction in which writes are carried back.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;

use super::shop::{ROLLBACK, Shop, end, until_written};
use crate::support::long::in_the_long_run;
use crate::support::process::{LIMIT, Running, obstacles};
use crate::support::table::{self, SdkItem, number, text};
use crate::support::trial::Mode;

/// An own person, beyond those of the application.
const PERSON: &str = "900";
const VERIFY: &[&str] = &["verify", "--service", "people"];
const LIST: &[&str] = &["verify", "--service", "people", "--repair"];
const STRAYS: &[&str] = &["reverse", "list", "--service", "people"];
const SETTLE: &[&str] = &["reverse", "settle", "--service", "people", "--overwrite"];

fn source_key() -> SdkItem {
    [("PK", text(format!("PER#{PERSON}"))), ("SK", text("P"))]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}

/// The service writes a person of its own, which is carried back.
async fn service_writes_a_person(shop: &Shop) {
    let person = [
        ("id", text(PERSON)),
        ("part", text("P")),
        ("n", number(1)),
        ("total", number(10)),
    ];
    let person = person.map(|(name, value)| (name.to_owned(), value)).into();
    table::put(&shop.stage.client, &shop.people, person).await;
    let began = Instant::now();
    while source_person(shop).await.is_none() {
        assert!(began.elapsed() < LIMIT, "it was not carried back");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn source_person(shop: &Shop) -> Option<SdkItem> {
    table::get(&shop.stage.client, &shop.stage.trial.source, source_key()).await
}

/// Changes the source item as a reverse write would that carried back something else: with a newer mark, so that no watcher
/// takes it for a stray write.
async fn source_goes_wrong(shop: &Shop) {
    let mut person = source_person(shop).await.expect("the person was carried back");
    let mark = person.get_mut("dynasplit:mark:people").expect("a mark");
    let AttributeValue::S(told) = mark else {
        panic!("the mark is {mark:?}")
    };
    let mut parts: Vec<String> = told.split('/').map(str::to_owned).collect();
    let sequence: u128 = parts[3].parse().expect("a sequence number");
    parts[3] = format!("{:0width$}", sequence + 1, width = parts[3].len());
    parts[4] = format!("{:8}", "updated");
    *mark = AttributeValue::S(parts.join("/"));
    person.insert("amount".into(), number(11));
    table::put(&shop.stage.client, &shop.stage.trial.source, person).await;
}

/// A service that has switched, with a person in the source that is not as the service wrote it.
async fn wrong(mode: Mode) -> (Shop, Running) {
    let (shop, tail, application) = Shop::open(mode).await;
    shop.cutover().await;
    until_written(&application, |written| written.target >= 20).await;
    let written = application.end().await;
    shop.assert_both_sides(&written).await;
    service_writes_a_person(&shop).await;
    let clean = shop.succeed(VERIFY).await;
    assert!(
        clean
            .stdout
            .contains("clean: the source holds everything as people wrote it"),
        "{}",
        clean.stdout
    );
    source_goes_wrong(&shop).await;
    (shop, tail)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_not_in_the_source_stops_a_rollback_and_is_brought_there() {
    in_the_long_run!(a_write_that_is_not_in_the_source_stops_a_rollback_and_is_brought_there);
    let (shop, tail) = wrong(Mode::Sequence).await;
    let refused = shop.run(&shop.cli, ROLLBACK).await.with_code(ROLLBACK, 3);
    let told = format!(
        "1 key of {} is not in the source as people wrote it: {PERSON} / P",
        shop.people
    );
    assert!(
        refused.stdout.contains(&told),
        "{}\n{}",
        refused.stdout,
        refused.stderr
    );
    assert_eq!(shop.phase().await, "switched");
    assert_eq!(shop.calls("rollback"), 0);

    let found = shop.run(&shop.cli, VERIFY).await.with_code(VERIFY, 3);
    assert!(found.stdout.contains("1 different"), "{}", found.stdout);
    assert!(
        found.stdout.contains("verify --service people --repair"),
        "{}",
        found.stdout
    );
    let listed = shop.run(&shop.cli, LIST).await.with_code(LIST, 3);
    assert!(
        listed.stdout.contains("One of them is listed"),
        "{}",
        listed.stdout
    );
    shop.succeed(SETTLE).await;
    let began = Instant::now();
    while shop.run(&shop.cli, STRAYS).await.code != Some(0) {
        assert!(began.elapsed() < LIMIT, "the stray write stays on the list");
    }
    shop.succeed(VERIFY).await;
    assert_eq!(
        source_person(&shop).await.expect("a person")["amount"],
        number(10)
    );
    shop.succeed(ROLLBACK).await;
    shop.verify().await;
    end(tail).await;
}

/// The same, if a process continues a rollback that another one began, or is told to compare everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_continues_a_rollback_and_a_full_check_find_it_too() {
    in_the_long_run!(a_process_that_continues_a_rollback_and_a_full_check_find_it_too);
    let (shop, tail) = wrong(Mode::Timestamp).await;
    let died = shop.cli.armed("rollback.drained=kill").run(ROLLBACK).await;
    assert_eq!(died.killed_at(), Some("rollback.drained"), "{}", died.stderr);
    let refused = shop.run(&shop.cli, ROLLBACK).await.with_code(ROLLBACK, 3);
    assert!(
        refused.stdout.contains("not in the source as people wrote it"),
        "{}\n{}",
        refused.stdout,
        refused.stderr
    );
    let words = [ROLLBACK, &["--full-check"]].concat();
    let refused = shop.run(&shop.cli, &words).await.with_code(&words, 3);
    assert!(
        refused
            .stdout
            .contains("the source does not hold what people wrote (1 mismatches"),
        "{}\n{}",
        refused.stdout,
        refused.stderr
    );
    assert_eq!(shop.phase().await, "switched");
    let forced = [ROLLBACK, &["--force"]].concat();
    shop.succeed(&forced).await;
    let obstacles = obstacles(&shop.cli.status().await);
    assert!(
        obstacles.contains("the rollback of people was forced"),
        "{obstacles}"
    );
    end(tail).await;
}

/// The other direction is not mixed with the usual one, and nothing is compared before something is carried back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verify_of_a_service_that_has_switched_refuses_others_beside_it() {
    in_the_long_run!(a_verify_of_a_service_that_has_switched_refuses_others_beside_it);
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    shop.cutover().await;
    application.end().await;
    let both = ["verify", "--service", "people", "--service", "orders"];
    let refused = shop.cli.run(&both).await.with_code(&both, 1);
    assert!(
        refused.stderr.contains("run `dynasplit verify --service people "),
        "{}",
        refused.stderr
    );
    let rest = shop.run(&shop.cli, &["verify"]).await;
    assert!(
        rest.stdout
            .contains("compares the source with what people writes"),
        "{}",
        rest.stdout
    );
    end(tail).await;
}
