//! What others do: the source is written, processes die, and the order is given up.

use super::Rule;
use super::run::Model;
use super::world::{Cell, ITEMS, Late, Maker, ORDERS, Run, World};
use dynasplit::import::TableLeft;
use dynasplit::state::ImportPhase;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Who needs tombstones on.
const BACKFILL: &str = "backfill";

impl World {
    pub fn writes(&mut self, item: u8, value: Option<u8>) {
        self.source[usize::from(item)] = value;
        Arc::make_mut(&mut self.log).push((item, value));
    }

    /// Whether the lane applies a record now.
    pub fn has_record(&self) -> bool {
        let has_more = usize::from(self.lane) < self.log.len();
        let is_active = self.table.as_ref().is_some_and(|table| table.is_active);
        has_more && is_active && !self.switch.of(ORDERS).holds()
    }
}

impl Model {
    /// The command dies. Its last request lands later.
    pub fn dies(&self, world: &mut World, at: usize) {
        let run = std::mem::replace(&mut world.run, Run::Reads);
        let prefix = world.claim.map_or(0, |claim| claim.prefix);
        world.late = match run {
            _ if !self.hold(Rule::Compared) => Some(Late::Save(world.claim, world.import)),
            Run::Page { batch, .. } => Some(Late::Put(self.name(world), batch)),
            Run::Copies { mut left, copied } if at < left.len() => {
                let (name, etag) = left.remove(at);
                let place = u8::try_from(copied.len()).unwrap_or(u8::MAX);
                Some(Late::Copy(prefix, place, name, etag))
            }
            Run::Sends { token } => Some(Late::Request { token, prefix }),
            Run::Deletes { .. } => world.table.as_ref().map(|table| Late::Delete(table.id)),
            _ => None,
        };
        world.deaths += 1;
        (world.segment_claims, world.written) = (world.segment_claims + 1, 0);
    }

    pub fn late_lands(&self, world: &mut World) -> Option<()> {
        match world.late.take()? {
            Late::Put(name, content) => {
                Arc::make_mut(&mut world.objects).entry(name).or_insert(content);
            }
            Late::Copy(prefix, place, name, etag) => {
                let found = world.objects.get(&name)?.clone();
                if found == etag || !self.hold(Rule::CopiedAsWritten) {
                    Arc::make_mut(&mut world.prefixes)
                        .entry(prefix)
                        .or_default()
                        .insert(place, found);
                }
            }
            Late::Request { token, prefix } => drop(world.receive(token, prefix)),
            Late::Delete(seen) => world.delete_table(seen),
            Late::Save(claim, import) => (world.claim, world.import) = (claim, import),
        }
        Some(())
    }

    /// The command after the order was given up.
    pub fn gives_up(&self, world: &mut World) -> Option<()> {
        if !world.awaiting {
            return Self::copies_rest(world);
        }
        let Some(import) = world.import else {
            world.run = Run::Fills;
            return Some(());
        };
        let record = import.record();
        if record.has_failed() {
            let is_removing = import.phase == ImportPhase::Removing;
            let lands = is_removing && self.hold(Rule::DeletionLandsGivenUp);
            if lands && self.may_land(world, |late| matches!(late, Late::Delete(_))) {
                return None;
            }
            world.run = Run::Fills;
            return Some(());
        }
        if !record.is_answered() {
            let is_request = |late: &Late| matches!(late, Late::Request { .. });
            if self.hold(Rule::RequestLands) && self.may_land(world, is_request) {
                return None;
            }
            if !Self::finds(world, import) {
                world.run = Run::Fills;
            }
            return Some(());
        }
        if import.phase == ImportPhase::Requested && !self.hold(Rule::ImportEnds) {
            world.run = Run::Fills;
            return Some(());
        }
        self.ends(world, import)
    }

    /// The table exists: a partial one is an early page, and an absent one is created.
    pub fn fills(&self, world: &mut World) -> Option<()> {
        match TableLeft::of(world.found(), world.own().as_deref()) {
            TableLeft::Nothing => {
                world.new_table(Maker::Command);
            }
            TableLeft::Own => world.table.as_mut()?.is_protected = self.hold(Rule::ProtectedFirst),
            TableLeft::Unknown(_) => {
                let table = world.table.as_ref()?;
                let is_empty = table.is_active && table.cells.iter().all(Option::is_none);
                if table.maker != Maker::Command && !is_empty {
                    // The command refuses. Run again, it finds an import that was requested meanwhile.
                    let import = world.import?;
                    let is_found = !import.answered && Self::finds(world, import);
                    world.failed_alone |= is_found && !self.bounds.held_up;
                    return is_found.then_some(());
                }
            }
        }
        world.run = Run::Filled;
        Some(())
    }

    /// The lanes continue, and leave tombstones for the rest of the copy.
    pub fn switches(&self, world: &mut World) -> Option<()> {
        if self.hold(Rule::BegunAnew) {
            world.cursor = 0;
        }
        world.awaiting = false;
        Arc::make_mut(&mut world.switch).give_up(BACKFILL);
        Some(())
    }

    fn copies_rest(world: &mut World) -> Option<()> {
        if world.switch.is_off_for(ORDERS) {
            return None;
        }
        let table = world.table.as_mut().filter(|table| table.is_active)?;
        if world.cursor < ITEMS {
            let item = usize::from(world.cursor);
            let page = world.source[item].map(|value| Cell {
                value: Some(value),
                stamp: None,
            });
            let cell = &mut table.cells[item];
            *cell = cell.or(page);
            world.cursor += 1;
            return Some(());
        }
        let switch = Arc::make_mut(&mut world.switch);
        let since = switch.claim(BACKFILL)?;
        let worked_off = BTreeSet::from([ORDERS.to_owned()]);
        if !switch.release(BACKFILL, since, &worked_off) {
            return None;
        }
        for (service, epoch) in switch.unswept() {
            switch.swept(&service, epoch);
        }
        for cell in &mut table.cells {
            *cell = cell.filter(|cell| cell.value.is_some());
        }
        Some(())
    }
}
