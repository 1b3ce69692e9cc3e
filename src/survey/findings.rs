//! The findings of a survey: errors, warnings and remarks.

mod expiry;

use super::finding::{Finding, Findings, items, short, with_example};
use super::view::{CollisionView, Routing, ServiceView, Survey, VersionView};
use super::{StateStatus, TableView, TargetStatus};
use crate::model::count;
use crate::plan::Plan;
use crate::source::StreamState;
use crate::source::lineage::RETENTION_MS;

/// Hours that a stream keeps its records.
#[allow(clippy::cast_precision_loss)] // 24
const RETENTION_HOURS: f64 = RETENTION_MS as f64 / 3_600_000.0;
/// A copy that takes longer than this part of the retention leaves too little of it for a mishap.
const COMFORTABLE_PART: f64 = 1.0 / 3.0;
/// Where more than this part of a service's items has no version, the attribute is no timestamp.
const MOST_UNVERSIONED: f64 = 0.5;

/// All findings, errors first.
pub(super) fn judge(plan: &Plan, survey: &Survey) -> Vec<Finding> {
    let mut found = Findings(Vec::new());
    source(&mut found, survey);
    state(&mut found, survey);
    stream(&mut found, survey);
    for table in &survey.tables {
        target(&mut found, survey, table);
    }
    if let Some(routing) = &survey.routing {
        routes(&mut found, plan, survey, routing);
        for service in &routing.services {
            keys(&mut found, survey, service);
        }
        versions(&mut found, survey, routing);
        expiry::of_source(&mut found, plan, routing);
        for (service, view) in plan.services.iter().zip(&routing.services) {
            expiry::of_target(&mut found, service, view, routing);
        }
    }
    global(&mut found, survey);
    forecast(&mut found, survey, plan.ledger.is_some());
    found.0.sort_by_key(|finding| finding.severity);
    found.0
}

fn source(found: &mut Findings, survey: &Survey) {
    let source = &survey.source;
    if !matches!(source.status.as_str(), "ACTIVE" | "UPDATING") {
        found.error(
            format!(
                "the source table {} is {}, so no item was read",
                source.table, source.status
            ),
            "wait until it is ACTIVE, then run `dynasplit plan` again",
        );
    }
    if let Some(differ) = &survey.keys_differ {
        found.error(
            differ,
            "no item was read, because with other keys every item would look wrong",
        );
    }
}

fn state(found: &mut Findings, survey: &Survey) {
    match &survey.state.status {
        StateStatus::Refused { reason } => found.error(reason, ""),
        StateStatus::Begun => found.note(
            "this split has begun (its state table exists)",
            "`dynasplit status` shows its state",
        ),
        StateStatus::Wider { change } => found.note(
            format!("this split has begun, and the plan has a wider `left-behind`: {change}"),
            "run `dynasplit apply`, which records it; then start `dynasplit replicate` again with this plan",
        ),
        StateStatus::Unknown => {}
    }
}

fn stream(found: &mut Findings, survey: &Survey) {
    let table = &survey.source.table;
    let ours = survey.state.stream.as_deref();
    match &survey.stream.state {
        StreamState::WrongView { view, .. } => found.error(
            format!("the stream of {table} is on with the view {view}, but a split needs NEW_AND_OLD_IMAGES"),
            "dynasplit does not change it, because others may read it. Ask the owners of its readers. If \
             they agree, disable the stream, let its readers finish (it keeps its records for 24 hours), \
             and run `dynasplit apply`: it enables the stream with another ARN",
        ),
        StreamState::Off | StreamState::Starting if ours.is_some() => found.error(
            format!("the stream of {table} is off, but this split was reading it"),
            "`dynasplit apply` switches it on; what was written in between needs run `dynasplit replicate \
             --restart-tail`, then `dynasplit verify --repair`",
        ),
        StreamState::Off => found.note(
            format!("the stream of {table} is off: `dynasplit apply` switches it on, with both images"),
            "dynasplit is then its only reader; a trigger that is added later is a second reader",
        ),
        StreamState::Starting => found.note(format!("the stream of {table} is being switched on"), ""),
        StreamState::On { arn, .. } if ours.is_some_and(|ours| ours != arn) => found.error(
            format!(
                "the stream of {table} is not the one that this split reads; probably somebody switched \
                 it off and on again"
            ),
            "run `dynasplit replicate --restart-tail`, then `dynasplit verify --repair`",
        ),
        StreamState::On { .. } if ours.is_some() => {}
        StreamState::On { arn, label } => others(found, survey, arn, label),
    }
}

/// No API shows the readers of a stream.
fn others(found: &mut Findings, survey: &Survey, arn: &str, label: &str) {
    let global = if survey.stream.global {
        " AWS recommends only one reader for the stream of a global table."
    } else {
        ""
    };
    found.warning(
        format!(
            "the stream of {} was on before this split, since {}, so others may read it, and no API shows \
             them",
            survey.source.table,
            if label.is_empty() {
                "an unknown time"
            } else {
                label
            }
        ),
        &format!(
            "list Lambda triggers with `aws lambda list-event-source-mappings --event-source-arn {arn}`, \
             and ask for Kinesis adapters. A shard serves two readers without throttling. dynasplit is one \
             reader, and two while a service catches up. With two others, both sides slow down, and the \
             tail may fall behind.{global}"
        ),
    );
}

fn target(found: &mut Findings, survey: &Survey, table: &TableView) {
    let name = &table.table;
    match &table.status {
        TargetStatus::Missing if table.adopted => found.error(
            format!(
                "the table {name} of {} is adopted and does not exist",
                table.service
            ),
            "ask its owner to create it, or remove `adopted` from the plan, so that `dynasplit apply` \
             creates it",
        ),
        TargetStatus::Missing => {}
        TargetStatus::Differs { differences } => {
            let what: Vec<&str> = differences.iter().map(|each| each.what.as_str()).collect();
            found.error(
                format!(
                    "the table {name} of {} exists and differs from the plan: {}",
                    table.service,
                    what.join(", ")
                ),
                survey.advice(
                    "dynasplit does not change a table that exists: correct the plan or the table, or name \
                     another table",
                    "dynasplit does not change a table that exists: correct the plan or the table. Only a \
                     service that is new in the plan can name another table",
                ),
            );
        }
        TargetStatus::Same { .. } => {}
    }
    if table.empty == Some(false) && survey.state.status == StateStatus::Unknown {
        if table.may_hold_items {
            found.note(
                format!(
                    "the table {name} of {} already holds items, as the plan allows",
                    table.service
                ),
                "`dynasplit verify --repair` is mandatory: it removes items that the source does not have",
            );
        } else {
            found.error(
                format!(
                    "the table {name} of {} already holds items, and the split has not begun",
                    table.service
                ),
                "empty it, or name another table. If these items may be replaced and removed, write \
                 `may-hold-items: true`; `dynasplit verify --repair` is then mandatory",
            );
        }
    }
}

fn routes(found: &mut Findings, plan: &Plan, survey: &Survey, routing: &Routing) {
    let whole = survey.reading.as_ref().is_some_and(|reading| reading.whole);
    if survey.reading.as_ref().is_none_or(|reading| reading.items == 0) {
        found.warning(
            "the source is empty, so the plan could not be tried on any item",
            "check the table, the region and the account",
        );
        return;
    }
    if routing.unrouted.items > 0 {
        let shapes: Vec<String> = routing.unrouted_shapes.iter().take(3).map(with_example).collect();
        found.error(
            format!(
                "{} no service{}: {}",
                items(routing.unrouted.items, "matches", "match"),
                if plan.left_behind.is_some() {
                    " nor what is left behind"
                } else {
                    ""
                },
                shapes.join("; ")
            ),
            survey.advice(
                "each would be a dead letter: widen the `where` of a service, or select them under \
                 `unrouted: left-behind`",
                "each is a dead letter: select them under `unrouted: left-behind`, which can be widened at \
                 any time, or add a service that takes them. The `where` of a service can't change after \
                 the split has begun",
            ),
        );
    }
    for overlap in &routing.overlaps {
        let [first, second] = &overlap.services;
        found.note(
            format!(
                "{} both {first} and {second}",
                items(overlap.items, "matches", "match")
            ),
            survey.advice(
                "each service gets its own copy. If you do not want this, narrow one `where`",
                "each service gets its own copy. The `where` of a service can't change after the split has \
                 begun",
            ),
        );
    }
    for service in &routing.services {
        copies(found, service);
    }
    for service in routing.services.iter().filter(|service| service.routed == 0) {
        let what = format!("none of the items that were read belongs to {}", service.service);
        if whole {
            found.warning(
                what,
                survey.advice(
                    "check its `where`, because its table would stay empty",
                    "its table stays empty, and its `where` can't change after the split has begun. To \
                     select other items, add a service with another name and another table",
                ),
            );
        } else {
            found.note(
                what,
                "its items may be rare, or its `where` may be wrong. Use --all to read every item",
            );
        }
    }
}

/// Whose items a table receives that receives everything.
fn copies(found: &mut Findings, service: &ServiceView) {
    let Some(copies) = service.copies else { return };
    let name = &service.service;
    let (own, irrelevant) = (count(copies.own), count(copies.irrelevant));
    let prune = format!("`dynasplit prune --target --service {name} --yes`");
    let what = format!(
        "{name} copies everything: {own} of {} are its own, {irrelevant} are irrelevant copies, and {} are copies that stay",
        items(service.routed, "that was read", "that were read"),
        count(copies.kept)
    );
    if copies.own == 0 {
        found.warning(what, "check its `where`: nothing of what was read belongs to it");
    } else if copies.kept > 0 {
        found.note(
            what,
            &format!("after the switch, nobody updates the copies that stay. `irrelevant` says which copies {prune} removes"),
        );
    } else {
        found.note(
            what,
            &format!("when {name} is completed, {prune} removes the irrelevant copies"),
        );
    }
}

fn keys(found: &mut Findings, survey: &Survey, service: &ServiceView) {
    let name = &service.service;
    for fault in &service.faults {
        found.error(
            format!("{}: {}", items(fault.items, &format!("of {name} can't be written"), &format!("of {name} can't be written")), with_example(fault)),
            survey.advice(
                "each would be a dead letter, which blocks the cutover: correct the items, the `where` or the transform",
                "each is a dead letter, which blocks the cutover: correct the items in the source. The \
                 `where` and the transform of a service can't change after the split has begun",
            ),
        );
    }
    let CollisionView::Compared {
        share,
        found: collisions,
        shown,
        ..
    } = &service.collisions
    else {
        return;
    };
    if *collisions > 0 {
        let example = shown.first().map_or(String::new(), |group| {
            let keys: Vec<String> = group.examples.iter().map(|each| short(&each.text)).collect();
            format!(" ({} from {})", short(&group.what), keys.join(" and from "))
        });
        found.error(
            format!(
                "in {name}, {} the target key of another item{example}",
                items(*collisions, "takes", "take")
            ),
            survey.advice(
                "items with the same target key overwrite each other, even with a vouch: make the key from \
                 the whole source key, or narrow the `where`",
                "items with the same target key overwrite each other, even with a vouch: change or delete \
                 all but one of them in the source. The key templates of a service can't change after the \
                 split has begun",
            ),
        );
    } else if *share < 1.0 {
        found.note(
            format!(
                "only {:.1} % of the keys in {name} were checked for collisions, because the memory is \
                 bounded",
                share * 100.0
            ),
            "",
        );
    }
}

fn versions(found: &mut Findings, survey: &Survey, routing: &Routing) {
    let count: u64 = routing.unversioned.iter().map(|group| group.items).sum();
    let VersionView::Timestamp { attribute } = &survey.versions else {
        return;
    };
    if count == 0 {
        return;
    }
    let groups: Vec<String> = routing.unversioned.iter().take(3).map(with_example).collect();
    let what = format!(
        "{} no version by '{attribute}': {}",
        items(count, "has", "have"),
        groups.join("; ")
    );
    let takers = survey.reading.as_ref().map_or(0, |reading| reading.items)
        - routing.unrouted.items
        - routing.left_behind.items;
    #[allow(clippy::cast_precision_loss)] // a share
    let share = count as f64 / takers.max(1) as f64;
    let hint = if share > MOST_UNVERSIONED {
        survey.advice(
            "these are most of the items, so the attribute or the format is probably wrong. Correct it, or \
             write `timestamp: none`, so that the order of the stream decides",
            "these are most of the items, so the attribute or the format is probably wrong. `timestamp` \
             can't change after the split has begun: to change it, start over with another split and other \
             tables",
        )
    } else {
        survey.advice(
            "they are copied anyway: the tail writes them as they come, and the backfill writes them only \
             if the target has none. If an item sometimes has a timestamp and sometimes not, prefer \
             `timestamp: none`",
            "they are copied anyway: the tail writes them as they come, and the backfill writes them only \
             if the target has none",
        )
    };
    found.warning(what, hint);
}

fn global(found: &mut Findings, survey: &Survey) {
    let source = &survey.source;
    let replicated = survey.routing.as_ref().map_or(0, |routing| routing.replicated);
    if !source.is_global() && replicated == 0 {
        return;
    }
    let regions = if source.replicas.is_empty() {
        String::new()
    } else {
        format!(" with {}", source.replicas.join(", "))
    };
    let what = if source.is_global() {
        format!("{} is a global table{regions}", source.table)
    } else {
        format!(
            "{} attributes of a global table (aws:rep:*)",
            items(replicated, "carries", "carry")
        )
    };
    let general = "attributes aws:rep:* are never copied. Writes of other regions come as their own stream \
         records, so run the split in only one region. The targets are plain tables";
    match survey.versions {
        VersionView::Timestamp { .. } if source.is_global() => found.warning(
            what,
            &format!(
                "{general}. Between regions, AWS keeps the last write by its own clock, so your timestamp \
                 can go backwards: {}",
                survey.advice(
                    "prefer `timestamp: none`, unless all writes go to one region",
                    "send all writes to one region until the split is complete",
                )
            ),
        ),
        _ => found.note(what, general),
    }
}

fn forecast(found: &mut Findings, survey: &Survey, has_ledger: bool) {
    let Some(estimate) = &survey.estimate else { return };
    let hours = estimate.backfill_hours;
    let what = format!(
        "the backfill would take {hours:.1} hours ({}), and a stream keeps its records for 24 hours",
        estimate.slowest
    );
    let faster = "raise the limit that it names: `warm-throughput` or provisioned units in the plan, the \
         read units of the source, or the budget";
    if hours > RETENTION_HOURS && has_ledger {
        found.note(
            what,
            "the ledger of the plan keeps the changes for longer, so the lanes lose nothing meanwhile",
        );
    } else if hours > RETENTION_HOURS {
        found.error(what, faster);
    } else if hours > RETENTION_HOURS * COMFORTABLE_PART {
        found.warning(
            what,
            &format!("an interruption would leave little time to catch up; {faster}"),
        );
    }
    for slow in &estimate.slow {
        let what = match &slow.index {
            Some(index) => format!("index {index} of the table {}", slow.table),
            None => format!("the table {}", slow.table),
        };
        found.warning(
            format!(
                "{what} of {} serves {} write unit{} per second, so its part of the backfill takes {}",
                slow.service,
                slow.write_units,
                if slow.write_units > 1.0 { "s" } else { "" },
                if slow.hours < 0.1 {
                    "less than 6 minutes".to_owned()
                } else {
                    format!("{:.1} hours", slow.hours)
                }
            ),
            "raise its units, or its on-demand maximum, while the split runs. The tail needs them as well, \
             and falls behind if they are too few (this forecast does not include auto scaling, which \
             takes minutes)",
        );
    }
    for hot in &estimate.hot {
        let whose = match &hot.index {
            Some(index) => format!("index {index} of {}", hot.service),
            None => format!("the table of {}", hot.service),
        };
        found.warning(
            format!(
                "one partition key of {whose} gets {:.0} % of its writes, which takes {:.1} hours at the \
                 1,000 units per second of a partition",
                hot.share * 100.0,
                hot.hours
            ),
            "its writes will be throttled, and more throughput of the table does not help. Other services \
             are not delayed. To avoid it, choose a key with more values",
        );
    }
}

#[cfg(test)]
pub(super) mod tests;
