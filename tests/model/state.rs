//! A state of the models: the source, the lanes of one tail worker, the switch and who holds it, what is under way, and
//! the target keys.

use crate::held::{Held, WriteId};
use crate::image::Image;
use crate::product::{CELLS, Records, WRITES};
use dynasplit::state::tombstone_phases::Switch;
use dynasplit::target::Attempts;
use std::fmt;

/// One source item: what it was, and is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Source {
    /// Before the first write, and after each.
    pub images: [Image; WRITES + 1],
    /// Writes so far.
    pub writes: u8,
    /// The last timestamp that was used for it.
    pub clock: u8,
}

impl Source {
    /// What it is now.
    pub fn now(&self) -> Image {
        self.images[usize::from(self.writes)]
    }
}

/// An attempt to write, on its way to the target.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Attempt {
    /// What it writes.
    pub write: WriteId,
    /// A removal leaves a tombstone.
    pub bury: bool,
    /// Under this epoch of the switch.
    pub epoch: u8,
}

impl Attempt {
    /// The epoch of the tombstone that a removal leaves.
    pub fn buries(&self) -> Option<u8> {
        self.bury.then_some(self.epoch)
    }
}

/// The stream is not captured for a lane yet.
pub const UNCAPTURED: u8 = u8::MAX;

/// One source item's records on their way to one service.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Lane {
    /// Records that are done.
    pub at: u8,
    /// Records that are done after the batch that is under way; 0: none is.
    pub to: u8,
    /// What was answered for the batch so far.
    pub answers: u16,
    /// The write under way.
    pub flying: Option<Attempt>,
    /// A write that was given up without an answer, and may land yet.
    pub late: Option<Attempt>,
    /// What a dead worker had under way, and may land yet.
    pub ghost: Option<Attempt>,
    /// The epoch under which an entry of the recheck list is under way.
    pub listing: Option<u8>,
    /// An entry of the recheck list comes after the write: only where that rule is off.
    pub owes: bool,
    /// The record that it began with.
    pub from: u8,
}

impl Lane {
    /// Nothing is under way.
    pub fn idle(&self) -> bool {
        self.to == 0 && self.late.is_none() && self.flying.is_none() && self.ghost.is_none()
    }
}

/// The tail worker.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Worker {
    /// It lives.
    pub alive: bool,
    /// Its gate.
    pub attempts: Attempts,
    /// The epoch in its record.
    pub acknowledged: u8,
}

/// A key that somebody must look at: on the recheck list, or a dead letter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Entry {
    /// It is there.
    pub there: bool,
    /// It came, or came again, since somebody began to look at it.
    pub fresh: bool,
    /// The epoch under which it came.
    pub epoch: u8,
    /// Target keys that the item may have had, as bits.
    pub suspects: u8,
    /// The image that could not be written.
    pub image: Image,
}

/// The epoch of the sweep that is due, for each service; 0 for none.
pub type Due = [u8; 2];

/// Where one who holds the switch stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stage {
    /// It has not begun, or died.
    Idle,
    /// It switched tombstones on, under this epoch.
    Raised(u8),
    /// Every worker leaves tombstones: it reads and writes.
    Working,
    /// It is about to switch tombstones off, under this epoch.
    Claimed(u8),
    /// Nothing of it can land any more; it works off the recheck list.
    Rechecking {
        /// The epoch under which it switches tombstones off.
        since: u8,
        /// The lanes whose keys are left, as bits.
        todo: u8,
        /// The services whose keys it works on, as bits.
        services: u8,
    },
    /// Tombstones of these services are off: the sweep of each is due under this epoch.
    Released(Due),
    /// It sweeps.
    Sweeping {
        /// The epochs of the sweeps.
        due: Due,
        /// The cell that it comes to next.
        cell: u8,
        /// The tombstone that it saw there.
        seen: Held,
    },
    /// It has ended.
    Done,
}

/// Who needs tombstones on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Holder {
    /// Where it stands.
    pub stage: Stage,
    /// The epoch under which it writes.
    pub epoch: u8,
    /// The backfill's round, from 0.
    pub round: u8,
    /// Cells that a repair still has to look at, as bits; for a reconciler, one.
    pub tasks: u8,
}

/// The backfill's page with one source item.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Page {
    /// Not read.
    Unread,
    /// Read, and on its way.
    Flying(Image),
    /// Landed.
    Landed,
}

/// How far the repair of one cell is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RepairStep {
    /// It has read nothing.
    Open,
    /// It read the target.
    Target(Held),
    /// It read the source, before the target.
    Source(Image),
    /// Its write is on its way, after it read this in the source.
    Flying(Attempt, Image),
    /// It wrote, after it read this in the source.
    Wrote(Image),
}

/// One source key, or target key, being brought in order: a repair, a recheck, a dead letter. One at a time, by whoever
/// has the lease of repairs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct KeyRepair {
    /// Whose it is; it is a dead one's when that one is no longer at work.
    pub holder: u8,
    /// The lane whose key it is.
    pub lane: u8,
    /// Cells to look at, as bits.
    pub cells: u8,
    /// Those that are left.
    pub left: u8,
    /// It looks at whole source keys: in the end, also at where the item is now.
    pub whole: bool,
    /// A write of it was refused: it begins anew.
    pub busy: bool,
    /// How far it is with the first cell that is left.
    pub step: RepairStep,
}

/// What has gone wrong so far.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Spent {
    /// Deaths of the tail worker.
    pub tail: u8,
    /// Deaths of holders.
    pub holders: u8,
    /// Writes that were given up without an answer.
    pub unanswered: u8,
    /// Pages that were.
    pub pages: u8,
}

/// A state.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The source items.
    pub sources: [Source; 2],
    /// The lanes.
    pub lanes: [Lane; 2],
    /// The tail worker.
    pub worker: Worker,
    /// The switch, as the split's record says.
    pub switch: Switch,
    /// Who needs it on.
    pub holders: [Holder; 2],
    /// Whose the lease of repairs is.
    pub lease: Option<u8>,
    /// A holder that is believed dead, but was only held up: it may still switch tombstones off, with this epoch.
    pub zombie: Option<(u8, u8)>,
    /// The pages, by source item.
    pub pages: [Page; 2],
    /// Every process that copied said that all its requests were answered.
    pub settled: bool,
    /// The same, of those who had the lease of repairs.
    pub repairs_settled: bool,
    /// A page of a dead backfill, or one that was given up without an answer, that may land yet.
    pub ghost: Option<(u8, Image)>,
    /// Where each item stood in the stream when the switch-on was acknowledged.
    pub floors: [u8; 2],
    /// What is being repaired.
    pub key_repair: Option<KeyRepair>,
    /// The recheck list, by lane.
    pub rechecks: [Entry; 2],
    /// The dead letters, by lane.
    pub dead_letters: [Entry; 2],
    /// The target takes what it refused before.
    pub table_fixed: bool,
    /// What the target keys hold.
    pub cells: [Held; CELLS],
    /// What has gone wrong.
    pub spent: Spent,
}

impl fmt::Debug for State {
    /// What matters at the end of a story.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources = self.sources.iter().map(Source::now).collect::<Vec<_>>();
        write!(
            f,
            "the source holds {sources:?}, the target keys hold {:?}",
            self.cells
        )
    }
}

impl State {
    /// The records of a batch.
    pub fn records(&self, item: u8, service: u8, from: u8, count: u8) -> Records {
        let mut images = [Image::NONE; WRITES + 1];
        let (from_index, count_index) = (usize::from(from), usize::from(count));
        let source = &self.sources[usize::from(item)];
        images[..=count_index].copy_from_slice(&source.images[from_index..=from_index + count_index]);
        Records {
            item,
            service,
            from,
            count,
            images,
        }
    }
}
