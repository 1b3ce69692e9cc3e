//! What runs: the tail, the backfill, verification, and the steps that begin and end a split.

mod abandon;
mod activity;
mod apply;
mod at_rest;
mod backfill;
mod budgets;
mod checks;
mod complete;
mod condition;
mod error;
mod heartbeat;
mod hold;
mod keeper;
mod letters;
mod limits;
mod obstacles;
mod open_letters;
mod plan_change;
mod rate;
mod reconcile;
mod repair_lease;
mod restart;
mod split;
mod standing;
pub mod status;
mod stopping;
pub mod survey;
mod switched;
mod tail;
mod tombstones;
mod verify;
mod waits;

pub use abandon::{AbandonOptions, AbandonedThing, abandon, abandon_preview, abandon_service};
pub use apply::{AppliedTable, ApplyOptions, ApplyReport, apply};
pub use backfill::{BULK_MS, Backfill, BackfillOptions, BackfillReport, BackfillView, Forecast, OrderChoice};
pub use budgets::{Tuned, tune};
pub use checks::{check_split, services, uncaptured};
pub use complete::{CompleteOptions, CompleteReport, complete};
pub use condition::{Alarm, AlarmKind, Condition, Verdict, alarms};
pub use error::RunError;
pub use letters::{SettledLetter, discard_letters, reconcile_letters};
pub use limits::{ActivityStanding, LimitStanding};
pub use obstacles::{Obstacle, ObstacleKind};
pub use plan_change::{PlanChange, SettingChange, plan_change};
pub use rate::RateMeter;
pub use repair_lease::{RepairRecord, repair_runs};
pub use split::{Split, StateLedger, key_json, now_ms};
pub use standing::{Phase, Standing, WorkerStanding, standing};
pub use switched::{SwitchOptions, SwitchReport, switch, switch_back};
pub use tail::{Ended, Tail, TailOptions};
pub use verify::{
    InvalidItem, ReadUnits, Unrepaired, Verify, VerifyOptions, VerifyResult, VerifyServiceView, VerifyView,
};
pub use waits::Waits;
