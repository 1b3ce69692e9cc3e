//! What is in the way while tables are left to an import.

use crate::state::{BackfillRecord, Order, SplitRecord};

/// The services whose tables are left to an import, what that means, and the next step; `None`: there are none.
pub(super) fn awaiting_import<'a>(
    record: &'a SplitRecord,
    backfill: Option<&BackfillRecord>,
    is_copying: bool,
) -> Option<(Vec<&'a str>, String, String)> {
    let services: Vec<&str> = record.awaiting_import.iter().map(String::as_str).collect();
    let begun = backfill.filter(|backfill| backfill.order == Order::Import);
    let makes = match begun {
        Some(_) => "the import order makes",
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
    let next = match (is_copying, begun) {
        (true, _) => "wait until `dynasplit backfill` ends".to_owned(),
        (false, Some(begun)) => format!("run `{}`, because no process continues it", begun.command()),
        (false, None) => "run `dynasplit backfill --order import`, or `dynasplit backfill --order concurrent`, which creates the tables"
            .to_owned(),
    };
    Some((services, what, next))
}
