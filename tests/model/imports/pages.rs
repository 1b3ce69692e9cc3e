//! The pages of the source go into objects.

use super::Rule;
use super::run::Model;
use super::world::{Content, ITEMS, Name, Recorded, Run, World};
use std::sync::Arc;

impl Model {
    pub fn name(&self, world: &World) -> Name {
        let claim = if self.hold(Rule::OwnNames) {
            world.segment_claims
        } else {
            0
        };
        (claim, world.written)
    }

    /// All items go into objects at once.
    pub fn shapes(&self, world: &mut World) {
        let all: Content = (0..ITEMS)
            .zip(world.source)
            .filter_map(|(item, value)| Some((item, value?)))
            .collect();
        let size = if self.bounds.objects > 1 {
            1
        } else {
            all.len().max(1)
        };
        for (number, etag) in (0u8..).zip(all.chunks(size)) {
            let (name, etag) = ((0, number), etag.to_vec());
            let items = etag.iter().map(|_| 1).sum();
            Arc::make_mut(&mut world.objects).insert(name, etag.clone());
            Arc::make_mut(&mut world.recorded).push(Recorded { name, etag, items });
        }
        world.cursor = ITEMS;
    }

    /// Reads one page more.
    pub fn reads_page(&self, world: &mut World) -> Option<()> {
        if !self.bounds.pages {
            self.shapes(world);
            return Some(());
        }
        let (mut read, mut batch) = match std::mem::replace(&mut world.run, Run::Reads) {
            Run::Page { read, batch } => (read, batch),
            _ => (0, Vec::new()),
        };
        let item = world.cursor + read;
        batch.extend(world.source.get(usize::from(item))?.map(|value| (item, value)));
        read += 1;
        world.run = Run::Page { read, batch };
        Some(())
    }

    pub fn writes_object(&self, world: &mut World) -> Option<()> {
        let Run::Page { read, batch } = std::mem::replace(&mut world.run, Run::Reads) else {
            return None;
        };
        let (name, items) = (self.name(world), u8::try_from(batch.len()).ok()?);
        // If there is one of this name, it counts as the answer to an earlier attempt.
        let etag = Arc::make_mut(&mut world.objects)
            .entry(name)
            .or_insert(batch)
            .clone();
        world.run = Run::Object {
            read,
            items,
            name,
            etag,
        };
        Some(())
    }
}
