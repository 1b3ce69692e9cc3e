//! `iam`: the policies that the plan needs.

use super::args::{Global, Iam as Args, IamFormat};
use super::exit::Exit;
use super::failure::Failed;
use super::tables::unwritable;
use super::{output, screen};
use crate::infrastructure::{
    Account, ArnError, MANAGED_POLICY_CHARACTERS, Policy, Task, aliases, offline_policy, probe_policy,
    role_policy, service_policy, terraform_policy, tool_policy, with_export,
};
use crate::plan::Plan;
use crate::s3::Folder;
use std::collections::BTreeSet;

/// For the role that runs dynasplit.
const TOOL: &str = "tool";
/// For the roles as which a fence is tried.
const PROBE: &str = "probe";

/// Runs `iam`. It needs no credentials and reads nothing but the plan.
pub fn run(global: &Global, args: &Args) -> Result<Exit, Failed> {
    let plan = Plan::load(&args.plan)?;
    output::warn(&plan);
    let account = account(global, args, &plan)?;
    let tasks: BTreeSet<Task> = match args.task.is_empty() {
        true => [Task::Look, Task::SetUp, Task::Run].into(),
        false => args.task.iter().map(|&task| task.into()).collect(),
    };
    let policy = match &args.offline_to {
        Some(to) => offline(args, &plan, &account, to)?,
        None => policy(args, &plan, &account, &tasks)?,
    };
    let policy = match &args.export_to {
        Some(to) => exporting(policy, args, &plan, &account, to)?,
        None => policy,
    };
    for note in aliases(&plan) {
        screen::say(&format!(
            "the policy does not name the key {} of {}, because IAM knows keys only by their id. Name the key by its ARN in the \
             plan, or add it",
            note.alias, note.service
        ));
    }
    let characters = policy.characters();
    if characters > MANAGED_POLICY_CHARACTERS {
        screen::say(&format!(
            "the policy has {characters} characters, and a managed policy may have {MANAGED_POLICY_CHARACTERS}. Make one policy \
             per task: run the command with --task look, --task set-up and --task run"
        ));
    }
    match args.format {
        IamFormat::Json => output::document(&policy)?,
        IamFormat::Terraform => {
            let name = format!(
                "dynasplit-{}",
                args.principal.rsplit(['/', ':']).next().unwrap_or(TOOL)
            );
            output::verbatim(&terraform_policy(&name, &policy).map_err(|error| unwritable(&error))?)?;
        }
    }
    Ok(Exit::Done)
}

/// Exports are made and read as the role that reaches the source.
fn exporting(
    policy: Policy,
    args: &Args,
    plan: &Plan,
    account: &Account,
    to: &Folder,
) -> Result<Policy, Failed> {
    let reader = plan.source.place.role.as_deref().unwrap_or(TOOL);
    if args.principal != reader {
        return Err(Failed::of(
            Exit::Usage,
            format!(
                "--export-to does not apply to {}: exports are requested and read as {reader}",
                args.principal
            ),
        )
        .hint(format!("give --for {reader}")));
    }
    with_export(policy, plan, account, &to.bucket, &to.prefix)
        .map_err(|error| Failed::of(Exit::Usage, error.to_string()))
}

/// Everything that an offline split needs, for the caller or for a role of the plan.
fn offline(args: &Args, plan: &Plan, account: &Account, to: &Folder) -> Result<Policy, Failed> {
    let role = (args.principal != TOOL).then_some(args.principal.as_str());
    let mut places = plan
        .services
        .iter()
        .map(|service| &service.place)
        .chain([&plan.source.place]);
    if role.is_some() && !places.any(|place| place.role.as_deref() == role) {
        return Err(Failed::of(
            Exit::Usage,
            format!(
                "--offline-to does not apply to {}: no table is reached as it",
                args.principal
            ),
        )
        .hint(format!(
            "give --for {TOOL}, or the ARN of a role that the plan names for a table"
        )));
    }
    offline_policy(plan, account, (&to.bucket, &to.prefix), role)
        .map_err(|error| Failed::of(Exit::Usage, error.to_string()))
}

fn policy(args: &Args, plan: &Plan, account: &Account, tasks: &BTreeSet<Task>) -> Result<Policy, Failed> {
    let wrong = |error: ArnError| Failed::of(Exit::Usage, error.to_string());
    if args.principal == TOOL {
        return tool_policy(plan, account, tasks).map_err(wrong);
    }
    if let Some(service) = plan.service(&args.principal) {
        refuse_task(args, &format!("the service {}", service.name))?;
        return service_policy(service, account).map_err(wrong);
    }
    let probes = (args.principal != PROBE).then_some(args.principal.as_str());
    if let Some(policy) = probe_policy(plan, account, probes).map_err(wrong)? {
        return refuse_task(args, "probe roles").map(|()| policy);
    }
    if probes.is_none() {
        let said = "--for probe: the fence of the plan has no policy, so nothing is tried as another role";
        return Err(Failed::of(Exit::Usage, said)
            .hint("write `policy` under `fence` in the plan, with `probe-roles`"));
    }
    let found = role_policy(plan, account, tasks, &args.principal).map_err(wrong)?;
    found.ok_or_else(|| {
        let known: Vec<&str> = plan.services.iter().map(|known| known.name.as_str()).collect();
        Failed::of(
            Exit::Usage,
            format!(
                "--for {}: the plan has no service and no role of this name",
                args.principal
            ),
        )
        .hint(format!(
            "give `{TOOL}`, `{PROBE}`, one of its services ({}), or the ARN of a role that it names",
            known.join(", ")
        ))
    })
}

/// A role of an application runs no command, so it has no task.
fn refuse_task(args: &Args, whose: &str) -> Result<(), Failed> {
    if args.task.is_empty() {
        return Ok(());
    }
    let said =
        format!("--task does not apply to the policy of {whose}: no dynasplit command runs as this role");
    Err(Failed::of(Exit::Usage, said))
}

/// The account and region of the tables for which the plan names neither.
fn account(global: &Global, args: &Args, plan: &Plan) -> Result<Account, Failed> {
    let from_environment = || {
        ["AWS_REGION", "AWS_DEFAULT_REGION"]
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|region| !region.is_empty()))
    };
    let region = plan
        .source
        .place
        .region
        .clone()
        .or_else(|| global.region.clone())
        .or_else(from_environment)
        .ok_or_else(|| {
            Failed::of(Exit::Usage, "no region: a policy names each table by its ARN")
                .hint("give --region, or set `region` under `source` in the plan")
        })?;
    Account::new(&args.account, &region)
        .map_err(|error| Failed::of(Exit::Usage, format!("--account: {error}")))
}
