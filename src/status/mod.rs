//! The state of the split, computed from its records: the lanes, their limits, the obstacles to completing, and the
//! next command.

mod awaiting_import;
mod chart;
mod condition;
mod cutover_status;
mod dead_letter_advice;
mod events_obstacles;
mod events_status;
mod heal_status;
mod held_lanes;
mod lane_status;
mod late_changes;
mod ledger_status;
pub(crate) mod limits;
mod next;
mod obstacle;
mod obstacles;
mod open_dead_letters;
mod proofs;
mod rate;
mod read;
mod reverse_state;
mod shared_verify_status;
mod split_status;
mod told;
mod worker_plan;

pub use crate::model::{count, counted, duration};
pub use chart::{add_to_chart, chart_sample};
pub use condition::{Alarm, AlarmKind, Condition, Verdict, alarms};
pub use cutover_status::{CutoverStatus, HoldStatus};
pub use dead_letter_advice::{DeadLetterCauses, dead_letter_causes};
pub use events_status::{EventsPhase, EventsStatus};
pub use heal_status::HealStatus;
pub use lane_status::{FillStatus, LaneStatus, fill_status, lane_status};
pub(crate) use lane_status::{lane_places, own_changes, received, stream_places};
pub use ledger_status::LedgerStatus;
pub use limits::{ActivityStatus, LimitStatus};
pub use obstacle::{COLLISION_ADVICE, Obstacle, ObstacleKind};
pub(crate) use open_dead_letters::OpenDeadLetters;
pub(crate) use proofs::{compared_changes, proof};
pub use rate::RateMeter;
pub use read::{StatusReader, split_status, split_status_with_worker};
pub use reverse_state::{ReverseState, reverse_state};
pub use shared_verify_status::SharedVerifyStatus;
pub use split_status::{Phase, SplitStatus, Unnotified, WorkerStatus};
pub use told::told;
