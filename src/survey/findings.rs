//! What a survey says of all that: what would go wrong, what may, and what is worth knowing.

mod expiry;

use super::finding::{Finding, Findings, items, short, with_example};
use super::view::{CollisionView, Routing, ServiceView, Survey, VersionView};
use super::{StateStatus, TableView, TargetStatus};
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
    forecast(&mut found, survey);
    found.0.sort_by_key(|finding| finding.severity);
    found.0
}

fn source(found: &mut Findings, survey: &Survey) {
    let source = &survey.source;
    if !matches!(source.status.as_str(), "ACTIVE" | "UPDATING") {
        found.error(
            format!(
                "the source table {} is {}: no item was read",
                source.table, source.status
            ),
            "see what is happening to it, then run this again",
        );
    }
    if let Some(differ) = &survey.keys_differ {
        found.error(
            differ,
            "no item was read, for with other keys every item would look wrong",
        );
    }
}

fn state(found: &mut Findings, survey: &Survey) {
    match &survey.state.status {
        StateStatus::Refused { reason } => found.error(reason, ""),
        StateStatus::Begun => found.note(
            "this split has begun (its state table is there)",
            "`dynasplit status` shows where it stands",
        ),
        StateStatus::Wider { change } => found.note(
            format!("this split has begun, and the plan leaves more behind: {change}"),
            "`dynasplit apply` records it; then start `dynasplit replicate` again with this plan",
        ),
        StateStatus::Unknown => {}
    }
}

fn stream(found: &mut Findings, survey: &Survey) {
    let table = &survey.source.table;
    let ours = survey.state.stream.as_deref();
    match &survey.stream.state {
        StreamState::WrongView { view, .. } => found.error(
            format!("the stream of {table} is on with the view {view}, and a split needs NEW_AND_OLD_IMAGES"),
            "it is never changed, since others may be reading it: ask their owners; when they agree, disable it, let \
             them finish what it holds (24 hours), and `dynasplit apply` enables it anew, under another ARN",
        ),
        StreamState::Off | StreamState::Starting if ours.is_some() => found.error(
            format!("the stream of {table} is off, and this split was reading it"),
            "`dynasplit apply` switches it on; what was written in between needs `dynasplit replicate --restart-tail`, \
             then `dynasplit verify --repair`",
        ),
        StreamState::Off => found.note(
            format!("the stream of {table} is off: `dynasplit apply` switches it on, with both images"),
            "nobody else reads it then; a DynamoDB trigger that is added later is a second reader",
        ),
        StreamState::Starting => found.note(format!("the stream of {table} is being switched on"), ""),
        StreamState::On { arn, .. } if ours.is_some_and(|ours| ours != arn) => found.error(
            format!("the stream of {table} is not the one that this split reads: it was switched off and on again"),
            "run `dynasplit replicate --restart-tail`, then `dynasplit verify --repair`",
        ),
        StreamState::On { .. } if ours.is_some() => {}
        StreamState::On { arn, label } => others(found, survey, arn, label),
    }
}

/// No API tells who reads a stream.
fn others(found: &mut Findings, survey: &Survey, arn: &str, label: &str) {
    let global = if survey.stream.global {
        " A global table's stream should have one reader only, says AWS."
    } else {
        ""
    };
    found.warning(
        format!(
            "the stream of {} was on before this split, since {}: others may be reading it, and no API tells who",
            survey.source.table,
            if label.is_empty() { "an unknown time" } else { label }
        ),
        &format!(
            "Lambda triggers show with `aws lambda list-event-source-mappings --event-source-arn {arn}`; ask for Kinesis \
             adapters too. Each shard serves two readers, more are throttled; dynasplit is one, and a second one while a \
             service catches up: with two others, both sides slow down, and the tail may fall behind.{global}"
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
            "its owner must create it; or take `adopted` out of the plan, and `dynasplit apply` creates it",
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
                    "a table that exists is never changed: correct the plan or the table, or name another one",
                    "a table that exists is never changed: correct the plan or the table; only a service that is new in \
                     the plan can name another one",
                ),
            );
        }
        TargetStatus::Same { .. } => {}
    }
    if table.empty == Some(false) && survey.state.status == StateStatus::Unknown {
        if table.may_hold_items {
            found.note(
                format!(
                    "the table {name} of {} holds items already, as the plan allows",
                    table.service
                ),
                "a repairing verify is mandatory: it removes what the source does not have",
            );
        } else {
            found.error(
                format!(
                    "the table {name} of {} holds items already, and the split has not begun",
                    table.service
                ),
                "empty it or name another table; if those items may be replaced and removed, write \
                 `may-hold-items: true`, and a repairing verify becomes mandatory",
            );
        }
    }
}

fn routes(found: &mut Findings, plan: &Plan, survey: &Survey, routing: &Routing) {
    let whole = survey.reading.as_ref().is_some_and(|reading| reading.whole);
    if survey.reading.as_ref().is_none_or(|reading| reading.items == 0) {
        found.warning(
            "the source is empty: nothing could be tried",
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
                if plan.left_behind.is_some() { " nor what is left behind" } else { "" },
                shapes.join("; ")
            ),
            survey.advice(
                "each would be a dead letter: widen a service's `where`, or list them under `unrouted: left-behind`",
                "each is a dead letter: list them under `unrouted: left-behind`, which can be widened at any time, or add \
                 a service that takes them; the `where` of a service can't change after the split has begun",
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
                "each service gets its own copy; if that is not on purpose, narrow one `where`",
                "each service gets its own copy; the `where` of a service can't change after the split has begun",
            ),
        );
    }
    for service in routing.services.iter().filter(|service| service.routed == 0) {
        let what = format!("no item that was read belongs to {}", service.service);
        if whole {
            found.warning(
                what,
                survey.advice(
                    "check its `where`: its table would stay empty",
                    "its table stays empty, and its `where` can't change after the split has begun: to take other items, \
                     add a service with another name and another table",
                ),
            );
        } else {
            found.note(
                what,
                "it may be rare, or its `where` may be wrong: --all reads every item",
            );
        }
    }
}

fn keys(found: &mut Findings, survey: &Survey, service: &ServiceView) {
    let name = &service.service;
    for fault in &service.faults {
        found.error(
            format!("{}: {}", items(fault.items, &format!("of {name} can't be written"), &format!("of {name} can't be written")), with_example(fault)),
            survey.advice(
                "each would be a dead letter, which blocks the cutover: correct the items, the `where` or the transform",
                "each is a dead letter, which blocks the cutover: correct the items in the source; the `where` and the \
                 transform of a service can't change after the split has begun",
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
            format!("in {name}, {} a target key that another item has{example}", items(*collisions, "takes", "take")),
            survey.advice(
                "two items of one key overwrite each other, whatever the plan vouches for: make the key from the whole \
                 source key, or narrow the `where`",
                "two items of one key overwrite each other, whatever the plan vouches for: change or delete all but one of \
                 them in the source; the key templates of a service can't change after the split has begun",
            ),
        );
    } else if *share < 1.0 {
        found.note(
            format!(
                "collisions in {name} were looked for in {:.1} % of the keys, picked by hash: the memory is bounded",
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
            "that is most of them: another attribute or format may be meant, or `timestamp: none`, where the stream's \
             order decides",
            "that is most of them: another attribute or format may be meant, and `timestamp` can't change after the split \
             has begun. To change it, start over with another split and other tables",
        )
    } else {
        survey.advice(
            "they are copied all the same: the tail writes them as they come, the backfill only where the target has \
             nothing. Where an item has a timestamp at one time and none at another, prefer `timestamp: none`",
            "they are copied all the same: the tail writes them as they come, the backfill only where the target has \
             nothing",
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
    let general = "aws:rep:* attributes are never copied; writes of other regions come as stream records of their own, \
                   so split in one region only; the targets are plain tables";
    match survey.versions {
        VersionView::Timestamp { .. } if source.is_global() => found.warning(
            what,
            &format!(
                "{general}. The last writer wins between regions, by AWS's clock, so your timestamp can go backwards: {}",
                survey.advice(
                    "prefer `timestamp: none` unless one region takes all the writes",
                    "let one region take all the writes until the split is complete",
                )
            ),
        ),
        _ => found.note(what, general),
    }
}

fn forecast(found: &mut Findings, survey: &Survey) {
    let Some(estimate) = &survey.estimate else { return };
    let hours = estimate.backfill_hours;
    let what = format!(
        "the backfill would take {hours:.1} hours ({}), and a stream keeps 24",
        estimate.slowest
    );
    let faster = "raise what holds it back: `warm-throughput` or provisioned units in the plan, the source's read units, \
                  or a higher budget";
    if hours > RETENTION_HOURS {
        found.error(what, faster);
    } else if hours > RETENTION_HOURS * COMFORTABLE_PART {
        found.warning(
            what,
            &format!("a mishap would leave little time to go on; {faster}"),
        );
    }
    for slow in &estimate.slow {
        let what = match &slow.index {
            Some(index) => format!("index {index} of the table {}", slow.table),
            None => format!("the table {}", slow.table),
        };
        found.warning(
            format!(
                "{what} of {} serves {} write unit{} a second: its part of the backfill takes {}",
                slow.service,
                slow.write_units,
                if slow.write_units > 1.0 { "s" } else { "" },
                if slow.hours < 0.1 { "less than 6 minutes".to_owned() } else { format!("{:.1} hours", slow.hours) }
            ),
            "raise its units, or the on-demand maximum that was set for it, while the split runs: the tail writes each \
             change with them too, and falls behind if there are more (auto scaling does not show here, and takes minutes)",
        );
    }
    for hot in &estimate.hot {
        let whose = match &hot.index {
            Some(index) => format!("index {index} of {}", hot.service),
            None => format!("the table of {}", hot.service),
        };
        found.warning(
            format!(
                "one partition key of {whose} takes {:.0} % of its writes: {:.1} hours at the 1,000 units a second of a \
                 partition",
                hot.share * 100.0,
                hot.hours
            ),
            "its writes are throttled, and no throughput of the table helps; other services are not held back",
        );
    }
}

#[cfg(test)]
mod tests;
