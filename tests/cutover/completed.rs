//! The end of a service that was cut over: what it needs, what it refuses, and what it leaves behind.

use dynasplit::model::{MarkKind, ReverseMark, SequenceNumber, Value as Attribute};

use super::application::{Written, source_key, target_key};
use super::shop::{CUTOVER, ROLLBACK, Shop, end, until_written};
use crate::support::contents::{self, Plain};
use crate::support::long::in_the_long_run;
use crate::support::process::obstacles;
use crate::support::table::{self, item, number, text};
use crate::support::trial::Mode;

pub const COMPLETE: &[&str] = &["complete", "--service", "people", "--yes"];
const ANYWAY: &[&str] = &["complete", "--service", "people", "--end-way-back", "--yes"];

/// Everything that was written before the end is in the source, nothing of dynasplit is left, and the service goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_completed_while_others_continue() {
    in_the_long_run!(a_service_is_completed_while_others_continue);
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    let foreign = foreign_mark(&shop).await;
    shop.cutover().await;
    until_written(&application, |written| written.target >= 60).await;
    let early = ["complete", "--service", "orders", "--yes"];
    let refused = shop.cli.run(&early).await.with_code(&early, 1);
    assert!(
        refused.stderr.contains("no way back that could end"),
        "{}",
        refused.stderr
    );
    // Each reverse write takes a while, so most of what was written is not in the source yet.
    end(tail).await;
    let slow = shop.cli.armed("reverse.update.before=delay:4000");
    let tail = slow.start(&["replicate"]);
    until_written(&application, |written| written.target >= 120).await;
    let written = application.end().await;
    let ended = shop.cli.succeed(COMPLETE).await;
    assert!(ended.stdout.contains("people is completed"), "{}", ended.stdout);
    assert_eq!(shop.phase().await, "completed");
    assert_left_nothing(&shop, &foreign).await;
    let wrong = shop.wrong(&written).await;
    assert!(
        wrong.is_empty(),
        "a write from before the end is missing: {wrong:?}"
    );

    let frozen = people_of(&shop).await;
    let application = shop.application(written);
    let before = application.written().await.target;
    until_written(&application, |written| written.target >= before + 60).await;
    let again = shop.cli.succeed(COMPLETE).await;
    assert!(again.stdout.contains("nothing was done"), "{}", again.stdout);
    for words in [ROLLBACK, CUTOVER] {
        let refused = shop.cli.run(words).await.with_code(words, 1);
        assert!(
            refused.stderr.contains("its way back has ended"),
            "{}",
            refused.stderr
        );
    }
    let written = application.end().await;
    assert_target(&shop, &written).await;
    assert_eq!(people_of(&shop).await, frozen, "nothing is carried back any more");
    // Neither a reverse write nor the removal of a mark counts as a write after the switch, and the other service continues.
    shop.verify().await;
    assert_eq!(obstacles(&shop.cli.status().await), "[]");
    end_the_split(&shop, tail).await;
}

/// A forgotten writer is still found after the end, as after a switch without a way back.
async fn end_the_split(shop: &Shop, tail: crate::support::process::Running) {
    shop.cli.succeed(&["switched", "--service", "orders"]).await;
    let mut late = source_key(1);
    late.insert("n".into(), number(1));
    table::put(&shop.stage.client, &shop.stage.trial.source, late).await;
    shop.cli
        .until("the late write", |status| {
            obstacles(status).contains("written-after-switch")
        })
        .await;
    let complete = ["complete", "--yes", "--quiet-for", "1"];
    shop.cli.run(&complete).await.with_code(&complete, 3);
    let anyway = ["complete", "--yes", "--quiet-for", "1", "--lose-late-writes"];
    shop.cli.succeed(&anyway).await;
    tail.end().await.with_code(&["replicate"], 0);
}

/// A rolled-back service has no end of its own. The end of the split removes what its reverse lane left in the source.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_split_removes_the_marks_of_a_service_that_was_rolled_back() {
    in_the_long_run!(the_end_of_the_split_removes_the_marks_of_a_service_that_was_rolled_back);
    let (shop, tail, application) = Shop::open(Mode::Timestamp).await;
    let foreign = foreign_mark(&shop).await;
    shop.cutover().await;
    until_written(&application, |written| written.target >= 40).await;
    shop.cli.succeed(ROLLBACK).await;
    let written = application.end().await;
    shop.assert_both_sides(&written).await;
    let complete = ["complete", "--yes", "--quiet-for", "1"];
    let done = loop {
        shop.verify().await;
        // The last changes may be counted after the verify began. Then it is repeated.
        let done = shop.cli.run(&complete).await;
        if !done.stderr.contains("is not at rest") {
            break done.with_code(&complete, 0);
        }
    };
    assert!(
        done.stdout.contains("marks of people, which was rolled back"),
        "{}",
        done.stdout
    );
    assert_left_nothing(&shop, &foreign).await;
    tail.end().await.with_code(&["replicate"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_back_that_is_not_complete_ends_only_if_it_is_told_to() {
    in_the_long_run!(a_way_back_that_is_not_complete_ends_only_if_it_is_told_to);
    let (shop, tail, application) = Shop::open(Mode::Timestamp).await;
    let complete = ["complete", "--service", "people", "--yes"];
    shop.cutover().await;
    until_written(&application, |written| written.target >= 20).await;
    let written = application.end().await;
    shop.assert_both_sides(&written).await;
    // The source has another use for this attribute, so it cannot be carried back.
    let mut odd = target_key(99);
    odd.insert("n".into(), number(1));
    odd.insert("secret".into(), text("it belongs to the source"));
    table::put(&shop.stage.client, &shop.people, odd).await;
    let mut stray = source_key(3);
    stray.insert("n".into(), number(1_000_000));
    table::put(&shop.stage.client, &shop.stage.trial.source, stray).await;
    shop.cli
        .until("both problems", |status| {
            let found = obstacles(status);
            found.contains("reverse-dead-letters") && found.contains("stray-writes")
        })
        .await;
    let refused = shop.cli.run(&complete).await.with_code(&complete, 3);
    for word in ["reverse dead letters", "stray writes", "--end-way-back"] {
        assert!(refused.stderr.contains(word), "{word}: {}", refused.stderr);
    }
    assert_eq!(shop.phase().await, "switched", "the way back is still there");
    let whole = ["complete", "--yes", "--quiet-for", "1"];
    let refused = shop.cli.run(&whole).await.with_code(&whole, 1);
    assert!(
        refused
            .stderr
            .contains("dynasplit complete --service people --yes"),
        "{}",
        refused.stderr
    );
    let ended = shop.cli.succeed(ANYWAY).await;
    for word in ["accepted: 1 writes of people", "accepted: 1 writes of others"] {
        assert!(ended.stdout.contains(word), "{word}: {}", ended.stdout);
    }
    assert_eq!(shop.phase().await, "completed");
    end(tail).await;
    // A restart reads everything again. What came to the source before the end was accepted, and is no write after a switch.
    let tail = shop.cli.start(&["replicate", "--restart-tail"]);
    shop.cli.until_caught_up().await;
    let status = shop.cli.status().await;
    assert!(
        !obstacles(&status).contains("written-after-switch"),
        "{}",
        obstacles(&status)
    );
    end(tail).await;
}

/// The command dies at each step, beside an application that writes. Before the point of no return, a rollback is still
/// possible.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_dies_at_each_step_and_the_same_command_continues() {
    in_the_long_run!(the_end_dies_at_each_step_and_the_same_command_continues);
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    shop.cutover().await;
    until_written(&application, |written| written.target >= 60).await;
    // It died before it did anything: the second event of the end would be the first step.
    let step = "state.cutover-event.put.after=kill";
    shop.cli.armed(step).run(COMPLETE).await;
    assert_eq!(shop.stand().await["step"], "end-way-back");
    shop.cli.succeed(ROLLBACK).await;
    let before = application.written().await.source;
    until_written(&application, |written| written.source >= before + 20).await;
    shop.verify().await;
    shop.cutover().await;
    let before = application.written().await.target;
    until_written(&application, |written| written.target >= before + 60).await;
    for point in super::deaths::ENDS {
        super::deaths::die(&shop, COMPLETE, point).await;
        if *point == "cutover.way-back-ended" {
            let refused = shop.cli.run(ROLLBACK).await.with_code(ROLLBACK, 1);
            assert!(
                refused.stderr.contains("its way back has ended"),
                "{}",
                refused.stderr
            );
        }
    }
    shop.cli.succeed(COMPLETE).await;
    let before = application.written().await.target;
    until_written(&application, |written| written.target >= before + 20).await;
    assert_target(&shop, &application.end().await).await;
    assert_left_nothing(&shop, "").await;
    end(tail).await;
}

/// A mark of another split in an item of the source, which stays.
async fn foreign_mark(shop: &Shop) -> String {
    let mark = ReverseMark {
        split: "another-split".into(),
        epoch: 1,
        generation: 1,
        sequence: SequenceNumber::new("7"),
        kind: MarkKind::Updated,
    };
    let Attribute::S(value) = mark.to_value() else {
        panic!("a mark is a text");
    };
    let name = ReverseMark::attribute("people");
    let marked = item(
        "ORD#7",
        "L",
        [("n", number(1)), (name.as_str(), text(value.clone()))],
    );
    table::put(&shop.stage.client, &shop.stage.trial.source, marked).await;
    value
}

/// No attribute of dynasplit is left, except a mark of another split and stamps of services that continue.
async fn assert_left_nothing(shop: &Shop, foreign: &str) {
    for table in [&shop.stage.trial.source, &shop.people] {
        for (key, item) in contents::read(&shop.stage.client, table).await {
            for (name, value) in item {
                let is_foreign = value == Plain::Text(foreign.to_owned());
                assert!(
                    !name.starts_with("dynasplit:") || is_foreign,
                    "{table} {key:?}: {name} is left"
                );
            }
        }
    }
    if !foreign.is_empty() {
        let source = contents::read(&shop.stage.client, &shop.stage.trial.source).await;
        let mut values = source.values().flat_map(|item| item.values());
        assert!(
            values.any(|value| *value == Plain::Text(foreign.to_owned())),
            "a mark of another split was removed"
        );
    }
}

async fn assert_target(shop: &Shop, written: &Written) {
    let mut wrong = shop.wrong(written).await;
    wrong.retain(|wrong| wrong.starts_with("target"));
    assert!(wrong.is_empty(), "{wrong:?}");
}

async fn people_of(shop: &Shop) -> contents::Contents {
    let mut source = contents::read(&shop.stage.client, &shop.stage.trial.source).await;
    source.retain(|key, _| matches!(&key[0], Plain::Text(pk) if pk.starts_with("PER#")));
    source
}
