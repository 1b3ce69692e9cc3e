//! Hooks that end well, fail, hang, flood, print secrets, or are interrupted.

use crate::fence::command;
use crate::fence::{CommandEnd, HookError, HookRun, run_hook};
use crate::plan::{HookName, Plan};
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

/// A plan in a folder of its own, with hooks.
fn plan(folder: &Path, hooks: &str) -> Plan {
    let text = format!(
        "version: 1\nsplit: shop\nsource: {{ table: Shop, keys: {{ partition: PK }} }}\ntimestamp: none\nunrouted: fail\n\
         hooks:\n{hooks}services:\n  - name: orders\n    where: begins_with(PK, 'ORDER#')\n    \
         table: {{ name: Orders, keys: {{ partition: PK }} }}\n"
    );
    let file = folder.join("plan.yaml");
    std::fs::write(&file, text).unwrap();
    Plan::load(&file).unwrap_or_else(|error| panic!("{error}"))
}

/// A script in the folder.
fn script(folder: &Path, name: &str, lines: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

async fn run(lines: &str, timeout: u32) -> Result<Option<HookRun>, HookError> {
    let folder = tempfile::tempdir().unwrap();
    script(folder.path(), "hook.sh", lines);
    let plan = plan(
        folder.path(),
        &format!("  switch: {{ run: [./hook.sh, 'a b'], timeout: {timeout} }}\n"),
    );
    run_hook(&plan, &plan.services[0], 7, HookName::Switch).await
}

fn lives(pid: &str) -> bool {
    // A process that was killed and not yet waited for by its new parent is a zombie.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

async fn gone(pid: &str) -> bool {
    for _ in 0..100 {
        if !lives(pid) {
            return true;
        }
        sleep(Duration::from_millis(20)).await;
    }
    false
}

#[tokio::test]
async fn a_hook_knows_what_it_is_run_for() {
    let lines = "echo \"$DYNASPLIT_HOOK $DYNASPLIT_SPLIT $DYNASPLIT_SERVICE $DYNASPLIT_EPOCH $DYNASPLIT_SOURCE_TABLE \
                 $DYNASPLIT_TARGET_TABLE\"; echo \"$1\"; ls; echo warning >&2";
    let run = run(lines, 10).await.unwrap().unwrap();
    assert_eq!(run.hook, HookName::Switch);
    assert!(
        run.output
            .contains("switch shop orders 7 Shop Orders\na b\nhook.sh\nplan.yaml"),
        "{}",
        run.output
    );
    assert!(run.output.contains("warning"), "{}", run.output);
}

#[tokio::test]
async fn a_plan_without_the_hook_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), "  failed: ./nobody.sh\n");
    let run = run_hook(&plan, &plan.services[0], 1, HookName::Switch).await;
    assert_eq!(run, Ok(None));
}

#[tokio::test]
async fn a_failing_hook_tells_its_code_and_its_last_words() {
    let error = run("echo working; echo 'no such stage: beta' >&2; exit 3", 10)
        .await
        .unwrap_err();
    let told = error.to_string();
    assert!(
        told.starts_with("the hook `switch` (/") && told.contains("/hook.sh) failed: exit code 3 after "),
        "{told}"
    );
    assert!(told.ends_with("Its last words: no such stage: beta"), "{told}");
    assert!(!error.did_nothing() && error.output().contains("working"));
    let killed = run("kill -9 $$", 10).await.unwrap_err().to_string();
    assert!(
        killed.contains("failed: signal 9") && killed.ends_with("It wrote nothing"),
        "{killed}"
    );
}

#[tokio::test]
async fn a_hook_that_cannot_be_started_did_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("text"), "no program").unwrap();
    for program in ["./nobody.sh", "no-such-program-anywhere", "./text"] {
        let plan = plan(folder.path(), &format!("  switch: {program}\n"));
        let error = run_hook(&plan, &plan.services[0], 1, HookName::Switch)
            .await
            .unwrap_err();
        let told = error.to_string();
        assert!(error.did_nothing(), "{told}");
        assert!(
            told.starts_with("the hook `switch` could not be started: ")
                && told.contains("`hooks.switch` in the plan"),
            "{told}"
        );
    }
}

#[tokio::test]
async fn a_hook_that_hangs_is_killed_with_its_children() {
    let began = Instant::now();
    let error = run("sleep 1000 & echo child $!; echo waiting; wait", 1)
        .await
        .unwrap_err();
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "it could clean up, and did at once"
    );
    let told = error.to_string();
    assert!(
        told.contains("did not end within 1 seconds and was killed, with every process that it started"),
        "{told}"
    );
    let child = error.output().split_whitespace().nth(1).unwrap().to_owned();
    assert!(gone(&child).await, "its child lives: {child}");
}

#[tokio::test]
async fn a_hook_that_ignores_the_request_to_end_is_killed() {
    let lines = "trap '' TERM\n(trap '' TERM; exec sleep 1000) & echo child $!\nwhile true; do sleep 1; done";
    let error = run(lines, 1).await.unwrap_err();
    assert!(matches!(error, HookError::TimedOut { .. }));
    let child = error.output().split_whitespace().nth(1).unwrap().to_owned();
    assert!(gone(&child).await, "its child lives: {child}");
}

#[tokio::test]
async fn a_hook_that_writes_without_end_is_stopped_and_little_is_kept() {
    let error = run(
        "while true; do echo 0123456789012345678901234567890123456789; done",
        1,
    )
    .await
    .unwrap_err();
    assert!(matches!(error, HookError::TimedOut { .. }));
    assert!(error.output().len() < 5000, "{}", error.output().len());
    assert!(error.output().starts_with("(the beginning is left out)"));
}

#[tokio::test]
async fn a_process_that_a_hook_leaves_behind_does_not_hold_the_cutover() {
    let began = Instant::now();
    let run = run("sleep 30 & echo started $!", 20).await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(10));
    let child = run.output.split_whitespace().nth(1).unwrap().to_owned();
    assert!(lives(&child), "it may live on");
    let killed = std::process::Command::new("kill").arg(&child).status().unwrap();
    assert!(killed.success());
}

#[tokio::test]
async fn an_interrupted_hook_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    script(
        folder.path(),
        "hook.sh",
        "sleep 1000 & echo $! >child; sleep 0.1; mv child pid; wait",
    );
    let plan = plan(folder.path(), "  switch: ./hook.sh\n");
    let run = tokio::spawn(async move { run_hook(&plan, &plan.services[0], 1, HookName::Switch).await });
    let file = folder.path().join("pid");
    while !file.exists() {
        sleep(Duration::from_millis(20)).await;
    }
    let child = std::fs::read_to_string(file).unwrap().trim().to_owned();
    assert!(lives(&child));
    run.abort();
    assert!(run.await.unwrap_err().is_cancelled());
    assert!(gone(&child).await, "its child lives: {child}");
}

#[tokio::test]
async fn a_printed_secret_is_not_kept() {
    let mut command = Command::new("sh");
    command
        .args(["-c", "env; echo using $DEPLOY_TOKEN"])
        .env("DEPLOY_TOKEN", "ghp_0123456789abcdef");
    let run = command::run(command, Duration::from_secs(10)).await.unwrap();
    assert_eq!(run.end, CommandEnd::Exit(0));
    assert!(run.output.ends_with("using [DEPLOY_TOKEN]"), "{}", run.output);
    assert!(!run.output.contains("ghp_"), "{}", run.output);
}
