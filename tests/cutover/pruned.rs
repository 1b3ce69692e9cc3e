//! `prune`: what it deletes from the source, what it leaves, and who must not notice it.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::application::{Application, Written};
use super::deaths::die;
use super::shop::{Shop, end, until_written};
use crate::support::Engine;
use crate::support::contents::{self, Contents, Plain};
use crate::support::long::in_the_long_run;
use crate::support::process::{Done, Running, lane, obstacles};
use crate::support::table::{self, SdkItem, item, number, text};
use crate::support::trial::Mode;

const PRUNE: &[&str] = &["prune", "--service", "people", "--no-backup", "--yes"];
const ANYWAY: &[&str] = &[
    "prune",
    "--service",
    "people",
    "--no-backup",
    "--lose-late-writes",
    "--yes",
];
const COMPLETE: &[&str] = &["complete", "--service", "people", "--end-copies", "--yes"];

/// The points of a prune that nobody disturbs, in an order in which something is left for each.
const ALONE: &[&str] = &[
    "state.prune.put.before",
    "state.prune.put.after",
    "prune.mark.before",
    "prune.mark.after",
    "prune.delete.before",
    "prune.delete.after",
    "prune.page",
];
/// Those of a prune beside a forgotten writer.
const DISTURBED: &[&str] = &[
    "prune.unmark.before",
    "prune.unmark.after",
    "prune.put-back.before",
    "prune.put-back.after",
];
pub const POINTS: &[&str] = &[
    "state.prune.put.before",
    "state.prune.put.after",
    "prune.mark.before",
    "prune.mark.after",
    "prune.delete.before",
    "prune.delete.after",
    "prune.page",
    "prune.unmark.before",
    "prune.unmark.after",
    "prune.put-back.before",
    "prune.put-back.after",
];

/// A service that is completed, and whose application writes its own table.
async fn completed(engine: Engine, mode: Mode) -> (Shop, Running, Application) {
    let (shop, tail, application) = Shop::open_with_copy(engine, mode).await;
    shop.cutover().await;
    until_written(&application, |written| written.target >= 60).await;
    shop.succeed(COMPLETE).await;
    (shop, tail, application)
}

/// The people in the source.
async fn people(shop: &Shop) -> Contents {
    let mut source = contents::read(&shop.stage.client, &shop.stage.trial.source).await;
    source.retain(|key, _| matches!(&key[0], Plain::Text(pk) if pk.starts_with("PER#")));
    source
}

async fn refused(shop: &Shop, words: &[&str], code: i32, says: &str) {
    let refused = shop.run(&shop.cli, words).await.with_code(words, code);
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(said.contains(says), "{words:?}: {said}");
}

/// The application goes on, and its own table holds what it wrote.
async fn assert_target(shop: &Shop, application: Application) -> Written {
    let before = application.written().await.target;
    until_written(&application, |written| written.target >= before + 20).await;
    let written = application.end().await;
    let mut wrong = shop.wrong(&written).await;
    wrong.retain(|wrong| wrong.starts_with("target: ") && !wrong.contains("items, and"));
    assert!(wrong.is_empty(), "{wrong:?}");
    let own = contents::read(&shop.stage.client, &shop.people).await;
    assert_eq!(own.len(), written.people.len() + 1, "and the shared one");
    written
}

/// Waits until the lanes have read everything from before this call, and returns the state of the split.
async fn read_on(shop: &Shop) -> Value {
    let began = Instant::now();
    let is_past = |status: &Value| {
        let lag_ms = lane(status, "(unrouted)")["lag_ms"].as_u64();
        // The time of a record is rounded to the second.
        let waited = began.elapsed().saturating_sub(Duration::from_secs(2));
        lag_ms.is_some_and(|lag_ms| Duration::from_millis(lag_ms) < waited)
    };
    shop.cli.until("the lanes have read it", is_past).await
}

/// Nobody took a delete for a write of the application, and no other table was touched.
async fn assert_unnoticed(shop: &Shop) {
    let status = read_on(shop).await;
    let found = obstacles(&status);
    for kind in ["written-after-switch", "stray-writes", "dead-letters"] {
        assert!(!found.contains(kind), "{kind}: {found}");
    }
    assert_eq!(
        contents::read(&shop.stage.client, shop.copy.as_deref().expect("a copy"))
            .await
            .len(),
        1
    );
    assert_eq!(contents::read(&shop.stage.client, &shop.orders).await.len(), 1);
}

async fn assert_only_the_shared_one_is_left(shop: &Shop) {
    let left = people(shop).await;
    let shared = item("PER#900", "P", [("n", number(1)), ("kind", text("shared"))]);
    assert_eq!(
        left.values().collect::<Vec<_>>(),
        [&contents::plain_item(&shared)]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_completed_service_is_pruned_while_others_continue() {
    in_the_long_run!(a_completed_service_is_pruned_while_others_continue);
    let (shop, tail, application) = Shop::open_with_copy(Engine::embedded().await, Mode::Sequence).await;
    let copy = ["prune", "--service", "copy", "--no-backup", "--yes"];
    refused(&shop, &copy, 1, "does not own its items").await;
    refused(&shop, PRUNE, 1, "is not completed").await;
    shop.cutover().await;
    until_written(&application, |written| written.target >= 60).await;
    refused(&shop, PRUNE, 1, "dynasplit complete --service people").await;
    shop.succeed(COMPLETE).await;
    let before = people(&shop).await;
    refused(&shop, &PRUNE[..3], 2, "--yes").await;
    let dry = ["prune", "--service", "people", "--dry-run"];
    refused(&shop, &dry, 3, "there is no backup of the source").await;
    let counted = ["prune", "--service", "people", "--dry-run", "--no-backup"];
    let shown = shop.succeed(&counted).await.stdout;
    let meant = format!("{} of {} items", before.len() - 1, before.len() + 1);
    assert!(
        shown.contains(&meant) && shown.contains("would be deleted"),
        "{meant}: {shown}"
    );
    let unsafe_ = ["prune", "--service", "people", "--yes"];
    refused(&shop, &unsafe_, 3, "there is no backup of the source").await;
    assert_eq!(people(&shop).await, before, "nothing was deleted");

    // The writers of another service are stopped: they do not wait for the deletes.
    shop.verify().await;
    let other = ["cutover", "--service", "orders", "--yes"];
    let mut cutting = shop.cli.armed("cutover.fencing=stop").start(&other);
    cutting.until_stopped_at("cutover.fencing").await;
    let pruning = shop.cli.start(PRUNE);
    shop.cli
        .until("it waits for the writers of orders", |status| {
            status["running"].to_string().contains("the writers of orders")
        })
        .await;
    assert_eq!(people(&shop).await, before);
    cutting.signal("CONT");
    cutting.end().await.with_code(&other, 0);
    let pruned = pruning.end().await.with_code(PRUNE, 0).stdout;
    assert!(pruned.contains("takes them, too: 1 item"), "{pruned}");
    assert_only_the_shared_one_is_left(&shop).await;
    assert_unnoticed(&shop).await;
    assert_target(&shop, application).await;
    // A restart reads all these records again.
    shop.succeed(&["complete", "--service", "orders", "--yes"]).await;
    end(tail).await;
    let tail = shop.cli.start(&["replicate", "--restart-tail"]);
    assert_unnoticed(&shop).await;
    end_the_split(&shop, tail).await;
}

/// The rest is pruned when the whole split is completed.
async fn end_the_split(shop: &Shop, tail: Running) {
    let repair = ["verify", "--repair"];
    let repaired = shop.run(&shop.cli, &repair).await;
    assert!(matches!(repaired.code, Some(0 | 3)), "{}", repaired.stderr);
    shop.verify().await;
    shop.succeed(&["complete", "--yes", "--quiet-for", "1"]).await;
    tail.end().await.with_code(&["replicate"], 0);
    let orders = ["prune", "--service", "orders", "--no-backup", "--yes"];
    for words in [PRUNE, &orders] {
        shop.succeed(words).await;
    }
    let left = contents::read(&shop.stage.client, &shop.stage.trial.source).await;
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prune_dies_at_each_step_and_the_same_command_continues() {
    in_the_long_run!(a_prune_dies_at_each_step_and_the_same_command_continues);
    let (shop, tail, application) = completed(Engine::embedded().await, Mode::Sequence).await;
    for point in ALONE {
        die(&shop, PRUNE, point).await;
    }
    shop.succeed(PRUNE).await;
    assert_only_the_shared_one_is_left(&shop).await;
    assert_unnoticed(&shop).await;
    assert_target(&shop, application).await;
    end(tail).await;
}

/// A person whom a forgotten writer writes to the source. One page holds it, and no other item of the service.
fn forgotten() -> SdkItem {
    item("PER#700", "P", [("n", number(1)), ("amount", number(10))])
}

async fn put_forgotten(shop: &Shop) {
    table::put(&shop.stage.client, &shop.stage.trial.source, forgotten()).await;
}

/// A prune is suspended at a point of this item. The writer adds an attribute to it, or changes it, and the prune goes on.
async fn overtaken(shop: &Shop, points: [&str; 2], attribute: &str) -> Done {
    put_forgotten(shop).await;
    let [at, dies] = points;
    let faults = match dies {
        "" => format!("{at}=stop"),
        _ => format!("{at}=stop,{dies}=kill"),
    };
    let mut pruning = shop.cli.armed(&faults).start(ANYWAY);
    pruning.until_stopped_at(at).await;
    let sent = shop
        .stage
        .client
        .update_item()
        .table_name(&shop.stage.trial.source)
        .set_key(Some(table::key("PER#700", "P")))
        .update_expression("SET #a = :v")
        .condition_expression("attribute_exists(PK)")
        .expression_attribute_names("#a", attribute)
        .expression_attribute_values(":v", number(7_000_000))
        .send()
        .await;
    sent.expect("the item is there, and is changed");
    pruning.signal("CONT");
    pruning.end().await
}

/// The item is as the forgotten writer left it, and no mark is left, unless the process died before it could remove it.
async fn assert_kept(shop: &Shop, attribute: &str, is_marked: bool) {
    let found = table::get(
        &shop.stage.client,
        &shop.stage.trial.source,
        table::key("PER#700", "P"),
    )
    .await;
    let mut found = found.unwrap_or_else(|| panic!("it is lost ({attribute})"));
    let mark = found.remove("dynasplit:mark:people");
    assert_eq!(mark.is_some(), is_marked, "{attribute}");
    let mut expected = forgotten();
    expected.insert(attribute.to_owned(), number(7_000_000));
    assert_eq!(found, expected);
}

/// What happens to an item that is changed or extended at each point of its delete.
async fn races(shop: &Shop) {
    for at in ["prune.mark.before", "prune.mark.after", "prune.delete.before"] {
        for attribute in ["n", "added"] {
            let done = overtaken(shop, [at, ""], attribute).await.with_code(ANYWAY, 3);
            let is_put_back = attribute == "added" && at != "prune.mark.before";
            let says = if is_put_back {
                "put back"
            } else {
                "somebody changed them after"
            };
            assert!(done.stdout.contains(says), "{at} {attribute}: {}", done.stdout);
            assert_kept(shop, attribute, false).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_forgotten_writer_changes_stays() {
    in_the_long_run!(what_a_forgotten_writer_changes_stays);
    let (shop, tail, application) = completed(Engine::embedded().await, Mode::Sequence).await;
    shop.succeed(PRUNE).await;
    put_forgotten(&shop).await;
    shop.cli
        .until("the late write", |status| {
            obstacles(status).contains("written-after-switch")
        })
        .await;
    refused(&shop, PRUNE, 3, "--lose-late-writes").await;
    races(&shop).await;
    for point in DISTURBED {
        let (at, attribute) = match point.starts_with("prune.unmark") {
            true => ("prune.mark.after", "n"),
            false => ("prune.delete.before", "added"),
        };
        let done = overtaken(&shop, [at, point], attribute).await;
        assert_eq!(done.killed_at(), Some(*point), "{}", done.stderr);
        // Between the delete and the write that puts it back, an item is lost with the process.
        if *point != "prune.put-back.before" {
            assert_kept(&shop, attribute, *point == "prune.unmark.before").await;
        }
    }
    shop.succeed(ANYWAY).await;
    assert_only_the_shared_one_is_left(&shop).await;
    assert_target(&shop, application).await;
    end(tail).await;
}

/// A process that was suspended for so long that another one took over does no harm with the request that it still sends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_that_lands_late_finds_another_item() {
    let (shop, tail, application) = completed(Engine::embedded().await, Mode::Sequence).await;
    shop.succeed(PRUNE).await;
    put_forgotten(&shop).await;
    let mut late = shop.cli.armed("prune.delete.before=stop").start(ANYWAY);
    late.until_stopped_at("prune.delete.before").await;
    shop.succeed(ANYWAY).await;
    assert_only_the_shared_one_is_left(&shop).await;
    // The same item once more, attribute by attribute.
    put_forgotten(&shop).await;
    late.signal("CONT");
    let ended = late.end().await;
    assert!(
        matches!(ended.code, Some(3 | 4)),
        "{:?}: {}",
        ended.code,
        ended.stderr
    );
    let (client, source) = (&shop.stage.client, &shop.stage.trial.source);
    let found = table::get(client, source, table::key("PER#700", "P")).await;
    assert_eq!(found, Some(forgotten()));
    assert_target(&shop, application).await;
    end(tail).await;
}

/// As many attributes as a condition compares, one more, and an item that has no room for a mark.
async fn limits(shop: &Shop) {
    let (client, source) = (&shop.stage.client, &shop.stage.trial.source);
    for (key, attributes) in [("PER#701", 140), ("PER#702", 141)] {
        let mut wide = table::key(key, "P");
        wide.extend((2..attributes).map(|n| (format!("a{n}"), number(n))));
        table::put(client, source, wide).await;
    }
    let mut large = table::key("PER#703", "P");
    // 400 KB, less what a stamp takes, but not what a mark takes.
    large.insert("a".into(), text("x".repeat(400 * 1024 - 110)));
    table::put(client, source, large).await;
    let pruned = shop.succeed(ANYWAY).await.stdout;
    assert!(pruned.contains("no room for a mark: 2 items"), "{pruned}");
    let kept = people(shop).await;
    let kept: Vec<_> = kept.keys().map(|key| key[0].clone()).collect();
    assert_eq!(
        kept,
        ["PER#702", "PER#703", "PER#900"].map(|key| Plain::Text(key.into()))
    );
    for key in ["PER#702", "PER#703"] {
        table::delete(client, source, table::key(key, "P")).await;
    }
}

/// The embedded engine behind one that has backups.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_looked_for() {
    in_the_long_run!(a_backup_is_looked_for);
    let engine = Engine::scripted(crate::support::faulty::Script::quiet(0)).await;
    let (shop, tail, application) = completed(engine, Mode::Timestamp).await;
    let (faults, source) = (shop.stage.engine.faults(), &shop.stage.trial.source);
    let folder = tempfile::tempdir().expect("a folder");
    faults.exports().into(folder.path());
    let before = people(&shop).await;
    faults.exports().recovery(false);
    let unsafe_ = ["prune", "--service", "people", "--yes"];
    refused(&shop, &unsafe_, 3, "point-in-time recovery of").await;
    let now_ms = faults.exports().now_ms();
    let early = faults.export(source, "backups", now_ms - 3_600_000).await;
    let with =
        |export: &str| ["prune", "--service", "people", "--export", export, "--yes"].map(str::to_owned);
    for (export, says) in [
        (early, "is from before the end of people"),
        (
            "arn:aws:dynamodb:eu-central-1:123456789012:table/Other/export/1".into(),
            "is no export of",
        ),
    ] {
        let words = with(&export);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        refused(&shop, &words, 3, says).await;
    }
    assert_eq!(people(&shop).await, before);
    let late = faults.export(source, "backups", now_ms + 3_600_000).await;
    let dry = ["prune", "--service", "people", "--export", &late, "--dry-run"];
    let shown = shop.succeed(&dry).await.stdout;
    assert!(shown.contains(&format!("backup: the export {late}")), "{shown}");
    faults.exports().recovery(true);
    let pruned = shop.succeed(&unsafe_).await.stdout;
    assert!(pruned.contains("point-in-time recovery"), "{pruned}");
    assert_only_the_shared_one_is_left(&shop).await;
    assert_unnoticed(&shop).await;
    assert_target(&shop, application).await;
    end(tail).await;
}

/// DynamoDB Local evaluates the conditions, and returns the images. It has one of its own, because its large items hold up others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dynamodb_local_is_pruned() {
    in_the_long_run!(dynamodb_local_is_pruned);
    let (shop, tail, application) = completed(Engine::genuine_dedicated().await, Mode::Sequence).await;
    shop.succeed(PRUNE).await;
    assert_only_the_shared_one_is_left(&shop).await;
    assert_unnoticed(&shop).await;
    races(&shop).await;
    limits(&shop).await;
    assert_only_the_shared_one_is_left(&shop).await;
    assert_target(&shop, application).await;
    end(tail).await;
}
