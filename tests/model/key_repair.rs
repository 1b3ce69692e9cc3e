//! The repair of one key at a time: for `verify --repair`, the recheck list and dead letters.

use crate::action::Action;
use crate::bounds::{Kind, bits};
use crate::held::WriteId;
use crate::holder::DEAD;
use crate::image::Image;
use crate::rule::Rule;
use crate::script::Answer;
use crate::split::Split;
use crate::state::{Attempt, Entry, KeyRepair, RepairStep, Stage, State};

impl Split {
    /// A holder may begin with one of these lanes' keys.
    pub fn key_repair_starts(
        &self,
        state: &State,
        holder: u8,
        lanes: u8,
        entries: &[Entry; 2],
        actions: &mut Vec<Action>,
    ) {
        if state.key_repair.is_some() {
            return;
        }
        let lane = u8::try_from(lanes.trailing_zeros()).unwrap();
        let cells = entries[usize::from(lane)].suspects | self.cells_now(state, lane);
        actions.push(Action::StartsKeyRepair {
            lane,
            holder,
            cells,
            whole: true,
        });
    }

    /// A naive treatment of dead letters: it writes their images.
    pub fn replay_actions(&self, state: &State, lanes: u8, actions: &mut Vec<Action>) {
        let lane = u8::try_from(lanes.trailing_zeros()).unwrap();
        let (item, service) = self.lane(lane);
        if let Some(write) =
            self.product
                .page(service, item, state.dead_letters[usize::from(lane)].image, false)
        {
            let cell = self.product.cell_of(service, write);
            actions.push(Action::Replays { cell, write });
        }
    }

    /// Cells to which an item leads now: by its key alone, and by what it is.
    fn cells_now(&self, state: &State, lane: u8) -> u8 {
        let (item, service) = self.lane(lane);
        let image = state.sources[usize::from(item)].now();
        let wanted = self.product.wanted(service, item, image).map(|(cell, _)| cell);
        bits(wanted.into_iter().chain(self.product.fixed(service, item)))
    }

    /// What the repair can do now.
    pub fn key_repair_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let Some(repair) = state.key_repair else { return };
        let cell = u8::try_from(repair.left.trailing_zeros()).unwrap();
        let (item, _) = self.lane(repair.lane);
        let image = state.sources[usize::from(item)].now();
        match repair.step {
            RepairStep::Flying(attempt, _) => {
                let held = state.cells[usize::from(cell)];
                let service = self.product.owner(cell);
                let (held, answer) =
                    self.product
                        .land(service, attempt.write, attempt.buries(), held, state.table_fixed);
                actions.push(Action::RepairLands {
                    cell,
                    write: attempt.write,
                    held,
                    lands: matches!(answer, Answer::Written | Answer::TombstoneWritten),
                });
                if repair.holder == DEAD {
                    actions.push(Action::RepairWriteVanishes);
                }
            }
            RepairStep::Wrote(_) => actions.push(Action::ReadsAgain { image }),
            _ if repair.left == 0 || (repair.busy && repair.whole) => {
                let moved = repair.whole && self.cells_now(state, repair.lane) & !repair.cells != 0;
                actions.push(Action::Settles {
                    again: moved || repair.busy,
                });
            }
            RepairStep::Open if !self.rules.hold(Rule::TargetFirst) => {
                actions.push(Action::ReadsSource { image })
            }
            RepairStep::Open | RepairStep::Source(_) => {
                let held = state.cells[usize::from(cell)];
                actions.push(Action::ReadsTarget { cell, held });
            }
            RepairStep::Target(_) => actions.push(Action::ReadsSource { image }),
        }
    }

    /// A holder begins with keys of a lane.
    pub fn starts_key_repair(&self, state: &mut State, lane: u8, holder: u8, cells: u8, whole: bool) {
        state.key_repair = Some(KeyRepair {
            holder,
            lane,
            cells,
            left: cells,
            whole,
            busy: false,
            step: RepairStep::Open,
        });
        // A letter is read now; the recheck list was read as a whole.
        if whole && !matches!(state.holders[usize::from(holder)].stage, Stage::Rechecking { .. }) {
            state.dead_letters[usize::from(lane)].fresh = false;
        }
    }

    /// The entry that a holder works on: of the recheck list while it switches tombstones off, otherwise a dead letter.
    fn entry<'a>(&self, state: &'a mut State, holder: u8, lane: u8) -> &'a mut Entry {
        let rechecks = matches!(state.holders[usize::from(holder)].stage, Stage::Rechecking { .. });
        let list = if rechecks {
            &mut state.rechecks
        } else {
            &mut state.dead_letters
        };
        &mut list[usize::from(lane)]
    }

    /// The repair reads the target, or the source; with both, it writes.
    pub fn key_repair_reads(&self, state: &mut State, source: Option<Image>) {
        let Some(mut repair) = state.key_repair else {
            return;
        };
        let cell = u8::try_from(repair.left.trailing_zeros()).unwrap();
        let held = state.cells[usize::from(cell)];
        let (held, image) = match (repair.step, source) {
            (RepairStep::Target(held), Some(image)) => (held, image),
            (RepairStep::Source(image), None) => (held, image),
            (_, Some(image)) => {
                repair.step = RepairStep::Source(image);
                state.key_repair = Some(repair);
                return;
            }
            (_, None) => {
                repair.step = RepairStep::Target(held);
                state.key_repair = Some(repair);
                return;
            }
        };
        let (item, _) = self.lane(repair.lane);
        repair.step = match self.product.repair(cell, held, item, image) {
            Some(write) => {
                let attempt = Attempt {
                    write,
                    bury: self.rules.hold(Rule::RepairBuries),
                    epoch: state.holders[usize::from(repair.holder)].epoch,
                };
                RepairStep::Flying(attempt, image)
            }
            None => {
                repair.left &= !(1 << cell);
                RepairStep::Open
            }
        };
        state.key_repair = Some(repair);
    }

    /// The repair's write lands.
    pub fn repair_lands(&self, state: &mut State) {
        let Some(mut repair) = state.key_repair.take() else {
            return;
        };
        let RepairStep::Flying(attempt, read) = repair.step else {
            return;
        };
        let cell = repair.left.trailing_zeros();
        let held = &mut state.cells[cell as usize];
        let service = self.product.owner(u8::try_from(cell).unwrap());
        let (after, answer) =
            self.product
                .land(service, attempt.write, attempt.buries(), *held, state.table_fixed);
        *held = after;
        if repair.holder == DEAD {
            state.repairs_settled = true;
            return;
        }
        repair.step = RepairStep::Open;
        if !matches!(answer, Answer::Written | Answer::TombstoneWritten) {
            repair.busy = repair.whole;
        } else if self.rules.hold(Rule::ReadsAgain) {
            repair.step = RepairStep::Wrote(read);
        } else {
            repair.left &= !(1 << cell);
        }
        state.key_repair = Some(repair);
    }

    /// After its write, the repair reads the source once more: the tail may have been refused in between.
    pub fn reads_again(&self, state: &mut State, image: Image) {
        let Some(repair) = state.key_repair.as_mut() else {
            return;
        };
        let RepairStep::Wrote(read) = repair.step else {
            return;
        };
        let (item, service) = self.lane(repair.lane);
        if self.product.alike(service, item, read, image) {
            repair.left &= repair.left - 1;
        } else {
            repair.busy = repair.whole;
        }
        repair.step = RepairStep::Open;
    }

    /// All keys were looked at: they are in order, or looked at again.
    pub fn settles(&self, state: &mut State, again: bool) {
        let Some(mut repair) = state.key_repair.take() else {
            return;
        };
        if again {
            repair.cells |= self.cells_now(state, repair.lane);
            (repair.left, repair.busy) = (repair.cells, false);
            state.key_repair = Some(repair);
            return;
        }
        if repair.whole {
            let entry = self.entry(state, repair.holder, repair.lane);
            if !entry.fresh {
                *entry = Entry::default();
            }
        }
        let found = &mut state.holders[usize::from(repair.holder)];
        match &mut found.stage {
            Stage::Rechecking { todo, .. } => *todo &= !(1 << repair.lane),
            _ => found.tasks = 0,
        }
    }

    /// A dead letter is replayed.
    pub fn replays(&self, state: &mut State, cell: u8, write: WriteId) {
        let held = &mut state.cells[usize::from(cell)];
        *held = self
            .product
            .land(self.product.owner(cell), write, None, *held, state.table_fixed)
            .0;
        state.dead_letters = [Entry::default(); 2];
    }

    /// What a holder has to look at.
    pub fn tasks(&self, holder: u8) -> u8 {
        match self.bounds.holders[usize::from(holder)] {
            Kind::Repair => {
                let cells = 0..u8::try_from(crate::product::CELLS).unwrap();
                bits(cells.filter(|cell| self.product.owner(*cell) == 0))
            }
            Kind::Backfill | Kind::Reconcile => 0,
        }
    }
}
