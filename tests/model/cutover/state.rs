//! Where a cutover stands, and what both sides hold.

use crate::proof::Judged;

/// A reverse write's sign on the source item: which cutover, and which record of the target's stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Mark {
    pub epoch: u8,
    pub record: u8,
}

/// The source item. Each write of an application has a number, which is the value of what the service owns.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Source {
    pub own: u8,
    /// What the transform drops: [`MADE_HERE`], or [`GIVEN`].
    pub dropped: u8,
    pub mark: Option<Mark>,
    /// Marked to be deleted next.
    pub deleting: bool,
}

/// What an item that an application creates in the source has.
pub const MADE_HERE: u8 = 1;
/// What an item that is created in the target gets in the source.
pub const GIVEN: u8 = 2;

/// A record of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Record<T> {
    pub old: Option<T>,
    pub new: Option<T>,
}

/// The target item: what the service owns, and the record that the forward lane wrote it from; 0 for the service's own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Target {
    pub own: u8,
    pub stamp: u8,
}

/// A request of the forward lane: the whole item, or none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Forward {
    pub record: u8,
    pub own: Option<u8>,
}

/// A request of the reverse lane.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Reverse {
    pub mark: Mark,
    /// The source item that was read: the write lands only on it.
    pub read: Option<Source>,
    pub kind: ReverseKind,
}

/// A change of the target that could not be carried back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Letter {
    /// What the target was before the first such change.
    pub old: Option<u8>,
    /// The last such record.
    pub record: u8,
    /// It was looked at again, and nothing has changed since.
    pub looked: bool,
}

/// A stray write.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Stray {
    /// What it left in the source.
    pub left: Option<u8>,
    /// It came after the reverse lane was found drained for a rollback, so it is a write like any other if nobody finds it.
    pub late: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ReverseKind {
    Create(u8),
    Update(u8),
    /// The first step of a delete.
    MarkDeleting,
    Delete,
}

/// A lane with its checkpoint. One request is under way, and one of a dead worker may still land.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Lane<R> {
    pub place: u8,
    pub request: Option<R>,
    pub ghost: Option<R>,
}

impl<R> Lane<R> {
    pub const NEW: Self = Self {
        place: 0,
        request: None,
        ghost: None,
    };

    pub fn is_idle(&self) -> bool {
        self.request.is_none() && self.ghost.is_none()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fence {
    Off,
    /// It was asked for, and does not hold everywhere yet.
    Set,
    On,
}

/// Which step comes next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    Replicating,
    Fenced,
    Drained,
    Closing,
    Closed,
    Pinned,
    Switched,
    FencedBack,
    PinnedBack,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub phase: Phase,
    pub epoch: u8,
    /// Where the application writes.
    pub app_at_target: bool,
    pub source_fence: Fence,
    pub target_fence: Fence,
    /// The forward lane is closed.
    pub closed: bool,
    /// The forward lane has no position since the rollback.
    pub forward_unpinned: bool,
    /// The reverse lane has a position.
    pub pinned: bool,
    pub source: Option<Source>,
    pub target: Option<Target>,
    /// What the second service holds.
    pub copy: Option<u8>,
    pub source_stream: Vec<Record<Source>>,
    pub target_stream: Vec<Record<u8>>,
    pub forward: Lane<Forward>,
    pub reverse: Lane<Reverse>,
    pub copier: u8,
    pub watcher: u8,
    /// What a backfill or a repair has read of the source, and may still put where the target has nothing.
    pub page: Option<u8>,
    /// What the item is, by all accepted writes of the application: what the service owns, and what is dropped.
    pub truth: Option<(u8, u8)>,
    /// The stray write.
    pub stray: Option<Stray>,
    /// What could not be carried back.
    pub letter: Option<Letter>,
    /// The reverse lane looks again at what it could not carry back. The same in all states.
    pub looks_again: bool,
    /// Where the reverse lane was pinned.
    pub pin: u8,
    /// Up to where the watcher has to be for a rollback.
    pub watched_to: u8,
    /// A stray write was found.
    pub found: bool,
    pub writes: u8,
    pub deaths: [u8; 2],
    pub pages: u8,
    pub rollbacks: u8,
    pub cancels: u8,
}

/// How much may happen.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Writes of the application, on either side.
    pub writes: u8,
    /// Deaths of the forward and of the reverse worker.
    pub deaths: [u8; 2],
    pub strays: bool,
    pub pages: u8,
    pub cutovers: u8,
    pub rollbacks: u8,
    pub cancels: u8,
}

impl State {
    pub fn new() -> Self {
        let first = Source {
            own: 1,
            dropped: MADE_HERE,
            mark: None,
            deleting: false,
        };
        Self {
            phase: Phase::Replicating,
            epoch: 0,
            app_at_target: false,
            source_fence: Fence::Off,
            target_fence: Fence::On,
            closed: false,
            forward_unpinned: false,
            pinned: false,
            source: Some(first),
            target: Some(Target { own: 1, stamp: 0 }),
            copy: Some(1),
            source_stream: vec![],
            target_stream: vec![],
            forward: Lane::NEW,
            reverse: Lane::NEW,
            copier: 0,
            watcher: 0,
            page: None,
            truth: Some((1, MADE_HERE)),
            stray: None,
            letter: None,
            looks_again: true,
            pin: 0,
            watched_to: 0,
            found: false,
            writes: 1,
            deaths: [0, 0],
            pages: 0,
            rollbacks: 0,
            cancels: 0,
        }
    }

    pub fn source_end(&self) -> u8 {
        self.source_stream.len() as u8
    }

    pub fn target_end(&self) -> u8 {
        self.target_stream.len() as u8
    }

    /// Writes the source, which leaves a record.
    pub fn set_source(&mut self, new: Option<Source>) {
        if self.source != new {
            let old = self.source;
            self.source_stream.push(Record { old, new });
            self.source = new;
            self.look_again();
        }
    }

    /// Writes the target, which leaves a record if a reader can see it.
    pub fn set_target(&mut self, new: Option<Target>) {
        let own = |target: Option<Target>| target.map(|target| target.own);
        if own(self.target) != own(new) {
            let (old, new) = (own(self.target), own(new));
            self.target_stream.push(Record { old, new });
            self.look_again();
        }
        self.target = new;
    }

    fn look_again(&mut self) {
        if let Some(letter) = &mut self.letter {
            letter.looked = false;
        }
    }

    /// Nothing stands in the way of a rollback.
    pub fn is_settled(&self) -> bool {
        !self.found && self.letter.is_none()
    }

    pub fn forward_is_drained(&self) -> bool {
        self.forward.place == self.source_end() && self.forward.is_idle()
    }

    pub fn reverse_is_drained(&self) -> bool {
        self.reverse.place == self.target_end() && self.reverse.is_idle()
    }

    /// All sides hold the item as the application wrote it.
    fn is_whole(&self) -> bool {
        let own = self.truth.map(|truth| truth.0);
        self.source.map(|source| (source.own, source.dropped)) == self.truth
            && self.target.map(|target| target.own) == own
            && self.copy == own
    }
}

impl Judged for State {
    fn drained(&self) -> bool {
        let copied = self.copier == self.source_end() && self.page.is_none();
        let idle = self.forward.is_idle() && self.reverse.is_idle();
        copied
            && idle
            && (!self.looks_again || self.letter.is_none_or(|letter| letter.looked))
            && match self.phase {
                Phase::Replicating => !self.forward_unpinned && self.forward_is_drained(),
                Phase::Switched => {
                    self.pinned && self.reverse_is_drained() && self.watcher == self.source_end()
                }
                _ => false,
            }
    }

    /// A stray write is found, and the source keeps it until somebody settles it. Nothing else is found.
    fn exact(&self) -> bool {
        let kept = |stray: Stray| {
            self.phase == Phase::Switched && self.found && self.source.map(|source| source.own) == stray.left
        };
        match self.stray {
            None => self.is_whole() && self.is_settled(),
            Some(stray) => self.is_whole() || kept(stray),
        }
    }
}
