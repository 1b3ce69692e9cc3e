//! The obstacles to completing a split: one pure decision that every command shows.
//!
//! The obstacles are in the order in which they can be removed: a cause comes before its consequences. So the next
//! command is that of the first one (`next.rs`).

use super::awaiting_import::awaiting_import;
use super::dead_letter_advice::DeadLetterCauses;
use super::heal_status;
use super::held_lanes;
use super::lane_status::LaneStatus;
use super::obstacle::{COLLISION_ADVICE, Obstacle, ObstacleKind, foreign_advice};
use super::split_status::{SplitStatus, WorkerStatus};
use crate::model::{counted, duration};
use crate::state::{BackfillRecord, RepairScope, ShardRecord, SplitRecord, TombstonePhase, VerifyRecord};
use std::collections::{BTreeMap, BTreeSet};

/// A lane with a longer lag is not caught up. Creation times are rounded down, on one engine to the minute.
pub(super) const MOST_LAG_MS: u64 = 2 * 60 * 1000;

const REPLICATE: &str = "run `dynasplit replicate`, and leave it running";
const RESTART: &str = "restart each worker with this plan: stop it, then run `dynasplit replicate`";
const RESTART_NEWEST: &str = "restart each worker with the newest plan that `dynasplit apply` recorded";
const BACKFILL: &str = "run `dynasplit backfill`";
const VERIFY: &str = "run `dynasplit verify`";
const REPAIR: &str = "run `dynasplit verify --repair`, then `dynasplit verify`";

/// Facts in addition to the [`SplitStatus`].
pub(crate) struct Known<'a> {
    /// The split's record.
    pub record: &'a SplitRecord,
    /// Names and fingerprints of the plan's services that have not switched.
    pub planned: Vec<(String, String)>,
    /// How the plan differs from the plan of the split, with the next step.
    pub other_plan: Option<(String, String)>,
    /// The problem with the source's stream, with the next step.
    pub other_stream: Option<(String, String)>,
    /// The services of the keys that must be read again.
    pub rechecked: BTreeSet<String>,
}

/// The obstacles while they are collected.
#[derive(Default)]
struct Found(Vec<Obstacle>);

impl Found {
    fn add(
        &mut self,
        kind: ObstacleKind,
        service: Option<&str>,
        what: impl Into<String>,
        next: impl Into<String>,
    ) {
        self.add_for(kind, service.as_slice(), what, next);
    }

    /// For some services or lanes; none of them: for the split as a whole.
    fn add_for(
        &mut self,
        kind: ObstacleKind,
        services: &[&str],
        what: impl Into<String>,
        next: impl Into<String>,
    ) {
        let (service, services) = match services {
            [service] => (Some((*service).to_owned()), Vec::new()),
            services => (
                None,
                services.iter().map(|service| (*service).to_owned()).collect(),
            ),
        };
        self.0.push(Obstacle {
            kind,
            service,
            services,
            what: what.into(),
            next: next.into(),
        });
    }
}

/// The obstacles, in the order in which they can be removed.
pub(crate) fn obstacles(status: &SplitStatus, known: &Known<'_>) -> Vec<Obstacle> {
    let mut found = Found::default();
    if known.record.abandoned_ms.is_some() {
        found.add(
            ObstacleKind::Abandoned,
            None,
            "the split was given up",
            "to split the table again, run `dynasplit abandon --delete-state --yes`, then `dynasplit apply`",
        );
        return found.0;
    }
    plan_and_stream(status, known, &mut found);
    reading(status, &mut found);
    copying(status, known, &mut found);
    leftovers(status, known, &mut found);
    verifying(status, known, &mut found);
    found.0
}

fn plan_and_stream(status: &SplitStatus, known: &Known<'_>, found: &mut Found) {
    if let Some((what, next)) = &known.other_plan {
        found.add(ObstacleKind::OtherPlan, None, what.clone(), next.clone());
    }
    if let Some((what, next)) = &known.other_stream {
        found.add(ObstacleKind::OtherStream, None, what.clone(), next.clone());
    }
    // With an edited plan, no worker may run.
    let restart = if known.other_plan.is_some() {
        RESTART_NEWEST
    } else {
        RESTART
    };
    for worker in status.workers.iter().filter(|worker| worker.reads_stream()) {
        if let Some(what) = &worker.other_plan {
            found.add(
                ObstacleKind::OtherWorker,
                // It reads every lane, and only what belongs to no service comes out differently.
                (!worker.lacks_lanes).then_some(ShardRecord::WATCH),
                what.clone(),
                restart,
            );
        }
    }
}

fn reading(status: &SplitStatus, found: &mut Found) {
    let mut gaps: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for lane in &status.lanes {
        if let Some(reason) = &lane.gap {
            gaps.entry(reason).or_default().push(&lane.lane);
        }
    }
    for (reason, lanes) in gaps {
        found.add_for(
            ObstacleKind::Gap,
            &lanes,
            format!("gap in {}: {reason}", lanes.join(", ")),
            "run `dynasplit replicate --restart-tail`, then `dynasplit verify --repair`",
        );
    }
    let uncaptured: Vec<&str> = status
        .lanes
        .iter()
        .filter(|lane| lane.gap.is_none() && lane.lag_ms.is_none())
        .map(|lane| lane.lane.as_str())
        .collect();
    if !uncaptured.is_empty() {
        let (what, next) = (uncaptured.join(", "), REPLICATE);
        let verb = if uncaptured.len() == 1 { "does" } else { "do" };
        found.add_for(
            ObstacleKind::NotCaptured,
            &uncaptured,
            format!("{what} {verb} not follow the stream yet"),
            next,
        );
    } else if !status.is_drained() && !status.is_read() {
        found.add(ObstacleKind::NoWorker, None, no_worker(status), REPLICATE);
    }
}

/// Names the likely cause: a worker that stopped, if there was one.
fn no_worker(status: &SplitStatus) -> String {
    let tails = status.workers.iter().filter(|worker| worker.kind == "tail");
    match tails.map(|worker| worker.seen_ms_ago).min() {
        Some(ms) if !status.workers.iter().any(WorkerStatus::reads_stream) => format!(
            "no live worker reads the stream (the last sign of life of a worker is {} s old)",
            ms / 1000
        ),
        _ => "no live worker reads the stream".into(),
    }
}

fn is_copying(status: &SplitStatus) -> bool {
    status.running.iter().any(|doing| doing.command == "backfill")
}

fn copying(status: &SplitStatus, known: &Known<'_>, found: &mut Found) {
    let record = status.backfill_record.as_ref();
    if let Some((services, what, next)) = awaiting_import(known.record, record, is_copying(status)) {
        let what = what + &held_lanes::warning(&services, &status.lanes);
        found.add_for(ObstacleKind::AwaitingImport, &services, what, next);
        return;
    }
    let held: Vec<&str> = in_phase(status, &[TombstonePhase::Held]);
    if !held.is_empty() {
        found.add_for(
            ObstacleKind::LanesHeld,
            &held,
            held_lanes::held_by_bulk(&held, &status.lanes),
            if is_copying(status) {
                "wait until `dynasplit backfill` ends"
            } else {
                "run `dynasplit backfill` until it ends, because no process continues it"
            },
        );
        return;
    }
    match record {
        None if known.planned.is_empty() => {}
        None => found.add(
            ObstacleKind::NotBackfilled,
            None,
            "there was no backfill",
            BACKFILL,
        ),
        Some(backfill) if backfill.finished_ms.is_none() => {
            let waits = backfill.export.as_ref().is_some_and(|copy| copy.export.is_none());
            let (what, next) = if is_copying(status) {
                ("the backfill is not finished", "wait until it ends".to_owned())
            } else if waits {
                (
                    "the backfill waits for an export of the source (`dynasplit export cancel`: scan instead)",
                    run(backfill),
                )
            } else {
                (
                    "the backfill is not finished, and no process continues it",
                    run(backfill),
                )
            };
            let planned = known.planned.iter().map(|(service, _)| service.as_str());
            let copied: Vec<&str> = planned.filter(|service| backfill.copies(service)).collect();
            found.add_for(ObstacleKind::BackfillUnfinished, &copied, what, next);
        }
        Some(backfill) => {
            for (service, _) in &known.planned {
                if !backfill.services.contains(service) {
                    found.add(
                        ObstacleKind::NotBackfilled,
                        Some(service),
                        format!("{service} was not backfilled"),
                        BACKFILL,
                    );
                }
            }
        }
    }
}

/// The command that continues a backfill.
fn run(backfill: &BackfillRecord) -> String {
    format!("run `{}`", backfill.command())
}

fn leftovers(status: &SplitStatus, known: &Known<'_>, found: &mut Found) {
    // A lane that a bulk copy holds lags because of it.
    let is_held = |lane: &String| status.tombstones.get(lane).is_some_and(|switch| switch.holds());
    let is_behind = |lane: &&LaneStatus| {
        let lags = lane.shown_lag_ms.is_some_and(|lag| lag > MOST_LAG_MS);
        lags && lane.gap.is_none() && lane.open_shards > 0 && !is_held(&lane.lane)
    };
    let behind: Vec<&LaneStatus> = status.lanes.iter().filter(is_behind).collect();
    if let Some(most) = behind.iter().filter_map(|lane| lane.shown_lag_ms).max() {
        let names: Vec<&str> = behind.iter().map(|lane| lane.lane.as_str()).collect();
        let what = match names.as_slice() {
            [name] => format!("{name} lags by {}", duration(most)),
            names => format!("{} lag by up to {}", names.join(", "), duration(most)),
        };
        let mut reasons: Vec<&str> = behind.iter().filter_map(|lane| lane.blocked.as_deref()).collect();
        reasons.dedup();
        let what = match reasons.as_slice() {
            [] => what,
            reasons => format!("{what} ({})", reasons.join("; ")),
        };
        found.add_for(
            ObstacleKind::Lag,
            &names,
            what,
            "leave `dynasplit replicate` running until it has caught up. `dynasplit status` shows what limits it",
        );
    }
    written_after_switch(status, known, found);
    let causes = DeadLetterCauses::of(known.record, &status.workers);
    for (service, count) in &status.dead_letters {
        if known.record.switched.contains_key(service) {
            continue;
        }
        found.add(
            ObstacleKind::DeadLetters,
            Some(service),
            format!("{} of {service}", counted(*count, "dead letter")),
            causes.next(service),
        );
    }
    let heal = status.heal.as_ref();
    found
        .0
        .extend(heal.and_then(|heal| heal_status::obstacle(heal, &status.running)));
    let buried = in_phase(status, &[TombstonePhase::On, TombstonePhase::Sweeping]);
    if !buried.is_empty() {
        tombstones(status, &buried, known, found);
    }
    if status.rechecks > 0 {
        let services: Vec<&str> = known.rechecked.iter().map(String::as_str).collect();
        found.add_for(
            ObstacleKind::Rechecks,
            &services,
            format!(
                "{} must be read again, because a timestamp went backwards",
                counted(status.rechecks, "key")
            ),
            "run `dynasplit verify --repair`",
        );
    }
    // If every service has switched, no repair may write any table.
    let repairable = !known.planned.is_empty();
    if let Some(reason) = known.record.repair_required.as_ref().filter(|_| repairable) {
        let made = status
            .verify
            .as_ref()
            .and_then(|verify| verify.repaired_for.as_ref());
        let (what, next) = if made.is_some() && made == known.record.repair_duty().as_ref() {
            (
                format!(
                    "a repair was mandatory and was made, and no clean verify has confirmed it yet: {reason}"
                ),
                VERIFY.to_owned(),
            )
        } else {
            let refused = status
                .verify
                .as_ref()
                .map_or_else(Vec::new, |verify| left_alone(verify, known));
            let next = match refused.as_slice() {
                [] => REPAIR.to_owned(),
                services => foreign_advice(services, true),
            };
            (format!("a repair is mandatory: {reason}"), next)
        };
        found.add(ObstacleKind::RepairRequired, None, what, next);
    }
}

/// Changes of a service that came to the source after its switch: no lane delivers them, and no verify compares them.
fn written_after_switch(status: &SplitStatus, known: &Known<'_>, found: &mut Found) {
    for (service, late) in status.lanes.iter().flat_map(|lane| &lane.late) {
        let switched = known.record.switched.get(service);
        if switched.is_none_or(|switched| switched.at_ms != late.switched_ms) {
            continue;
        }
        let ago_s = status.read_ms.saturating_sub(late.last_ms) / 1000;
        found.add(
            ObstacleKind::WrittenAfterSwitch,
            Some(service),
            format!(
                "{} of {service} came to the source after {service} had switched (the last one about {ago_s} s ago). They are in \
                 no new table",
                counted(late.count, "change")
            ),
            format!(
                "find and stop what still writes items of {service} to the source. Then apply these changes to the table of \
                 {service} by other means, and end the split with `dynasplit complete --yes --lose-late-writes`; or, if {service} \
                 has not written its table yet, run `dynasplit switched --undo --service {service}`"
            ),
        );
    }
}

/// The services whose tombstone switch is in one of these phases.
fn in_phase<'a>(status: &'a SplitStatus, phases: &[TombstonePhase]) -> Vec<&'a str> {
    let found = status
        .tombstones
        .iter()
        .filter(|(_, switch)| phases.contains(&switch.phase));
    found.map(|(service, _)| service.as_str()).collect()
}

fn tombstones(status: &SplitStatus, services: &[&str], known: &Known<'_>, found: &mut Found) {
    let holders: Vec<&str> = known.record.switch.holders().into_iter().collect();
    let running: Vec<&str> = status
        .running
        .iter()
        .map(|doing| doing.command.as_str())
        .collect();
    let backfill = status
        .backfill_record
        .as_ref()
        .map_or_else(|| BACKFILL.to_owned(), run);
    let (what, next) = if !running.is_empty() {
        (
            format!("tombstones are on, and {} still runs", running.join(", ")),
            "wait until it ends",
        )
    } else if holders.is_empty() {
        (
            "tombstones are not swept".to_owned(),
            "run `dynasplit verify --repair`",
        )
    } else if holders.iter().any(|holder| holder.starts_with("backfill")) {
        (
            "tombstones are on: a backfill was interrupted".to_owned(),
            backfill.as_str(),
        )
    } else if status
        .heal
        .as_ref()
        .is_some_and(|heal| heal.finished_ms.is_none())
    {
        (
            "tombstones are on: the heal of a gap was interrupted".to_owned(),
            heal_status::CONTINUE,
        )
    } else if holders.contains(&"reconcile") {
        (
            "tombstones are on: `dead-letters reconcile` was interrupted".to_owned(),
            "run `dynasplit dead-letters reconcile`",
        )
    } else {
        (
            "tombstones are on: a repair was interrupted".to_owned(),
            "run `dynasplit verify --repair`",
        )
    };
    found.add_for(ObstacleKind::Tombstones, services, what, next);
}

fn verifying(status: &SplitStatus, known: &Known<'_>, found: &mut Found) {
    if known.planned.is_empty() {
        // Every service has switched: each was verified before, and nothing can be judged now.
        return;
    }
    // A service that was found to be exact after all that could have changed it is not concerned, whatever is wrong with others.
    let is_proven = |service: &str| {
        let backfill = status.backfill_record.as_ref();
        let since_ms = backfill
            .and_then(|backfill| backfill.copied_ms(service))
            .max(status.drained_ms());
        let proven_ms = status.proven.get(service);
        proven_ms.is_some_and(|proven| since_ms.is_none_or(|since| *proven >= since))
    };
    let planned = known.planned.iter().map(|(service, _)| service.as_str());
    let mut unproven: Vec<&str> = planned.filter(|service| !is_proven(service)).collect();
    if unproven.is_empty() {
        // What is left concerns only the split as a whole: items that no service takes.
        unproven.push(ShardRecord::WATCH);
    }
    let mut outdated = |what: &str, next: &str| {
        found.add_for(ObstacleKind::NotVerified, &unproven, what, next);
    };
    let Some(verify) = &status.verify else {
        outdated("nothing was verified", VERIFY);
        return;
    };
    if !verify.clean {
        not_clean(verify, &unproven, known, found);
        return;
    }
    let finished = status
        .backfill_record
        .as_ref()
        .and_then(|backfill| backfill.finished_ms);
    if finished.is_some_and(|finished| verify.started_ms < finished) {
        outdated("the last verify is older than the end of the backfill", VERIFY);
    } else if status
        .drained_ms()
        .is_some_and(|drained| verify.started_ms < drained)
    {
        outdated(
            "the stream was switched off after the last verify began, so later writes are in no stream",
            "make sure that nothing writes to the source, then run `dynasplit verify`",
        );
    } else {
        for (service, fingerprint) in &known.planned {
            let same = verify
                .services
                .get(service)
                .is_some_and(|found| found.fingerprint == *fingerprint);
            if !same && !is_proven(service) {
                found.add(
                    ObstacleKind::NotVerified,
                    Some(service),
                    format!("{service} was not verified"),
                    VERIFY,
                );
            }
        }
    }
}

/// The services whose tables a repair after lost changes leaves alone, because they hold something newer than the source.
fn left_alone<'a>(verify: &'a VerifyRecord, known: &Known<'_>) -> Vec<&'a str> {
    let services = verify.services.iter().filter(|(name, found)| {
        found.newer > 0
            && known.planned.iter().any(|(planned, _)| planned == *name)
            && known.record.repair_scope(name) == Some(RepairScope::LostChanges)
    });
    services.map(|(name, _)| name.as_str()).collect()
}

fn not_clean(verify: &VerifyRecord, unproven: &[&str], known: &Known<'_>, found: &mut Found) {
    let what = match verify.findings() {
        named if named.is_empty() => "the last verify was not clean".to_owned(),
        named => format!("the last verify was not clean ({named})"),
    };
    let is_planned = |name: &str| known.planned.iter().any(|(service, _)| service == name);
    let services = verify.services.iter().filter(|(name, _)| is_planned(name));
    let is_repairable =
        |(class, count): (&String, &u64)| *count > 0 && class != "expired" && class != "collision";
    let wrong: Vec<&str> = services
        .filter(|(_, service)| service.mismatches.iter().any(is_repairable))
        .map(|(name, _)| name.as_str())
        .collect();
    // Each service needs a reason of its own.
    let left_alone = left_alone(verify, known);
    let is_unexplained = |name: &&str| known.record.repair_scope(name).is_none() || left_alone.contains(name);
    let foreign: Vec<&str> = wrong.iter().copied().filter(is_unexplained).collect();
    let next = if verify.only_collisions() {
        COLLISION_ADVICE.to_owned()
    } else if verify.repaired > 0 || wrong.is_empty() {
        VERIFY.to_owned()
    } else if foreign.is_empty() {
        REPAIR.to_owned()
    } else {
        foreign_advice(&foreign, !left_alone.is_empty())
    };
    found.add_for(ObstacleKind::NotClean, unproven, what, next);
}

#[cfg(test)]
mod tests;
