//! The path that every change takes, whatever read it:
//! `change -> route -> transform -> guard -> write -> (checkpoint, by the caller)`.
//!
//! [`apply`] is the page to read first. Nothing else in the crate writes an item of a target. Everything
//! here but [`apply`] itself is pure: no clock, no network; the outside is reached through [`Sink`] and
//! [`Ledger`].

mod apply;
mod back;
mod carrier;
mod carry_back;
mod changes;
mod coalesce;
mod effects;
mod guard;
mod invert;
mod item_events;
mod page_item;
mod prune;
mod repair;
mod route;
mod stop;
mod stray;
mod touched;
mod transform;
mod watch;

pub use apply::{Again, Applied, Landed, Ledger, Outcome, Sink, SinkError, WriteUse, apply};
pub use back::{Back, BackLane, BackWrite, BackWriteKind, Settled, runs};
pub use carrier::Carrier;
pub use carry_back::{BackLedger, BackOutcome, SourceSide, carry_back};
pub use changes::Changes;
pub use coalesce::{Group, coalesce};
pub use effects::{Complaint, Effects, Write, WriteKind, effects};
pub use guard::{
    Guard, GuardExpression, VersionFields, is_tombstone, stamp, tombstone, tombstone_epoch, tombstone_of,
};
pub use invert::{NoWayBack, SourceWrite, SourceWriteKind, TargetChange, WayBack, copied_from};
pub use item_events::{ItemEvent, ItemEventKind, item_events};
pub use page_item::{PageItem, RawPageItem, desired_raw};
pub use prune::{Pruned, PrunedCopy, pruned, pruned_copy};
pub use repair::{is_newer, repair};
pub use route::{Desired, desired};
pub use stop::Stop;
pub use stray::is_stray;
pub use touched::touched;
pub use transform::{Fault, shaped};
pub use watch::{Watched, watch};

#[cfg(test)]
pub(crate) mod tests;
