//! The rules of the protocol that a test can leave out, one at a time, to see whether a wrong copy is noticed.
//!
//! Each rule is asked at the one place of the product that keeps it: `broken(Rule::TailGuard)`. In a binary without the
//! Cargo feature `broken-rules`, which is what `cargo build` makes, the answer is a constant `false`. With the feature, a
//! test chooses the rule for its own thread, so that simulations of several threads do not disturb each other; the product
//! itself chooses none.
//!
//! `docs/protocol.md` says what each rule prevents, and `docs/testing.md` which test finds that it is missing.

macro_rules! rules {
    ($($name:ident => $text:literal,)*) => {
        /// A rule of the protocol.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Rule {
            $(#[doc = $text] $name,)*
        }

        impl Rule {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// What it says.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

rules! {
    Tombstones => "While tombstones are on, each removal leaves one.",
    AcknowledgedOn => "No page is read before every tail worker acknowledged that tombstones are on.",
    AcknowledgedOff => "No sweep begins before every tail worker acknowledged that removals are real deletes again.",
    Inside => "A worker acknowledges an epoch only when no attempt of an older one is under way.",
    Settled => "After tombstones are on, nothing is read that may be older.",
    BothImages => "A record is routed by both images.",
    EveryTouchedKey => "Every target key that a group of records touched is written or removed.",
    HighestVersion => "A group removes with its highest version.",
    TailGuard => "The tail writes only over what is not newer.",
    TailTies => "In a tie, the tail wins.",
    BackfillTies => "In a tie, the backfill does not win.",
    BackfillGuard => "A page lands only if the target has no item or an older one.",
    PagesLand => "Nobody releases the tombstones while a page may land.",
    DeadUnsettled => "The requests of a process that died count as requests without an answer.",
    UnansweredUnsettled => "A process says that all its requests were answered only if they were.",
    SweepConditional => "The sweep removes a tombstone on the condition that it still is that tombstone.",
    SweepLeavesLater => "The sweep leaves the tombstones of later epochs.",
    Unanswered => "A write without an answer is waited for before the next write of its key.",
    CheckpointLast => "The checkpoint moves after the writes that it covers.",
    Gone => "A successor waits until the requests of a dead worker have landed.",
    RepairGuard => "A repair writes only over what it read.",
    TargetFirst => "A repair reads the target before the source.",
    ReadsAgain => "After its write, a repair reads the source again.",
    RepairSwitchesOn => "A repair switches tombstones on.",
    RepairBuries => "The removals of a repair leave tombstones.",
    RepairObeysTombstones => "A repair writes nothing over a tombstone.",
    Reconciled => "A dead letter is reconciled by its source key, and not replayed.",
    Listed => "A key whose timestamp went backwards goes on the recheck list.",
    ListedFirst => "The key is listed before it is written.",
    Rechecked => "The recheck list is worked off before the tombstones are released.",
    RecheckedByLast => "Only the last holder works off the recheck list.",
    Suspects => "A recheck looks at every target key that the item had when its timestamp went backwards.",
    SwitchesOnAnew => "Each command switches tombstones on under an epoch of its own.",
    Since => "A holder claims the tombstones under an epoch of its own before it releases them.",
    BulkHolds => "While a bulk copy runs, no lane writes.",
    BulkLands => "The lanes wait until no page of the bulk copy can land.",
    BulkAcknowledged => "A bulk copy reads nothing before every tail worker acknowledged that the lanes are held.",
    BulkSettled => "A bulk copy reads nothing that may be older than the hold.",
    BulkKept => "The hold outlives the process of the bulk copy.",
    ChildWaits => "A lane reads a child shard after its parent.",
    OwnParent => "A lane waits until it has itself finished the parent, not another lane.",
    DurableParent => "A child starts when the end of its parent is saved.",
    AgeGap => "A lane that is complete only up to a time before the stream's retention has a gap.",
    AgeAfterRead => "The age of a lane is asked after each read.",
    Pinned => "The capture pins open shards at their first record.",
    NullIterator => "A shard has ended only if there is no next iterator.",
    AllPages => "Every page of a listing of shards is read.",
    UnknownParent => "A shard whose parent is unknown is as complete as its lane.",
    FoundBeforeCapture => "Before lanes are captured, new shards are recorded for the lanes that exist.",
    Heirs => "A lane that reads a parent reads its children, whoever recorded them.",
    Vanished => "If the children of a shard may have come and gone, the lane has a gap.",
    SeenToPass => "A lease is free after a whole lease time was seen to pass.",
    FromSent => "A lease counts from before its renewal was sent.",
    CompareAndSet => "A record is written under the revision that was read.",
    EndsBeforeLease => "A write starts only if it ends before the lease.",
    BothClocks => "A lease counts on the steady clock and on the wall clock.",
    FenceProven => "A fence is proven before the lanes are drained: nothing arrives any more.",
    Drain => "What was accepted before the fence is applied before the switch.",
    Canary => "With markers, the lanes are drained when every open shard has shown one that was written after the fence.",
    MarkersIgnored => "No lane takes a marker for an item.",
    CheckedUnderFence => "The keys that changed are compared under the fence.",
    Close => "Nothing that is read from the source is written to the table of a service that has switched.",
    CloseAcknowledged => "The way back is pinned when every worker has acknowledged the close.",
    Pin => "The way back begins at the tip of the target's stream, not at its beginning.",
    PinAtTip => "Each shard of the target's stream is read to its tip before it is pinned.",
    DrainBack => "What was accepted before the target's fence is carried back before the source's fence is lifted.",
    WatchedPast => "The watcher of the source passes the target's fence before the source's fence is lifted.",
    ReopenAcknowledged => "The source's fence is lifted when every worker has acknowledged that the forward lane is open again.",
    BackAdmitted => "A reverse write lands only while the record of the split says that the service is carried back.",
    WatchAdmitted => "The watcher moves its checkpoint only while the record of the split says that the service is watched.",
    Mark => "A reverse write leaves a mark, and a record that is not newer than the mark changes nothing.",
    OldImage => "A reverse write is made only if the source is what the target was before.",
    AsRead => "A reverse write lands only on the item that was read.",
    TwoSteps => "A reverse delete marks the item before it deletes it.",
    RunsEndWithDeletes => "A reverse delete is not skipped if the item is created again.",
    LooksAgain => "What could not be carried back is looked at again when the reverse lane is drained.",
    Stripped => "No lane looks at marks.",
    ReverseLanded => "A reverse write without an answer is waited for before the next write of its key.",
    Watched => "Writes of others to the source are looked for after the switch.",
    StraysBlock => "A stray write blocks the rollback.",
    ReopenRepairs => "A cancel after the close makes a repair mandatory if others wrote the source meanwhile.",
    CopiesStay => "No change of a copy of another service's item is carried back.",
    CopiesRepaired => "If the lane of a table that receives everything is opened again, a repair is mandatory.",
    HoldKept => "A step begins only if nobody holds it, in one change of the journal.",
    HoldBounded => "A hold is refused if the writers are stopped and nothing would end it.",
    ImportComplete => "A table is used only if its import has ended well, with every item.",
    ExportLate => "An export is copied only if its time is a minute after every worker acknowledged tombstones.",
    ObjectFirst => "The place of the ledger moves after its object is in the bucket.",
    MarksRemoved => "The end of a service, or of the split, removes the marks.",
}

#[cfg(not(feature = "broken-rules"))]
/// Whether a rule is left out: never, in this build.
#[inline(always)]
#[must_use]
pub const fn broken(_rule: Rule) -> bool {
    false
}

#[cfg(feature = "broken-rules")]
pub use chosen::{break_rule, broken};

#[cfg(feature = "broken-rules")]
mod chosen {
    use super::Rule;
    use std::cell::Cell;

    thread_local! {
        static BROKEN: Cell<Option<Rule>> = const { Cell::new(None) };
    }

    /// Whether this thread leaves a rule out.
    #[must_use]
    pub fn broken(rule: Rule) -> bool {
        BROKEN.get() == Some(rule)
    }

    /// From now on, this thread leaves out a rule, or none. Only for tests.
    pub fn break_rule(rule: Option<Rule>) {
        BROKEN.set(rule);
    }
}
