//! What is refused, and by whom.

use std::time::Duration;

use dynasplit::cutover::{Confirmation, CutoverOptions, Operator, Outcome, cutover};
use dynasplit::worker::RunError;
use tokio_util::sync::CancellationToken;

use super::shop::{CANCEL, CANCEL_ROLLBACK, CUTOVER, ROLLBACK, Shop, end, until_written};
use crate::support::long::in_the_long_run;
use crate::support::process::{Cli, LIMIT};
use crate::support::table::{self, item, number};
use crate::support::trial::Mode;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_happens_without_a_confirmation_and_the_steps_are_shown() {
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    let shown = shop.cli.run(&CUTOVER[..3]).await.with_code(CUTOVER, 2);
    for word in [
        "fence",
        "drain",
        "close",
        "pin",
        "reverse",
        "switch",
        "rollback",
        "nothing would refuse it now",
    ] {
        assert!(shown.stdout.contains(word), "{word}: {}", shown.stdout);
    }
    let words = ["cutover", "--service", "people", "--dry-run"];
    shop.succeed(&words).await;
    let back = ["rollback", "--service", "people", "--dry-run"];
    let shown = shop.cli.run(&back).await.with_code(&back, 3);
    assert!(shown.stdout.contains("nothing to roll back"), "{}", shown.stdout);
    for words in [ROLLBACK, CANCEL, CANCEL_ROLLBACK] {
        let refused = shop.cli.run(words).await.with_code(words, 1);
        assert!(
            refused.stderr.contains("nothing is necessary"),
            "{}",
            refused.stderr
        );
    }
    let unknown = ["cutover", "--service", "nobody", "--yes"];
    shop.cli.run(&unknown).await.with_code(&unknown, 2);
    assert_eq!(shop.phase().await, "none");
    assert_eq!(shop.calls("fence"), 0);
    application.end().await;
    end(tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_not_proven_is_refused_before_a_writer_is_stopped() {
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    let bad = item("PER#bad", "P", [("n", number(1)), ("dynasplit:x", number(1))]);
    table::put(&shop.stage.client, &shop.stage.trial.source, bad).await;
    shop.cli
        .until("the dead letter", |status| status["dead_letters"]["people"] == 1)
        .await;
    let refused = shop.cli.run(CUTOVER).await.with_code(CUTOVER, 3);
    assert!(
        refused.stderr.contains("1 dead letter of people"),
        "{}",
        refused.stderr
    );
    assert_eq!((shop.calls("before-fence"), shop.calls("fence")), (0, 0));
    application.end().await;
    // Without a worker, nothing is begun either.
    end(tail).await;
    let refused = shop.cli.run(CUTOVER).await.with_code(CUTOVER, 3);
    assert!(refused.stderr.contains("no live worker"), "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_with_a_way_back_is_not_ended_by_other_commands() {
    in_the_long_run!(a_service_with_a_way_back_is_not_ended_by_other_commands);
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    shop.cutover().await;
    let cli = &shop.cli;
    until_written(&application, |written| written.target >= 20).await;
    for (words, says) in [
        (&["switched", "--service", "people"] as &[&str], "with a way back"),
        (&["switched", "--undo", "--service", "people"], "with a way back"),
        (&["abandon", "--service", "people", "--yes"], "with a way back"),
        (
            &["complete", "--yes", "--quiet-for", "1"],
            "can still be rolled back",
        ),
        (CANCEL, "rollback"),
    ] {
        let refused = cli.run(words).await.with_code(words, 1);
        assert!(refused.stderr.contains(says), "{words:?}: {}", refused.stderr);
    }
    for words in [
        &["verify"] as &[&str],
        &["verify", "--repair"],
        &["backfill"],
        &["dead-letters", "reconcile"],
    ] {
        shop.succeed(words).await;
    }
    let written = application.end().await;
    shop.assert_both_sides(&written).await;
    shop.succeed(&["switched", "--service", "orders"]).await;
    shop.succeed(super::completed::COMPLETE).await;
    shop.succeed(&["complete", "--yes", "--quiet-for", "1"]).await;
    tail.end().await.with_code(&["replicate"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_operator_is_told_who_works_on_it_and_since_when() {
    in_the_long_run!(a_second_operator_is_told_who_works_on_it_and_since_when);
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    let slow = shop.cli.armed("cutover.fencing=delay:8000");
    let first = slow.start(CUTOVER);
    shop.cli
        .until("the first operator", |status| {
            status["cutovers"][0]["step"] == "fence" && status["cutovers"][0]["running"] == true
        })
        .await;
    let second = shop.cli.run(CUTOVER).await.with_code(CUTOVER, 1);
    assert!(
        second.stderr.contains("works on the cutover of people"),
        "{}",
        second.stderr
    );
    assert!(second.stderr.contains("it began"), "{}", second.stderr);
    first.end().await.with_code(CUTOVER, 0);
    until_written(&application, |written| written.target >= 20).await;
    shop.assert_both_sides(&application.end().await).await;
    end(tail).await;
}

/// The same plan, in which a person stops some writers, too.
async fn stopped_by_a_person(shop: &Shop) -> Cli {
    let path = shop.path("plan.yaml");
    let plan = std::fs::read_to_string(&path).expect("the plan");
    let manual = plan.replace(
        "fence: { prove-for: 1",
        "fence: { manual: the nightly import, prove-for: 1",
    );
    assert_ne!(manual, plan);
    let path = shop.path("manual.yaml");
    std::fs::write(&path, manual).expect("the plan is written");
    shop.cli.with_plan(path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_begins_if_nobody_can_confirm_what_a_person_stops() {
    in_the_long_run!(nothing_begins_if_nobody_can_confirm_what_a_person_stops);
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    let cli = stopped_by_a_person(&shop).await;
    let shown = cli.run(&CUTOVER[..3]).await.with_code(CUTOVER, 2).stdout;
    assert!(
        shown.contains("asks whether") && shown.contains("the nightly import"),
        "{shown}"
    );
    let refused = shop.run(&cli, CUTOVER).await.with_code(CUTOVER, 2);
    for says in ["the nightly import", "Nothing was done", "--stopped"] {
        assert!(refused.stderr.contains(says), "{says}: {}", refused.stderr);
    }
    assert_eq!((shop.calls("before-fence"), shop.calls("failed")), (0, 0));
    assert_eq!(shop.phase().await, "none");
    let confirmed = [CUTOVER, &["--stopped"]].concat();
    shop.run(&cli, &confirmed).await.with_code(&confirmed, 0);
    until_written(&application, |written| written.target >= 20).await;
    // Nothing is asked any more.
    shop.run(&cli, CUTOVER).await.with_code(CUTOVER, 0);
    let refused = shop.run(&cli, ROLLBACK).await.with_code(ROLLBACK, 2);
    assert!(refused.stderr.contains("--stopped"), "{}", refused.stderr);
    assert_eq!(shop.calls("fence-target"), 0);
    assert_eq!(shop.phase().await, "switched");
    let confirmed = [ROLLBACK, &["--stopped"]].concat();
    shop.run(&cli, &confirmed).await.with_code(&confirmed, 0);
    shop.assert_both_sides(&application.end().await).await;
    end(tail).await;
}

/// A person who is asked, and never answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_nobody_answers_ends_with_the_longest_pause_or_with_a_signal() {
    in_the_long_run!(a_question_that_nobody_answers_ends_with_the_longest_pause_or_with_a_signal);
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    let split = stopped_by_a_person(&shop).await.open().await;
    let (stop, asked) = (CancellationToken::new(), CancellationToken::new());
    let confirm = |_: &str| -> Confirmation {
        asked.cancel();
        Box::pin(std::future::pending())
    };
    let operator = Operator {
        name: "somebody".into(),
        tell: &|_| {},
        confirm: Some(&confirm),
    };
    let options = CutoverOptions {
        max_pause: Some(Duration::from_secs(1)),
        ..CutoverOptions::default()
    };
    let cutting = Box::pin(cutover(&split, "people", options, &operator, &stop));
    let report = tokio::time::timeout(LIMIT, cutting)
        .await
        .expect("it ends")
        .unwrap();
    assert_eq!(report.outcome, Outcome::Cancelled);
    assert!(report.reason.unwrap().contains("--max-pause"));
    assert!(asked.is_cancelled());
    assert_eq!(shop.phase().await, "replicating");

    let asked_again = CancellationToken::new();
    let confirm = |_: &str| -> Confirmation {
        asked_again.cancel();
        Box::pin(std::future::pending())
    };
    let operator = Operator {
        confirm: Some(&confirm),
        ..operator
    };
    let options = CutoverOptions::default();
    let cutting = Box::pin(cutover(&split, "people", options, &operator, &stop));
    let signalled = async {
        asked_again.cancelled().await;
        stop.cancel();
    };
    let both = async { tokio::join!(cutting, signalled) };
    let (ended, ()) = tokio::time::timeout(LIMIT, both).await.expect("it ends");
    assert!(matches!(ended, Err(RunError::Stopped(_))), "{ended:?}");
    assert_eq!(shop.phase().await, "fenced");
    shop.succeed(CANCEL).await;
    let before = application.written().await.source;
    until_written(&application, |written| written.source >= before + 20).await;
    shop.assert_both_sides(&application.end().await).await;
    end(tail).await;
}
