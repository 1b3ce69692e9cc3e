//! From the file's shape to the checked plan: all that can be known to be wrong without asking AWS.

mod bucket;
mod condition;
mod copies;
mod doubts;
mod events;
mod fence;
mod hooks;
mod keys;
mod ledger;
mod names;
mod notify;
mod report;
mod reverse;
mod sample;
mod service;
mod shape;
mod shapes;
mod table;

use super::lines::Lines;
use super::path::Path;
use super::spec::{LeftBehindSpec, PlanSpec, SourceSpec, TimestampSpec};
use super::timestamp::{Timestamp, TimestampFormat};
use super::{Place, Plan, Source, Versions, Warnings};
use condition::condition;
use names::place;
use std::collections::HashMap;

pub(super) use report::Report;

/// Checks the plan. `None` only if a problem was reported.
pub(super) fn check(spec: PlanSpec, report: &mut Report) -> Option<Plan> {
    let root = Path::root();
    if spec.version != 1 {
        let hint = "this version of dynasplit reads `version: 1`";
        report.at(
            &root.field("version"),
            format!("version {} of the plan format is unknown", spec.version),
            hint,
        );
    }
    names::plan_name(&spec.split, "split", &root.field("split"), report);
    let source = source(&spec.source, &root.field("source"), report);
    let versions = versions(spec.timestamp.map(), &source, &root.field("timestamp"), report);
    let left_behind = spec.unrouted.map().map(|LeftBehindSpec { left_behind }| {
        condition(left_behind, &root.field("unrouted").field("left-behind"), report)
    });
    // Problems that follow from a source key that is wrong or could not be read would only confuse.
    let source_keys = root.field("source").field("keys");
    let source_is_known = !report.is_faulty(&root.field("source"))
        && report
            .findings
            .iter()
            .all(|finding| !finding.path.is_within(&source_keys));
    let fence = spec.fence.as_ref();
    let fence = fence.map(|fence| fence::fence(fence, &root.field("fence"), report));
    let drain = fence::drain(spec.drain.as_ref(), &root.field("drain"), report);
    let hooks = spec.hooks.as_ref();
    let hooks = hooks.map(|hooks| hooks::hooks(hooks, &root.field("hooks"), report));
    let notify = spec.notify.as_ref();
    let notify = notify.map(|notify| notify::notify(notify, &root.field("notify"), report));
    let ledger = spec.ledger.as_ref();
    let ledger = ledger.map(|ledger| ledger::ledger(ledger, &spec.split, &root.field("ledger"), report));
    let s3 = spec.s3.as_ref();
    let s3 = s3.map(|s3| bucket::bucket(s3, &root.field("s3"), report));
    let mut services = vec![];
    for (n, service_spec) in spec.services.iter().enumerate() {
        let path = root.field("services").index(n);
        let known = source_is_known.then_some(&source);
        services.push(service::check(service_spec, known, &versions, &path, report));
    }
    if spec.services.is_empty() {
        let hint = "add a service with a name, `where` and a table";
        report.at(
            &root.field("services"),
            "the plan has no services, so there is nothing to split",
            hint,
        );
    }
    doubts::check(&spec, report);
    let state_table = match &spec.state {
        Some(state) => state.table.clone(),
        None => format!("dynasplit-{}", spec.split),
    };
    tables_differ(&spec, &state_table, report);
    if let Some(rehearse) = spec.rehearse.as_ref().filter(|_| source_is_known) {
        sample::check(rehearse, &source, &root.field("rehearse"), report);
    }
    Some(Plan {
        split: spec.split,
        source,
        versions,
        left_behind: match left_behind {
            Some(condition) => Some(condition?),
            None => None,
        },
        services: services.into_iter().collect::<Option<Vec<_>>>()?,
        fence,
        drain,
        hooks: hooks.unwrap_or_default(),
        notify,
        ledger,
        s3,
        state_table,
        rehearse: spec.rehearse,
        allows_chaos: spec.chaos.is_some(),
        lines: Lines::default(),
        warnings: Warnings::default(),
    })
}

fn source(spec: &SourceSpec, path: &Path, report: &mut Report) -> Source {
    names::table(&spec.table, &path.field("table"), report);
    Source {
        table: spec.table.clone(),
        keys: keys::schema(&spec.keys, &path.field("keys"), report),
        place: place(spec.region.as_deref(), spec.role.as_deref(), path, report),
    }
}

fn versions(spec: Option<&TimestampSpec>, source: &Source, path: &Path, report: &mut Report) -> Versions {
    let Some(spec) = spec else {
        return Versions::Sequence;
    };
    names::attribute(&spec.attribute, &path.field("attribute"), report);
    if source.keys.attributes().any(|key| key.name == spec.attribute) {
        report.at(
            &path.field("attribute"),
            format!(
                "`{}` is a key of the source: it never changes, so it cannot order the writes of an item",
                spec.attribute
            ),
            "name an attribute that every write increases, or write `timestamp: none`",
        );
        return Versions::Sequence;
    }
    match TimestampFormat::of(spec) {
        Ok(format) => Versions::Timestamp(Timestamp {
            attribute: spec.attribute.clone(),
            format,
        }),
        Err(flaw) => {
            report.at(&path.field(flaw.field), flaw.message, flaw.hint);
            Versions::Sequence
        }
    }
}

/// No two tables of a plan may be one, and no two services may have one name.
fn tables_differ(spec: &PlanSpec, state_table: &str, report: &mut Report) {
    let root = Path::root();
    let of_source = Place {
        region: spec.source.region.clone(),
        role: spec.source.role.clone(),
    };
    let state_path = match &spec.state {
        Some(_) => root.field("state").field("table"),
        None => root.field("split"),
    };
    // The default name is correct if the name of the split is.
    if spec.state.is_some() {
        names::table(state_table, &state_path, report);
    }
    let mut tables = HashMap::from([(
        (of_source.clone(), spec.source.table.as_str()),
        "the source".to_owned(),
    )]);
    if let Some(owner) = tables.insert((of_source, state_table), "the state".to_owned()) {
        report.at(
            &state_path,
            format!("the state table would have the name of {owner}"),
            "give it another name",
        );
    }
    let mut names = HashMap::new();
    for (n, service) in spec.services.iter().enumerate() {
        let path = root.field("services").index(n);
        if !report.is_faulty(&path.field("name"))
            && let Some(first) = names.insert(service.name.as_str(), n)
        {
            let message = format!(
                "two services are called `{}`; the other one is services[{first}]",
                service.name
            );
            report.at(
                &path.field("name"),
                message,
                "give each service its own name, because lanes and checkpoints are named after it",
            );
        }
        let table = &service.table;
        let table_path = path.field("table");
        if ["name", "region", "role"]
            .iter()
            .any(|setting| report.is_faulty(&table_path.field(setting)))
        {
            continue;
        }
        let place = Place {
            region: table.region.clone(),
            role: table.role.clone(),
        };
        let owner = format!("the service `{}`", service.name);
        if let Some(other) = tables.insert((place, table.name.as_str()), owner) {
            report.at(
                &path.field("table").field("name"),
                format!("`{}` is already the table of {other}", table.name),
                "give each service its own table",
            );
        }
    }
}
