//! `tables`: the services' tables as a document for infrastructure code.

use super::args::{TableFormat, Tables as Args};
use super::exit::Exit;
use super::failure::Failed;
use super::output;
use crate::infrastructure::{cloudformation, terraform_tables};
use crate::plan::{Plan, Service};

/// Runs `tables`. It needs no credentials and reads nothing but the plan.
pub fn run(args: &Args) -> Result<Exit, Failed> {
    let plan = Plan::load(&args.plan)?;
    output::warn(&plan);
    let services = chosen(&plan, &args.service)?;
    one_place(&services)?;
    match args.format {
        TableFormat::Cloudformation => output::document(&cloudformation(&plan.split, &services))?,
        TableFormat::Terraform => {
            let text = terraform_tables(&services).map_err(|error| unwritable(&error))?;
            output::verbatim(&text)?;
        }
    }
    Ok(Exit::Done)
}

pub(super) fn unwritable(error: &dyn std::fmt::Display) -> Failed {
    Failed::of(Exit::Failed, format!("the document cannot be written: {error}"))
}

/// The services that the command line names, or all of them.
fn chosen<'a>(plan: &'a Plan, names: &[String]) -> Result<Vec<&'a Service>, Failed> {
    if names.is_empty() {
        return Ok(plan.services.iter().collect());
    }
    names
        .iter()
        .map(|name| {
            plan.service(name).ok_or_else(|| {
                let known: Vec<&str> = plan.services.iter().map(|known| known.name.as_str()).collect();
                Failed::of(Exit::Usage, format!("the plan has no service '{name}'"))
                    .hint(format!("its services are {}", known.join(", ")))
            })
        })
        .collect()
}

/// A document is for one account and one region.
fn one_place(services: &[&Service]) -> Result<(), Failed> {
    let Some((first, rest)) = services.split_first() else {
        return Ok(());
    };
    let Some(other) = rest.iter().find(|service| service.place != first.place) else {
        return Ok(());
    };
    Err(Failed::of(
        Exit::Usage,
        format!(
            "the tables of {} and {} are in different regions or accounts, and a document is for one of them",
            first.name, other.name
        ),
    )
    .hint("run the command once for each place, and name its services with --service"))
}
