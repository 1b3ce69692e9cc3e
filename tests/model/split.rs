//! The model: a source, a tail, and those who hold the tombstones, around a few target keys.

use crate::action::Action;
use crate::bounds::{Bounds, Damage, EPOCH, Kind, large, tail_wrote};
use crate::effort::effort;
use crate::held::Held;
use crate::image::{Image, Shape};
use crate::plans::{Layout, Mapping};
use crate::product::{CELLS, Product, WRITES};
use crate::proof::{DRAINED, EXACT, breaks, holds};
use crate::rule::{Rule, Rules};
use crate::state::{Entry, Holder, Lane, Page, Source, Spent, Stage, State, UNCAPTURED, Worker};
use dynasplit::state::Lease;
use dynasplit::state::tombstone_phases::Switch;
use stateright::{Model, Property};

/// All that may happen around a split, within bounds.
pub struct Split {
    /// The limits.
    pub bounds: Bounds,
    /// What the product says.
    pub product: Product,
    /// The rules that hold.
    pub rules: Rules,
    lanes: Vec<(u8, u8)>,
}

/// The names of the services, as many as there are in any model.
pub const SERVICES: [&str; 2] = ["a", "b"];

/// Rounds of a backfill where the other order is allowed: in bulk, after it, and after it was given up.
pub const BULK: u8 = 1;
pub const BULK_DONE: u8 = 2;
pub const BULK_GIVEN_UP: u8 = 3;

/// Sometimes: drained, after all writes and all troubles that the bounds allow.
pub const THROUGH: &str = "drained after every write and every trouble";

impl Split {
    /// A model within bounds.
    pub fn new(bounds: &Bounds) -> Self {
        Self {
            product: bounds.product(),
            rules: bounds.rules,
            lanes: bounds.lanes(),
            bounds: bounds.clone(),
        }
    }

    /// How many lanes there are.
    pub fn lane_count(&self) -> u8 {
        u8::try_from(self.lanes.len()).unwrap()
    }

    /// A lane: its source item, its service.
    pub fn lane(&self, lane: u8) -> (u8, u8) {
        self.lanes[usize::from(lane)]
    }

    /// The lane of an item and a service.
    pub fn lane_of(&self, item: u8, service: u8) -> u8 {
        let found = self.lanes.iter().position(|lane| *lane == (item, service));
        u8::try_from(found.unwrap()).unwrap()
    }

    /// Whether the backfill copies in bulk now, or did to its end.
    pub fn in_bulk(&self, state: &State) -> bool {
        self.bounds.bulk && matches!(state.holders[0].round, BULK | BULK_DONE)
    }

    /// Nothing is left to do.
    pub fn drained(&self, state: &State) -> bool {
        let lanes = self.lanes.iter().zip(&state.lanes);
        let mut lanes =
            lanes.map(|((item, _), lane)| lane.idle() && lane.at == state.sources[usize::from(*item)].writes);
        let holders = self.bounds.holders.iter().zip(&state.holders);
        let mut holders = holders.map(|(kind, holder)| match holder.stage {
            Stage::Done => true,
            Stage::Idle => *kind == Kind::Reconcile && holder.epoch == 0,
            _ => false,
        });
        let off = state.switch.is_off();
        let lists = state.dead_letters.iter().chain(&state.rechecks);
        state.worker.alive
            && off
            && lanes.all(|idle| idle)
            && holders.all(|done| done)
            && state.key_repair.is_none()
            && state.ghost.is_none()
            && lists.into_iter().all(|entry| !entry.there)
            && (self.bounds.collisions || !self.collides(state))
    }

    fn collides(&self, state: &State) -> bool {
        self.expected(state).is_none()
    }

    /// What each cell should hold; none where two items are at one key, which no table can hold.
    fn expected(&self, state: &State) -> Option<[Held; CELLS]> {
        let mut expected = [Held::NOTHING; CELLS];
        for (item, service) in &self.lanes {
            let image = state.sources[usize::from(*item)].now();
            if let Some((cell, held)) = self.product.wanted(*service, *item, image) {
                let place = &mut expected[usize::from(cell)];
                if *place != Held::NOTHING {
                    return None;
                }
                *place = held;
            }
        }
        Some(expected)
    }

    /// Every target holds what it should, and nothing else.
    pub fn exact(&self, state: &State) -> bool {
        let Some(expected) = self.expected(state) else {
            return false;
        };
        let mut cells = state.cells.iter().zip(expected);
        cells.all(|(held, expected)| self.product.is(*held, expected))
    }

    fn through(&self, state: &State) -> bool {
        let spent = Spent {
            tail: self.bounds.tail_deaths,
            holders: self.bounds.holder_deaths,
            unanswered: self.bounds.unanswered,
            pages: self.bounds.pages_unanswered,
        };
        let writes = state.sources.iter().map(|source| source.writes).sum::<u8>();
        state.spent == spent && writes == self.bounds.writes && self.drained(state)
    }

    fn write_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let writes = state.sources.iter().map(|source| source.writes).sum::<u8>();
        if writes == self.bounds.writes {
            return;
        }
        for item in 0..self.bounds.items {
            let source = &state.sources[usize::from(item)];
            let now = source.now();
            if self.bounds.deletes && now != Image::NONE {
                actions.push(Action::Writes {
                    item,
                    image: Image::NONE,
                });
            }
            for shape in &self.bounds.shapes[usize::from(item)] {
                if self.rules.hold(Rule::Vouch) && self.was_at(state, 1 - item, *shape) {
                    continue;
                }
                let mut images: Vec<Image> = vec![];
                for step in &self.bounds.steps {
                    let image = Image::new(*shape, source.clock.saturating_add_signed(*step));
                    if image != now && !images.contains(&image) {
                        images.push(image);
                    }
                }
                actions.extend(images.into_iter().map(|image| Action::Writes { item, image }));
            }
        }
    }

    /// Whether another item is, or was, where one of this shape would be.
    fn was_at(&self, state: &State, other: u8, shape: Shape) -> bool {
        let source = &state.sources[usize::from(other)];
        let mut images = source.images[..=usize::from(source.writes)].iter();
        self.bounds.mapping == Mapping::Vouched
            && images.any(|image| image.shape().is_some_and(|was| was.slot == shape.slot))
    }

    fn writes(&self, state: &mut State, item: u8, image: Image) {
        let source = &mut state.sources[usize::from(item)];
        source.writes += 1;
        source.images[usize::from(source.writes)] = image;
        if image.shape().is_some_and(|shape| shape.timed) {
            source.clock = image.at();
        }
    }

    fn beginning(&self, first: [Option<Shape>; 2]) -> State {
        let source = |item: usize| {
            let mut images = [Image::NONE; WRITES + 1];
            images[0] = first[item].map_or(Image::NONE, |shape| Image::new(shape, EPOCH));
            Source {
                images,
                writes: 0,
                clock: EPOCH,
            }
        };
        let mut lanes = [Lane::default(); 2];
        if self.bounds.added {
            lanes[1].at = UNCAPTURED;
        }
        let holder = |holder: usize| Holder {
            stage: Stage::Idle,
            epoch: 0,
            round: 0,
            tasks: if holder < self.bounds.holders.len() {
                self.tasks(u8::try_from(holder).unwrap())
            } else {
                0
            },
        };
        let switch = Switch::default();
        State {
            sources: [source(0), source(1)],
            lanes,
            worker: Worker::new(switch.phases()),
            switch,
            holders: [holder(0), holder(1)],
            lease: None,
            zombie: None,
            pages: [Page::Unread; 2],
            settled: Lease::unheld().is_settled(),
            repairs_settled: Lease::unheld().is_settled(),
            ghost: None,
            floors: [0; 2],
            key_repair: None,
            rechecks: [Entry::default(); 2],
            dead_letters: [Entry::default(); 2],
            table_fixed: false,
            cells: [Held::NOTHING; CELLS],
            spent: Spent::default(),
        }
    }

    /// The split's backfill has ended before; one target key is not what it should be.
    fn damaged(&self, mut state: State, damage: Damage) -> State {
        let image = state.sources[0].images[0];
        let mut set = |shape, at| {
            if let Some((cell, held)) = tail_wrote(&self.product, 0, 0, shape, at) {
                state.cells[usize::from(cell)] = held;
            }
        };
        if let (Some(shape), true) = (image.shape(), damage != Damage::Missing) {
            set(shape, image.at());
        }
        if let Damage::Different(shape, at) | Damage::Extra(shape, at) = damage {
            set(shape, at);
        }
        state
    }
}

impl Model for Split {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let begin = self.bounds.first.iter().map(|first| self.beginning(*first));
        match &self.bounds.damage {
            None => begin.collect(),
            Some(damage) => begin
                .flat_map(|state| {
                    damage
                        .iter()
                        .map(move |damage| self.damaged(state.clone(), *damage))
                })
                .collect(),
        }
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.write_actions(state, actions);
        self.tail_actions(state, actions);
        self.holder_actions(state, actions);
        self.key_repair_actions(state, actions);
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut after = before.clone();
        let state = &mut after;
        match action {
            Action::Writes { item, image } => self.writes(state, item, image),
            Action::Takes { lane, count } => self.takes(state, lane, count),
            Action::Lands { lane, .. } => self.lands(state, lane),
            Action::GivesUp { lane } => self.gives_up(state, lane),
            Action::LateLands { lane, .. } => self.late(state, lane, true),
            Action::Vanishes { lane } => self.late(state, lane, false),
            Action::DeadLands { lane, .. } => self.dead(state, lane, true),
            Action::DeadVanishes { lane } => self.dead(state, lane, false),
            Action::Lists { lane } => self.lists(state, lane),
            Action::TailDies { back } => self.tail_dies(state, back),
            Action::TailStarts => self.tail_starts(state),
            Action::Beats { .. } => self.beats(state),
            Action::Captures { lane } => self.captures(state, lane),
            Action::SwitchesOn { holder, .. } => self.switches_on(state, holder),
            Action::Holds { holder, .. } => self.holds_lanes(state, holder),
            Action::Resumes { lane } => self.proceeds(state, lane),
            Action::GivesBulkUp { holder, .. } => self.gives_bulk_up(state, holder),
            Action::Begins { holder, .. } => self.begins(state, holder),
            Action::Reads { item, image, .. } => self.page_read(state, item, image),
            Action::PageLands { item, image, .. } => {
                self.page_lands(state, item, image);
                state.pages[usize::from(item)] = Page::Landed;
            }
            Action::GivesPageUp { item, image } => self.gives_page_up(state, item, image),
            Action::GhostLands { item, image, .. } => {
                self.page_lands(state, item, image);
                self.ghost_is_over(state);
            }
            Action::GhostVanishes => self.ghost_is_over(state),
            Action::HolderDies { holder, .. } => self.holder_dies(state, holder),
            Action::RepairWriteVanishes => {
                state.key_repair = None;
                state.repairs_settled = true;
            }
            Action::StartsKeyRepair {
                lane,
                holder,
                cells,
                whole,
            } => self.starts_key_repair(state, lane, holder, cells, whole),
            Action::ReadsTarget { .. } => self.key_repair_reads(state, None),
            Action::ReadsSource { image } => self.key_repair_reads(state, Some(image)),
            Action::RepairLands { .. } => self.repair_lands(state),
            Action::ReadsAgain { image } => self.reads_again(state, image),
            Action::Settles { again } => self.settles(state, again),
            Action::Replays { cell, write } => self.replays(state, cell, write),
            Action::Claims { holder, .. } => self.claims(state, holder),
            Action::ReadsList { holder, todo } => self.reads_list(state, holder, todo),
            Action::SwitchesOff { holder, .. } => self.switches_off(state, holder),
            Action::ZombieSwitchesOff { .. } => self.zombie_switches_off(state),
            Action::BeginsSweep { holder } => self.begins_sweep(state, holder),
            Action::Sees { holder, cell, held } => self.sees(state, holder, cell, held),
            Action::Sweeps { holder, .. } => self.sweeps(state, holder),
            Action::Swept { holder } => self.swept(state, holder),
            Action::Opens { holder } => self.opens(state, holder),
        }
        Some(after)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::<Self>::always(EXACT, |model, state| !model.drained(state) || model.exact(state)),
            Property::<Self>::sometimes(DRAINED, |model, state| model.drained(state)),
            Property::<Self>::sometimes(THROUGH, |model, state| model.through(state)),
        ]
    }
}

/// What is explored of both version modes without larger bounds; the third differs in little.
pub fn layouts() -> Vec<Layout> {
    let mut layouts = vec![Layout::Shown, Layout::Sequence];
    if large() {
        layouts.push(Layout::Hidden);
    }
    layouts
}

/// One of them at the usual effort, where the states are many: the one that is named.
pub fn layout_or_all(usual: Layout) -> Vec<Layout> {
    if effort() == 1 { vec![usual] } else { layouts() }
}

/// Two writes of the source at the usual effort, because a third one makes many times as many states.
fn usual(bounds: &Bounds) -> Bounds {
    let writes = if effort() == 1 {
        bounds.writes.min(2)
    } else {
        bounds.writes
    };
    Bounds {
        writes,
        ..bounds.clone()
    }
}

/// Demands that the promise holds within bounds.
pub fn exact(name: &str, bounds: &Bounds) {
    let bounds = usual(bounds);
    holds(name, &bounds.words(), Split::new(&bounds));
}

/// Demands that the promise breaks within bounds as soon as one of these rules is off.
pub fn needs(name: &str, bounds: &Bounds, rules: &[Rule]) {
    needs_all_writes(name, &usual(bounds), rules);
}

/// The same of rules that matter only after all writes of the bounds.
pub fn needs_all_writes(name: &str, bounds: &Bounds, rules: &[Rule]) {
    for rule in rules {
        let model = Split::new(&bounds.clone().without(*rule));
        breaks(&format!("{name}, but not: {rule}"), model);
    }
}
