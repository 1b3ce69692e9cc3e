//! `pause` and `resume`: a hold is obeyed also if it comes at the last moment, and it never stops the writers for longer than the
//! operator allows.

use super::shop::{CUTOVER, ROLLBACK, Shop, end, until_written};
use crate::support::long::in_the_long_run;
use crate::support::process::{Running, obstacles};
use crate::support::trial::Mode;

const PAUSE: &[&str] = &["pause", "--service", "people"];
const RESUME: &[&str] = &["resume", "--service", "people"];
/// The points at which a command waits for `resume`.
pub const POINTS: &[&str] = &["cutover.held", "cutover.resumed"];
/// The first step is in the journal, and has not begun.
const READY: &str = "state.cutover-event.put.after";

async fn refused(shop: &Shop, words: &[&str], says: &str) {
    let refused = shop.run(&shop.cli, words).await.with_code(words, 1);
    assert!(refused.stderr.contains(says), "{words:?}: {}", refused.stderr);
}

/// A cutover that is suspended at a point; another rule is armed beside it.
async fn suspended(shop: &Shop, words: &[&str], point: &str, other: &str) -> Running {
    let mut cutting = shop.cli.armed(&format!("{point}=stop{other}")).start(words);
    cutting.until_stopped_at(point).await;
    cutting
}

async fn until_it_waits(shop: &Shop, step: &str) {
    let waits = |status: &serde_json::Value| {
        let events = status["cutovers"][0]["events"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let last = events.last().cloned().unwrap_or_default();
        last["step"] == step
            && last["what"]
                .as_str()
                .is_some_and(|what| what.starts_with("waits: "))
    };
    shop.cli.until("it waits", waits).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_is_durable_and_whoever_dies_it_is_obeyed() {
    in_the_long_run!(a_hold_is_durable_and_whoever_dies_it_is_obeyed);
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    refused(&shop, RESUME, "not on hold").await;
    super::deaths::die(&shop, PAUSE, "state.cutover.put.before").await;
    refused(&shop, RESUME, "not on hold").await;
    super::deaths::die(&shop, PAUSE, "state.cutover.put.after").await;
    let again = shop.succeed(PAUSE).await;
    assert!(again.stdout.contains("on hold already"), "{}", again.stdout);
    refused(&shop, CUTOVER, "put it on hold").await;
    let stand = shop.stand().await;
    assert!(stand["hold"]["operator"].is_string(), "{stand:#}");
    assert!(stand["next"].as_str().unwrap_or_default().contains("resume"));
    assert!(obstacles(&shop.cli.status().await).contains("cutover"));
    super::deaths::die(&shop, RESUME, "state.cutover.put.before").await;
    refused(&shop, CUTOVER, "dynasplit resume --service people").await;
    assert_eq!(shop.calls("before-fence"), 0);
    super::deaths::die(&shop, RESUME, "state.cutover.put.after").await;

    // It runs: it waits before it stops a writer, and a successor is refused.
    let cutting = suspended(&shop, CUTOVER, READY, ",cutover.held=kill").await;
    shop.succeed(PAUSE).await;
    cutting.signal("CONT");
    let died = cutting.end().await;
    assert_eq!(died.killed_at(), Some("cutover.held"), "{}", died.stderr);
    refused(&shop, CUTOVER, "put it on hold").await;
    let before = application.written().await.source;
    until_written(&application, |written| written.source >= before + 20).await;
    shop.succeed(RESUME).await;
    let cutting = suspended(&shop, CUTOVER, READY, ",cutover.resumed=kill").await;
    shop.succeed(PAUSE).await;
    cutting.signal("CONT");
    until_it_waits(&shop, "ready").await;
    assert_eq!(
        (shop.calls("fence"), shop.stand().await["paused"].clone()),
        (0, false.into())
    );
    shop.succeed(RESUME).await;
    let died = cutting.end().await;
    assert_eq!(died.killed_at(), Some("cutover.resumed"), "{}", died.stderr);
    shop.cutover().await;

    // The way back is held, too.
    shop.succeed(PAUSE).await;
    refused(&shop, ROLLBACK, "put it on hold").await;
    shop.succeed(RESUME).await;
    let back = suspended(&shop, ROLLBACK, "rollback.drained", "").await;
    refused(&shop, PAUSE, "must not wait").await;
    back.signal("CONT");
    back.end().await.with_code(ROLLBACK, 0);
    let written = application.end().await;
    shop.assert_both_sides(&written).await;
    end(tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_under_the_fence_ends_with_the_longest_pause() {
    in_the_long_run!(a_hold_under_the_fence_ends_with_the_longest_pause);
    let (shop, tail, application) = Shop::open(Mode::Timestamp).await;
    let cutting = suspended(&shop, CUTOVER, "cutover.fencing", ",cutover.step@3=kill").await;
    refused(&shop, PAUSE, "no --max-pause").await;
    cutting.signal("CONT");
    assert!(cutting.end().await.killed_at().is_some());
    shop.succeed(super::shop::CANCEL).await;

    // Nobody resumes it: it is cancelled, and the writers go on.
    let short = ["cutover", "--service", "people", "--max-pause", "15s", "--yes"];
    let cutting = suspended(&shop, &short, "cutover.fencing", "").await;
    let held = shop.succeed(PAUSE).await;
    assert!(
        held.stdout.contains("at most, because of --max-pause"),
        "{}",
        held.stdout
    );
    cutting.signal("CONT");
    let cancelled = cutting.end().await.with_code(&short, 3);
    assert!(cancelled.stdout.contains("--max-pause"), "{}", cancelled.stdout);
    let before = application.written().await.source;
    until_written(&application, |written| written.source >= before + 20).await;
    refused(&shop, CUTOVER, "put it on hold").await;
    shop.succeed(RESUME).await;

    // At the last moment before a step, and resumed.
    shop.verify().await;
    let long = ["cutover", "--service", "people", "--max-pause", "5min", "--yes"];
    let cutting = suspended(&shop, &long, "cutover.close-acknowledged", "").await;
    shop.succeed(PAUSE).await;
    cutting.signal("CONT");
    until_it_waits(&shop, "close").await;
    assert_eq!(shop.calls("switch"), 0);
    shop.succeed(RESUME).await;
    cutting.end().await.with_code(&long, 0);
    until_written(&application, |written| written.target >= 20).await;
    shop.assert_both_sides(&application.end().await).await;
    end(tail).await;
}
