//! The hand that mends: repairs, rechecks and dead letters, one key at a time.

use crate::action::Action;
use crate::bounds::{Kind, bits};
use crate::held::WriteId;
use crate::holder::DEAD;
use crate::image::Image;
use crate::rule::Rule;
use crate::script::Answer;
use crate::split::Split;
use crate::state::{Attempt, Entry, Grip, Hand, Stage, State};

impl Split {
    /// A holder may begin with one of these lanes' keys.
    pub fn grip_actions(
        &self,
        state: &State,
        holder: u8,
        lanes: u8,
        entries: &[Entry; 2],
        actions: &mut Vec<Action>,
    ) {
        if state.hand.is_some() {
            return;
        }
        let lane = u8::try_from(lanes.trailing_zeros()).unwrap();
        let cells = entries[usize::from(lane)].suspects | self.cells_now(state, lane);
        actions.push(Action::Grips {
            lane,
            holder,
            cells,
            whole: true,
        });
    }

    /// A naive way with dead letters: their images are written.
    pub fn replay_actions(&self, state: &State, lanes: u8, actions: &mut Vec<Action>) {
        let lane = u8::try_from(lanes.trailing_zeros()).unwrap();
        let (item, service) = self.lane(lane);
        if let Some(write) = self
            .book
            .page(service, item, state.letters[usize::from(lane)].image, false)
        {
            let cell = self.book.cell_of(service, write);
            actions.push(Action::Replays { cell, write });
        }
    }

    /// Cells to which an item leads now: by its key alone, and by what it is.
    fn cells_now(&self, state: &State, lane: u8) -> u8 {
        let (item, service) = self.lane(lane);
        let image = state.sources[usize::from(item)].now();
        let wanted = self.book.wanted(service, item, image).map(|(cell, _)| cell);
        bits(wanted.into_iter().chain(self.book.fixed(service, item)))
    }

    /// What the hand can do now.
    pub fn hand_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let Some(hand) = state.hand else { return };
        let cell = u8::try_from(hand.left.trailing_zeros()).unwrap();
        let (item, _) = self.lane(hand.lane);
        let image = state.sources[usize::from(item)].now();
        match hand.grip {
            Grip::Flying(attempt, _) => {
                let held = state.cells[usize::from(cell)];
                let service = self.book.owner(cell);
                let (held, answer) =
                    self.book
                        .land(service, attempt.write, attempt.buries(), held, state.mended);
                actions.push(Action::Mends {
                    cell,
                    write: attempt.write,
                    held,
                    lands: matches!(answer, Answer::Written | Answer::TombstoneWritten),
                });
                if hand.holder == DEAD {
                    actions.push(Action::HandVanishes);
                }
            }
            Grip::Wrote(_) => actions.push(Action::LooksAgain { image }),
            _ if hand.left == 0 || (hand.busy && hand.whole) => {
                let moved = hand.whole && self.cells_now(state, hand.lane) & !hand.cells != 0;
                actions.push(Action::Settles {
                    again: moved || hand.busy,
                });
            }
            Grip::Open if !self.rules.hold(Rule::TargetFirst) => actions.push(Action::ReadsSource { image }),
            Grip::Open | Grip::Source(_) => {
                let held = state.cells[usize::from(cell)];
                actions.push(Action::ReadsTarget { cell, held });
            }
            Grip::Target(_) => actions.push(Action::ReadsSource { image }),
        }
    }

    /// A holder begins with keys of a lane.
    pub fn grips(&self, state: &mut State, lane: u8, holder: u8, cells: u8, whole: bool) {
        state.hand = Some(Hand {
            holder,
            lane,
            cells,
            left: cells,
            whole,
            busy: false,
            grip: Grip::Open,
        });
        // A letter is read now; the recheck list was read as a whole.
        if whole && !matches!(state.holders[usize::from(holder)].stage, Stage::Rechecking { .. }) {
            state.letters[usize::from(lane)].fresh = false;
        }
    }

    /// The entry that a holder looks at: of the recheck list when it lets go, else a dead letter.
    fn entry<'a>(&self, state: &'a mut State, holder: u8, lane: u8) -> &'a mut Entry {
        let rechecks = matches!(state.holders[usize::from(holder)].stage, Stage::Rechecking { .. });
        let list = if rechecks {
            &mut state.rechecks
        } else {
            &mut state.letters
        };
        &mut list[usize::from(lane)]
    }

    /// The hand reads the target, or the source; with both, it writes.
    pub fn hand_reads(&self, state: &mut State, source: Option<Image>) {
        let Some(mut hand) = state.hand else { return };
        let cell = u8::try_from(hand.left.trailing_zeros()).unwrap();
        let held = state.cells[usize::from(cell)];
        let (held, image) = match (hand.grip, source) {
            (Grip::Target(held), Some(image)) => (held, image),
            (Grip::Source(image), None) => (held, image),
            (_, Some(image)) => {
                hand.grip = Grip::Source(image);
                state.hand = Some(hand);
                return;
            }
            (_, None) => {
                hand.grip = Grip::Target(held);
                state.hand = Some(hand);
                return;
            }
        };
        let (item, _) = self.lane(hand.lane);
        hand.grip = match self.book.repair(cell, held, item, image) {
            Some(write) => {
                let attempt = Attempt {
                    write,
                    bury: self.rules.hold(Rule::RepairBuries),
                    epoch: state.holders[usize::from(hand.holder)].epoch,
                };
                Grip::Flying(attempt, image)
            }
            None => {
                hand.left &= !(1 << cell);
                Grip::Open
            }
        };
        state.hand = Some(hand);
    }

    /// The hand's write lands.
    pub fn mends(&self, state: &mut State) {
        let Some(mut hand) = state.hand.take() else { return };
        let Grip::Flying(attempt, read) = hand.grip else {
            return;
        };
        let cell = hand.left.trailing_zeros();
        let held = &mut state.cells[cell as usize];
        let service = self.book.owner(u8::try_from(cell).unwrap());
        let (after, answer) = self
            .book
            .land(service, attempt.write, attempt.buries(), *held, state.mended);
        *held = after;
        if hand.holder == DEAD {
            return;
        }
        hand.grip = Grip::Open;
        if !matches!(answer, Answer::Written | Answer::TombstoneWritten) {
            hand.busy = hand.whole;
        } else if self.rules.hold(Rule::LooksAgain) {
            hand.grip = Grip::Wrote(read);
        } else {
            hand.left &= !(1 << cell);
        }
        state.hand = Some(hand);
    }

    /// After its write, the hand reads the source once more: the tail may have been refused in between.
    pub fn looks_again(&self, state: &mut State, image: Image) {
        let Some(hand) = state.hand.as_mut() else { return };
        let Grip::Wrote(read) = hand.grip else { return };
        let (item, service) = self.lane(hand.lane);
        if self.book.alike(service, item, read, image) {
            hand.left &= hand.left - 1;
        } else {
            hand.busy = hand.whole;
        }
        hand.grip = Grip::Open;
    }

    /// All keys were looked at: they are in order, or looked at again.
    pub fn settles(&self, state: &mut State, again: bool) {
        let Some(mut hand) = state.hand.take() else { return };
        if again {
            hand.cells |= self.cells_now(state, hand.lane);
            (hand.left, hand.busy) = (hand.cells, false);
            state.hand = Some(hand);
            return;
        }
        if hand.whole {
            let entry = self.entry(state, hand.holder, hand.lane);
            if !entry.fresh {
                *entry = Entry::default();
            }
        }
        let found = &mut state.holders[usize::from(hand.holder)];
        match &mut found.stage {
            Stage::Rechecking { todo, .. } => *todo &= !(1 << hand.lane),
            _ => found.tasks = 0,
        }
    }

    /// A dead letter is replayed.
    pub fn replays(&self, state: &mut State, cell: u8, write: WriteId) {
        let held = &mut state.cells[usize::from(cell)];
        *held = self
            .book
            .land(self.book.owner(cell), write, None, *held, state.mended)
            .0;
        state.letters = [Entry::default(); 2];
    }

    /// What a holder has to look at.
    pub fn tasks(&self, holder: u8) -> u8 {
        match self.bounds.holders[usize::from(holder)] {
            Kind::Repair => {
                let cells = 0..u8::try_from(crate::book::CELLS).unwrap();
                bits(cells.filter(|cell| self.book.owner(*cell) == 0))
            }
            Kind::Backfill | Kind::Reconcile => 0,
        }
    }
}
