//! What refuses a cutover before anything is stopped.

use super::checks::obstacles;
use super::objection::{Check, Objection};
use super::{changed, fencing};
use crate::plan::{Remark, Service};
use crate::source::{SourceFacts, StreamState, describe_source};
use crate::state::SplitRecord;
use crate::status::split_status_with_worker;
use crate::worker::{RunError, Split};

/// Refuses a service that cannot be cut over with a way back.
///
/// # Errors
/// [`RunError::Unclean`], with every reason.
pub(super) async fn refuse(split: &Split, service: &str) -> Result<(), RunError> {
    let Some(planned) = split.plan.service(service) else {
        return Ok(());
    };
    let objections = objections(split, planned).await?;
    if objections.is_empty() {
        return Ok(());
    }
    let reasons = objections.into_iter().map(|objection| objection.what);
    Err(RunError::Unclean {
        reasons: reasons.collect(),
    })
}

/// What refuses the cutover of a service, by the plan, the tables and the state.
///
/// # Errors
/// If the state or a table cannot be read.
pub(super) async fn objections(split: &Split, planned: &Service) -> Result<Vec<Objection>, RunError> {
    let service = planned.name.as_str();
    let mut found = by_plan(split, service);
    let missing = fencing::missing(&split.plan, planned).into_iter();
    found.extend(missing.map(|what| Objection::new(Check::Fence, what)));
    found.extend(by_tables(split, service).await?);
    let record = SplitRecord::read(&split.store).await?.value;
    if record.switched.contains_key(service) {
        found.push(Objection::new(Check::State, format!(
            "{service} was switched without a way back (by `switched`): what it wrote since then is not in the source"
        )));
    }
    if !record.switch.is_off_for(service) {
        found.push(Objection::new(
            Check::State,
            format!(
                "a backfill, repair or reconcile of {service} is under way, or was interrupted: let it end (`dynasplit status` names \
                 the command)"
            ),
        ));
    }
    let unknown = changed::unknown(split, planned).await?;
    found.extend(unknown.map(|what| Objection::new(Check::Verify, what)));
    let status = split_status_with_worker(split).await?;
    found.extend(obstacles(&status, service).map(Objection::of));
    Ok(found)
}

/// What the plan says against it.
fn by_plan(split: &Split, service: &str) -> Vec<Objection> {
    let cutovers = split.plan.cutover().into_iter();
    let Some(found) = cutovers.into_iter().find(|found| found.service == service) else {
        return Vec::new();
    };
    if found.can_be_cut_over {
        return Vec::new();
    }
    let remarks = found.not_reversible.iter().chain(&found.refusals);
    let told = remarks.map(|remark| by_line(service, remark));
    told.map(|what| Objection::new(Check::Reversible, what)).collect()
}

fn by_line(service: &str, remark: &Remark) -> String {
    let line = remark
        .line
        .map(|line| format!(", line {line}"))
        .unwrap_or_default();
    let hint = remark
        .hint
        .as_ref()
        .map(|hint| format!(": {hint}"))
        .unwrap_or_default();
    format!(
        "{service} cannot be cut over with a way back (plan{line}): {}{hint}",
        remark.message
    )
}

/// What the tables say against it.
async fn by_tables(split: &Split, service: &str) -> Result<Vec<Objection>, RunError> {
    let Some((planned, tables)) = split.target(service) else {
        return Ok(Vec::new());
    };
    let source = describe_source(&split.source.control, &split.plan.source.table).await?;
    let target = describe_source(&tables.control, &planned.table.name).await?;
    let mut found = by_source(&source);
    found.extend(by_target(&target, planned.table.adopted));
    Ok(found)
}

fn by_source(facts: &SourceFacts) -> Vec<Objection> {
    let mut found = global(facts);
    if let Some(attribute) = &facts.ttl_attribute {
        found.push(Objection::new(Check::SourceTtl, format!(
            "TTL is on in {} (attribute {attribute}), and no fence stops its deletes: switch it off, and wait an hour, because \
             AWS may need that long",
            facts.table
        )));
    }
    found
}

fn by_target(facts: &SourceFacts, adopted: bool) -> Vec<Objection> {
    let mut found = global(facts);
    match &facts.stream {
        StreamState::WrongView { view, .. } => found.push(Objection::new(Check::TargetStream, format!(
            "the stream of {} has the view {view}, and the way back needs NEW_AND_OLD_IMAGES. Others may read this stream, so \
             dynasplit does not change it: disable it, and enable it with this view",
            facts.table
        ))),
        StreamState::Off if adopted => found.push(Objection::new(Check::TargetStream, format!(
            "the stream of {} is off, and the table is adopted: enable it with the view NEW_AND_OLD_IMAGES",
            facts.table
        ))),
        _ => {}
    }
    found
}

fn global(facts: &SourceFacts) -> Vec<Objection> {
    if !facts.is_global() {
        return Vec::new();
    }
    vec![Objection::new(
        Check::GlobalTable,
        format!(
            "{} is a global table: writes of other regions arrive whatever is fenced here, so `cutover` cannot prove that \
         nothing is written. Use the manual procedure (docs/cutover.md)",
            facts.table
        ),
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttributeKind, KeyAttribute, KeySchema};

    fn facts() -> SourceFacts {
        SourceFacts::sample(KeySchema {
            partition: KeyAttribute {
                name: "pk".into(),
                kind: AttributeKind::S,
            },
            sort: None,
        })
    }

    #[test]
    fn tables_that_others_write_or_that_have_no_way_back_are_refused() {
        assert!(by_source(&facts()).is_empty());
        assert!(
            by_target(&facts(), false).is_empty(),
            "cutover enables the stream"
        );
        let adopted = by_target(&facts(), true);
        assert!(adopted[0].what.contains("is adopted"), "{adopted:?}");
        let ttl = SourceFacts {
            ttl_attribute: Some("expires".into()),
            ..facts()
        };
        assert!(by_source(&ttl)[0].what.contains("(attribute expires)"));
        assert!(
            by_target(&ttl, false).is_empty(),
            "TTL of the target is a write of the service"
        );
        let global = SourceFacts {
            replicas: vec!["us-east-1".into()],
            ..facts()
        };
        assert!(by_source(&global)[0].what.contains("global table"));
        assert!(by_target(&global, false)[0].what.contains("global table"));
        let view = SourceFacts {
            stream: StreamState::WrongView {
                arn: "arn".into(),
                view: "KEYS_ONLY".into(),
            },
            ..facts()
        };
        assert!(by_target(&view, false)[0].what.contains("KEYS_ONLY"));
    }
}
