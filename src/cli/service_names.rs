//! Names of services on the command line: one that the plan does not have is refused, with the name that was probably meant.

use super::exit::Exit;
use super::failure::Failed;
use crate::plan::Plan;
use crate::state::ShardRecord;
use crate::worker::sentence;

/// Refuses a service that the plan does not have.
pub fn refuse_unknown(plan: &Plan, service: &str) -> Result<(), Failed> {
    match plan.service(service) {
        Some(_) => Ok(()),
        None => Err(unknown_service(plan, service)),
    }
}

/// The failure for a service that the plan does not have.
pub fn unknown_service(plan: &Plan, service: &str) -> Failed {
    unknown(service, &plan.service_names(), "")
}

/// As [`refuse_unknown`], for a command that also takes the items of no service.
pub fn known_or_unrouted(plan: &Plan, service: &str) -> Result<(), Failed> {
    if plan.service(service).is_some() || service == ShardRecord::WATCH {
        return Ok(());
    }
    let mut names = plan.service_names();
    names.push(ShardRecord::WATCH);
    let note = format!("; '{}' has the items that no service takes", ShardRecord::WATCH);
    Err(unknown(service, &names, &note))
}

fn unknown(service: &str, names: &[&str], note: &str) -> Failed {
    let all = format!("its services are {}{note}", names.join(", "));
    Failed::of(Exit::Usage, format!("the plan has no service '{service}'")).hint(
        match meant(service, names) {
            Some(name) => format!("did you mean '{name}'? {}", sentence(&all)),
            None => all,
        },
    )
}

/// The name that was probably meant. A third of the letters may differ, and the case of all.
fn meant<'n>(service: &str, names: &[&'n str]) -> Option<&'n str> {
    let (word, most) = (service.to_lowercase(), service.chars().count() / 3);
    let distance = |name: &&'n str| strsim::damerau_levenshtein(&word, &name.to_lowercase());
    let closest = names.iter().min_by_key(|name| distance(name))?;
    (distance(closest) <= most).then_some(*closest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_was_probably_meant_is_named() {
        let plan = Plan::parse(include_str!("../../plans/online-learning.yaml"), "plan.yaml").unwrap();
        let hint = |failed: Result<(), Failed>| failed.unwrap_err().hint.unwrap();
        assert!(
            hint(refuse_unknown(&plan, "content")).starts_with("did you mean 'Content'? Its services are ")
        );
        assert!(hint(refuse_unknown(&plan, "Cntent")).starts_with("did you mean 'Content'?"));
        assert!(hint(refuse_unknown(&plan, "billing")).starts_with("its services are "));
        let unrouted = hint(known_or_unrouted(&plan, "unrouted"));
        assert!(unrouted.starts_with("did you mean '(unrouted)'?"), "{unrouted}");
        assert!(refuse_unknown(&plan, ShardRecord::WATCH).is_err());
        assert!(known_or_unrouted(&plan, ShardRecord::WATCH).is_ok());
    }
}
