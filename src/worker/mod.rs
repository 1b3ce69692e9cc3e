//! What every running process shares: the split with its clients, the errors, heartbeats, leased records, budgets,
//! and the checks before any work.

mod activity;
mod budgets;
mod checks;
mod error;
mod fleet;
mod heartbeat;
mod leased_record;
mod members;
mod plan_change;
mod price_file;
mod recorded_shards;
mod split;
mod stopping;
mod waits;

pub(crate) use activity::{ACTIVITY_FRESH_MS, ActivityNote, with_activity_notes};
pub(crate) use budgets::Budgets;
pub use budgets::{Tuned, tune};
pub(crate) use checks::{check_left_out, check_plan, completed, differs, refuse_abandoned};
pub use checks::{check_split, services, uncaptured};
pub use error::RunError;
pub(crate) use error::{restore, sentence};
pub(crate) use heartbeat::Heartbeat;
pub(crate) use leased_record::{Leasable, LeasedRecord};
pub(crate) use members::Members;
pub use plan_change::{PlanChange, SettingChange, plan_change};
pub(crate) use price_file::read_prices;
pub(crate) use recorded_shards::{Recorded, recorded_shards, without_unread};
pub(crate) use split::LaneKind;
pub use split::{Split, StateLedger, key_json};
pub(crate) use stopping::{Looks, pause, unless_stopped};
pub(crate) use waits::Waiting;
pub use waits::Waits;
