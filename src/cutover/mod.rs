//! The cutover of a service with a way back: its writers are stopped, the forward lane is drained and closed, the way back is
//! pinned, and the writers move to the service's own table. A rollback does the same in the other direction.
//!
//! ```text
//! ready -> fence -> drain -> check -> close -> pin -> reverse -> switch -> switched
//!              cancel-reopen -> cancel-lift -> cancelled
//! fence-target -> drain-back -> check-back -> reopen -> unfence -> rolled-back
//! end-way-back -> end-watch -> remove-marks -> strip -> completed
//! ```
//!
//! Invariants: each step is in the journal before it begins, and can be repeated by another process. A failure before the
//! switch hook cancels the cutover, and a failure before the forward lane is opened again cancels the rollback; after that, the
//! command stops and says how to continue. Only the holder of the journal's lease acts. What every worker must obey stands in
//! the split's record: the phase with its epoch, and the closed lane.

mod beside;
mod canary;
mod cancel;
mod capacity;
mod changed;
mod checks;
mod complete;
mod drain;
mod fence_parts;
mod fencing;
mod forward;
mod hold;
mod journal;
mod max_pause;
mod objection;
mod options;
mod policy;
mod prepare;
mod preview;
mod ready;
mod rollback;
mod run;
mod tried;
mod waiting;
mod work;

pub use hold::{pause_cutover, resume_cutover};
pub use objection::{Check, Objection};
pub use options::{
    CompleteServiceOptions, Confirmation, CutoverOptions, CutoverReport, HoldReport, Operator, Outcome,
    PreviewStep, RollbackOptions, ServiceEnd,
};
pub use prepare::{Preparation, preparations};
pub use preview::{Preview, preview_cutover, preview_rollback};
pub use run::{cancel_cutover, cancel_rollback, complete_service, cutover, rollback};
