//! The steps that begin and end a split: apply, restart of the tail, switch of a service, complete, prune, abandon.

mod abandon;
mod apply;
mod at_rest;
mod complete;
mod created_tables;
mod for_import;
mod ledger_of_plan;
mod marks;
mod prune;
mod prune_checks;
mod prune_lease;
mod restart;
mod switched;

pub use abandon::{AbandonOptions, AbandonedThing, abandon, abandon_preview, abandon_service};
pub use apply::{AppliedTable, ApplyOptions, ApplyReport, apply};
pub(crate) use complete::end_service;
pub use complete::{CompleteOptions, CompleteReport, complete};
pub(crate) use marks::remove_marks;
pub use prune::{PruneReport, prune};
pub use prune_checks::{Backup, PruneOptions};
pub(crate) use restart::{current_stream, restart_events, restart_ledger, restart_tail};
pub use switched::{SwitchOptions, SwitchReport, switch, switch_back};
pub(crate) use switched::{in_the_way, is_past};
