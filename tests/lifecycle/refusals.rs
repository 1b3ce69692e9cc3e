//! What is refused, with the way out, before anything is changed.

use dynasplit::state::{SplitRecord, Store};

use crate::support::long::in_the_long_run;
use crate::support::process::obstacles;
use crate::support::stage::Stage;
use crate::support::table::{self, item, number, text};
use crate::support::trial::{Mode, Stamps};
use crate::support::{Engine, contents};

const COMMANDS: [&[&str]; 6] = [
    &["apply"],
    &["replicate"],
    &["backfill"],
    &["verify"],
    &["dead-letters", "reconcile"],
    &["complete", "--yes", "--quiet-for", "1"],
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_was_edited_in_the_middle() {
    let stage = Stage::set(Engine::embedded().await, Mode::Sequence).await;
    let (client, cli) = (&stage.client, &stage.cli);
    cli.succeed(&["apply"]).await;
    let store = Store::new(client.clone(), &stage.trial.state_table());
    let before = SplitRecord::read(&store).await.expect("a record");
    let edits = [
        (
            "where: kind = 'order'",
            "where: kind = 'orders'",
            "service 'orders', where: was `kind = 'order'`, is now `kind = 'orders'`",
        ),
        (
            "keep: [name]",
            "keep: [name, at]",
            "service 'names', transform.keep: was `[name]`, is now `[at, name]`",
        ),
        (
            "'archive'",
            "'gone'",
            "edited.yaml:8: unrouted.left-behind: was `kind = 'archive'`, is now `kind = 'gone'`",
        ),
        (
            "timestamp: none",
            "timestamp: { attribute: at, type: N }",
            "edited.yaml:6: timestamp: was `none`, is now `at (number)`",
        ),
    ];
    for (from, to, what) in edits {
        let edited = stage.edited(from, to);
        for words in COMMANDS {
            let refused = edited.run(words).await.with_code(words, 1);
            for said in [
                what,
                "was edited in settings that are fixed while it runs",
                "Restore these settings in the plan",
            ] {
                assert!(refused.stderr.contains(said), "{words:?}: {}", refused.stderr);
            }
        }
    }
    assert_eq!(SplitRecord::read(&store).await.expect("a record"), before);
    // The plan as it was goes on.
    cli.succeed(&["apply"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn left_behind_is_widened_while_a_worker_runs() {
    in_the_long_run!(left_behind_is_widened_while_a_worker_runs);
    let stage = Stage::set(Engine::embedded().await, Mode::Sequence).await;
    let (client, source, cli) = (&stage.client, &stage.trial.source, &stage.cli);
    let tail = cli.begin().await;
    let new_kind = item("ACC#1", "DOC#1", [("kind", text("strange"))]);
    table::put(client, source, new_kind).await;
    let letters = |count: u64| {
        move |status: &serde_json::Value| status["dead_letters"]["(unrouted)"].as_u64().unwrap_or(0) == count
    };
    cli.until("a dead letter of the new kind", letters(1)).await;

    let wider = stage.edited("kind = 'archive'", "kind = 'archive' OR kind = 'strange'");
    let reconcile = ["dead-letters", "reconcile"];
    let refused = wider.run(&reconcile).await.with_code(&reconcile, 1);
    assert!(
        refused.stderr.contains("with this plan to record it"),
        "{}",
        refused.stderr
    );
    let applied = wider.succeed(&["apply"]).await;
    assert!(
        applied.stdout.contains("`left-behind` was widened"),
        "{}",
        applied.stdout
    );
    assert!(
        applied.stdout.contains("next: restart each worker"),
        "{}",
        applied.stdout
    );
    wider.succeed(&reconcile).await;
    cli.until("no dead letter", letters(0)).await;

    // The worker goes on with the older plan: services are served, and nothing is lost without a word.
    let another = item("ACC#1", "DOC#2", [("kind", text("strange"))]);
    table::put(client, source, another).await;
    cli.until("a dead letter by the older plan", letters(1)).await;
    let told = cli.run(&reconcile).await.with_code(&reconcile, 3);
    assert!(
        told.stderr.contains("this plan is older than the split's"),
        "{}",
        told.stderr
    );
    // The worker is named first, and nobody is asked to correct an item that is not wrong.
    let status = wider.status().await;
    assert_eq!(status["obstacles"][0]["kind"], "other-worker", "{status:#}");
    let list = ["dead-letters", "list"];
    let listed = wider.run(&list).await.with_code(&list, 3);
    assert!(
        listed.stdout.contains("Restart each worker") && !listed.stdout.contains("orrect"),
        "{}",
        listed.stdout
    );
    let refused = cli.run(&["apply"]).await.with_code(&["apply"], 1);
    assert!(refused.stderr.contains("is never narrowed"), "{}", refused.stderr);
    let narrower = stage.edited("kind = 'archive'", "kind = 'strange'");
    let refused = narrower.run(&["apply"]).await.with_code(&["apply"], 1);
    assert!(
        refused.stderr.contains("`left-behind` may only be widened"),
        "{}",
        refused.stderr
    );
    let wider = stage.edited("kind = 'archive'", "kind = 'archive' OR kind = 'strange'");
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
    let mut tail = wider.start(&["replicate"]);
    // One that is told to stop before it has begun ends with another code.
    tail.until_told("reading shard").await;
    let settles =
        |status: &serde_json::Value| obstacles(status).contains("run `dynasplit dead-letters reconcile");
    wider.until("a worker with the newer plan", settles).await;
    wider.succeed(&reconcile).await;
    wider
        .until("no obstacle of a worker", |status| {
            !obstacles(status).contains("other-worker")
        })
        .await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_of_a_version_that_is_not_known() {
    let stage = Stage::set(Engine::embedded().await, Mode::Sequence).await;
    let (client, cli) = (&stage.client, &stage.cli);
    cli.succeed(&["apply"]).await;
    let store = Store::new(client.clone(), &stage.trial.state_table());
    let mut record = SplitRecord::read(&store).await.expect("a record");
    record.value.format = 99;
    store
        .put(SplitRecord::NAME, record.value, record.revision)
        .await
        .expect("nobody else writes");
    let before = contents::read(client, &stage.trial.state_table()).await;
    for words in COMMANDS.into_iter().chain([&["status"] as &[&str]]) {
        let refused = cli.run(words).await.with_code(words, 1);
        assert!(
            refused.stderr.contains("format 99"),
            "{words:?}: {}",
            refused.stderr
        );
        assert!(
            refused.stderr.contains("Use the version that wrote it"),
            "{words:?}: {}",
            refused.stderr
        );
    }
    let after = contents::read(client, &stage.trial.state_table()).await;
    contents::assert_same(&after, &before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_holds_items() {
    let stage = Stage::set(Engine::embedded().await, Mode::Sequence).await;
    let (client, trial, cli) = (&stage.client, &stage.trial, &stage.cli);
    table::create_with(client, &trial.orders, &["PK", "SK"], false).await;
    let foreign = item("ACC#1", "DOC#1", [("foreign", text("yes"))]);
    table::put(client, &trial.orders, foreign).await;
    let refused = cli.run(&["apply"]).await.with_code(&["apply"], 1);
    for said in [
        trial.orders.as_str(),
        "holds items already",
        "may-hold-items: true",
    ] {
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
    let tables = client
        .list_tables()
        .send()
        .await
        .expect("a list")
        .table_names
        .unwrap_or_default();
    assert!(
        !tables.contains(&trial.invoices) && !tables.contains(&trial.state_table()),
        "{tables:?}"
    );
    assert_eq!(contents::read(client, &trial.orders).await.len(), 1);

    // Said in the plan, it is taken as it is, and a repair is mandatory, which removes what does not belong there.
    let order = [("kind", text("order")), ("at", number(1))];
    table::put(client, &trial.source, item("ACC#2", "DOC#2", order)).await;
    let keys = "      keys: { partition: PK, sort: SK }\n  - name: invoices";
    let allowed = stage.edited(keys, &format!("      may-hold-items: true\n{keys}"));
    allowed.succeed(&["apply"]).await;
    let tail = allowed.start(&["replicate"]);
    allowed.until_captured().await;
    allowed.succeed(&["backfill"]).await;
    allowed.run(&["verify"]).await.with_code(&["verify"], 3);
    let refused = allowed
        .run(&["complete", "--yes", "--quiet-for", "1"])
        .await
        .with_code(&["complete"], 3);
    assert!(
        refused.stderr.contains("a repair is mandatory"),
        "{}",
        refused.stderr
    );
    allowed.run(&["verify", "--repair"]).await;
    allowed.succeed(&["verify"]).await;
    trial.assert_equal(client, Stamps::Stripped).await;
    tail.kill().await;
}
