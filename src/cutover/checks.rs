//! What is in the way of a cutover or of a rollback.

use crate::fault::{Rule, broken};
use crate::lifecycle::in_the_way;
use crate::state::SplitRecord;
use crate::status::{
    Obstacle, ObstacleKind, ReverseState, SplitStatus, reverse_state, split_status_with_worker, told,
};

use crate::verify::{Verify, VerifyOptions};
use crate::worker::{RunError, Split};
use tokio_util::sync::CancellationToken;

/// Refuses while the split is being completed.
pub(super) fn refuse_completing(record: &SplitRecord) -> Result<(), RunError> {
    match record.completing_ms {
        None => Ok(()),
        Some(_) => Err(RunError::NotYet {
            what: "the split is being completed".into(),
            next: "run `dynasplit complete --yes` until it ends".into(),
        }),
    }
}

/// A command that writes targets is under way, so the state of the split cannot change.
pub(super) fn busy(service: &str) -> RunError {
    RunError::NotYet {
        what: format!(
            "a backfill, repair or reconcile of {service} is under way, or was interrupted, so {service} cannot be moved now"
        ),
        next: "let it end (`dynasplit status` names the command), then run this command again".into(),
    }
}

/// The obstacles of the split that concern a service, except those that this cutover itself causes.
pub(super) fn obstacles<'a>(status: &'a SplitStatus, service: &'a str) -> impl Iterator<Item = &'a Obstacle> {
    in_the_way(status, service).filter(|obstacle| obstacle.kind != ObstacleKind::Cutover)
}

/// Refuses a copy that is not proven, and dead letters, rechecks, gaps or tombstones of the service.
pub(super) async fn refuse_unproven(split: &Split, service: &str) -> Result<(), RunError> {
    let status = split_status_with_worker(split).await?;
    let reasons = told(obstacles(&status, service));
    if reasons.is_empty() {
        Ok(())
    } else {
        Err(RunError::Unclean { reasons })
    }
}

/// Compares the whole table of a service with the source: in either direction, as the service stands.
pub(super) async fn compare(split: &Split, service: &str, stop: &CancellationToken) -> Result<(), RunError> {
    let options = VerifyOptions {
        services: Some(vec![service.to_owned()]),
        ..VerifyOptions::default()
    };
    let (verify, _view) = Verify::new(split.clone(), options, stop.clone());
    let result = Box::pin(verify.run()).await?;
    if result.clean {
        return Ok(());
    }
    Err(RunError::Failed(format!(
        "{} ({} mismatches, {} invalid items). Run `dynasplit verify --service {service}` for the keys",
        match result.carried_back {
            false => format!("the table of {service} does not hold what the source says"),
            true => format!("the source does not hold what {service} wrote"),
        },
        result.total_mismatches,
        result.total_invalid
    )))
}

/// What a rollback would lose: writes of the service that are not in the source, and writes of others to the source.
pub(super) fn losses(service: &str, state: &ReverseState) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(reason) = &state.gap {
        found.push(format!(
            "the reverse lane of {service} has lost records of the table: {reason}. There is no complete way back"
        ));
    }
    if !state.dead_letters.is_empty() {
        found.push(format!(
            "{} writes of {service} could not be carried back to the source (reverse dead letters)",
            state.dead_letters.len()
        ));
    }
    if !state.strays.is_empty() && !broken(Rule::StraysBlock) {
        found.push(format!(
            "{} writes of others came to the source's items of {service} after the switch (stray writes)",
            state.strays.len()
        ));
    }
    found
}

/// The state of the reverse lane of a service.
pub(super) async fn reverse(split: &Split, service: &str) -> Result<ReverseState, RunError> {
    let record = SplitRecord::read(&split.store).await?.value;
    let epoch = record.cutovers.get(service).map_or(0, |state| state.epoch);
    reverse_state(split, service, epoch).await
}

/// Why a table that receives everything is repaired when its lane is opened again.
pub(super) fn passed(service: &str) -> String {
    format!("the lane of {service} was closed, and passed changes of items that {service} only has copies of")
}
