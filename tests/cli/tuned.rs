//! Budgets that are changed while commands run: they obey soon, and `status` names what limits them.

use crate::life::{OPTIONS, captured, status, until};
use crate::shell::{Running, Shell, assert_said, shown};
use crate::support::long::in_the_long_run;
use crate::support::{Engine, table};
use crate::tables::PLAN;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::Select;
use dynasplit::state::{SegmentRecord, Store};
use serde_json::Value;
use std::time::{Duration, Instant};

/// What has not come by then does not come.
const LONG: Duration = Duration::from_secs(120);

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

/// Waits until this budget, and no other, limits the processes of a backfill.
fn until_all_obey(shell: &Shell, milliunits: u64) {
    until(shell, |status| {
        let limits = status["limits"].as_array().unwrap().iter();
        let mut budgets = limits.filter(|limit| limit["of"] == "Courses" && limit["by"] == "write-budget");
        budgets.all(|limit| limit["milliunits_per_second"] == milliunits)
            && is_limited(status, "backfill", "write-budget", milliunits)
    });
}

/// Asks `status` again until its words hold these.
fn until_shown(shell: &Shell, words: &str) {
    let began = Instant::now();
    loop {
        let shown = shell.run("status plan.yaml").ended(0).stdout;
        if shown.contains(words) {
            return;
        }
        assert!(began.elapsed() < LONG, "{words}: {shown}");
    }
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
    let began = Instant::now();
    let fill = shell.start("backfill plan.yaml --write-units 2 --lease-seconds 3");
    let status = until(&shell, |status| {
        is_limited(status, "backfill", "write-budget", 2000)
    });
    assert_eq!(
        limit(&status, "backfill", "Courses").unwrap()["text"],
        "write budget (2 units/s)"
    );
    until_shown(&shell, "write budget (2 units/s)");
    fill.until_told("limited by write budget (2 units/s)");
    // Batches that began together are paid for afterwards.
    let copied = held(&client, "Courses").await;
    let paid = 2.0 * began.elapsed().as_secs_f64();
    assert!(
        f64::from(copied) < paid + 150.0,
        "{copied} in {:?}",
        began.elapsed()
    );

    let tuned = tune(&shell, "--write-units none");
    assert_eq!(
        (&tuned["was"]["writes"], &tuned["now"]["writes"]),
        (&Value::Null, &"none".into())
    );
    // Without it: minutes more, for which nobody waits.
    fill.end().ended(0);
    assert_eq!(held(&client, "Courses").await, 900);
    let status = until(&shell, |status| limit(status, "backfill", "Courses").is_none());
    assert_eq!(status["tuning"]["writes"], "none");
}

/// Batches that begin together are paid for longer than anybody waits for a table that takes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_read_once_however_long_its_batches_are_paid_for() {
    in_the_long_run!(a_page_is_read_once_however_long_its_batches_are_paid_for);
    // The only one here that says what a batch uses, and only of puts without a guard.
    let engine = Engine::genuine_dedicated().await;
    let (shell, _tail) = begun(&engine).await;
    // Four batches begin together, and the fifth waits for nineteen seconds: longer than two leases, in the second of which
    // nothing lands.
    put(&engine.dynamodb(), 0..125).await;
    let options = "--order bulk --segments 1 --write-units 5 --lease-seconds 6";
    let done = shell
        .run(&format!("backfill plan.yaml {options} --output json"))
        .ended(0);
    assert!(!done.stderr.contains("takes no writes"), "{}", done.stderr);
    assert!(done.took > Duration::from_secs(13), "{:?}", done.took);
    assert_eq!(done.json()["scanned"], 125, "no page is read again");
    assert_eq!(held(&engine.dynamodb(), "Courses").await, 125);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_tuned_down_is_held_by_all_processes_together() {
    in_the_long_run!(what_is_tuned_down_is_held_by_all_processes_together);
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    let shell = filled(&engine, 6000).await;
    tune(&shell, "--write-units 100");
    let line = "backfill plan.yaml --segments 40 --workers 2 --lease-seconds 3";
    let fills = [shell.start(line), shell.start(line)];
    until(&shell, |status| status["scanned"].as_u64() > Some(300));
    let tuned = tune(&shell, "--write-units Courses=40");
    assert_eq!(
        tuned["now"]["services"]["Courses"]["milliunits_per_second"],
        40_000
    );
    // Each is told of its half.
    until_all_obey(&shell, 20_000);
    // What both had saved of the larger budget is used up by then.
    until_copied(&client, 100).await;
    let at = Instant::now();
    let before = held(&client, "Courses").await;
    let copied = until_copied(&client, 150).await;
    let rate = f64::from(copied) / at.elapsed().as_secs_f64();
    assert!(rate < 60.0, "{rate} a second");
    assert!(before + copied < 6000, "there was enough to do");
    let tuned = tune(&shell, "--reset");
    assert_eq!(tuned["now"]["services"], serde_json::json!({}));
    for fill in fills {
        fill.end().ended(0);
    }
    assert_eq!(held(&client, "Courses").await, 6000);
}

/// Waits until so many more courses are copied; answers how many they are.
async fn until_copied(client: &Client, more: u32) -> u32 {
    let (began, before) = (Instant::now(), held(client, "Courses").await);
    loop {
        let copied = held(client, "Courses").await - before;
        if copied >= more {
            return copied;
        }
        assert!(began.elapsed() < LONG, "{copied} are copied, not {more}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Puts courses until the tail, which would soon have written them all, is limited by its budget, and then some hundreds;
/// answers how many they are.
async fn put_until_it_crawls(client: &Client, shell: &Shell) -> u32 {
    let began = Instant::now();
    let mut courses = 1000..1025;
    while !is_limited(&status(shell), "replicate", "write-budget", 2000) {
        assert!(began.elapsed() < LONG, "it does not obey");
        put(client, courses.clone()).await;
        courses = courses.end..courses.end + 25;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let end = courses.start + 300;
    put(client, courses.start..end).await;
    end - 1000
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicate_and_verify_obey_too() {
    in_the_long_run!(replicate_and_verify_obey_too);
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    let (shell, _tail) = begun(&engine).await;
    put(&client, 0..10).await;
    shell.run("backfill plan.yaml --lease-seconds 3").ended(0);
    tune(&shell, "--write-units 2");
    let all = 10 + put_until_it_crawls(&client, &shell).await;
    let written = held(&client, "Courses").await;
    assert!(written + 200 < all, "{written} of {all}");
    tune(&shell, "--write-units Courses=none");
    let tuned_at = Instant::now();
    while held(&client, "Courses").await < all {
        assert!(tuned_at.elapsed() < Duration::from_secs(60), "it crawls on");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let idle = |status: &Value| limit(status, "replicate", "Courses").is_some_and(|l| l["by"] == "idle");
    until(&shell, idle);

    // A hundred and fifty pages: at this rate, each is waited for longer than this test takes.
    let verify = shell.start("verify plan.yaml --read-units 0.01 --segments 50 --lease-seconds 3");
    verify.until_told("limited by read budget (0.01 units/s)");
    // Whichever table it reads first.
    let limits_verify = |status: &Value| {
        let mut limits = status["limits"].as_array().unwrap().iter();
        limits.any(|limit| {
            limit["command"] == "verify"
                && limit["by"] == "read-budget"
                && limit["milliunits_per_second"] == 10
        })
    };
    let status = until(&shell, limits_verify);
    assert_eq!(status["running"][0]["command"], "verify", "{status:#}");
    tune(&shell, "--read-units none");
    verify.end().ended(0);

    // The last verify may begin before the tail has saved how many changes it received, and `complete` would refuse. After
    // the lane is idle and saved, one more verify says what `complete` compares with.
    shell.run("verify plan.yaml --lease-seconds 3").ended(0);

    // What the tail wrote has stamps, which are stripped within the budget.
    until(&shell, |status| status["phase"] == "verified");
    tune(&shell, "--write-units Courses=2");
    let stripping = shell.start("complete plan.yaml --yes --quiet-for 1 --lease-seconds 3");
    stripping.until_told("stripping stamps from Courses");
    until(&shell, |status| {
        is_limited(status, "complete", "write-budget", 2000)
    });
    let interrupted_at = Instant::now();
    stripping.interrupt();
    let interrupted = stripping.end().ended(4);
    // All of it would take minutes.
    let ended = interrupted_at.elapsed();
    assert!(ended < Duration::from_secs(60), "{ended:?}");
    tune(&shell, "--write-units Courses=100");
    let began = Instant::now();
    let completed = shell
        .run("complete plan.yaml --yes --quiet-for 1 --lease-seconds 3 --output json")
        .ended(0)
        .json();
    let took = began.elapsed().as_secs_f64();
    let stripped = u32::try_from(completed["stripped"]["Courses"].as_u64().unwrap()).unwrap();
    let left = f64::from(all) - 2.0 * interrupted.took.as_secs_f64() - 50.0;
    assert!(
        f64::from(stripped) > left && stripped < all,
        "{stripped} of {all} were left"
    );
    // A second's worth is saved.
    assert!(took > f64::from(stripped) / 100.0 - 1.3, "{stripped} in {took} s");
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
            began.elapsed() < LONG,
            "{owned} segments are worked on, not {segments}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_and_fewer_segments_are_worked_on_as_is_tuned() {
    in_the_long_run!(more_and_fewer_segments_are_worked_on_as_is_tuned);
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    // More than a minute and a half of work, for two changes.
    let shell = filled(&engine, 4000).await;
    let store = Store::new(client.clone(), "dynasplit-learning");
    let fill = shell.start("backfill plan.yaml --segments 120 --write-units 40 --lease-seconds 3");
    until_worked_on(&store, 4).await;
    tune(&shell, "--workers 7");
    until_worked_on(&store, 7).await;
    tune(&shell, "--workers 2");
    until_worked_on(&store, 2).await;
    assert!(held(&client, "Courses").await < 4000, "there is enough to do");
    tune(&shell, "--workers 8 --write-units none");
    fill.end().ended(0);
    assert_eq!(held(&client, "Courses").await, 4000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_that_are_too_many_end_with_their_page() {
    in_the_long_run!(segments_that_are_too_many_end_with_their_page);
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
    in_the_long_run!(what_can_not_be_tuned_is_refused);
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
