//! Whoever reads the source and writes targets: tombstones on, acknowledged, its work, tombstones off, acknowledged, swept.

use crate::action::Action;
use crate::bounds::{Kind, bits, large};
use crate::held::Held;
use crate::product::CELLS;
use crate::rule::Rule;
use crate::split::{BULK, BULK_DONE, BULK_GIVEN_UP, SERVICES, Split};
use crate::state::{Due, Holder, Page, RepairStep, Stage, State, UNCAPTURED};
use crate::tail::small;
use dynasplit::state::tombstone_phases::{Obedience, obedience};
use dynasplit::state::{Lease, Owner, WorkerRecord};
use std::time::Duration;

/// The holder of a write that a dead one left under way.
pub const DEAD: u8 = u8::MAX;

impl Split {
    fn kind(&self, holder: u8) -> Kind {
        self.bounds.holders[usize::from(holder)]
    }

    /// What the holders can do now.
    pub fn holder_actions(&self, state: &State, actions: &mut Vec<Action>) {
        for holder in 0..u8::try_from(self.bounds.holders.len()).unwrap() {
            let name = self.kind(holder).name();
            self.stage_actions(state, holder, name, actions);
            let stage = state.holders[usize::from(holder)].stage;
            let works = !matches!(stage, Stage::Idle | Stage::Done);
            if works && state.spent.holders < self.bounds.holder_deaths {
                actions.push(Action::HolderDies { holder, name });
            }
        }
        if let Some((holder, _)) = state.zombie {
            let name = self.kind(holder).name();
            actions.push(Action::ZombieSwitchesOff { name });
        }
        if let Some((item, image)) = state.ghost {
            let (held, lands) = self
                .page_would_land(state, item, image)
                .unwrap_or((Held::NOTHING, false));
            actions.push(Action::GhostLands {
                item,
                image,
                held,
                lands,
            });
            actions.push(Action::GhostVanishes);
        }
    }

    fn stage_actions(&self, state: &State, holder: u8, name: &'static str, actions: &mut Vec<Action>) {
        match state.holders[usize::from(holder)].stage {
            Stage::Idle => self.idle_actions(state, holder, name, actions),
            Stage::Raised(epoch) => {
                let rule = if self.in_bulk(state) {
                    Rule::BulkAcknowledged
                } else {
                    Rule::AcknowledgedOn
                };
                if !self.rules.hold(rule) || self.acknowledged(state, epoch) {
                    actions.push(Action::Begins { holder, name });
                }
            }
            Stage::Working => self.work_actions(state, holder, name, actions),
            Stage::Claimed(_) => {
                if !self.rules.hold(Rule::PagesLand) || self.pages_have_landed(state) {
                    let services = self.works_list_off(state, holder);
                    let all = 0..self.lane_count();
                    let ours = all.filter(|lane| services & (1 << self.lane(*lane).1) != 0);
                    let there = ours.filter(|lane| state.rechecks[usize::from(*lane)].there);
                    let todo = if self.rules.hold(Rule::Rechecked) {
                        bits(there)
                    } else {
                        0
                    };
                    if todo != 0 {
                        actions.push(Action::ReadsList { holder, todo });
                    } else if self.repairs_have_landed(state) {
                        actions.push(Action::SwitchesOff { holder, name });
                    }
                }
            }
            Stage::Rechecking { todo: 0, .. } => {
                if self.repairs_have_landed(state) {
                    actions.push(Action::SwitchesOff { holder, name });
                }
            }
            Stage::Rechecking { todo, .. } => {
                self.key_repair_starts(state, holder, todo, &state.rechecks, actions)
            }
            Stage::Released(due) => {
                let epoch = due.into_iter().max().unwrap_or(0);
                if !self.rules.hold(Rule::AcknowledgedOff) || self.acknowledged(state, epoch) {
                    actions.push(Action::BeginsSweep { holder });
                }
            }
            Stage::Sweeping { cell, seen, .. } if seen != Held::NOTHING => {
                actions.push(Action::Sweeps { holder, cell });
            }
            Stage::Sweeping { due, cell, .. } => {
                actions.push(match self.next_tombstone(state, due, cell) {
                    Some((cell, held)) => Action::Sees { holder, cell, held },
                    None => Action::Swept { holder },
                });
            }
            Stage::Done => {
                if self.bounds.added && state.lanes[1].at == UNCAPTURED {
                    actions.push(Action::Captures { lane: 1 });
                }
            }
        }
    }

    fn idle_actions(&self, state: &State, holder: u8, name: &'static str, actions: &mut Vec<Action>) {
        let mut after = state.switch.clone();
        after.turn_on(name, self.held(state, holder));
        let epoch = small(after.epoch());
        let free = state.lease.is_none() && !lives(state);
        let begins = match self.kind(holder) {
            Kind::Backfill => {
                let round = state.holders[0].round;
                let bulk = self.bounds.bulk && matches!(round, 0 | BULK);
                if bulk {
                    self.bulk_actions(state, holder, actions);
                }
                !self.bounds.bulk || round == BULK_GIVEN_UP || (round == 0 && large())
            }
            Kind::Repair => free && self.filled(state, holder),
            // A letter, or one who died at them, is what calls for it.
            Kind::Reconcile => free && (self.dead_letters(state) || state.switch.has_holder(name)),
        };
        if begins {
            actions.push(Action::SwitchesOn { holder, name, epoch });
        }
    }

    /// A bulk copy begins, or goes on, or is given up.
    fn bulk_actions(&self, state: &State, holder: u8, actions: &mut Vec<Action>) {
        let mut after = state.switch.clone();
        if let Some(epoch) = after.hold(self.held(state, holder)) {
            let epoch = small(epoch);
            actions.push(Action::Holds { holder, epoch });
        }
        let mut after = state.switch.clone();
        let landed = !self.rules.hold(Rule::BulkLands) || self.pages_have_landed(state);
        if landed && after.give_up(self.kind(holder).name()) {
            let epoch = small(after.epoch());
            actions.push(Action::GivesBulkUp { holder, epoch });
        }
    }

    /// The lanes are held, as far as the record goes.
    pub fn holds_lanes(&self, state: &mut State, holder: u8) {
        let services = self.held(state, holder);
        let found = &mut state.holders[usize::from(holder)];
        if let Some(epoch) = state.switch.hold(services) {
            found.epoch = small(epoch);
            (found.stage, found.round) = (Stage::Raised(found.epoch), BULK);
        }
    }

    /// Nothing of the copy can land any more: what is left is copied in the other order.
    pub fn gives_bulk_up(&self, state: &mut State, holder: u8) {
        state.switch.give_up(self.kind(holder).name());
        let found = &mut state.holders[usize::from(holder)];
        found.epoch = small(state.switch.epoch());
        (found.stage, found.round) = (Stage::Raised(found.epoch), BULK_GIVEN_UP);
    }

    /// Nothing of the copy can land any more: the lanes go on.
    pub fn opens(&self, state: &mut State, holder: u8) {
        let found = &mut state.holders[usize::from(holder)];
        state.switch.free(found.epoch.into());
        (found.stage, found.round) = (Stage::Done, BULK_DONE);
    }

    fn dead_letters(&self, state: &State) -> bool {
        state.dead_letters.iter().any(|letter| letter.there)
    }

    /// No backfill that comes before it is under way.
    fn filled(&self, state: &State, holder: u8) -> bool {
        let of = |kind: &Kind, holder: &Holder| *kind != Kind::Backfill || holder.stage == Stage::Done;
        let mut all = self.bounds.holders.iter().zip(&state.holders).take(holder.into());
        all.all(|(kind, holder)| of(kind, holder))
    }

    fn work_actions(&self, state: &State, holder: u8, name: &'static str, actions: &mut Vec<Action>) {
        let found = &state.holders[usize::from(holder)];
        match self.kind(holder) {
            Kind::Backfill => {
                let all = self.page_actions(state, actions);
                if all && self.in_bulk(state) {
                    if !self.rules.hold(Rule::BulkLands) || self.pages_have_landed(state) {
                        actions.push(Action::Opens { holder });
                    }
                } else if all && state.lease.is_none() && !lives(state) {
                    actions.push(Action::Claims { holder, name });
                }
            }
            Kind::Repair if found.tasks != 0 => {
                if self.bounds.finds_nothing && state.spent.holders > 0 {
                    actions.push(Action::Claims { holder, name });
                }
                if state.key_repair.is_none() {
                    actions.push(Action::StartsKeyRepair {
                        lane: 0,
                        holder,
                        cells: found.tasks,
                        whole: false,
                    });
                }
            }
            Kind::Reconcile if self.dead_letters(state) => {
                let all = 0..self.lane_count();
                let there = bits(all.filter(|lane| state.dead_letters[usize::from(*lane)].there));
                if self.rules.hold(Rule::Reconciled) {
                    self.key_repair_starts(state, holder, there, &state.dead_letters, actions);
                } else {
                    self.replay_actions(state, there, actions);
                }
            }
            _ => actions.push(Action::Claims { holder, name }),
        }
    }

    /// Whether every worker obeys an epoch, as far as its record tells.
    fn acknowledged(&self, state: &State, epoch: u8) -> bool {
        let worker = WorkerRecord {
            services: Default::default(),
            fingerprint: String::new(),
            routes: Default::default(),
            chaos: None,
            kind: "tail".into(),
            lease: Lease::held_by(&Owner("worker".into()), Duration::from_secs(20)),
            beat: 0,
            acknowledged_epoch: state.worker.acknowledged.into(),
            seen_ms: 0,
        };
        match obedience(&worker, epoch.into(), !state.worker.alive) {
            Obedience::Obeys => true,
            Obedience::Awaited => false,
            Obedience::Gone => {
                let quiet = state
                    .lanes
                    .iter()
                    .all(|lane| lane.ghost.is_none() && lane.late.is_none());
                quiet || !self.rules.hold(Rule::Gone)
            }
        }
    }

    /// A holder switches tombstones on.
    pub fn switches_on(&self, state: &mut State, holder: u8) {
        let (kind, services) = (self.kind(holder), self.held(state, holder));
        let found = &mut state.holders[usize::from(holder)];
        if kind != Kind::Backfill {
            state.lease = Some(holder);
            if !self.rules.hold(Rule::RepairSwitchesOn) {
                found.stage = Stage::Working;
                return;
            }
        }
        let on = services.iter().all(|service| {
            let switch = &state.switch;
            switch.of(service).leaves_tombstones() && switch.held_since(service, kind.name()).is_some()
        });
        if !on || self.rules.hold(Rule::SwitchesOnAnew) {
            assert!(
                state.switch.turn_on(kind.name(), services),
                "only bulk holds the lanes"
            );
        }
        found.epoch = small(state.switch.epoch());
        found.stage = Stage::Raised(found.epoch);
    }

    /// Every worker has acknowledged it: what is read from here on is not older than this.
    pub fn begins(&self, state: &mut State, holder: u8) {
        state.holders[usize::from(holder)].stage = Stage::Working;
        state.floors = state.sources.map(|source| source.writes);
        if self.kind(holder) == Kind::Reconcile {
            state.table_fixed = true;
        }
    }

    /// A holder announces that it is about to switch tombstones off.
    pub fn claims(&self, state: &mut State, holder: u8) {
        let name = self.kind(holder).name();
        let found = &mut state.holders[usize::from(holder)];
        state.lease = Some(holder);
        let claimed = if self.rules.hold(Rule::Since) {
            state.switch.claim(name)
        } else {
            let on = |service: &&str| state.switch.of(service).leaves_tombstones();
            let first = state.switch.held_by(name).find(on);
            first.and_then(|service| state.switch.held_since(service, name))
        };
        match claimed {
            Some(since) => {
                let since = small(since);
                if self.rules.hold(Rule::Since) {
                    found.epoch = since;
                }
                found.stage = Stage::Claimed(since);
            }
            None => self.goes_on(state, holder),
        }
    }

    /// Nothing of it can land any more: it reads the recheck list.
    pub fn reads_list(&self, state: &mut State, holder: u8, todo: u8) {
        let services = self.works_list_off(state, holder);
        let found = &mut state.holders[usize::from(holder)];
        if let Stage::Claimed(since) = found.stage {
            found.stage = Stage::Rechecking {
                since,
                todo,
                services,
            };
        }
        // What comes to the list from here on has another revision.
        for entry in &mut state.rechecks {
            entry.fresh = false;
        }
    }

    /// A holder switches tombstones off.
    pub fn switches_off(&self, state: &mut State, holder: u8) {
        let stage = state.holders[usize::from(holder)].stage;
        let (Stage::Claimed(since) | Stage::Rechecking { since, .. }) = stage else {
            return;
        };
        let worked_off = match stage {
            Stage::Rechecking { services, .. } => services,
            _ => self.works_list_off(state, holder),
        };
        if self.release(state, holder, since, worked_off) {
            self.goes_on(state, holder);
        } else {
            self.claims(state, holder);
        }
    }

    /// The services whose keys one who claimed the tombstones may work off, as bits.
    fn works_list_off(&self, state: &State, holder: u8) -> u8 {
        let Stage::Claimed(since) = state.holders[usize::from(holder)].stage else {
            return 0;
        };
        if !self.rules.hold(Rule::RecheckedByLast) {
            return u8::MAX;
        }
        let alone = state.switch.alone(self.kind(holder).name(), since.into());
        bits(
            (0..)
                .zip(SERVICES)
                .filter(|(_, name)| alone.contains(*name))
                .map(|(service, _)| service),
        )
    }

    /// The services whose tombstones a holder needs on, or whose lanes it holds: those that a round of a backfill fills, and
    /// all of them otherwise.
    fn held(&self, state: &State, holder: u8) -> Vec<&'static str> {
        if self.bounds.added && self.kind(holder) == Kind::Backfill {
            return vec![SERVICES[usize::from(state.holders[usize::from(holder)].round)]];
        }
        SERVICES[..usize::from(self.bounds.services)].to_vec()
    }

    /// A process whose place was taken switches tombstones off.
    pub fn zombie_switches_off(&self, state: &mut State) {
        if let Some((holder, since)) = state.zombie.take() {
            // What it found of the list is not told: at best, it had worked it off. Where that is not enough, it would have
            // to claim anew, and finds that its lease is lost.
            self.release(state, holder, since, u8::MAX);
        }
    }

    /// Whether it is removed from the holders. `worked_off`: the services whose keys were read again, as bits.
    fn release(&self, state: &mut State, holder: u8, since: u8, worked_off: u8) -> bool {
        let name = self.kind(holder).name();
        let since = if self.rules.hold(Rule::Since) {
            since.into()
        } else {
            let first = state.switch.held_by(name).next();
            first
                .and_then(|service| state.switch.held_since(service, name))
                .unwrap_or(0)
        };
        let of = |bits: u8| {
            let named = (0..)
                .zip(SERVICES)
                .filter(|(service, _)| bits & (1 << service) != 0);
            named.map(|(_, name)| name.to_owned()).collect()
        };
        let settled = state.switch.release(name, since, &of(worked_off));
        if settled || self.rules.hold(Rule::RecheckedByLast) {
            return settled;
        }
        let anew = state.switch.claim(name).expect("it holds them");
        state.switch.release(name, anew, &of(u8::MAX))
    }

    /// After letting go: sweeps are due, or somebody else's.
    fn goes_on(&self, state: &mut State, holder: u8) {
        let unswept = state.switch.unswept();
        let due = SERVICES.map(|service| unswept.get(service).copied().map_or(0, small));
        if unswept.is_empty() {
            self.ends(state, holder);
        } else {
            state.holders[usize::from(holder)].stage = Stage::Released(due);
        }
    }

    /// Every worker has acknowledged that removals are real again.
    pub fn begins_sweep(&self, state: &mut State, holder: u8) {
        let found = &mut state.holders[usize::from(holder)];
        let Stage::Released(due) = found.stage else {
            return;
        };
        found.stage = Stage::Sweeping {
            due,
            cell: 0,
            seen: Held::NOTHING,
        };
        for (lane, entry) in (0..self.lane_count()).zip(&mut state.rechecks) {
            let (_, service) = self.lane(lane);
            if entry.there && entry.epoch < due[usize::from(service)] {
                *entry = Default::default();
            }
        }
    }

    /// The next cell that a sweep finds a tombstone of its own in. Cells that hold none are nothing to wait for.
    fn next_tombstone(&self, state: &State, due: Due, from: u8) -> Option<(u8, Held)> {
        let cells = (0..).zip(state.cells).skip(from.into());
        cells.take(CELLS).find(|(cell, held)| {
            let epoch = due[usize::from(self.product.service_of(*cell))];
            self.product.sweeps(epoch.into(), *held)
        })
    }

    /// The sweep reads a tombstone.
    pub fn sees(&self, state: &mut State, holder: u8, cell: u8, seen: Held) {
        let found = &mut state.holders[usize::from(holder)];
        if let Stage::Sweeping { due, .. } = found.stage {
            found.stage = Stage::Sweeping { due, cell, seen };
        }
    }

    /// The sweep removes what it saw, on the condition that it still stands there.
    pub fn sweeps(&self, state: &mut State, holder: u8) {
        let found = &mut state.holders[usize::from(holder)];
        let Stage::Sweeping { due, cell, seen } = found.stage else {
            return;
        };
        let held = &mut state.cells[usize::from(cell)];
        if *held == seen || !self.rules.hold(Rule::SweepConditional) {
            *held = Held::NOTHING;
        }
        found.stage = Stage::Sweeping {
            due,
            cell: cell + 1,
            seen: Held::NOTHING,
        };
    }

    /// The sweep has ended.
    pub fn swept(&self, state: &mut State, holder: u8) {
        if let Stage::Sweeping { due, .. } = state.holders[usize::from(holder)].stage {
            for (service, epoch) in SERVICES.into_iter().zip(due).filter(|(_, epoch)| *epoch > 0) {
                state.switch.swept(service, epoch.into());
            }
        }
        self.ends(state, holder);
    }

    fn ends(&self, state: &mut State, holder: u8) {
        if state.lease == Some(holder) {
            state.lease = None;
        }
        state.holders[usize::from(holder)].stage = Stage::Done;
    }

    /// A holder dies, or is held up for so long that it counts as dead.
    pub fn holder_dies(&self, state: &mut State, holder: u8) {
        state.spent.holders += 1;
        let found = &mut state.holders[usize::from(holder)];
        if let Stage::Claimed(since) | Stage::Rechecking { since, .. } = found.stage {
            state.zombie = Some((holder, since));
        }
        found.stage = Stage::Idle;
        if !self.rules.hold(Rule::BulkKept) {
            state.switch.free(found.epoch.into());
        }
        let found = &mut state.holders[usize::from(holder)];
        found.tasks = self.tasks(holder);
        if state.lease == Some(holder) {
            state.lease = None;
        }
        if self.kind(holder) == Kind::Backfill {
            for (item, page) in (0..).zip(&mut state.pages) {
                if let Page::Flying(image) = *page {
                    state.ghost = Some((item, image));
                    *page = Page::Unread;
                    state.settled &= self.after_a_death();
                }
            }
        }
        state.key_repair = state
            .key_repair
            .filter(|repair| repair.holder != holder || matches!(repair.step, RepairStep::Flying(..)));
        if let Some(repair) = state.key_repair.as_mut().filter(|repair| repair.holder == holder) {
            repair.holder = DEAD;
            state.repairs_settled &= self.after_a_death();
        }
    }

    /// Whether the lease of a process that died says that nothing of it can land.
    fn after_a_death(&self) -> bool {
        let held = Lease::held_by(&Owner("dead".into()), Duration::from_secs(20));
        held.is_settled() || !self.rules.hold(Rule::DeadUnsettled)
    }

    /// Whether nothing of a repair can land any more, as far as it is known; if it is not known, it is waited for.
    fn repairs_have_landed(&self, state: &State) -> bool {
        state.key_repair.is_none() || (!lives(state) && state.repairs_settled)
    }

    /// A service is added, and the backfill begins anew for it.
    pub fn captures(&self, state: &mut State, lane: u8) {
        let (item, _) = self.lane(lane);
        let at = state.sources[usize::from(item)].writes;
        let found = &mut state.lanes[usize::from(lane)];
        (found.at, found.from) = (at, at);
        let holder = &mut state.holders[0];
        (holder.stage, holder.round) = (Stage::Idle, 1);
        state.pages = [Page::Unread; 2];
    }
}

/// Whether a live process brings a key in order.
fn lives(state: &State) -> bool {
    state.key_repair.is_some_and(|repair| repair.holder != DEAD)
}
