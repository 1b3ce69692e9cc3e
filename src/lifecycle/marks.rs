//! Removes the marks that reverse writes left in the source.

use crate::dynamo::{AccountLimit, Tables};
use crate::fault::{Rule, broken};
use crate::plan::Service;
use crate::repair::sweep_of;
use crate::target::Sweep;
use crate::worker::{Budgets, RunError, Split};

/// Removes the marks of a service from the source items, each on the condition that it is still the same mark. Returns how many
/// were removed. Nobody may look for stray writes of the service any more: the removal of a mark would be one.
pub(crate) async fn remove_marks(
    split: &Split,
    budgets: &Budgets,
    (service, tables): (&Service, &Tables),
) -> Result<u64, RunError> {
    if broken(Rule::MarksRemoved) {
        return Ok(0);
    }
    let sweep = Sweep {
        table: split.plan.source.table.clone(),
        keys: split.plan.source.keys.clone(),
        client: split.source.items.clone(),
        reads: budgets.source(),
        ..sweep_of(split, service, tables, budgets, &AccountLimit::default())
    };
    Ok(sweep.marks(&split.plan.split, &service.name).await?.removed)
}
