//! A resource policy as the fence, which the engine enforces: the application is refused, dynasplit is not. Processes die at each
//! change of a policy, and the policy of before comes back byte for byte.

use serde_json::Value;

use super::deaths::die;
use super::shop::{CANCEL, CANCEL_ROLLBACK, CUTOVER, ROLLBACK, Shop, application_role, end, until_written};
use crate::support::long::in_the_long_run;
use crate::support::table;
use crate::support::trial::Mode;

/// The points of the changes of a policy.
pub const POINTS: &[&str] = &[
    "fence.policy.put.before",
    "fence.policy.put.after",
    "fence.policy.delete.before",
    "fence.policy.delete.after",
];
/// A policy that nobody would write so: only its bytes show that it came back.
const ODD: &str = "{ \"Statement\" :\n\t{\"Effect\":\"Allow\" , \"Sid\":\"Readers\", \"Principal\":{\"AWS\":\"111122223333\"},\
                   \"Action\":\"dynamodb:GetItem\",\"Resource\":\"*\"},\n  \"Version\":\"2012-10-17\" }\n";

/// Whether a policy has the statement of a fence.
fn fences(policy: &Option<String>) -> bool {
    policy
        .as_ref()
        .is_some_and(|policy| policy.contains("DynasplitFence"))
}

/// The application goes on with the source.
async fn until_source(application: &super::application::Application) {
    let before = application.written().await.source;
    until_written(application, |written| written.source >= before + 20).await;
}

/// The application goes on with its own table.
async fn until_target(application: &super::application::Application) {
    let before = application.written().await.target;
    until_written(application, |written| written.target >= before + 20).await;
}

/// There, back and there again. The same command continues after each death.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_die_at_each_change_of_a_policy_and_the_same_command_continues() {
    in_the_long_run!(commands_die_at_each_change_of_a_policy_and_the_same_command_continues);
    let (shop, tail, application) = Shop::open_with_policy(Mode::Sequence, Some(ODD)).await;
    die(&shop, CUTOVER, "fence.policy.put.before").await;
    assert_eq!(shop.source_policy().as_deref(), Some(ODD));
    die(&shop, CUTOVER, "fence.policy.put.after").await;
    assert!(fences(&shop.source_policy()));
    shop.cutover().await;
    assert!(fences(&shop.source_policy()) && !fences(&shop.target_policy()));
    until_target(&application).await;

    // The target has no policy, and gets one. Then the source gets back the one that it had.
    die(&shop, ROLLBACK, "fence.policy.put.before").await;
    die_at(&shop, ROLLBACK, "fence.policy.put.before", 2).await;
    assert!(fences(&shop.source_policy()) && fences(&shop.target_policy()));
    die(&shop, ROLLBACK, "fence.policy.put.after").await;
    assert_eq!(shop.source_policy().as_deref(), Some(ODD));
    shop.succeed(ROLLBACK).await;
    assert_eq!(shop.source_policy().as_deref(), Some(ODD));
    assert!(fences(&shop.target_policy()), "a forgotten writer gets an error");
    until_source(&application).await;
    shop.verify().await;

    // The second cutover lifts the fence of the target, which had no policy.
    die(&shop, CUTOVER, "fence.policy.delete.before").await;
    die(&shop, CUTOVER, "fence.policy.delete.after").await;
    assert_eq!(shop.target_policy(), None);
    shop.cutover().await;
    until_target(&application).await;
    let written = application.end().await;
    assert!(written.refused > 0, "the policy stopped the application");
    shop.assert_both_sides(&written).await;
    end(tail).await;
}

/// The cancel dies, too. The source has no policy before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fence_that_was_or_may_have_been_put_is_lifted_by_a_cancel() {
    in_the_long_run!(a_fence_that_was_or_may_have_been_put_is_lifted_by_a_cancel);
    let (shop, tail, application) = Shop::open_with_policy(Mode::Timestamp, None).await;
    for point in ["fence.policy.put.before", "fence.policy.put.after"] {
        die(&shop, CUTOVER, point).await;
        if point.ends_with("after") {
            die(&shop, CANCEL, "fence.policy.delete.before").await;
            assert!(fences(&shop.source_policy()));
            die(&shop, CANCEL, "fence.policy.delete.after").await;
        }
        let cancelled = shop.succeed(CANCEL).await;
        assert!(cancelled.stdout.contains("was cancelled"), "{}", cancelled.stdout);
        assert_eq!(shop.source_policy(), None, "{point}");
        until_source(&application).await;
    }
    let written = application.end().await;
    assert_eq!(written.target, 0);
    shop.assert_both_sides(&written).await;
    shop.verify().await;
    end(tail).await;
}

/// The same for a policy that the source had before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_that_dies_restores_the_policy_byte_for_byte() {
    in_the_long_run!(a_cancel_that_dies_restores_the_policy_byte_for_byte);
    let (shop, tail, application) = Shop::open_with_policy(Mode::Sequence, Some(ODD)).await;
    die(&shop, CUTOVER, "cutover.pinned").await;
    die(&shop, CANCEL, "fence.policy.put.before").await;
    assert!(fences(&shop.source_policy()));
    die(&shop, CANCEL, "fence.policy.put.after").await;
    shop.succeed(CANCEL).await;
    assert_eq!(shop.source_policy().as_deref(), Some(ODD));
    until_source(&application).await;

    // The fence of a rollback that is cancelled.
    shop.cutover().await;
    until_target(&application).await;
    for point in ["fence.policy.put.before", "fence.policy.put.after"] {
        die(&shop, ROLLBACK, point).await;
        shop.succeed(CANCEL_ROLLBACK).await;
        assert_eq!(shop.target_policy(), None, "{point}");
        until_target(&application).await;
    }
    shop.assert_both_sides(&application.end().await).await;
    end(tail).await;
}

/// A policy that denies every write of the table stops the other services as well, so it is up only until the service has
/// switched: also if the process dies before it has lifted it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_of_the_whole_table_lets_the_others_write_after_the_switch() {
    in_the_long_run!(a_policy_of_the_whole_table_lets_the_others_write_after_the_switch);
    let (shop, tail, application) = Shop::open_with_policy_of(Mode::Sequence, "table", Some(ODD)).await;
    let other = shop.stage.engine.dynamodb_as(&application_role());
    let others_write = async |n: u64| {
        let line = table::item("ORD#1", "L", [("n", table::number(n))]);
        table::put(&other, &shop.stage.trial.source, line).await;
    };
    die(&shop, CUTOVER, "cutover.switched").await;
    assert!(fences(&shop.source_policy()), "it died before");
    let done = shop.succeed(CUTOVER).await;
    assert!(
        done.stderr.contains("the other services may write"),
        "{}",
        done.stderr
    );
    assert_eq!(shop.source_policy().as_deref(), Some(ODD));
    others_write(2).await;
    until_target(&application).await;
    shop.succeed(CUTOVER).await;

    shop.succeed(ROLLBACK).await;
    assert_eq!(shop.source_policy().as_deref(), Some(ODD));
    others_write(3).await;
    until_source(&application).await;
    shop.verify().await;
    shop.cutover().await;
    assert_eq!(shop.source_policy().as_deref(), Some(ODD));
    others_write(4).await;
    until_target(&application).await;
    shop.assert_both_sides(&application.end().await).await;
    end(tail).await;
}

/// Somebody else changes the policy between the reading and the change, and again while the fence is up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_others_to_the_policy_are_kept() {
    in_the_long_run!(changes_of_others_to_the_policy_are_kept);
    let (shop, tail, application) = Shop::open_with_policy(Mode::Sequence, Some(ODD)).await;
    let source = &shop.stage.trial.source;
    let mut cutting = shop.cli.armed("fence.policy.put.before=stop").start(CUTOVER);
    cutting.until_stopped().await;
    let others = ODD.replace("Readers", "Auditors");
    shop.policies().set(source, &others);
    cutting.signal("CONT");
    cutting.end().await.with_code(CUTOVER, 0);
    let fenced = shop.source_policy();
    assert!(fences(&fenced) && fenced.is_some_and(|policy| policy.contains("Auditors")));
    until_target(&application).await;

    let with_more = |policy: Option<String>| {
        let mut policy: Value = serde_json::from_str(&policy.expect("a policy")).expect("JSON");
        let more = serde_json::json!({ "Sid": "Backups", "Effect": "Allow", "Principal": "*", "Action": "dynamodb:Scan" });
        policy["Statement"].as_array_mut().expect("statements").push(more);
        policy.to_string()
    };
    let changed = with_more(shop.source_policy());
    shop.policies().set(source, &changed);
    shop.succeed(ROLLBACK).await;
    let left = shop.source_policy();
    assert!(!fences(&left), "{left:?}");
    let left: Value = serde_json::from_str(&left.expect("a policy")).expect("JSON");
    let names: Vec<&Value> = left["Statement"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|each| &each["Sid"])
        .collect();
    assert_eq!(names, ["Auditors", "Backups"]);
    until_source(&application).await;
    shop.assert_both_sides(&application.end().await).await;
    end(tail).await;
}

/// What cannot be put or proven cancels the cutover before a writer is stopped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_is_too_large_and_a_role_that_cannot_be_used_stop_nobody() {
    in_the_long_run!(a_policy_that_is_too_large_and_a_role_that_cannot_be_used_stop_nobody);
    let large = ODD.replace("Readers", &"R".repeat(20_000));
    let (shop, tail, application) = Shop::open_with_policy(Mode::Sequence, Some(&large)).await;
    let refused = shop.run(&shop.cli, CUTOVER).await.with_code(CUTOVER, 3);
    assert!(
        refused.stdout.contains("DynamoDB accepts 20480"),
        "{}",
        refused.stdout
    );
    assert_eq!(shop.source_policy(), Some(large));
    shop.policies().set(&shop.stage.trial.source, ODD);
    shop.policies().forbid(&application_role());
    let refused = shop.run(&shop.cli, CUTOVER).await.with_code(CUTOVER, 3);
    assert!(refused.stdout.contains("cannot be used"), "{}", refused.stdout);
    assert_eq!(shop.source_policy().as_deref(), Some(ODD));
    until_source(&application).await;
    let written = application.end().await;
    assert_eq!((written.refused, written.target), (0, 0));
    shop.assert_both_sides(&written).await;
    end(tail).await;
}

/// Dies when it comes to a point for the n-th time.
async fn die_at(shop: &Shop, words: &[&str], point: &str, nth: u32) {
    let died = shop
        .run(&shop.cli.armed(&format!("{point}@{nth}=kill")), words)
        .await;
    assert_eq!(died.killed_at(), Some(point), "{words:?}: {}", died.stderr);
}
