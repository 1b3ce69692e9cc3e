//! What an operator reads in the tool's advice: the commands that it names, in their order, and what else it asks for.

use dynasplit::backfill::OrderChoice;
use dynasplit::state::Order;

use crate::worker::Job;

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Run a command to its end.
    Run(Job),
    /// Have a worker of `replicate`, which stays.
    Replicate,
    /// Have one that begins anew at the stream as it is.
    RestartTail,
    /// End the workers of older plans.
    EndOldWorkers,
    /// Correct in the source what can be in no target.
    CorrectItems,
    /// What runs has to end, or to catch up.
    Wait,
    /// Stop the writers, let services switch, and complete.
    SwitchOver,
}

/// How a command in a text begins.
const BEGIN: &str = "`dynasplit ";

/// What an advice asks for; an error if it asks for nothing that an operator of this run could do.
pub fn steps(advice: &str) -> Result<Vec<Step>, String> {
    if advice.starts_with("switch the services over") || advice.starts_with("every service has switched") {
        return Ok(vec![Step::SwitchOver]);
    }
    // Nobody else writes the targets in a run: `verify` took a change that was late for a mismatch. It lists the keys again.
    if advice.starts_with("find out who writes the target") {
        return Ok(vec![Step::Run(Job::Verify { repair: false })]);
    }
    if ["wait", "leave", "let it end"]
        .iter()
        .any(|word| advice.starts_with(word))
    {
        let keeps = advice.starts_with("leave").then_some(Step::Replicate);
        return Ok(keeps.into_iter().chain([Step::Wait]).collect());
    }
    let mut steps = Vec::new();
    if advice.contains("stop that worker") {
        steps.push(Step::EndOldWorkers);
    }
    for command in commands(advice) {
        let words: Vec<&str> = command.split_whitespace().collect();
        steps.extend(
            step(&words)
                .map_err(|what| format!("{what} is no step of this run, and was advised: {advice}"))?,
        );
    }
    match steps.is_empty() {
        true => Err(format!("the advice names nothing to do: {advice}")),
        false => Ok(steps),
    }
}

/// The commands that a text names, without the name of the program.
pub fn commands(text: &str) -> impl Iterator<Item = &str> {
    text.split(BEGIN)
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('`')?.0))
}

fn step(words: &[&str]) -> Result<Option<Step>, String> {
    let bulk = OrderChoice::Only(Order::Bulk);
    let backfill = |order| Job::Backfill {
        consistent: true,
        order,
    };
    let job = match words {
        ["replicate"] => return Ok(Some(Step::Replicate)),
        ["replicate", "--restart-tail"] => return Ok(Some(Step::RestartTail)),
        ["dead-letters", "list"] => return Ok(Some(Step::CorrectItems)),
        ["status"] => return Ok(None),
        ["apply"] => Job::Apply { enable_stream: false },
        ["apply", "--enable-stream"] => Job::Apply { enable_stream: true },
        ["backfill"] => backfill(OrderChoice::Auto),
        ["backfill", "--order", "bulk"] => backfill(bulk),
        ["verify"] => Job::Verify { repair: false },
        ["verify", "--repair"] => Job::Verify { repair: true },
        ["dead-letters", "reconcile"] => Job::Reconcile,
        ["complete", "--yes"] => Job::Complete,
        other => return Err(format!("`{}`", other.join(" "))),
    };
    Ok(Some(Step::Run(job)))
}

#[test]
fn commands_are_read_in_their_order() {
    let advice = "run `dynasplit dead-letters list`, correct each item in the source, then run `dynasplit dead-letters reconcile`";
    assert_eq!(
        steps(advice),
        Ok(vec![Step::CorrectItems, Step::Run(Job::Reconcile)])
    );
    let advice = "stop that worker, then run `dynasplit replicate` with this plan";
    assert_eq!(steps(advice), Ok(vec![Step::EndOldWorkers, Step::Replicate]));
    assert_eq!(
        steps("wait until `dynasplit backfill` ends"),
        Ok(vec![Step::Wait])
    );
    let advice = "find out who writes the target of a; `dynasplit verify --list FILE` lists the keys";
    assert_eq!(steps(advice), Ok(vec![Step::Run(Job::Verify { repair: false })]));
    assert!(steps("look at the documentation").is_err());
    assert!(steps("run `dynasplit abandon`").is_err());
}
