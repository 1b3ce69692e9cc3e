//! Which seed finds first that a rule is left out, and which other test finds it.

use dynasplit::fault::Rule;
use dynasplit::fault::Rule::*;

use crate::cast::Focus;
use crate::support::trial::Mode;

/// A rule that is left out.
pub struct Known {
    pub rule: Rule,
    /// Small runs are tried, and not whole ones.
    pub is_small: bool,
    /// The first seed that found it in each mode, when this was measured.
    seeds: [Option<u64>; 2],
    /// The test that finds it without the simulation, or why the simulation does not.
    elsewhere: &'static str,
}

/// What runs without a rule are mostly about.
pub fn focus(rule: Rule) -> Focus {
    match rule {
        RepairGuard
        | TargetFirst
        | ReadsAgain
        | RepairSwitchesOn
        | RepairBuries
        | RepairObeysTombstones
        | Reconciled
        | RecheckedByLast
        | SwitchesOnAnew
        | Since
        | SweepLeavesLater => Focus::Repairs,
        BulkHolds | BulkLands | BulkAcknowledged | BulkSettled | BulkKept => Focus::Bulk,
        ChildWaits | OwnParent | DurableParent | Pinned | NullIterator | AllPages => Focus::Shards,
        FoundBeforeCapture | Heirs => Focus::Growth,
        AgeGap | AgeAfterRead | UnknownParent | Vanished => Focus::Absence,
        TailGuard | EndsBeforeLease | BothClocks | FromSent | SeenToPass | CompareAndSet | Gone => {
            Focus::Suspension
        }
        FenceProven | Drain | Canary | MarkersIgnored | CheckedUnderFence | Close | CloseAcknowledged
        | Pin | PinAtTip | DrainBack | WatchedPast | ReopenAcknowledged | BackAdmitted | WatchAdmitted
        | Mark | OldImage | AsRead | TwoSteps | RunsEndWithDeletes | LooksAgain | Stripped
        | ReverseLanded | Watched | StraysBlock | ReopenRepairs | CopiesStay | CopiesRepaired | HoldKept
        | HoldBounded | MarksRemoved => Focus::Cutovers,
        ImportComplete => Focus::Imports,
        ExportLate => Focus::Exports,
        ObjectFirst => Focus::Ledger,
        _ => Focus::Copy,
    }
}

/// Each change of the product shifts what a seed does, so more seeds are allowed than were needed.
const ALLOWANCE: u64 = 5;

impl Known {
    /// Seeds within which a mode must find it.
    pub fn bound(&self, mode: Mode) -> Option<u64> {
        let [timestamp, sequence] = self.seeds;
        let seed = match mode {
            Mode::Timestamp => timestamp,
            Mode::Sequence => sequence,
        };
        seed.map(|seed| seed * ALLOWANCE)
    }

    /// Its row of the table in docs/testing.md.
    pub fn row(&self) -> String {
        let [timestamp, sequence] = self
            .seeds
            .map(|seed| seed.map_or("-".to_owned(), |seed| seed.to_string()));
        let runs = if self.is_small { "small" } else { "whole" };
        format!(
            "| `{:?}` | {runs} | {timestamp} | {sequence} | {} |",
            self.rule, self.elsewhere
        )
    }
}

const fn known(rule: Rule, seeds: [Option<u64>; 2], elsewhere: &'static str) -> Known {
    Known {
        rule,
        is_small: false,
        seeds,
        elsewhere,
    }
}

const fn small(rule: Rule, seeds: [Option<u64>; 2], elsewhere: &'static str) -> Known {
    Known {
        is_small: true,
        ..known(rule, seeds, elsewhere)
    }
}

const CORE: &str = "`model::core`";
const REPAIR: &str = "`model::repair`";
const BULK: &str = "`model::bulk`";
const LINEAGE: &str = "`model::lineage`";
const LEASE: &str = "`model::lease`";
const CUTOVER: &str = "`model::cutover`";
const CANARY: &str = "`model::canary`";
const COPIES: &str = "`model::copies`";
const HOLD: &str = "`model::hold`";
const IMPORT_ORDER: &str = "`faults::import_order::an_import_that_fails_is_told_and_tried_again`";
const EXPORTS: &str = "`faults::exports::an_export_from_before_the_tombstones_is_refused`";
const LEDGER: &str = "`faults::ledger::every_record_is_in_the_ledger_whatever_dies_and_fails`";
const MARKED: &str = "`cutover::marked`";

/// Every rule.
pub const TABLE: &[Known] = &[
    small(Tombstones, [Some(3), Some(12)], CORE),
    small(AcknowledgedOn, [Some(9), Some(3)], CORE),
    known(AcknowledgedOff, [Some(3), Some(4)], CORE),
    small(Inside, [Some(2), Some(3)], CORE),
    small(Settled, [Some(1), Some(1)], CORE),
    known(BothImages, [Some(1), Some(1)], CORE),
    known(EveryTouchedKey, [Some(10), Some(4)], CORE),
    small(HighestVersion, [None, None], CORE),
    known(TailGuard, [None, None], LEASE),
    known(TailTies, [Some(1), Some(1)], CORE),
    small(BackfillTies, [Some(1), None], CORE),
    small(BackfillGuard, [Some(1), Some(1)], CORE),
    small(PagesLand, [None, None], CORE),
    small(DeadUnsettled, [None, None], CORE),
    small(UnansweredUnsettled, [None, None], CORE),
    small(SweepConditional, [Some(1), Some(4)], CORE),
    known(SweepLeavesLater, [None, None], REPAIR),
    small(Unanswered, [Some(6), None], CORE),
    small(CheckpointLast, [None, None], CORE),
    known(Gone, [None, None], CORE),
    known(RepairGuard, [None, None], REPAIR),
    known(TargetFirst, [None, None], REPAIR),
    known(ReadsAgain, [None, None], REPAIR),
    known(RepairSwitchesOn, [Some(3), None], REPAIR),
    known(RepairBuries, [None, None], REPAIR),
    known(RepairObeysTombstones, [None, None], REPAIR),
    known(Reconciled, [None, None], REPAIR),
    small(Listed, [Some(1), None], CORE),
    small(ListedFirst, [None, None], CORE),
    small(Rechecked, [Some(1), None], CORE),
    known(RecheckedByLast, [None, None], REPAIR),
    small(Suspects, [None, None], CORE),
    known(SwitchesOnAnew, [Some(3), Some(3)], REPAIR),
    known(Since, [None, Some(2)], REPAIR),
    small(BulkHolds, [Some(1), Some(1)], BULK),
    small(BulkLands, [Some(12), Some(12)], BULK),
    small(BulkAcknowledged, [Some(1), Some(2)], BULK),
    small(BulkSettled, [Some(1), Some(1)], BULK),
    small(BulkKept, [None, None], BULK),
    known(ChildWaits, [Some(3), Some(3)], LINEAGE),
    known(OwnParent, [Some(2), Some(21)], LINEAGE),
    known(DurableParent, [None, None], LINEAGE),
    known(AgeGap, [Some(1), Some(1)], LINEAGE),
    known(AgeAfterRead, [None, None], LINEAGE),
    known(Pinned, [None, Some(2)], LINEAGE),
    known(NullIterator, [Some(2), Some(1)], LINEAGE),
    known(AllPages, [Some(1), Some(1)], LINEAGE),
    known(UnknownParent, [None, None], LINEAGE),
    known(FoundBeforeCapture, [Some(1), Some(1)], LINEAGE),
    known(Heirs, [Some(3), None], LINEAGE),
    known(Vanished, [None, None], LINEAGE),
    known(SeenToPass, [Some(3), Some(2)], LEASE),
    known(FromSent, [None, None], LEASE),
    known(CompareAndSet, [None, None], LEASE),
    known(EndsBeforeLease, [None, None], LEASE),
    known(BothClocks, [None, None], LEASE),
    known(FenceProven, [Some(3), None], CUTOVER),
    known(Drain, [Some(1), Some(1)], CUTOVER),
    known(Canary, [Some(1), None], CANARY),
    known(MarkersIgnored, [Some(1), None], MARKED),
    known(CheckedUnderFence, [None, None], CUTOVER),
    known(Close, [None, None], CUTOVER),
    known(CloseAcknowledged, [None, None], CUTOVER),
    known(Pin, [None, None], CUTOVER),
    known(PinAtTip, [None, None], CUTOVER),
    known(DrainBack, [None, None], CUTOVER),
    known(WatchedPast, [None, None], CUTOVER),
    known(ReopenAcknowledged, [None, None], CUTOVER),
    known(BackAdmitted, [None, None], CUTOVER),
    known(WatchAdmitted, [None, None], CUTOVER),
    known(Mark, [Some(1), Some(2)], CUTOVER),
    known(OldImage, [None, None], CUTOVER),
    known(AsRead, [None, None], CUTOVER),
    known(TwoSteps, [None, Some(2)], CUTOVER),
    known(RunsEndWithDeletes, [None, None], CUTOVER),
    known(LooksAgain, [None, None], CUTOVER),
    known(Stripped, [Some(2), Some(2)], CUTOVER),
    known(ReverseLanded, [None, None], CUTOVER),
    known(Watched, [Some(1), None], CUTOVER),
    known(StraysBlock, [Some(1), None], CUTOVER),
    known(ReopenRepairs, [None, None], CUTOVER),
    known(CopiesStay, [None, None], COPIES),
    known(CopiesRepaired, [None, None], COPIES),
    known(HoldKept, [Some(1), Some(1)], HOLD),
    known(HoldBounded, [Some(1), None], HOLD),
    small(ImportComplete, [Some(5), Some(5)], IMPORT_ORDER),
    small(ExportLate, [Some(4), None], EXPORTS),
    small(ObjectFirst, [None, Some(2)], LEDGER),
    known(MarksRemoved, [Some(1), Some(2)], CUTOVER),
];
