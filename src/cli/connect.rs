//! Connects to the engine by the options, the environment and the profile, and shows first which engine it is.

use super::args::Global;
use super::chaos;
use super::failure::Failed;
use super::screen;
use super::session::At;
use super::stoppable::stoppable;
use crate::dynamo::{Caller, Clients, ConfigError, Endpoint, Failure, NO_CREDENTIALS, Tables, Timing};
use crate::plan::{Place, Plan};
use crate::worker::Split;
use std::path::Path;
use std::time::Duration;

/// Loads a plan and makes its clients, for a command that writes something, or shows what would be written. First it
/// shows which account, region and caller it works with.
pub async fn open(global: &Global, plan: &Path) -> Result<Split, Failed> {
    opened(global, plan, true).await
}

/// Loads a plan and makes its clients, for a command that only looks.
pub async fn open_to_look(global: &Global, plan: &Path) -> Result<Split, Failed> {
    opened(global, plan, false).await
}

async fn opened(global: &Global, plan: &Path, tells: bool) -> Result<Split, Failed> {
    let plan = Plan::load(plan)?;
    let work = Box::pin(async {
        let chaos = chaos::of_environment(&plan, timing(global, Timing::LIVE).lease)?;
        let endpoint = Endpoint {
            chaos,
            ..endpoint(global)
        };
        let clients = Clients::load(&endpoint, timing(global, Timing::LIVE)).await?;
        let places = || {
            let services = plan.services.iter().map(|service| &service.place);
            std::iter::once(&plan.source.place).chain(services)
        };
        for region in places().filter_map(|place| place.region.as_deref()) {
            clients.check_region(region)?;
        }
        let region = plan.source.place.region.clone().or_else(|| clients.region());
        let region = region.ok_or(ConfigError::NoRegion)?;
        warn_if_mixed(&clients, &region);
        if let Some(chaos) = chaos {
            chaos::announce(chaos);
            // A command that only looks has nothing to lose.
            if tells {
                chaos::die_later(chaos);
            }
        }
        if tells {
            let caller = clients.caller().await;
            screen::say(&own_place(global, &clients, &region, caller.as_ref()));
            for line in other_places(&region, &plan) {
                screen::say(&line);
            }
        }
        arrive(global, &clients, region);
        Ok::<_, Failed>(
            Split::open(plan, &clients)
                .await
                .without_retries_after(&global.session.stop_retrying),
        )
    });
    stoppable(&global.session, Duration::ZERO, work).await
}

/// Makes the clients of one table, for a command without a plan. First it shows where it works.
pub async fn open_table(global: &Global) -> Result<Tables, Failed> {
    let work = Box::pin(async {
        let clients = Clients::load(&endpoint(global), timing(global, Timing::LIVE)).await?;
        let region = clients.region().ok_or(ConfigError::NoRegion)?;
        warn_if_mixed(&clients, &region);
        let caller = clients.caller().await;
        screen::say(&own_place(global, &clients, &region, caller.as_ref()));
        arrive(global, &clients, region);
        Ok::<_, Failed>(clients.at(None, None).await)
    });
    stoppable(&global.session, Duration::ZERO, work).await
}

fn warn_if_mixed(clients: &Clients, region: &str) {
    if let Some(mixed) = clients.endpoints().mixed(region) {
        screen::say(&format!("warning: {mixed}"));
    }
}

fn arrive(global: &Global, clients: &Clients, region: String) {
    global.session.arrived(At {
        endpoints: clients.endpoints().clone(),
        region,
    });
}

/// Who works where.
fn own_place(
    global: &Global,
    clients: &Clients,
    region: &str,
    caller: Option<&Result<Caller, Failure>>,
) -> String {
    let endpoint = clients.endpoints().dynamodb.as_deref();
    let at = endpoint.map_or_else(
        || format!("region {region}"),
        |url| format!("{url}, region {region}"),
    );
    let told = match caller {
        Some(Ok(caller)) => format!("using account {}, {at}, as {}", caller.account, caller.arn),
        None => format!("using {at}; no account is known, because this is not AWS"),
        // The command's own request is about to say so.
        Some(Err(failure)) if failure.code == NO_CREDENTIALS => format!("using {at}, without credentials"),
        Some(Err(failure)) => format!("using {at}; the account is not known, because {failure}"),
    };
    match &global.profile {
        Some(profile) => format!("{told}, by the profile '{profile}'"),
        None => told,
    }
}

/// The other regions and roles of a plan, a line for each.
fn other_places(region: &str, plan: &Plan) -> Vec<String> {
    let services = plan.services.iter();
    let places = std::iter::once(("the source".to_owned(), &plan.source.place))
        .chain(services.map(|service| (format!("'{}'", service.name), &service.place)));
    places
        .filter_map(|(of, place)| elsewhere(&of, place, region))
        .collect()
}

/// A place with another region or role than the command's own.
fn elsewhere(of: &str, place: &Place, region: &str) -> Option<String> {
    let other = place.region.as_deref().filter(|other| *other != region);
    let account = |role: &str| role.split(':').nth(4).unwrap_or_default().to_owned();
    match (&place.role, other) {
        (None, None) => None,
        (None, Some(other)) => Some(format!("using region {other} for {of}")),
        (Some(role), other) => Some(format!(
            "using account {}, region {}, by the role {role} for {of}",
            account(role),
            other.unwrap_or(region)
        )),
    }
}

/// Where the engine is, by the command line.
pub fn endpoint(global: &Global) -> Endpoint {
    Endpoint {
        profile: global.profile.clone(),
        region: global.region.clone(),
        url: global.endpoint_url.clone(),
        ..Endpoint::default()
    }
}

/// How long things may take.
pub fn timing(global: &Global, usual: Timing) -> Timing {
    global
        .lease_seconds
        .map_or(usual, |seconds| usual.with_lease(Duration::from_secs(seconds)))
}
