//! The steps of the model.

use super::world::{Buffer, LEDGER, Mark, ORDERS, Object, Place, World};
use super::{Bounds, Rule};
use crate::proof::{Judged, promise};
use stateright::Property;
use std::collections::BTreeMap;
use std::fmt;

/// A state, and what it is judged by.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    world: World,
    /// Nothing is left to happen.
    over: bool,
    /// There must be no gap.
    bridges: bool,
}

impl Judged for State {
    fn drained(&self) -> bool {
        self.over
    }

    fn exact(&self) -> bool {
        let has_gap = self.world.lanes.iter().any(|lanes| lanes[ORDERS].gap);
        if has_gap {
            !self.bridges
        } else {
            self.world.all_applied()
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    Write,
    Time,
    Roll,
    LedgerReads,
    LedgerWrites,
    LedgerDies { sent: bool },
    LateLands,
    Delete(usize),
    OrdersReads,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Write => "an application writes",
            Self::Time => "11 hours pass",
            Self::Roll => "the shard is closed, and another one continues it",
            Self::LedgerReads => "the ledger reads the stream",
            Self::LedgerWrites => "the ledger writes an object",
            Self::LedgerDies { sent: false } => "the worker of the ledger dies",
            Self::LedgerDies { sent: true } => "the worker of the ledger dies, and its object is under way",
            Self::LateLands => "the object of the dead worker lands",
            Self::Delete(_) => "somebody deletes an object",
            Self::OrdersReads => "the service's lane reads",
        })
    }
}

pub struct Model {
    pub bounds: Bounds,
    pub without: Option<Rule>,
}

impl Model {
    fn hold(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }

    /// The shard that a lane is in; `None`: it has a gap.
    fn shard_of(world: &World, lane: usize) -> Option<usize> {
        let shard = usize::from(world.lanes[0][lane].place == Place::End && world.rolled.is_some());
        let has_gap = world.lanes.iter().any(|lanes| lanes[lane].gap);
        (!has_gap).then_some(shard)
    }

    fn buffer_at(world: &World, shard: usize) -> Buffer {
        let mark = world.lanes[shard][LEDGER];
        Buffer {
            shard,
            to: mark.place,
            records: Vec::new(),
            newest: None,
            oldest: mark.from.is_none().then(|| world.oldest_to_begin_with()),
        }
    }

    fn is_ahead(world: &World) -> bool {
        let ahead = |buffer: &Buffer| buffer.to > world.lanes[buffer.shard][LEDGER].place;
        world.buffer.as_ref().is_some_and(ahead)
    }

    /// The time up to which everything is in memory or in an object.
    fn read_to(world: &World, buffer: &Buffer) -> u8 {
        match buffer.oldest {
            Some(oldest) => buffer.newest.unwrap_or(oldest).max(oldest),
            None => world
                .complete(buffer.shard, LEDGER)
                .max(buffer.newest.unwrap_or(0)),
        }
    }

    fn ledger_reads(&self, world: &mut World) {
        let Some(shard) = Self::shard_of(world, LEDGER) else {
            return;
        };
        let held = world.buffer.take().filter(|buffer| buffer.shard == shard);
        let mut buffer = held.unwrap_or_else(|| Self::buffer_at(world, shard));
        let read_to = Self::read_to(world, &buffer);
        let next = world.next_in_stream(shard, buffer.to);
        if world.is_too_old(read_to) {
            world.buffer = Some(buffer);
            self.ledger_writes(world);
            world.lanes[shard][LEDGER].gap = true;
            return;
        }
        let is_ahead = buffer.to > world.lanes[shard][LEDGER].place;
        match next {
            Some(record) => {
                let created = world.created[usize::from(record) - 1];
                let is_left_out =
                    buffer.records.is_empty() && buffer.oldest.is_some_and(|oldest| created < oldest);
                if !is_left_out {
                    buffer.records.push(record);
                    buffer.newest = buffer.newest.max(Some(created));
                }
                buffer.to = Place::After(record);
            }
            None if world.is_closed(shard) => buffer.to = Place::End,
            None if is_ahead && self.hold(Rule::Durable) => {}
            None => {
                let mark = &mut world.lanes[shard][LEDGER];
                mark.complete = Some(world.now);
                mark.from = mark.from.or(buffer.oldest.take());
            }
        }
        world.buffer = Some(buffer);
    }

    /// The object that the ledger would write now.
    fn object(world: &World) -> Option<((usize, Place), Object)> {
        let buffer = world.buffer.as_ref()?;
        let mark = world.lanes[buffer.shard][LEDGER];
        let object = Object {
            to: buffer.to,
            records: buffer.records.clone(),
            complete: Self::read_to(world, buffer),
            from: buffer.oldest.or(mark.from).unwrap_or(0),
        };
        (buffer.to > mark.place).then_some(((buffer.shard, mark.place), object))
    }

    /// Puts an object, if the store takes it. Answers the one that is there.
    fn put(&self, world: &mut World, name: (usize, Place), object: Object) -> Object {
        if self.hold(Rule::CreateOnly) {
            world.objects.entry(name).or_insert(object).clone()
        } else {
            world.objects.insert(name, object.clone());
            object
        }
    }

    fn ledger_writes(&self, world: &mut World) {
        let Some((name, object)) = Self::object(world) else {
            return;
        };
        let found = self.put(world, name, object.clone());
        let mark = &mut world.lanes[name.0][LEDGER];
        mark.complete = match mark.from {
            Some(_) => mark.complete.max(Some(found.complete)),
            None => Some(found.complete),
        };
        mark.place = found.to;
        mark.from = mark.from.or(Some(found.from));
        let Some(buffer) = &mut world.buffer else { return };
        if found != object && buffer.oldest.is_some() {
            world.buffer = None;
            return;
        }
        buffer.records.retain(|record| Place::After(*record) > found.to);
        buffer.to = buffer.to.max(found.to);
        buffer.oldest = None;
        let times = buffer
            .records
            .iter()
            .map(|record| world.created[usize::from(*record) - 1]);
        buffer.newest = times.max();
    }

    fn apply(world: &mut World, record: u8) {
        world.applied |= 1 << (record - 1);
    }

    /// The object that has a place.
    fn holding(&self, world: &World, shard: usize, place: Place) -> Option<Object> {
        let mut of_shard = world.objects.iter().filter(|((of, _), _)| *of == shard);
        let found = if self.hold(Rule::Chained) {
            of_shard
                .rfind(|((_, from), _)| *from <= place)
                .filter(|(_, object)| object.to > place)
        } else {
            of_shard.find(|(_, object)| object.to > place)
        };
        found.map(|(_, object)| object.clone())
    }

    fn orders_reads(&self, world: &mut World) {
        let Some(shard) = Self::shard_of(world, ORDERS) else {
            return;
        };
        if self.reads_ledger(world, shard) {
            return;
        }
        let [mark, ledger] = world.lanes[shard];
        let own = world.complete(shard, ORDERS);
        let kept = if world.broken && self.hold(Rule::Broken) {
            own
        } else {
            world.kept(shard, self.hold(Rule::Began))
        };
        let is_at_ledger =
            ledger.from.is_some() && (mark.place == ledger.place || !self.hold(Rule::SamePlace));
        if kept > own && is_at_ledger {
            let of_ledger = world.complete(shard, LEDGER);
            let mark = &mut world.lanes[shard][ORDERS];
            mark.complete = mark.complete.max(Some(of_ledger));
        }
        let next = world.next_in_stream(shard, mark.place);
        let is_too_old = world.is_too_old(kept);
        let mark = &mut world.lanes[shard][ORDERS];
        match next {
            _ if is_too_old && self.hold(Rule::AfterRead) => mark.gap = true,
            Some(record) => {
                mark.place = Place::After(record);
                mark.complete = mark.complete.max(Some(world.created[usize::from(record) - 1]));
                Self::apply(world, record);
            }
            None if shard == 0 && world.rolled.is_some() => mark.place = Place::End,
            None => mark.complete = Some(world.now),
        }
    }

    /// Reads the ledger, if the lane is so far behind. Answers whether it did, or found a gap.
    fn reads_ledger(&self, world: &mut World, shard: usize) -> bool {
        let [mark, ledger] = world.lanes[shard];
        let own = world.complete(shard, ORDERS);
        let began = if self.hold(Rule::Began) {
            ledger.from
        } else {
            ledger.from.map(|_| 0)
        };
        let keeps = began.is_some_and(|from| from <= own) && mark.place < ledger.place;
        let is_due = if self.hold(Rule::ByAge) {
            world.is_far_behind(own)
        } else {
            // The stream says that it has forgotten the record at which the lane stands.
            matches!(mark.place, Place::After(record) if !world.is_kept(record))
        };
        if !is_due || !keeps || world.broken {
            return false;
        }
        let Some(object) = self.holding(world, shard, mark.place) else {
            world.broken = true;
            let is_lost = world.is_too_old(own);
            world.lanes[shard][ORDERS].gap = is_lost;
            return is_lost;
        };
        for record in &object.records {
            if Place::After(*record) > mark.place {
                Self::apply(world, *record);
            }
        }
        let mark = &mut world.lanes[shard][ORDERS];
        mark.place = object.to;
        mark.complete = mark.complete.max(Some(object.complete));
        true
    }

    /// Whether everybody has done what there is to do.
    fn is_over(&self, world: &World) -> bool {
        let all = world.created.len() as u8 == self.bounds.writes && world.now == self.bounds.time;
        let has_rolled = !self.bounds.rolls || world.rolled.is_some();
        let has_gap = world.lanes.iter().any(|lanes| lanes[ORDERS].gap);
        let shard = usize::from(world.rolled.is_some());
        let mark = world.lanes[shard][ORDERS];
        let is_through = (shard == 0 || world.lanes[0][ORDERS].place == Place::End)
            && mark.complete == Some(world.now)
            && world.next_in_stream(shard, mark.place).is_none();
        all && has_rolled && (has_gap || is_through)
    }

    /// Whether the ledger is complete up to now.
    fn keeps_up(world: &World) -> bool {
        let shard = usize::from(world.rolled.is_some());
        let is_through = shard == 0 || world.lanes[0][LEDGER].place == Place::End;
        is_through && world.lanes[shard][LEDGER].complete == Some(world.now)
    }
}

impl stateright::Model for Model {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let ledger = Mark {
            from: (!self.bounds.late).then_some(0),
            ..Mark::FIRST
        };
        let world = World {
            now: 0,
            created: Vec::new(),
            rolled: None,
            lanes: [[Mark::FIRST, ledger], [Mark::FIRST; 2]],
            buffer: None,
            objects: BTreeMap::new(),
            late: None,
            deaths: 0,
            deleted: 0,
            broken: false,
            applied: 0,
        };
        vec![State {
            world,
            over: false,
            bridges: self.bounds.prompt,
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        if state.over {
            return;
        }
        let (world, bounds) = (&state.world, self.bounds);
        let mut add = |step, may: bool| steps.extend(may.then_some(step));
        add(Step::Write, (world.created.len() as u8) < bounds.writes);
        let may_pass = !bounds.prompt || Self::keeps_up(world);
        add(Step::Time, world.now < bounds.time && may_pass);
        add(Step::Roll, bounds.rolls && world.rolled.is_none());
        add(Step::LedgerReads, true);
        let is_ahead = Self::is_ahead(world);
        add(Step::LedgerWrites, is_ahead);
        let may_die = world.deaths < bounds.deaths && world.buffer.is_some();
        add(Step::LedgerDies { sent: false }, may_die);
        add(Step::LedgerDies { sent: true }, may_die && is_ahead);
        add(Step::LateLands, world.late.is_some());
        for place in 0..world.objects.len() {
            add(Step::Delete(place), world.deleted < bounds.deleted);
        }
        add(Step::OrdersReads, true);
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = state.clone();
        let world = &mut next.world;
        match step {
            Step::Write => world.created.push(world.now),
            Step::Time => world.now += 1,
            Step::Roll => world.roll(),
            Step::LedgerReads => self.ledger_reads(world),
            Step::LedgerWrites => self.ledger_writes(world),
            Step::LedgerDies { sent } => {
                world.deaths += 1;
                world.late = Self::object(world).filter(|_| sent);
                world.buffer = None;
            }
            Step::LateLands => {
                let (name, object) = world.late.take()?;
                self.put(world, name, object);
            }
            Step::Delete(place) => {
                world.deleted += 1;
                let name = *world.objects.keys().nth(place)?;
                world.objects.remove(&name);
            }
            Step::OrdersReads => self.orders_reads(world),
        }
        next.over = self.is_over(&next.world);
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = promise();
        properties.push(Property::<Self>::sometimes(
            "bridged by the ledger",
            |_, state| {
                let world = &state.world;
                let is_forgotten = (1..=world.created.len() as u8).all(|record| !world.is_kept(record));
                state.over && world.all_applied() && is_forgotten
            },
        ));
        properties
    }
}
