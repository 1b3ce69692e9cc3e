//! Budgets that are changed while commands run: they obey soon, and `status` names what limits them.

use crate::life::{OPTIONS, captured, until};
use crate::shell::{Running, Shell, assert_said, shown};
use crate::support::{Engine, table};
use crate::tables::PLAN;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::Select;
use dynasplit::state::{SegmentRecord, Store};
use serde_json::Value;
use std::time::{Duration, Instant};

/// A split whose tail runs.
async fn begun(engine: &Engine) -> (Shell, Running) {
    table::create(&engine.dynamodb(), "Learning").await;
    let shell = Shell::new(PLAN).at(engine.endpoint());
    shell.run("apply plan.yaml").ended(0);
    let tail = shell.start(&format!("replicate plan.yaml {OPTIONS}"));
    until(&shell, captured);
    (shell, tail)
}

/// A split that is captured, and whose source holds so many courses that nobody copied yet: no tail runs. Each costs one
/// write unit.
async fn filled(engine: &Engine, courses: u32) -> Shell {
    let (shell, tail) = begun(engine).await;
    tail.interrupt();
    tail.end().ended(0);
    put(&engine.dynamodb(), 0..courses).await;
    shell
}

async fn put(client: &Client, courses: std::ops::Range<u32>) {
    let course = |n: u32| {
        table::item(
            &format!("COURSE#{n}"),
            "METADATA",
            [("title", table::text("Rust"))],
        )
    };
    table::put_all(client, "Learning", courses.map(course)).await;
}

/// Items that a target holds, by a reader that knows nothing of the product.
async fn held(client: &Client, table: &str) -> u32 {
    let (mut count, mut from) = (0, None);
    loop {
        let page = client
            .scan()
            .table_name(table)
            .select(Select::Count)
            .set_exclusive_start_key(from)
            .send()
            .await
            .unwrap();
        count += u32::try_from(page.count).unwrap();
        from = page.last_evaluated_key;
        if from.is_none() {
            return count;
        }
    }
}

/// What `status` says to limit a part of a command.
fn limit<'a>(status: &'a Value, command: &str, of: &str) -> Option<&'a Value> {
    let mut limits = status["limits"].as_array().unwrap().iter();
    limits.find(|limit| limit["command"] == command && limit["of"] == of)
}

fn is_limited(status: &Value, command: &str, by: &str, milliunits: u64) -> bool {
    limit(status, command, "Courses").is_some_and(|limit| {
        limit["by"] == by
            && limit["milliunits_per_second"] == milliunits
            && limit["age_ms"].as_u64().unwrap() < 10_000
    })
}

fn tune(shell: &Shell, options: &str) -> Value {
    shell
        .run(&format!("tune plan.yaml {options} --output json"))
        .ended(0)
        .json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_that_crawls_is_named_and_tuned_up_while_it_runs() {
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    let shell = filled(&engine, 900).await;
    let fill = shell.start("backfill plan.yaml --write-units 5 --lease-seconds 3");
    let began = Instant::now();
    let status = until(&shell, |status| {
        is_limited(status, "backfill", "write-budget", 5000)
    });
    assert_eq!(
        limit(&status, "backfill", "Courses").unwrap()["text"],
        "write budget (5 units/s)"
    );
    let words = shell.run("status plan.yaml").ended(0).stdout;
    assert!(words.contains("write budget (5 units/s)"), "{words}");
    // A line of progress comes every five seconds.
    tokio::time::sleep(Duration::from_secs(7).saturating_sub(began.elapsed())).await;
    let copied = held(&client, "Courses").await;
    assert!(copied < 400, "{copied} in {:?}", began.elapsed());

    let tuned = tune(&shell, "--write-units none");
    assert_eq!(
        (&tuned["was"]["writes"], &tuned["now"]["writes"]),
        (&Value::Null, &"none".into())
    );
    let tuned_at = Instant::now();
    let said = fill.end().ended(0);
    // Without it: a hundred seconds more.
    assert!(
        tuned_at.elapsed() < Duration::from_secs(40),
        "{:?}",
        tuned_at.elapsed()
    );
    assert_eq!(held(&client, "Courses").await, 900);
    assert!(
        said.stderr.contains("limited by write budget (5 units/s)"),
        "{}",
        said.stderr
    );
    let status = until(&shell, |_| true);
    assert_eq!(limit(&status, "backfill", "Courses"), None, "{status:#}");
    assert_eq!(status["tuning"]["writes"], "none");
}

/// Batches that begin together are paid for longer than anybody waits for a table that takes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_read_once_however_long_its_batches_are_paid_for() {
    // The only one here that says what a batch uses, and only of puts without a guard.
    let engine = Engine::genuine_dedicated().await;
    let (shell, _tail) = begun(&engine).await;
    put(&engine.dynamodb(), 0..250).await;
    let options = "--order bulk --segments 1 --write-units 10 --lease-seconds 3";
    let done = shell
        .run(&format!("backfill plan.yaml {options} --output json"))
        .ended(0);
    assert!(!done.stderr.contains("takes no writes"), "{}", done.stderr);
    assert!(done.took > Duration::from_secs(13), "{:?}", done.took);
    assert_eq!(done.json()["scanned"], 250, "no page is read again");
    assert_eq!(held(&engine.dynamodb(), "Courses").await, 250);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_tuned_down_is_held_by_all_processes_together() {
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    let shell = filled(&engine, 6000).await;
    tune(&shell, "--write-units 400");
    let line = "backfill plan.yaml --segments 40 --workers 2 --lease-seconds 3";
    let fills = [shell.start(line), shell.start(line)];
    until(&shell, |status| status["scanned"].as_u64() > Some(300));
    let tuned = tune(&shell, "--write-units Courses=100");
    assert_eq!(
        tuned["now"]["services"]["Courses"]["milliunits_per_second"],
        100_000
    );
    // Each is told of its half.
    until(&shell, |status| {
        is_limited(status, "backfill", "write-budget", 50_000)
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (before, at) = (held(&client, "Courses").await, Instant::now());
    tokio::time::sleep(Duration::from_secs(10)).await;
    let copied = held(&client, "Courses").await - before;
    let rate = f64::from(copied) / at.elapsed().as_secs_f64();
    assert!((30.0..130.0).contains(&rate), "{rate} a second");
    assert!(before + copied < 6000, "there was enough to do");
    let tuned = tune(&shell, "--reset");
    assert_eq!(tuned["now"]["services"], serde_json::json!({}));
    for fill in fills {
        fill.end().ended(0);
    }
    assert_eq!(held(&client, "Courses").await, 6000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicate_and_verify_obey_too() {
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    let (shell, _tail) = begun(&engine).await;
    put(&client, 0..10).await;
    shell.run("backfill plan.yaml --lease-seconds 3").ended(0);
    tune(&shell, "--write-units 2");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    put(&client, 1000..1500).await;
    until(&shell, |status| {
        is_limited(status, "replicate", "write-budget", 2000)
    });
    assert!(held(&client, "Courses").await < 400);
    tune(&shell, "--write-units Courses=none");
    let tuned_at = Instant::now();
    while held(&client, "Courses").await < 510 {
        assert!(tuned_at.elapsed() < Duration::from_secs(30), "it crawls on");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let idle = |status: &Value| limit(status, "replicate", "Courses").is_some_and(|l| l["by"] == "idle");
    until(&shell, idle);

    // A hundred and fifty pages: at this rate, each is waited for longer than this test takes.
    let verify = shell.start("verify plan.yaml --read-units 0.01 --segments 50 --lease-seconds 3");
    tokio::time::sleep(Duration::from_secs(7)).await;
    let limits_verify = |status: &Value| is_limited(status, "verify", "read-budget", 10);
    let status = until(&shell, limits_verify);
    assert_eq!(status["running"][0]["command"], "verify", "{status:#}");
    tune(&shell, "--read-units none");
    let tuned_at = Instant::now();
    let said = verify.end().ended(0);
    assert!(
        tuned_at.elapsed() < Duration::from_secs(20),
        "{:?}",
        tuned_at.elapsed()
    );
    assert!(
        said.stderr.contains("limited by read budget (0.01 units/s)"),
        "{}",
        said.stderr
    );

    // What the tail wrote has stamps, which are stripped within the budget.
    until(&shell, |status| status["phase"] == "verified");
    tune(&shell, "--write-units Courses=2");
    let stripping = shell.start("complete plan.yaml --yes --lease-seconds 3");
    tokio::time::sleep(Duration::from_secs(8)).await;
    until(&shell, |status| {
        is_limited(status, "complete", "write-budget", 2000)
    });
    stripping.interrupt();
    let interrupted = stripping.end().ended(4);
    assert!(
        interrupted.took < Duration::from_secs(15),
        "{:?}",
        interrupted.took
    );
    assert!(
        interrupted.stderr.contains("stripping stamps from Courses"),
        "{}",
        interrupted.stderr
    );
    tune(&shell, "--write-units Courses=100");
    let began = Instant::now();
    let completed = shell
        .run("complete plan.yaml --yes --lease-seconds 3 --output json")
        .ended(0)
        .json();
    let stripped = completed["stripped"]["Courses"].as_u64().unwrap();
    assert!((450..510).contains(&stripped), "{stripped} were left");
    // A second's worth is saved.
    assert!(
        began.elapsed() > Duration::from_secs_f64(3.3),
        "{:?}",
        began.elapsed()
    );
    let late = shell.run("tune plan.yaml --workers 3").ended(1);
    assert!(late.stderr.contains("complete"), "{}", late.stderr);
}

/// Waits until so many segments are worked on.
async fn until_worked_on(store: &Store, segments: usize) {
    let began = Instant::now();
    loop {
        let found = store.list::<SegmentRecord>(SegmentRecord::PREFIX).await.unwrap();
        let owned = found
            .iter()
            .filter(|(_, found)| found.value.lease.owner.is_some());
        let owned = owned.count();
        if owned == segments {
            return;
        }
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "{owned} segments are worked on, not {segments}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_and_fewer_segments_are_worked_on_as_is_tuned() {
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    let shell = filled(&engine, 2000).await;
    let store = Store::new(client.clone(), "dynasplit-learning");
    let fill = shell.start("backfill plan.yaml --segments 60 --write-units 40 --lease-seconds 3");
    until_worked_on(&store, 4).await;
    tune(&shell, "--workers 7");
    until_worked_on(&store, 7).await;
    tune(&shell, "--workers 2");
    until_worked_on(&store, 2).await;
    assert!(held(&client, "Courses").await < 2000, "there is enough to do");
    tune(&shell, "--workers 8 --write-units none");
    fill.end().ended(0);
    assert_eq!(held(&client, "Courses").await, 2000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_that_are_too_many_end_with_their_page() {
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    let shell = filled(&engine, 0).await;
    // Some seven pages in each of four segments. A page of each is paid for in ten seconds, all of them in more than a
    // minute: what can copy so many before it obeys is not a slow machine.
    let large = |n: u32| {
        let title = table::text("R".repeat(150 * 1024));
        table::item(&format!("COURSE#{n}"), "METADATA", [("title", title)])
    };
    for n in 0..200 {
        table::put(&client, "Learning", large(n)).await;
    }
    let store = Store::new(client.clone(), "dynasplit-learning");
    let fill = shell.start("backfill plan.yaml --segments 4 --write-units 450 --lease-seconds 3");
    until_worked_on(&store, 4).await;
    tune(&shell, "--workers 1");
    until_worked_on(&store, 1).await;
    let copied = held(&client, "Courses").await;
    assert!(copied < 120, "{copied}: they went on to their ends");
    tune(&shell, "--workers default --write-units none");
    fill.end().ended(0);
    assert_eq!(held(&client, "Courses").await, 200);
}

#[tokio::test]
async fn what_is_tuned_is_shown() {
    let engine = Engine::embedded().await;
    table::create(&engine.dynamodb(), "Learning").await;
    let shell = Shell::new(PLAN).at(engine.endpoint());
    let early = shell.run("tune plan.yaml --workers 3").ended(1);
    shell.run("apply plan.yaml").ended(0);
    let lines = [
        "tune plan.yaml",
        "tune plan.yaml --write-units 500 --write-units Users=12.5 --read-units none --workers 9",
        "tune plan.yaml --write-units default",
        "tune plan.yaml",
    ];
    let mut said = vec![early];
    said.extend(lines.map(|line| shell.run(line).ended(0)));
    let status = shell.run("status plan.yaml").ended(0).stdout;
    assert!(
        status.contains("tuned: reads none, writes of Users 12.5/s, workers 9"),
        "{status}"
    );
    said.push(shell.run("tune plan.yaml --reset --workers 2").ended(0));
    assert_said!("tuned", shown(&said));
}

/// Nothing is sent: there is no engine.
#[test]
fn what_can_not_be_tuned_is_refused() {
    let shell = Shell::new(PLAN);
    let lines = [
        "tune plan.yaml --write-units Nobody=5",
        "tune plan.yaml --write-units 5 --write-units none",
        "tune plan.yaml --write-units Users=5 --write-units 7 --write-units Users=6",
        "tune plan.yaml --write-units Users=",
        "tune plan.yaml --read-units -5",
        "tune plan.yaml --read-units nothing",
        "tune plan.yaml --workers 0",
        "tune plan.yaml --workers 257",
    ];
    let said: Vec<_> = lines.iter().map(|line| shell.run(line).ended(2)).collect();
    assert_said!("not_tuned", shown(&said));
}
