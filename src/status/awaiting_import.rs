//! What is in the way while tables are left to an import.

use crate::state::{BackfillRecord, Order, SplitRecord};

/// The services whose tables are left to an import, what that means, and the next step; `None`: there are none.
pub(super) fn awaiting_import<'a>(
    record: &'a SplitRecord,
    backfill: Option<&BackfillRecord>,
    is_copying: bool,
) -> Option<(Vec<&'a str>, String, String)> {
    let services: Vec<&str> = record.awaiting_import.iter().map(String::as_str).collect();
    let makes = match backfill.map(|backfill| backfill.order) {
        Some(Order::Import) => "the import order makes",
        // Somebody chose another order, which has not created the tables yet. From then on, the import order is refused.
        Some(_) => "a backfill creates",
        None => "an import is to make",
    };
    let what = match services.as_slice() {
        [] => return None,
        [service] => format!("{makes} the table of {service}, and its lane is on hold until then"),
        services => format!(
            "{makes} the tables of {}, and their lanes are on hold until then",
            services.join(", ")
        ),
    };
    let next = match (is_copying, backfill) {
        (true, _) => "wait until `dynasplit backfill` ends".to_owned(),
        (false, Some(begun)) => format!("run `{}`, because no process continues it", begun.command()),
        (false, None) => "run `dynasplit backfill --order import`, or `dynasplit backfill --order concurrent`, which creates the tables"
            .to_owned(),
    };
    Some((services, what, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said, and the next step, where a backfill in this order was begun and nobody continues it.
    fn told(order: Option<Order>) -> (String, String) {
        let record = SplitRecord {
            awaiting_import: ["orders".to_owned()].into(),
            ..SplitRecord::sample()
        };
        let begun = order.map(|order| BackfillRecord {
            order,
            ..serde_json::from_str(
                r#"{"segments":1,"services":[],"round":[],"started_ms":0,"finished_ms":null,"estimated_items":0}"#,
            )
            .unwrap()
        });
        let (_, what, next) = awaiting_import(&record, begun.as_ref(), false).unwrap();
        (what, next)
    }

    #[test]
    fn the_command_is_one_that_is_not_refused() {
        let (what, next) = told(None);
        assert!(
            what.starts_with("an import is to make the table of orders"),
            "{what}"
        );
        assert!(
            next.starts_with("run `dynasplit backfill --order import`, or"),
            "{next}"
        );
        let (_, next) = told(Some(Order::Import));
        assert!(
            next.starts_with("run `dynasplit backfill --order import`,"),
            "{next}"
        );
        // It refuses `--order import`.
        let (what, next) = told(Some(Order::Concurrent));
        assert!(
            what.starts_with("a backfill creates the table of orders"),
            "{what}"
        );
        assert!(next.starts_with("run `dynasplit backfill`,"), "{next}");
    }
}
