//! Deaths in a split that copies an export, and in those that import.

use std::time::Duration;

use serde_json::Value;

use crate::crashes::deaths::Deaths;
use crate::crashes::scene::Scene;
use crate::support::Engine;
use crate::support::faulty::Script;
use crate::support::faulty::imports::ImportEnd;
use crate::support::objects::Objects;
use crate::support::stage::seed;
use crate::support::trial::{Mode, Stamps};

const START: &[&str] = &["export", "start", "--to", "s3://exports/split"];

/// `export start` and `backfill --from-export`, while writers write.
pub async fn exporting() -> Deaths {
    let mut deaths = Deaths::default();
    let objects = Objects::start(&["exports"]).await;
    let engine = Engine::scripted(Script::quiet(seed())).await;
    let scene = Scene::open(engine, Mode::Sequence, true).await;
    let faults = scene.stage.engine.faults();
    faults.exports().into(objects.root());
    let cli = scene
        .cli()
        .with_variable("AWS_ENDPOINT_URL_S3", objects.endpoint());
    cli.succeed(&["apply"]).await;
    let tail = scene.tail().await;
    deaths.die(&cli, START, "export.acknowledged").await;
    let acknowledged = |status: &Value| status["backfill_record"]["export"]["acknowledged_ms"].is_u64();
    cli.until("the acknowledgement", acknowledged).await;
    faults
        .pass(Duration::from_secs(90), &scene.stage.trial.source)
        .await;
    deaths
        .die_at(&cli, START, &["export.request.before", "export.request.after"])
        .await;
    let done = cli.succeed(START).await;
    let arn = done
        .stdout
        .split_whitespace()
        .find(|word| word.starts_with("arn:"));
    let copy = ["backfill", "--from-export", arn.expect("an ARN")];
    deaths
        .die_at(&cli, &copy, &["backfill.page-read", "backfill.checkpoint.after"])
        .await;
    cli.succeed(&copy).await;
    scene.end(tail).await;
    deaths
}

/// The steps of `offline`, one of whose imports leaves a partial table.
pub async fn offline() -> Deaths {
    let mut deaths = Deaths::default();
    let objects = Objects::start(&["exports"]).await;
    let engine = Engine::scripted(Script::quiet(seed())).await;
    let Scene { stage, writers } = Scene::open(engine, Mode::Timestamp, true).await;
    let faults = stage.engine.faults();
    faults.exports().into(objects.root());
    faults.imports().of(objects.root());
    faults
        .imports()
        .end_next([ImportEnd::FailedLate("ItemValidationError")]);
    // Deletion protection is a setting that an import cannot set.
    let cli = stage
        .edited(
            "  - name: invoices",
            "      deletion-protection: true\n  - name: invoices",
        )
        .with_variable("AWS_ENDPOINT_URL_S3", objects.endpoint());
    writers.stop().await;
    let stopped = faults.exports().now_ms().to_string();
    faults.pass(Duration::from_secs(90), &stage.trial.source).await;
    let to = ["--to", "s3://exports/offline", "--writers-stopped", &stopped];
    let run = [&["offline", "run"], &to[..]].concat();
    let points = [
        "s3.object.before",
        "s3.object.after",
        "offline.exported",
        "offline.file-shaped",
        "import.request.before",
        "import.request.after",
        "import.ended",
    ];
    deaths.die_at(&cli, &run, &points).await;
    let run = [&run[..], &["--delete-partial"]].concat();
    let points = [
        "import.partial-table.before",
        "import.partial-table.after",
        "import.setting.before",
        "import.setting.after",
        "offline.verified",
    ];
    deaths.die_at(&cli, &run, &points).await;
    cli.succeed(&run).await;
    stage.trial.assert_equal(&stage.client, Stamps::Gone).await;
    deaths
}

/// A verify that several processes share.
pub async fn sharing() -> Deaths {
    let mut deaths = Deaths::default();
    let objects = Objects::start(&["shared"]).await;
    let mut scene = Scene::open(Engine::embedded().await, Mode::Sequence, true).await;
    scene.stage.cli = scene
        .stage
        .edited("unrouted:", "s3: { bucket: shared }\nunrouted:")
        .with_variable("AWS_ENDPOINT_URL_S3", objects.endpoint());
    let cli = scene.stage.cli.clone();
    cli.succeed(&["apply"]).await;
    let tail = scene.tail().await;
    cli.succeed(&["backfill"]).await;
    let share = ["verify", "--shared", "deaths", "--segments", "2"];
    let points = [
        "verify.beginning",
        "state.shared-verify.put.before",
        "state.shared-verify.put.after",
        "state.verify-task.put.before",
        "state.verify-task.put.after",
        "verify.task-done",
        "verify.kept",
        "verify.ended",
        "state.verify-task.delete.before",
        "state.verify-task.delete.after",
        "s3.delete.before",
        "s3.delete.after",
    ];
    deaths.die_at(&cli, &share, &points).await;
    cli.succeed(&share).await;
    scene.end(tail).await;
    deaths
}

/// The import order, which is given up when two of three tables are ready.
pub async fn importing() -> Deaths {
    let mut deaths = Deaths::default();
    let objects = Objects::start(&["imports"]).await;
    let engine = Engine::scripted(Script::quiet(seed())).await;
    let mut scene = Scene::open(engine, Mode::Sequence, true).await;
    let faults = scene.stage.engine.faults();
    faults.imports().of(objects.root());
    faults
        .imports()
        .end_next([ImportEnd::FailedLate("ItemValidationError")]);
    scene.stage.cli = scene
        .stage
        .edited("unrouted:", "s3: { bucket: imports }\nunrouted:")
        .with_variable("AWS_ENDPOINT_URL_S3", objects.endpoint());
    let cli = scene.stage.cli.clone();
    cli.succeed(&["apply", "--for-import"]).await;
    let tail = scene.tail().await;
    let import = ["backfill", "--order", "import", "--segments", "2"];
    let points = [
        "import.claimed",
        "s3.copy.before",
        "s3.copy.after",
        "import.copied",
        "state.import.put.before",
        "state.import.put.after",
        "import.ready",
        "import.freed",
    ];
    deaths.die_at(&cli, &import, &points).await;
    let done = cli.run(&import).await;
    assert_eq!(done.code, Some(1), "one import fails: {}", done.stderr);
    let concurrent = ["backfill", "--order", "concurrent"];
    deaths.die_at(&cli, &concurrent, &["import.given-up"]).await;
    cli.succeed(&concurrent).await;
    scene.end(tail).await;
    deaths
}
