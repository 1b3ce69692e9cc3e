//! A verify that reads exports instead of tables: what it finds, what it costs, and what it does not prove.

use dynasplit::state::{ProofRecord, RepairScope, SplitRecord, Store, VerifyRecord};
use serde_json::Value;

use super::course::{copied, delete, order, put, set};
use crate::support::faulty::Script;
use crate::support::long::in_the_long_run;
use crate::support::objects::Objects;
use crate::support::process::Cli;
use crate::support::stage::Stage;
use crate::support::table;
use crate::support::trial::Mode;

const BUCKET: &str = "exports";
const HOUR_MS: u64 = 3_600_000;

struct Scene {
    stage: Stage,
    /// Serves the exports.
    _objects: Objects,
    cli: Cli,
}

impl Scene {
    async fn set(seed: u64) -> Self {
        let objects = Objects::start(&[BUCKET]).await;
        let stage = set(Script::quiet(seed), Mode::Timestamp).await;
        stage.engine.faults().exports().into(objects.root());
        let cli = stage.cli.with_variable("AWS_ENDPOINT_URL_S3", objects.endpoint());
        Self {
            stage,
            _objects: objects,
            cli,
        }
    }

    /// An export of a table as it is now, with an export time from now on.
    async fn export(&self, table: &str, later_ms: u64) -> String {
        let faults = self.stage.engine.faults();
        let at_ms = faults.exports().now_ms() + later_ms;
        faults.export(table, BUCKET, at_ms).await
    }

    /// Verifies, and returns the exit code and the result.
    async fn verify(&self, options: &[&str]) -> (i32, Value) {
        let words = [&["verify", "--output", "json"], options].concat();
        let done = self.cli.run(&words).await;
        let result = serde_json::from_str(&done.stdout);
        let result = result.unwrap_or_else(|error| panic!("{error}: {}{}", done.stdout, done.stderr));
        (done.code.expect("it ended"), result)
    }

    async fn refused(&self, options: &[&str], expected: &str) {
        let words = [&["verify"], options].concat();
        let done = self.cli.run(&words).await;
        assert!(
            matches!(done.code, Some(1 | 2)),
            "{:?}: {}",
            done.code,
            done.stdout
        );
        assert!(
            done.stderr.contains(expected),
            "{expected:?} is not in {}",
            done.stderr
        );
    }

    /// Removes an order from the table of its service, which no lane brings back.
    async fn lose(&self, id: usize) {
        let order = order(id, 1, "there before");
        let key = ["PK", "SK"].map(|name| (name.to_owned(), order[name].clone()));
        table::delete(&self.stage.client, &self.stage.trial.orders, key.into()).await;
    }

    async fn verify_record(&self) -> VerifyRecord {
        let found = self.store().get::<VerifyRecord>(VerifyRecord::NAME).await;
        found.expect("it can be read").expect("a verify").value
    }

    fn store(&self) -> Store {
        Store::new(self.stage.client.clone(), &self.stage.trial.state_table())
    }
}

const CLEAN: i32 = 0;
const NOT_CLEAN: i32 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verify_with_exports_reads_no_table_and_finds_what_is_missing_now() {
    let scene = Scene::set(80).await;
    let (source, orders) = (&scene.stage.trial.source, &scene.stage.trial.orders);
    for id in 0..20 {
        put(&scene.stage, id, 1, "there before").await;
    }
    let _tail = copied(&scene.stage).await;
    scene.cli.until_caught_up().await;
    let faults = scene.stage.engine.faults();
    let reads =
        || [source, orders].map(|table| ["Scan", "GetItem", "Query"].map(|read| faults.asked(read, table)));
    let at_ms = faults.exports().now_ms();
    let of_source = faults.export(source, BUCKET, at_ms).await;
    let of_orders = format!("orders={}", scene.export(orders, 5 * HOUR_MS).await);
    let before = reads();
    let both = ["--source-export", &of_source, "--target-export", &of_orders];
    let (code, result) = scene.verify(&both).await;
    assert_eq!((code, &result["recorded"]), (CLEAN, &true.into()), "{result:#}");
    assert_eq!(reads(), before, "no read unit of these tables");
    assert_eq!(result["as_of_ms"], at_ms - 60_000, "the earlier one");
    assert!(
        result["notes"]
            .to_string()
            .contains("a difference that came up later may be missing")
    );
    let record = scene.verify_record().await;
    assert!(record.clean && record.started_ms < at_ms - 60_000, "{record:?}");
    assert_eq!(
        (record.places, record.received),
        (None, None),
        "nobody knows where the lanes stood"
    );

    // What changes after the export is looked at once more.
    delete(&scene.stage, 5).await;
    put(&scene.stage, 25, 1, "new").await;
    scene.cli.until_caught_up().await;
    let (code, result) = scene.verify(&["--source-export", &of_source]).await;
    assert_eq!(code, CLEAN, "{result:#}");

    scene.lose(3).await;
    let (code, result) = scene.verify(&["--source-export", &of_source]).await;
    assert_eq!(
        (code, &result["total_mismatches"]),
        (NOT_CLEAN, &1.into()),
        "{result:#}"
    );
    assert_eq!(result["mismatches"][0]["class"], "missing");
    assert!(!scene.verify_record().await.clean);
    // Both exports are from before. What is known of later counts.
    let (code, result) = scene.verify(&both).await;
    assert_eq!((code, &result["recorded"]), (CLEAN, &false.into()), "{result:#}");
    assert!(result["notes"].to_string().contains("began later"), "{result:#}");
    assert!(!scene.verify_record().await.clean, "it is missing all the same");
    let some = [&both[..], &["--service", "orders"]].concat();
    let (_, result) = scene.verify(&some).await;
    assert!(
        result["proven"].as_array().expect("names").is_empty(),
        "{result:#}"
    );
    let proof = scene
        .store()
        .get::<ProofRecord>(&ProofRecord::record_name("orders"))
        .await;
    assert_eq!(proof.expect("it can be read").map(|stored| stored.value), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verify_with_exports_ends_no_duty_and_keeps_where_the_lanes_stood() {
    in_the_long_run!(a_verify_with_exports_ends_no_duty_and_keeps_where_the_lanes_stood);
    let scene = Scene::set(81).await;
    let source = &scene.stage.trial.source;
    for id in 0..20 {
        put(&scene.stage, id, 1, "there before").await;
    }
    let _tail = copied(&scene.stage).await;
    scene.cli.until_caught_up().await;
    let store = scene.store();
    SplitRecord::change(&store, |record| {
        record.require_repair("records were lost", ["orders"], RepairScope::LostChanges);
    })
    .await
    .expect("it is on record");
    scene.lose(3).await;
    let repair = ["verify", "--repair"];
    scene.cli.run(&repair).await.with_code(&repair, NOT_CLEAN);
    let duty = async || {
        SplitRecord::read(&store)
            .await
            .expect("it can be read")
            .value
            .repair_required
    };
    // Now a clean verify is missing, and nothing else.
    let export = scene.export(source, 0).await;
    let (code, result) = scene.verify(&["--source-export", &export]).await;
    assert_eq!(code, CLEAN, "{result:#}");
    let later = scene.export(source, HOUR_MS).await;
    let (code, result) = scene.verify(&["--source-export", &later]).await;
    assert_eq!((code, &result["recorded"]), (CLEAN, &true.into()), "{result:#}");
    assert_eq!(
        duty().await.as_deref(),
        Some("records were lost"),
        "they may have been lost since"
    );
    scene.cli.succeed(&["verify"]).await;
    assert_eq!(duty().await, None);

    let now = scene.verify_record().await;
    assert!(now.places.is_some());
    let later = scene.export(source, 2 * HOUR_MS).await;
    let (code, _) = scene.verify(&["--source-export", &later]).await;
    assert_eq!(code, CLEAN);
    let record = scene.verify_record().await;
    assert!(record.started_ms > now.started_ms, "{record:?}");
    assert_eq!((record.places, record.received), (now.places, now.received));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exports_that_cannot_be_compared_are_refused() {
    let scene = Scene::set(82).await;
    put(&scene.stage, 1, 1, "there before").await;
    let _tail = copied(&scene.stage).await;
    let source = scene.export(&scene.stage.trial.source, 0).await;
    let orders = scene.export(&scene.stage.trial.orders, 0).await;
    for (options, expected) in [
        (
            vec!["--source-export", &source, "--repair"],
            "cannot be used with",
        ),
        (vec!["--source-export", &orders], "Use an export of that table"),
        (vec!["--target-export", &orders], "SERVICE=EXPORT"),
        (vec!["--target-export", &format!("nobody={orders}")], "nobody"),
        (
            vec!["--target-export", &format!("orders={source}")],
            "Use an export of that table",
        ),
        (
            vec![
                "--target-export",
                &format!("orders={orders}"),
                "--service",
                "names",
            ],
            "orders is not compared",
        ),
    ] {
        scene.refused(&options, expected).await;
    }
}
