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
    /// Have one that begins the ledger anew.
    RestartLedger,
    /// End the workers of older plans.
    EndOldWorkers,
    /// Correct in the source what can be in no target.
    CorrectItems,
    /// What runs has to end, or to catch up.
    Wait,
    /// Stop the writers, let services switch, and complete.
    SwitchOver,
    /// Stop those who write tables of services that write the source.
    StopTableWriters,
    /// Stop forgotten writers of a service, do what they wrote with the service, and take that off the list.
    SettleStrays(String),
}

/// How a command in a text begins.
const BEGIN: &str = "`dynasplit ";

/// What an advice asks for; an error if it asks for nothing that an operator of this run could do.
pub fn steps(advice: &str) -> Result<Vec<Step>, String> {
    if advice.contains("find out who writes the target of ") {
        return Ok(vec![Step::StopTableWriters, Step::Run(Job::Discard)]);
    }
    let switches = [
        "switch the services over",
        "move the services over",
        "watch the service.",
        "every service has switched",
        "stop the writers of ",
    ];
    // It shows the steps, and whoever has a goal knows whether to do them.
    let shows = commands(advice).next().is_some_and(|command| {
        command.starts_with("cutover --service ")
            && !command.ends_with(" --yes")
            && !command.contains("--cancel")
    });
    if shows || switches.iter().any(|begin| advice.starts_with(begin)) {
        return Ok(vec![Step::SwitchOver]);
    }
    let may_be_dead = advice.contains("If its process died, ");
    let waits = ["wait", "leave", "let it end"]
        .iter()
        .any(|word| advice.starts_with(word));
    if waits && !may_be_dead {
        let keeps = advice.starts_with("leave").then_some(Step::Replicate);
        return Ok(keeps.into_iter().chain([Step::Wait]).collect());
    }
    let mut steps = Vec::from_iter(may_be_dead.then_some(Step::Wait));
    if advice.contains("run the same command with --delete-partial") {
        steps.push(Step::Run(Job::Import {
            consistent: true,
            delete_partial: true,
            object_bytes: None,
        }));
    }
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
    let import = |delete_partial| Job::Import {
        consistent: true,
        delete_partial,
        object_bytes: None,
    };
    let job = match words {
        ["replicate"] => return Ok(Some(Step::Replicate)),
        ["replicate", "--restart-tail"] => return Ok(Some(Step::RestartTail)),
        ["replicate", "--restart-ledger"] => return Ok(Some(Step::RestartLedger)),
        ["dead-letters", "list"] => return Ok(Some(Step::CorrectItems)),
        ["status"] | ["reverse", "list", ..] => return Ok(None),
        ["apply"] => Job::Apply { enable_stream: false },
        ["apply", "--enable-stream"] => Job::Apply { enable_stream: true },
        ["backfill"] => backfill(OrderChoice::Auto),
        ["backfill", "--order", "bulk"] => backfill(bulk),
        ["backfill", "--order", "import"] => import(false),
        ["backfill", "--order", "concurrent"] => backfill(OrderChoice::Only(Order::Concurrent)),
        ["backfill", "--from-export", arn] => Job::CopyExport {
            arn: (*arn).to_owned(),
        },
        ["export", "start", "--to", _] => Job::ExportStart,
        ["heal", "--from-exports", "--yes"] => Job::Heal { new_exports: false },
        ["heal", "--from-exports", "--new-exports"] => Job::Heal { new_exports: true },
        ["export", "cancel"] => Job::ExportCancel,
        ["verify"] => Job::Verify { repair: false },
        ["verify", "--repair"] => Job::Verify { repair: true },
        ["dead-letters", "reconcile"] => Job::Reconcile,
        ["complete", "--yes"] => Job::Complete,
        ["reverse", "settle", "--service", service] => {
            return Ok(Some(Step::SettleStrays((*service).to_owned())));
        }
        [command, "--service", service, options @ ..] if moving(command, service, options).is_some() => {
            return Ok(moving(command, service, options).map(Step::Run));
        }
        other => return Err(format!("`{}`", other.join(" "))),
    };
    Ok(Some(Step::Run(job)))
}

/// A command that moves a service.
fn moving(command: &str, service: &str, options: &[&str]) -> Option<Job> {
    let service = service.to_owned();
    let cancel = options.contains(&"--cancel");
    let job = match (command, options) {
        ("resume", []) => Job::Resume { service },
        ("cutover", ["--yes"] | ["--cancel", "--yes"]) => Job::Cutover {
            service,
            cancel,
            full_check: false,
            max_pause: None,
        },
        ("rollback", ["--yes"] | ["--cancel", "--yes"] | ["--force", "--yes"]) => Job::Rollback {
            service,
            cancel,
            force: options.contains(&"--force"),
        },
        ("complete", ["--yes"] | ["--end-way-back", "--yes"]) => Job::CompleteService {
            service,
            end_way_back: options.contains(&"--end-way-back"),
        },
        _ => return None,
    };
    Some(job)
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
    let advice = "run `dynasplit resume --service people` when the next step may begin, or `dynasplit cutover --service people --cancel --yes` to go back";
    assert!(matches!(
        steps(advice).as_deref(),
        Ok([
            Step::Run(Job::Resume { .. }),
            Step::Run(Job::Cutover { cancel: true, .. })
        ])
    ));
    for advice in [
        "run `dynasplit cutover --service people`, which shows its steps first",
        "move the services over, one by one (docs/cutover.md): run `dynasplit cutover --service NAME` for a, b",
        "watch the service. To go back without a loss, run `dynasplit rollback --service people --yes`",
    ] {
        assert_eq!(steps(advice), Ok(vec![Step::SwitchOver]), "{advice}");
    }
    let advice = "run `dynasplit cutover --service people --yes` to continue";
    assert!(matches!(
        steps(advice).as_deref(),
        Ok([Step::Run(Job::Cutover { .. })])
    ));
    assert_eq!(
        steps("find out who writes the target of a; `dynasplit verify --list FILE` lists the keys"),
        Ok(vec![Step::StopTableWriters, Step::Run(Job::Discard)])
    );
    assert!(steps("look at the documentation").is_err());
    assert!(steps("run `dynasplit abandon`").is_err());
}
