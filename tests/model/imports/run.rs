//! The steps of the model, and those of the process that imports.

use super::dynamo::Outcome;
use super::step::Step;
use super::world::{
    Cell, Claim, Content, ITEMS, Import, Late, Maker, Name, ORDERS, Prefix, Recorded, Run, World,
};
use super::{Bounds, Rule};
use crate::proof::{Judged, promise};
use dynasplit::import::{TableLeft, is_still_imported, needs_token, why_unusable};
use dynasplit::state::ImportPhase;
use stateright::Property;
use std::sync::Arc;

/// The item that is written.
const WRITTEN: u8 = 0;

/// A state, and what it is judged by.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    world: World,
    /// Nothing is left to happen.
    over: bool,
    /// The command refuses to go on for a reason that is not its own, and the lane is on hold.
    refuses: bool,
}

impl Judged for State {
    fn drained(&self) -> bool {
        self.over
    }

    fn exact(&self) -> bool {
        let world = &self.world;
        !world.deleted_foreign && !world.failed_alone && (world.is_same() || self.refuses)
    }
}

pub struct Model {
    pub bounds: Bounds,
    pub without: Option<Rule>,
}

impl Model {
    pub fn hold(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }

    /// Whether somebody who waits knows that no such request can land any more.
    pub fn may_land(&self, world: &World, is: impl Fn(&Late) -> bool) -> bool {
        !self.bounds.held_up && world.late.as_ref().is_some_and(is)
    }

    /// The next step of the command.
    fn works(&self, world: &mut World) -> Option<()> {
        match std::mem::replace(&mut world.run, Run::Reads) {
            Run::Reads if world.given_up => self.gives_up(world),
            Run::Reads if world.cursor < ITEMS => self.reads_page(world),
            Run::Reads => self.imports(world),
            page @ Run::Page { .. } => {
                world.run = page;
                self.reads_page(world)
            }
            Run::Object {
                read,
                items,
                name,
                etag,
            } => {
                world.cursor += read;
                world.written += 1;
                let object = Recorded { name, etag, items };
                if self.hold(Rule::OneChange) {
                    Arc::make_mut(&mut world.recorded).extend((items > 0).then_some(object));
                } else {
                    world.run = Run::Moved(object);
                }
                Some(())
            }
            Run::Moved(object) => {
                Arc::make_mut(&mut world.recorded).push(object);
                Some(())
            }
            Run::Copies { left, copied } => Self::copied(world, &left, &copied),
            Run::Sends { token } => self.sends(world, token),
            Run::Answered { token, table } => {
                world.import = Some(Import {
                    answered: true,
                    table: Some(table),
                    ..Import::requested(token, world.now)
                });
                Some(())
            }
            Run::Deletes { took_over } => self.deletes(world, took_over),
            Run::Deleted { took_over } => {
                let lands = took_over && self.hold(Rule::DeletionLands);
                if lands && self.may_land(world, |late| matches!(late, Late::Delete(_))) {
                    return None;
                }
                (world.claim, world.import) = (None, None);
                Some(())
            }
            Run::Fills => self.fills(world),
            Run::Filled => self.switches(world),
        }
    }

    /// The import order, when every page is in an object.
    fn imports(&self, world: &mut World) -> Option<()> {
        if !world.awaiting {
            return None;
        }
        let known = world.service_import();
        if known.import.as_ref().is_some_and(|import| import.has_failed()) {
            return self.removes(world, false);
        }
        let needs_claim = match self.hold(Rule::ClaimComplete) {
            true => known.needs_claim(),
            false => known.import.is_none() && known.claim.is_none(),
        };
        if needs_claim {
            return self.claims(world);
        }
        match world.import {
            Some(import) if import.record().is_answered() => self.ends(world, import),
            asked => self.requests(world, asked),
        }
    }

    fn claims(&self, world: &mut World) -> Option<()> {
        let prefix = if self.hold(Rule::OwnPrefix) {
            world.claims
        } else {
            0
        };
        world.claims += 1;
        world.claim = Some(Claim {
            prefix,
            items: world.recorded.iter().map(|object| object.items).sum(),
            complete: false,
        });
        let each = world.recorded.iter();
        let mut left: Vec<(Name, Content)> = each.map(|object| (object.name, object.etag.clone())).collect();
        if !self.hold(Rule::OnRecord) {
            left = world.objects.as_ref().clone().into_iter().collect();
        }
        let copied = Prefix::new();
        world.run = Run::Copies { left, copied };
        Some(())
    }

    fn copies(&self, world: &mut World, at: usize) -> Option<()> {
        let prefix = world.claim?.prefix;
        let Run::Copies { left, copied } = &mut world.run else {
            return None;
        };
        let (name, etag) = left.remove(at);
        let place = u8::try_from(copied.len()).ok()?;
        let found = world.objects.get(&name)?;
        if *found != etag && self.hold(Rule::CopiedAsWritten) {
            return None;
        }
        copied.insert(place, found.clone());
        let objects = Arc::make_mut(&mut world.prefixes).entry(prefix).or_default();
        objects.insert(place, found.clone());
        Some(())
    }

    /// Every object is copied: the prefix must have them and nothing else.
    fn copied(world: &mut World, left: &[(Name, Content)], copied: &Prefix) -> Option<()> {
        if !left.is_empty() {
            return None;
        }
        let claim = world.claim.as_mut()?;
        claim.complete = world.prefixes.get(&claim.prefix) == Some(copied);
        Some(())
    }

    fn new_token(&self, world: &mut World) {
        world.tokens += 1;
        let token = world.tokens;
        match self.hold(Rule::TokenFirst) {
            true => world.import = Some(Import::requested(token, world.now)),
            false => world.run = Run::Sends { token },
        }
    }

    fn requests(&self, world: &mut World, asked: Option<Import>) -> Option<()> {
        let Some(import) = asked else {
            self.new_token(world);
            return Some(());
        };
        if self.hold(Rule::FoundByToken) && Self::finds(world, import) {
            return Some(());
        }
        if needs_token(Some(&import.record()), World::ms(world.now)) {
            self.new_token(world);
        } else {
            let token = import.token;
            world.run = Run::Sends { token };
        }
        Some(())
    }

    /// Notes the import that was requested with the token on record, if DynamoDB knows one.
    pub fn finds(world: &mut World, import: Import) -> bool {
        let found = world.made_with(import.token).map(|made| made.table);
        if found.is_some() {
            world.import = Some(Import {
                answered: true,
                table: found,
                ..import
            });
        }
        found.is_some()
    }

    fn sends(&self, world: &mut World, token: u8) -> Option<()> {
        let table = world.receive(token, world.claim?.prefix)?;
        if self.hold(Rule::TokenFirst) {
            let import = world.import.as_mut()?;
            (import.answered, import.table) = (true, Some(table));
        } else {
            world.run = Run::Answered { token, table };
        }
        Some(())
    }

    /// What follows an answer: the end of the import, the settings, and the lane.
    pub fn ends(&self, world: &mut World, import: Import) -> Option<()> {
        let expected = world.claim?.items;
        match import.phase {
            ImportPhase::Requested => {
                let made = world.made_with(import.token)?;
                made.end?;
                let is_counted = self.hold(Rule::Counted) || made.end == Some(super::world::End::Failed);
                let failure = why_unusable(&made.described(), expected.into()).filter(|_| is_counted);
                let went_wrong = made.went_wrong;
                world.failed_alone |= failure.is_some() && !went_wrong;
                if !self.hold(Rule::ReadyFirst) {
                    Arc::make_mut(&mut world.switch).free_service(ORDERS);
                }
                world.import.as_mut()?.phase = match failure {
                    Some(_) => ImportPhase::Failed,
                    None => ImportPhase::Imported,
                };
            }
            ImportPhase::Imported => {
                let is_own = is_still_imported(world.found().as_ref(), world.own().as_deref());
                if !is_own && self.hold(Rule::StillImported) {
                    return None;
                }
                world.table.as_mut()?.is_protected = self.hold(Rule::ProtectedFirst);
                world.import.as_mut()?.phase = ImportPhase::Ready;
            }
            ImportPhase::Ready => {
                world.awaiting = false;
                Arc::make_mut(&mut world.switch).free_service(ORDERS);
            }
            ImportPhase::Failed | ImportPhase::Removing => return None,
        }
        Some(())
    }

    /// Removes the table of a failed import.
    fn removes(&self, world: &mut World, is_allowed: bool) -> Option<()> {
        let left = TableLeft::of(world.found(), world.own().as_deref());
        let import = world.import.as_mut()?;
        let took_over = import.phase == ImportPhase::Removing;
        match left {
            TableLeft::Nothing => world.run = Run::Deleted { took_over },
            TableLeft::Unknown(_) if self.hold(Rule::OwnTable) => return None,
            _ if !is_allowed && !took_over => return None,
            _ => {
                import.phase = ImportPhase::Removing;
                world.run = Run::Deletes { took_over };
            }
        }
        Some(())
    }

    fn deletes(&self, world: &mut World, took_over: bool) -> Option<()> {
        match TableLeft::of(world.found(), world.own().as_deref()) {
            TableLeft::Nothing => {}
            TableLeft::Unknown(_) if self.hold(Rule::OwnTable) => return None,
            _ => {
                let seen = world.table.as_ref()?.id;
                world.delete_table(seen);
                if world.table.is_some() {
                    return None;
                }
            }
        }
        world.run = Run::Deleted { took_over };
        Some(())
    }

    /// The lane applies a record.
    fn applies(world: &mut World) -> Option<()> {
        let (item, value) = *world.log.get(usize::from(world.lane))?;
        let tombstones = world.switch.of(ORDERS);
        let table = world.table.as_mut().filter(|table| table.is_active)?;
        world.lane += 1;
        let is_left = value.is_some() || tombstones.leaves_tombstones();
        table.cells[usize::from(item)] = is_left.then_some(Cell {
            value,
            stamp: Some(world.lane),
        });
        Some(())
    }

    fn step(&self, world: &mut World, step: Step) -> Option<()> {
        match step {
            Step::Put(item) => {
                let value = Some(u8::try_from(world.log.len()).ok()? + 1);
                world.writes(item, value);
            }
            Step::Delete(item) => world.writes(item, None),
            Step::Apply => return Self::applies(world),
            Step::Works(_) => return self.works(world),
            Step::WritesObject => return self.writes_object(world),
            Step::Copies(at) => return self.copies(world, at),
            Step::DeletesPartial => return self.removes(world, true),
            Step::GivesUp => (world.given_up, world.run) = (true, Run::Reads),
            Step::Dies(at) => self.dies(world, at),
            Step::LateLands => self.late_lands(world)?,
            Step::LateIsLost => drop(world.late.take()?),
            Step::ImportEnds(outcome) => {
                world.failures += u8::from(!matches!(outcome, Outcome::Complete { .. }));
                return world.end_import(outcome);
            }
            Step::Hours => world.now += 1,
            Step::ReplacesObject => {
                world.replaced_objects += 1;
                let content = Arc::make_mut(&mut world.objects).values_mut().next()?;
                content.iter_mut().for_each(|(_, value)| *value = 99);
            }
            Step::ReplacesTable => {
                world.replaced_tables += 1;
                world.new_table(Maker::Somebody);
                let value = Some(99);
                world.table.as_mut()?.cells[0] = Some(Cell { value, stamp: None });
            }
        }
        Some(())
    }

    fn stepped(&self, state: &State, step: Step) -> Option<State> {
        let mut next = state.clone();
        self.step(&mut next.world, step)?;
        (next.world != state.world).then_some(next)
    }

    /// What happens by itself, sooner or later.
    fn due(&self, world: &World) -> Vec<Step> {
        // It is wrong already, and the next import would fail, too.
        if world.failed_alone {
            return Vec::new();
        }
        let mut steps = vec![Step::Works(world.work())];
        steps.extend(world.has_record().then_some(Step::Apply));
        match &world.run {
            Run::Page { .. } => steps.push(Step::WritesObject),
            Run::Copies { left, .. } => steps.extend((0..left.len()).map(Step::Copies)),
            Run::Reads => {
                let has_failed = world
                    .import
                    .is_some_and(|import| import.phase == ImportPhase::Failed);
                steps.extend((has_failed && !world.given_up).then_some(Step::DeletesPartial));
            }
            _ => {}
        }
        if self.bounds.gives_up && world.awaiting && !world.given_up {
            steps.push(Step::GivesUp);
        }
        if world.running().is_some() {
            steps.push(Step::ImportEnds(Outcome::Complete { first_wins: false }));
            if world.has_two_of_a_key() {
                steps.push(Step::ImportEnds(Outcome::Complete { first_wins: true }));
            }
        }
        if world.late.is_some() {
            steps.extend([Step::LateLands, Step::LateIsLost]);
        }
        steps
    }
}

impl stateright::Model for Model {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            world: World::first(),
            over: false,
            refuses: false,
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        let (world, bounds) = (&state.world, self.bounds);
        steps.extend(self.due(world));
        if world.log.len() < bounds.writes {
            steps.push(Step::Put(WRITTEN));
            steps.extend(world.source[usize::from(WRITTEN)].map(|_| Step::Delete(WRITTEN)));
        }
        if world.deaths < bounds.deaths && world.late.is_none() {
            match &world.run {
                Run::Copies { left, .. } => steps.extend((0..left.len().max(1)).map(Step::Dies)),
                _ => steps.push(Step::Dies(0)),
            }
        }
        if world.running().is_some() && world.failures < bounds.failures {
            let outcomes = [Outcome::Short, Outcome::Partial, Outcome::Early];
            steps.extend(outcomes.map(Step::ImportEnds));
        }
        // A request has landed by then.
        let is_idle = world.late.is_none() && !matches!(world.run, Run::Sends { .. });
        if world.now < bounds.hours && is_idle {
            steps.push(Step::Hours);
        }
        if world.replaced_objects < bounds.replaced_objects && world.cursor == ITEMS {
            steps.push(Step::ReplacesObject);
        }
        let may_replace = |table: &super::world::Table| table.is_active && !table.is_protected;
        if world.replaced_tables < bounds.replaced_tables
            && world.awaiting
            && !world.given_up
            && world.table.as_ref().is_some_and(may_replace)
        {
            steps.push(Step::ReplacesTable);
        }
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = self.stepped(state, step)?;
        let due = self.due(&next.world);
        next.over = due.into_iter().all(|step| self.stepped(&next, step).is_none());
        let world = &next.world;
        let was_robbed = world.replaced_tables > 0 || self.bounds.held_up && world.robbed;
        next.refuses = world.awaiting && was_robbed;
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = promise();
        properties.push(Property::<Self>::sometimes(
            "the table is ready, and holds what the source does",
            |_, state| state.over && !state.world.given_up && state.world.is_same(),
        ));
        properties.push(Property::<Self>::sometimes(
            "a part of an import is removed, and another import is complete",
            |model, state| {
                model.bounds.failures == 0
                    || state.over && state.world.is_same() && state.world.made.len() > 1
            },
        ));
        properties.push(Property::<Self>::sometimes(
            "given up, and the table holds what the source does",
            |model, state| {
                !model.bounds.gives_up || state.over && state.world.given_up && state.world.is_same()
            },
        ));
        properties
    }
}
