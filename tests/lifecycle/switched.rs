//! A service that switches to its own table: from then on, nothing that is read from the source is written there.

use std::time::Duration;

use serde_json::Value;

use crate::support::long::in_the_long_run;
use crate::support::mutator::Habits;
use crate::support::process::{lanes, obstacles};
use crate::support::stage::{Stage, seed};
use crate::support::table::{self, SdkItem, item, key, number, text};
use crate::support::trial::Mode;
use crate::support::{Engine, contents};

pub const HABITS: Habits = Habits {
    keys: 60,
    writers: 1,
    pause: Duration::from_millis(40),
    backwards: 0,
};
pub const COMPLETE: &[&str] = &["complete", "--yes", "--quiet-for", "1"];

fn order(document: &str, at: u32, by: &str) -> SdkItem {
    let fields = [("kind", text("order")), ("at", number(at)), ("by", text(by))];
    item("ACC#switch", document, fields)
}

/// A verified split, whose tail runs.
async fn verified(mode: Mode) -> (Stage, crate::support::process::Running) {
    let stage = Stage::set(Engine::embedded().await, mode).await;
    let mutator = stage.write(HABITS).await;
    stage.cli.succeed(&["apply"]).await;
    let tail = stage.cli.start(&["replicate"]);
    stage.cli.until_captured().await;
    stage.cli.succeed(&["backfill"]).await;
    mutator.stop().await;
    for document in ["DOC#1", "DOC#2", "DOC#3"] {
        table::put(&stage.client, &stage.trial.source, order(document, 5, "monolith")).await;
    }
    stage.cli.until_caught_up().await;
    stage.cli.succeed(&["verify"]).await;
    (stage, tail)
}

/// What the service does to its own table: a new item, a newer one, and a delete.
async fn writes_its_own_table(stage: &Stage) {
    let (client, orders) = (&stage.client, &stage.trial.orders);
    table::put(client, orders, order("DOC#new", 9, "service")).await;
    table::put(client, orders, order("DOC#1", 9, "service")).await;
    table::delete(client, orders, key("ACC#switch", "DOC#2")).await;
}

async fn assert_own_writes_stand(stage: &Stage) {
    let (client, orders) = (&stage.client, &stage.trial.orders);
    for document in ["DOC#new", "DOC#1"] {
        let found = table::get(client, orders, key("ACC#switch", document)).await;
        let by = found.as_ref().and_then(|item| item.get("by"));
        assert_eq!(by, Some(&text("service")), "{document}: {found:?}");
    }
    let gone = table::get(client, orders, key("ACC#switch", "DOC#2")).await;
    assert_eq!(gone, None, "the service deleted it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_writes_the_table_of_a_service_that_has_switched_in_sequence_mode() {
    in_the_long_run!(nothing_writes_the_table_of_a_service_that_has_switched_in_sequence_mode);
    nothing_writes_its_table(Mode::Sequence).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_writes_the_table_of_a_service_that_has_switched_in_timestamp_mode() {
    in_the_long_run!(nothing_writes_the_table_of_a_service_that_has_switched_in_timestamp_mode);
    nothing_writes_its_table(Mode::Timestamp).await;
}

async fn nothing_writes_its_table(mode: Mode) {
    let (stage, tail) = verified(mode).await;
    let (client, cli, source) = (&stage.client, &stage.cli, &stage.trial.source);
    let words = ["switched", "--service", "orders"];
    let said = cli.succeed(&words).await;
    assert!(said.stdout.contains("orders has switched"), "{}", said.stdout);
    writes_its_own_table(&stage).await;
    // A forgotten writer still writes the source, newer than the service; and another service's items go on.
    table::put(client, source, order("DOC#1", 20, "monolith")).await;
    table::put(client, source, order("DOC#late", 20, "monolith")).await;
    let names = item(
        "ACC#switch",
        "DOC#name",
        [("kind", text("invoice")), ("at", number(7)), ("name", text("n"))],
    );
    table::put(client, source, names).await;
    cli.until_caught_up().await;
    let status = cli.status().await;
    assert!(lanes(&status).all(|lane| lane["lane"] != "orders"), "{status:#}");
    assert!(status["switched"]["orders"].is_u64(), "{status:#}");

    for words in [
        &["verify"] as &[&str],
        &["verify", "--repair"],
        &["dead-letters", "reconcile"],
        &["backfill"],
    ] {
        cli.succeed(words).await;
        assert_own_writes_stand(&stage).await;
    }
    let verify = cli.succeed(&["verify"]).await;
    assert!(
        verify.stdout.contains("orders has switched to its own table"),
        "{}",
        verify.stdout
    );
    let late = table::get(client, &stage.trial.orders, key("ACC#switch", "DOC#late")).await;
    assert_eq!(late, None, "the lane is closed");
    let asked = cli.run(&["verify", "--service", "orders"]).await;
    assert_eq!(asked.code, Some(1), "{}", asked.stderr);

    // A second worker, and one that is killed and started again, leave it alone too.
    tail.kill().await;
    let tail = cli.start(&["replicate"]);
    table::put(client, source, order("DOC#1", 30, "monolith")).await;
    cli.until_caught_up().await;
    assert_own_writes_stand(&stage).await;
    // The forgotten writer is known, and its writes are lost.
    cli.succeed(&["complete", "--yes", "--lose-late-writes"]).await;
    tail.end().await.with_code(&["replicate"], 0);
    assert_own_writes_stand(&stage).await;
    // What is compared afterwards changes nothing, and does not count.
    let after = cli.run(&["verify"]).await;
    assert!(
        after.stdout.contains("does not count"),
        "{}{}",
        after.stdout,
        after.stderr
    );
    assert!(!after.stdout.contains("--repair"), "{}", after.stdout);
    assert_own_writes_stand(&stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_refuses_to_overwrite_what_a_service_wrote_without_a_record() {
    in_the_long_run!(a_repair_refuses_to_overwrite_what_a_service_wrote_without_a_record);
    let (stage, tail) = verified(Mode::Timestamp).await;
    let cli = &stage.cli;
    writes_its_own_table(&stage).await;
    let found = cli.run(&["verify"]).await.with_code(&["verify"], 3);
    assert!(
        found.stdout.contains("dynasplit switched --unproven"),
        "{}",
        found.stdout
    );
    assert!(!found.stdout.contains("To mend"), "{}", found.stdout);
    let words = ["verify", "--repair"];
    let refused = cli.run(&words).await.with_code(&words, 3);
    assert!(refused.stdout.contains("not repaired:"), "{}", refused.stdout);
    assert!(
        refused.stdout.contains("DOC#new"),
        "the keys are listed: {}",
        refused.stdout
    );
    assert_own_writes_stand(&stage).await;

    // Recording it late ends the deadlock; the verify before the switch counts.
    let words = ["switched", "--service", "orders"];
    cli.run(&words).await.with_code(&words, 3);
    let said = cli
        .succeed(&["switched", "--unproven", "--service", "orders"])
        .await;
    assert!(
        said.stdout.contains("overridden: the last verify was not clean"),
        "{}",
        said.stdout
    );
    cli.succeed(&["verify"]).await;
    cli.succeed(COMPLETE).await;
    tail.end().await.with_code(&["replicate"], 0);
    assert_own_writes_stand(&stage).await;
}

/// A repair that is mandatory for one service is no reason to overwrite another one's table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mandatory_repair_explains_only_the_service_that_it_is_for() {
    in_the_long_run!(a_mandatory_repair_explains_only_the_service_that_it_is_for);
    let (stage, tail) = verified(Mode::Sequence).await;
    let cli = &stage.cli;
    cli.succeed(&["switched", "--service", "invoices"]).await;
    cli.succeed(&["switched", "--undo", "--service", "invoices"])
        .await;
    let back =
        |status: &Value| lanes(status).any(|lane| lane["lane"] == "invoices" && lane["lag_ms"].is_u64());
    cli.until("the lane", back).await;
    cli.until_caught_up().await;
    // The service that switched back wrote its table meanwhile, and so did one that never switched.
    let own = [("account", text("switch")), ("document", text("own"))];
    let own = own.map(|(name, value)| (name.to_owned(), value)).into();
    table::put(&stage.client, &stage.trial.invoices, own).await;
    writes_its_own_table(&stage).await;
    let words = ["verify", "--repair"];
    let refused = cli.run(&words).await.with_code(&words, 3);
    assert!(
        refused.stdout.contains("wrote the target of orders:"),
        "{}",
        refused.stdout
    );
    assert!(refused.stdout.contains("repaired 1 key"), "{}", refused.stdout);
    assert_own_writes_stand(&stage).await;
    let status = cli.status().await;
    assert!(
        obstacles(&status).contains("was taken back"),
        "the duty stays: {status:#}"
    );
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

/// A restart of the tail loses changes, so a table may be older than the source. A table that is newer was written by
/// its service.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_the_tail_does_not_explain_items_that_are_newer_than_the_source() {
    let (stage, tail) = verified(Mode::Timestamp).await;
    let cli = &stage.cli;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
    let tail = cli.start(&["replicate", "--restart-tail"]);
    cli.until_captured().await;
    // It reads the stream from its beginning again.
    cli.until_caught_up().await;
    writes_its_own_table(&stage).await;
    let words = ["verify", "--repair"];
    let refused = cli.run(&words).await.with_code(&words, 3);
    assert!(
        refused.stdout.contains("newer timestamps than the source"),
        "{}",
        refused.stdout
    );
    assert_own_writes_stand(&stage).await;
    let status = cli.status().await;
    assert!(obstacles(&status).contains("restarted"), "{status:#}");
    // The advice leads on: to repeat the same repair would be refused forever.
    for advice in [&refused.stdout, &obstacles(&status)] {
        assert!(advice.contains("--discard-target-writes"), "{advice}");
        assert!(advice.contains("If nobody writes it"), "{advice}");
    }
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

/// Nothing can settle a dead letter of a table that dynasplit does not write any more, so there is a way to remove it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_of_a_service_that_has_switched_can_be_discarded() {
    in_the_long_run!(dead_letters_of_a_service_that_has_switched_can_be_discarded);
    let (stage, tail) = verified(Mode::Timestamp).await;
    let (client, cli) = (&stage.client, &stage.cli);
    let bad = item("BAD#1", "DOC#1", [("kind", text("invoice")), ("at", number(5))]);
    table::put(client, &stage.trial.source, bad).await;
    let found = |status: &Value| status["dead_letters"]["invoices"] == 1;
    cli.until("the dead letter", found).await;
    let discard = ["dead-letters", "discard", "--service", "invoices"];
    let early = cli.run(&discard).await.with_code(&discard, 1);
    assert!(early.stderr.contains("has not switched"), "{}", early.stderr);
    let reconcile = ["dead-letters", "reconcile"];
    cli.run(&reconcile).await.with_code(&reconcile, 3);
    cli.succeed(&["switched", "--unproven", "--service", "invoices"])
        .await;
    for words in [&["dead-letters", "list"], &reconcile] {
        let told = cli.run(words).await.with_code(words, 3);
        let hint = "dead-letters discard --service invoices";
        assert!(told.stdout.contains(hint), "{}", told.stdout);
        assert!(!told.stdout.contains("in the source"), "{}", told.stdout);
    }
    cli.succeed(&discard).await;
    cli.succeed(&reconcile).await;
    cli.succeed(&["dead-letters", "list"]).await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_flag_that_names_the_loss_overwrites_what_others_wrote() {
    in_the_long_run!(the_flag_that_names_the_loss_overwrites_what_others_wrote);
    let (stage, tail) = verified(Mode::Sequence).await;
    let cli = &stage.cli;
    writes_its_own_table(&stage).await;
    let words = ["verify", "--repair", "--discard-target-writes"];
    let repaired = cli.run(&words).await.with_code(&words, 3);
    assert!(repaired.stdout.contains("repaired 3"), "{}", repaired.stdout);
    cli.succeed(&["verify"]).await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_is_refused_until_it_is_proven_and_can_be_taken_back() {
    in_the_long_run!(a_switch_is_refused_until_it_is_proven_and_can_be_taken_back);
    let stage = Stage::set(Engine::embedded().await, Mode::Timestamp).await;
    let (client, cli) = (&stage.client, &stage.cli);
    cli.succeed(&["apply"]).await;
    let words = ["switched", "--service", "orders"];
    let early = cli.run(&words).await.with_code(&words, 3);
    assert!(early.stderr.contains("not follow the stream"), "{}", early.stderr);
    let unknown = ["switched", "--service", "nobody"];
    cli.run(&unknown).await.with_code(&unknown, 2);
    let tail = cli.start(&["replicate"]);
    cli.until_captured().await;
    cli.succeed(&["backfill"]).await;
    let early = cli.run(&words).await.with_code(&words, 3);
    assert!(early.stderr.contains("nothing was verified"), "{}", early.stderr);
    cli.succeed(&["verify"]).await;
    // Without a worker, that is the first thing to say.
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
    let alone = cli.run(&words).await.with_code(&words, 3);
    let first = alone.stderr.lines().find(|line| line.starts_with("  - "));
    let first = first.unwrap_or_default();
    assert!(
        first.contains("no live worker reads the stream"),
        "{}",
        alone.stderr
    );
    let tail = cli.start(&["replicate"]);
    cli.until_caught_up().await;
    cli.succeed(&words).await;
    let again = cli.succeed(&words).await;
    assert!(again.stdout.contains("switched"), "{}", again.stdout);
    table::put(client, &stage.trial.source, order("DOC#1", 5, "monolith")).await;
    cli.until_caught_up().await;
    let closed = table::get(client, &stage.trial.orders, key("ACC#switch", "DOC#1")).await;
    assert_eq!(closed, None);

    cli.succeed(&["switched", "--undo", "--service", "orders"]).await;
    let back = |status: &Value| lanes(status).any(|lane| lane["lane"] == "orders" && lane["lag_ms"].is_u64());
    cli.until("the lane", back).await;
    cli.until_caught_up().await;
    let delivered = table::get(client, &stage.trial.orders, key("ACC#switch", "DOC#1")).await;
    assert!(delivered.is_some(), "the lane continued at its checkpoint");
    let status = cli.status().await;
    assert!(obstacles(&status).contains("was taken back"), "{status:#}");
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

/// A writer that was forgotten at the switch writes into a table that nobody reads any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_writer_of_a_service_that_has_switched_is_told() {
    in_the_long_run!(a_forgotten_writer_of_a_service_that_has_switched_is_told);
    let (stage, tail) = verified(Mode::Sequence).await;
    let (client, cli, source) = (&stage.client, &stage.cli, &stage.trial.source);
    // Changes from before the switch are delivered, and items of others are not of the service.
    cli.succeed(&["switched", "--service", "orders"]).await;
    let others = [("kind", text("invoice")), ("at", number(7)), ("name", text("n"))];
    table::put(client, source, item("ACC#switch", "DOC#name", others)).await;
    cli.until_caught_up().await;
    cli.succeed(&["verify"]).await;
    assert_eq!(obstacles(&cli.status().await), "[]");
    let (mut at, mut told) = (100, String::new());
    while !told.contains("written-after-switch") {
        at += 1;
        assert!(at < 1000, "it is never told: {told}");
        table::put(client, source, order("DOC#1", at, "monolith")).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        told = obstacles(&cli.look().await);
    }
    assert!(
        told.contains("of orders came to the source after orders had switched"),
        "{told}"
    );
    let check = ["status", "--check"];
    let alarm = cli.run(&check).await.with_code(&check, 3);
    assert!(alarm.stdout.contains("came to the source"), "{}", alarm.stdout);
    // It concerns no other service.
    cli.until_caught_up().await;
    cli.succeed(&["switched", "--service", "invoices"]).await;
    let refused = cli.run(COMPLETE).await.with_code(COMPLETE, 3);
    assert!(refused.stderr.contains("of orders came"), "{}", refused.stderr);
    // A restart of the tail forgets nothing of it, and counts nothing twice.
    let count = |status: &Value| {
        let watch = lanes(status).find(|lane| lane["lane"] == "(unrouted)");
        watch.and_then(|lane| lane["late"]["orders"]["count"].as_u64())
    };
    let before = count(&cli.status().await);
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
    let tail = cli.start(&["replicate", "--restart-tail"]);
    cli.until_captured().await;
    assert_eq!(count(&cli.status().await), before);
    cli.until_caught_up().await;
    let status = cli.status().await;
    assert_eq!(count(&status), before, "{status:#}");
    assert!(obstacles(&status).contains("of orders came"), "{status:#}");
    cli.run(&["verify", "--repair"]).await;
    cli.run(&["verify"]).await;
    let refused = cli.run(COMPLETE).await.with_code(COMPLETE, 3);
    assert!(refused.stderr.contains("of orders came"), "{}", refused.stderr);
    cli.succeed(&["complete", "--yes", "--lose-late-writes"]).await;
    tail.end().await.with_code(&["replicate"], 0);
}

/// Nothing is copied into the table of a service that switched before it was ever filled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_leaves_out_a_service_that_has_switched() {
    // Without a stream, so that only a copy can bring the items over.
    let stage = Stage::seeded(Engine::embedded().await, Mode::Sequence, seed(), false).await;
    let (client, cli) = (&stage.client, &stage.cli);
    table::put(client, &stage.trial.source, order("DOC#1", 5, "monolith")).await;
    let invoice = [("kind", text("invoice")), ("at", number(1)), ("name", text("n"))];
    table::put(client, &stage.trial.source, item("ACC#switch", "DOC#9", invoice)).await;
    let tail = cli.begin().await;
    cli.succeed(&["switched", "--unproven", "--service", "orders"])
        .await;
    for order in ["concurrent", "bulk", "concurrent"] {
        cli.succeed(&["backfill", "--order", order]).await;
    }
    let orders = contents::read(client, &stage.trial.orders).await;
    assert!(orders.is_empty(), "{orders:?}");
    assert_eq!(contents::read(client, &stage.trial.invoices).await.len(), 1);
    cli.succeed(&["verify"]).await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

/// A backfill that stood still while a service switched writes nothing to its table when it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_that_wakes_up_after_a_switch_writes_nothing_there() {
    // Without a stream, so that only a copy can bring the items over.
    let stage = Stage::seeded(Engine::embedded().await, Mode::Sequence, seed(), false).await;
    let (client, cli) = (&stage.client, &stage.cli);
    table::put(client, &stage.trial.source, order("DOC#1", 5, "monolith")).await;
    let tail = cli.begin().await;
    // It has opened its round, with the service in it, and holds nothing yet.
    let mut fill = cli.armed("state.segment.put.before=stop").start(&["backfill"]);
    fill.until_stopped().await;
    cli.succeed(&["switched", "--unproven", "--service", "orders"])
        .await;
    fill.signal("CONT");
    let done = fill.end().await.with_code(&["backfill"], 1);
    assert!(
        done.stderr.contains("switched to its own table while"),
        "{}",
        done.stderr
    );
    cli.succeed(&["backfill"]).await;
    let orders = contents::read(client, &stage.trial.orders).await;
    assert!(orders.is_empty(), "{orders:?}");
    cli.succeed(&["verify"]).await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}
