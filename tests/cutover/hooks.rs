//! Hooks that fail or hang, before and after the switch.

use super::shop::{CUTOVER, ROLLBACK, Shop, end, until_written};
use crate::support::long::in_the_long_run;
use crate::support::trial::Mode;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_that_fails_before_the_switch_cancels_the_cutover() {
    in_the_long_run!(a_hook_that_fails_before_the_switch_cancels_the_cutover);
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    for hook in ["before-fence", "fence", "drained", "before-switch"] {
        shop.spoil("fail", hook);
        let cancelled = shop.run(&shop.cli, CUTOVER).await.with_code(CUTOVER, 3);
        assert!(
            cancelled.stdout.contains("was cancelled"),
            "{hook}: {}",
            cancelled.stdout
        );
        assert!(cancelled.stdout.contains(hook), "{hook}: {}", cancelled.stdout);
        assert_eq!(shop.phase().await, "replicating");
        let calls = std::fs::read_to_string(shop.path("calls")).expect("the calls");
        let lasts: Vec<&str> = calls.lines().rev().take(3).collect();
        let wanted = match hook {
            "before-fence" => [
                "cancelled of people",
                "failed of people",
                "before-fence of people",
            ],
            _ => ["cancelled of people", "failed of people", "unfence of people"],
        };
        assert_eq!(
            lasts, wanted,
            "{hook}: it is reported when the writers may write again"
        );
        let before = application.written().await.source;
        until_written(&application, |written| written.source >= before + 20).await;
        shop.mend("fail", hook);
        let status = shop.cli.status().await;
        assert_eq!(status["cutovers"][0]["step"], "cancelled", "{status:#}");
    }
    assert_eq!(shop.calls("switch"), 0);
    let written = application.end().await;
    assert_eq!(written.target, 0);
    shop.assert_both_sides(&written).await;
    end(tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_that_hangs_is_killed_and_cancels_the_cutover() {
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    shop.spoil("hang", "fenced");
    let cancelled = shop.run(&shop.cli, CUTOVER).await.with_code(CUTOVER, 3);
    assert!(cancelled.stdout.contains("fenced"), "{}", cancelled.stdout);
    let before = application.written().await.source;
    until_written(&application, |written| written.source >= before + 20).await;
    shop.assert_both_sides(&application.end().await).await;
    end(tail).await;
}

/// Nobody knows how many writers a failing switch hook has moved, so the command goes nowhere by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_hook_that_fails_stops_the_cutover_and_both_ways_are_open() {
    in_the_long_run!(a_switch_hook_that_fails_stops_the_cutover_and_both_ways_are_open);
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    shop.spoil("fail", "switch");
    let stopped = shop.run(&shop.cli, CUTOVER).await.with_code(CUTOVER, 1);
    assert!(stopped.stderr.contains("switch"), "{}", stopped.stderr);
    let stand = shop.stand().await;
    assert_eq!(
        (&stand["phase"], &stand["step"]),
        (&"switching".into(), &"switch".into()),
        "{stand:#}"
    );
    let next = stand["next"].as_str().unwrap_or_default().to_owned();
    assert!(
        next.contains("dynasplit cutover") && next.contains("dynasplit rollback"),
        "{next}"
    );
    // One way: back.
    shop.succeed(ROLLBACK).await;
    let before = application.written().await.source;
    until_written(&application, |written| written.source >= before + 20).await;
    // The other one: on, once the hook works.
    shop.run(&shop.cli, CUTOVER).await.with_code(CUTOVER, 1);
    shop.mend("fail", "switch");
    shop.cutover().await;
    until_written(&application, |written| written.target >= 20).await;
    shop.assert_both_sides(&application.end().await).await;
    end(tail).await;
}
