//! Whose tables a split may delete: those that `apply` created, and no others that have their names.

use crate::state::ServiceRecord;
use crate::target::{delete_table, table_arn, table_id};
use crate::worker::{RunError, Split, services};

/// What becomes of a table that `apply` found when it first ran.
const NOT_CREATED: &str = "is kept: dynasplit did not create it";
/// What becomes of a table of which it is not known where it was created.
const UNKNOWN_PLACE: &str = "is kept: an earlier version of dynasplit created it and did not record its ARN";

/// What becomes of a table that has the ARN of one that was deleted.
const ANOTHER: &str = "is kept: it is another table than dynasplit created, under the same name";

/// Whether a table is known to be another one, as far as ids tell.
fn is_another(created: Option<&str>, found: Option<Option<String>>) -> bool {
    match (created, found.flatten()) {
        (Some(created), Some(found)) => found != created,
        _ => false,
    }
}

/// Refuses to delete the tables of these services if one of them is another table than the split's. A plan may change the role
/// of a service while the split runs, and the other role may belong to an account that has a table of the same name.
pub(super) async fn refuse_other_tables(split: &Split, only: Option<&str>) -> Result<(), RunError> {
    let known = services(split).await?;
    let meant = split
        .services()
        .filter(|(service, _)| only.is_none_or(|name| name == service.name) && !service.table.adopted);
    for (service, tables) in meant {
        let table = &service.table.name;
        let refused = |what: String| {
            Err(RunError::NotYet {
                what,
                next: "give the plan that the split has, or do not delete tables".into(),
            })
        };
        let record = known.iter().find(|record| record.name == service.name);
        let Some(record) = record.filter(|record| record.fingerprint == service.fingerprint) else {
            return refused(format!(
                "the table {table} of '{}' is not part of the split",
                service.name
            ));
        };
        let Some(created) = record.created_arn.as_ref().filter(|_| record.created) else {
            continue;
        };
        let found = table_arn(&tables.control, table).await?;
        if let Some(found) = found.filter(|found| found != created) {
            return refused(format!(
                "the table of '{}' is {found} by this plan, and the split created {created}: the region or the role differs",
                service.name
            ));
        }
    }
    Ok(())
}

/// Deletes the table of a service if `apply` created it. Answers what became of it.
pub(super) async fn delete_created(
    split: &Split,
    name: &str,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<&'static str, RunError> {
    let known: Vec<ServiceRecord> = services(split).await?;
    let record = known.into_iter().find(|record| record.name == name);
    let (Some(record), Some((service, tables))) = (record, split.target(name)) else {
        return Ok(NOT_CREATED);
    };
    let Some(created) = record.created_arn.filter(|_| record.created) else {
        return Ok(if record.created {
            UNKNOWN_PLACE
        } else {
            NOT_CREATED
        });
    };
    let table = &service.table.name;
    match table_arn(&tables.control, table).await? {
        None => Ok("was not there"),
        Some(found) if found != created => Ok(NOT_CREATED),
        Some(_)
            if is_another(
                record.created_id.as_deref(),
                table_id(&tables.control, table).await?,
            ) =>
        {
            Ok(ANOTHER)
        }
        Some(_) => {
            tell(&format!("deleting {table}"));
            let was_there = delete_table(&tables.control, table).await?;
            Ok(if was_there { "is deleted" } else { "was not there" })
        }
    }
}
