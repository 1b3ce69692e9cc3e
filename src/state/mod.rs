//! The state that must outlive a process: phases, checkpoints, leases, dead letters. It is one table in the region of
//! the source.
//!
//! Every record is read and written whole, under a revision that each write increases by one. A worker that was
//! replaced finds that the revision has changed, and stops. The state contains no secrets and no item values, except
//! for dead letters (which hold the change that could not land) and cursors (which are keys).

mod attempts;
mod chart;
mod copied;
mod cutover;
mod cutover_journal;
mod damage;
mod dead_letters;
mod error;
mod events_state;
mod export_copy;
mod findings;
mod first_records;
mod heal;
mod import;
mod lease;
mod ledger_state;
mod limit;
mod notify;
mod open_requests;
mod probe;
mod proof;
mod prune;
mod readable;
mod rechecks;
mod records;
mod shared_verify;
mod split;
mod split_cutover;
mod split_events;
mod split_ledger;
mod store;
mod table;
pub mod tombstone_phases;
mod tuning;

pub use attempts::{Attempt, Attempts};
pub use chart::{ChartRecord, ChartSample};
pub use copied::{CopiedRecord, MemberRecord};
pub use cutover::{CutoverPhase, CutoverState, StreamPin};
pub use cutover_journal::{CutoverEvent, CutoverRecord, CutoverStep, Hold, MarkerRun, Pause, cut_over};
pub use damage::Damaged;
pub use dead_letters::{DeadLetter, DeadLetterHead, DeadLetters, ShownDeadLetter};
pub use error::StateError;
pub use events_state::EventsState;
pub use export_copy::{CopiedExport, ExportCopy, RequestedExport, UNDEFINED_MS};
pub use heal::{HealCounts, HealRecord, HealWindow};
pub use import::{
    CommittedObject, ImportClaim, ImportFolder, ImportPhase, ImportRecord, ImportsRecord, ServiceImport,
};
pub use lease::{Lease, LeaseWatch, Moment, Owner, Validity};
pub use ledger_state::LedgerState;
pub use limit::{Limit, Noted, NotedLimits};
pub use notify::{NotifyRecord, SeenSince, SendFailure, Told};
pub use open_requests::{Request, Requests};
pub use proof::{ChangesRecord, ComparedChanges, Proof, ProofRecord};
pub use prune::{PruneCounts, PruneRecord, PruneSegment, PruneSide};
pub use rechecks::{MAX_RECHECKS, RecheckKey};
pub use records::{
    ActivityRecord, BackfillRecord, Estimate, GapRecord, HistoryRecord, LaneState, LateChanges, NotedWait,
    Order, Received, SegmentRecord, SegmentService, ShardRecord, StreamPlaces, StreamRecord, VerifyRecord,
    VerifyService, WatchedPart, WorkerRecord,
};
pub use shared_verify::{
    KnownSwitches, PhaseProgress, SharedVerifyEnd, SharedVerifyRecord, StoredRef, VerifyPhase, VerifyTask,
    VerifyTaskRecord, VerifyTerms,
};
pub use split::{RepairScope, ServiceRecord, SplitRecord, SwitchedService};
pub use store::{Store, Stored};
pub use tombstone_phases::{Phases, Switch, TombstonePhase, Tombstones};
pub use tuning::{Bound, TuningChange, TuningRecord, Turn};

/// Format version of the state table. A table of another version is refused.
pub const STATE_FORMAT: u32 = 2;
/// The format of a state in which a service has switched. Versions that read only [`STATE_FORMAT`] refuse it, and so can't
/// write the table of that service.
pub const STATE_FORMAT_SWITCHED: u32 = 3;
/// The format of a state in which a service was cut over with a way back. Versions that do not know the marks in source items
/// refuse it, because they would treat marked items as invalid.
pub const STATE_FORMAT_CUTOVER: u32 = 4;
/// The format of a state whose backfill reads an export. Earlier versions would scan segments that others read from files.
pub const STATE_FORMAT_EXPORT: u32 = 5;
/// The format of a state in which a service sends events. Earlier versions would remove that from the record of the split.
pub const STATE_FORMAT_EVENTS: u32 = 6;
/// The format of a state in which a service's switch of tombstones was turned: each service has its own.
pub const STATE_FORMAT_SERVICE_SWITCHES: u32 = 7;
/// The format of a state with a ledger of all changes. Earlier versions would remove that from the record of the split.
pub const STATE_FORMAT_LEDGER: u32 = 8;
/// The format of a state in which tables of services are left to an import. Earlier versions would create them.
pub const STATE_FORMAT_IMPORT: u32 = 9;
