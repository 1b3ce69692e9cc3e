//! The proof that a policy holds: writes that would change nothing, sent as roles of the application, are all refused.

use super::error::FenceError;
use crate::dynamo::{ProbeAnswer, ProbeCall, ProbePlace, Tables};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two rounds of probes.
const PAUSE: Duration = Duration::from_millis(500);

/// A role of the application, and its clients.
#[derive(Clone, Debug)]
pub struct ProbeRole {
    /// Its ARN.
    pub arn: String,
    /// Clients that send as this role.
    pub tables: Tables,
}

/// The calls that a role could make before the fence: only these prove something.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Probes {
    /// ARN of the role.
    pub role: String,
    /// What it may do.
    pub calls: Vec<ProbeCall>,
}

/// How long a proof takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProofTimes {
    /// All probes must be refused for this long.
    pub refused_for: Duration,
    /// A policy takes effect with a delay: after this time it counts as one that does not hold.
    pub limit: Duration,
}

/// A fence that holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Proof {
    /// Probes that were refused, in a row.
    pub refused: u64,
    /// For how long.
    pub refused_for_ms: u64,
    /// How long before the end of the proof the last probe was accepted, if one was.
    pub last_accepted_ms_ago: Option<u64>,
}

/// Tries before the fence what each role may do. The writes change nothing.
///
/// # Errors
/// If a role cannot be used, or may not write the table anyway.
pub async fn prepare_probes(roles: &[ProbeRole], place: &ProbePlace<'_>) -> Result<Vec<Probes>, FenceError> {
    let mut found = Vec::new();
    for role in roles {
        let mut calls = Vec::new();
        for call in ProbeCall::ALL {
            if ask(role, place, call).await? == ProbeAnswer::Accepted {
                calls.push(call);
            }
        }
        if calls.is_empty() {
            return Err(FenceError::ProvesNothing {
                role: role.arn.clone(),
                table: place.table.to_owned(),
            });
        }
        found.push(Probes {
            role: role.arn.clone(),
            calls,
        });
    }
    Ok(found)
}

/// Sends probes until all of them were refused for a while, without a single other answer.
///
/// # Errors
/// If one is still accepted after the limit, or a role cannot be used.
pub async fn prove(
    roles: &[ProbeRole],
    probes: &[Probes],
    place: &ProbePlace<'_>,
    times: ProofTimes,
) -> Result<Proof, FenceError> {
    let began = Instant::now();
    let (mut refused, mut since, mut accepted) = (0, Instant::now(), None);
    loop {
        for (role, call) in each(roles, probes) {
            let answer = ask(role, place, call).await?;
            let told = match answer {
                ProbeAnswer::Refused => {
                    refused += 1;
                    continue;
                }
                ProbeAnswer::Accepted => {
                    accepted = Some(Instant::now());
                    "was accepted".to_owned()
                }
                ProbeAnswer::Unknown(failure) => format!("was not refused ({})", failure.reason()),
            };
            (refused, since) = (0, Instant::now());
            if began.elapsed() >= times.limit {
                return Err(FenceError::DoesNotHold {
                    table: place.table.to_owned(),
                    call,
                    role: role.arn.clone(),
                    answer: told,
                    seconds: began.elapsed().as_secs(),
                });
            }
        }
        if refused > 0 && since.elapsed() >= times.refused_for {
            let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            return Ok(Proof {
                refused,
                refused_for_ms: ms(since.elapsed()),
                last_accepted_ms_ago: accepted.map(|at| ms(at.elapsed())),
            });
        }
        sleep(PAUSE.min(times.refused_for)).await;
    }
}

/// Each role with each call that it could make.
fn each<'a>(
    roles: &'a [ProbeRole],
    probes: &'a [Probes],
) -> impl Iterator<Item = (&'a ProbeRole, ProbeCall)> {
    roles.iter().flat_map(|role| {
        let mine = probes.iter().filter(|probes| probes.role == role.arn);
        mine.flat_map(|probes| probes.calls.iter())
            .map(move |call| (role, *call))
    })
}

async fn ask(role: &ProbeRole, place: &ProbePlace<'_>, call: ProbeCall) -> Result<ProbeAnswer, FenceError> {
    let asked = Box::pin(role.tables.probe_write(place, call));
    asked.await.map_err(|failure| match failure.kind {
        crate::dynamo::FailureKind::Denied | crate::dynamo::FailureKind::Credentials => {
            FenceError::RoleUnusable {
                role: role.arn.clone(),
                failure: Box::new(failure),
            }
        }
        _ => failure.into(),
    })
}
