//! The next command, as every command shows it.

use super::obstacle::{Obstacle, ObstacleKind};
use super::split_status::{Phase, SplitStatus};
use crate::plan::{Owns, Plan};
use crate::state::{CutoverPhase, ShardRecord};

/// How the services leave the source, by the plan.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moves {
    /// Services that `cutover` moves with a way back.
    pub with_way_back: Vec<String>,
    /// Services that only receive items of others: nobody moves their writers.
    pub only_receive: Vec<String>,
}

impl Moves {
    /// What the plan says.
    pub(crate) fn of(plan: &Plan) -> Self {
        let (mut with_way_back, mut only_receive) = (Vec::new(), Vec::new());
        for service in &plan.services {
            if plan.moves_with_way_back(service) {
                with_way_back.push(service.name.clone());
            } else if *service.owns() == Owns::Nothing {
                only_receive.push(service.name.clone());
            }
        }
        Self {
            with_way_back,
            only_receive,
        }
    }
}

const COMPLETE: &str = "When nothing writes to the source any more, run `dynasplit complete --yes`";

/// The next command.
pub(crate) fn next(status: &SplitStatus, moves: &Moves) -> String {
    match (status.phase, status.obstacles.first()) {
        (Phase::Done, _) => "nothing: the split is complete".into(),
        (Phase::Completing, _) => "run `dynasplit complete --yes`, which continues".into(),
        // Services may move while their events are late.
        (
            _,
            Some(Obstacle {
                kind: ObstacleKind::Events | ObstacleKind::Ledger,
                ..
            }),
        ) if has_unmoved(status) => moving(status, moves),
        (_, Some(Obstacle { next, .. })) => next.clone(),
        (_, None) => moving(status, moves),
    }
}

/// Whether a service still writes the source.
fn has_unmoved(status: &SplitStatus) -> bool {
    let mut lanes = status.lanes.iter();
    lanes.any(|lane| lane.lane != ShardRecord::WATCH)
}

/// Nothing is in the way: the services move to their tables.
fn moving(status: &SplitStatus, moves: &Moves) -> String {
    let lanes = status.lanes.iter().map(|lane| lane.lane.as_str());
    let left: Vec<&str> = lanes.filter(|lane| *lane != ShardRecord::WATCH).collect();
    let is_in = |names: &[String], name: &str| names.iter().any(|each| each == name);
    let (back, rest): (Vec<&str>, Vec<&str>) =
        left.iter().partition(|name| is_in(&moves.with_way_back, name));
    // Before anybody is cut over, whoever reads this moves a service that only receives items as any other one.
    let receives = |name: &&str| is_in(&moves.only_receive, name) && !moves.with_way_back.is_empty();
    let (receivers, by_hand): (Vec<&str>, Vec<&str>) = rest.into_iter().partition(receives);
    match (back.as_slice(), by_hand.as_slice()) {
        ([], []) => ended(status, &receivers),
        ([], [last]) => format!(
            "stop the writers of {last}, then run `dynasplit switched --service {last}` (docs/cutover.md describes the steps). \
             {COMPLETE}"
        ),
        ([], _) => format!(
            "switch the services over, one by one (docs/cutover.md): stop the writers of a service, then run `dynasplit switched \
             --service NAME`. {COMPLETE}"
        ),
        ([service], []) => format!(
            "run `dynasplit cutover --service {service}`, which shows its steps first (docs/cutover.md). It moves the writers of \
             {service}, and keeps a way back"
        ),
        (services, []) => format!(
            "move the services over, one by one (docs/cutover.md): run `dynasplit cutover --service NAME` for {}. It shows its steps \
             first, and keeps a way back",
            services.join(", ")
        ),
        (services, by_hand) => format!(
            "move the services over, one by one (docs/cutover.md): run `dynasplit cutover --service NAME` for {}. It shows its steps \
             first, and keeps a way back. For {}, for which the plan has no way back, stop the writers, then run `dynasplit switched --service \
             NAME`",
            services.join(", "),
            by_hand.join(", ")
        ),
    }
}

/// Every service that writes has left the source.
fn ended(status: &SplitStatus, receivers: &[&str]) -> String {
    let cutovers = status.cutovers.iter();
    let with_way_back = cutovers.filter(|cutover| cutover.phase == CutoverPhase::Switched);
    match with_way_back.map(|cutover| cutover.next.clone()).next() {
        Some(next) => next,
        None if receivers.is_empty() => "every service has switched: run `dynasplit complete --yes`".into(),
        None => format!(
            "every service has switched, but for {}, which only {} data: when nothing writes to the source any more, run `dynasplit \
             complete --yes`",
            receivers.join(", "),
            if receivers.len() == 1 {
                "receives"
            } else {
                "receive"
            }
        ),
    }
}

#[cfg(test)]
mod tests;
