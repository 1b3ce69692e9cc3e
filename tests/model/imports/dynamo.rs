//! What DynamoDB does: it takes requests for imports, ends imports, and deletes tables.

use super::world::{Cell, Content, End, Made, Maker, Prefix, Table, World};
use dynasplit::target::{DescribedImport, ImportStatus};
use std::sync::Arc;

/// How an import ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// As it should. Of two items with one key, the first or the last wins.
    Complete { first_wins: bool },
    /// The remainder of an object is lost without an error.
    Short,
    /// It fails and leaves a part.
    Partial,
    /// It fails and leaves no table.
    Early,
}

impl Made {
    /// What DynamoDB says of it.
    pub fn described(&self) -> DescribedImport {
        let (status, read) = match self.end {
            None => (ImportStatus::InProgress, 0),
            Some(End::Complete(read)) => (ImportStatus::Completed, read),
            Some(End::Failed) => (ImportStatus::Failed("ItemValidationError".into()), 1),
        };
        DescribedImport {
            arn: self.token.to_string(),
            status,
            table_id: Some(self.table.to_string()),
            token: Some(self.token.to_string()),
            processed_items: read.into(),
            imported_items: read.into(),
            errors: 0,
            log_group: None,
        }
    }
}

impl World {
    /// The import with a token that still holds.
    pub fn made_with(&self, token: u8) -> Option<&Made> {
        self.made.iter().find(|made| made.token == token)
    }

    /// Takes a request. `None`: a table of this name exists.
    pub fn receive(&mut self, token: u8, prefix: u8) -> Option<u8> {
        let known = self.made_with(token).filter(|made| made.asked == self.now);
        if let Some(known) = known {
            return Some(known.table);
        }
        if self.table.is_some() {
            return None;
        }
        let (table, asked) = (self.new_table(Maker::Import), self.now);
        self.made_mut().push(Made {
            token,
            asked,
            prefix,
            table,
            end: None,
            went_wrong: false,
        });
        Some(table)
    }

    fn made_mut(&mut self) -> &mut Vec<Made> {
        Arc::make_mut(&mut self.made)
    }

    /// The import that runs.
    pub fn running(&self) -> Option<usize> {
        self.made.iter().position(|made| made.end.is_none())
    }

    /// Whether the objects of the import that runs have two items with one key.
    pub fn has_two_of_a_key(&self) -> bool {
        let Some(at) = self.running() else { return false };
        let mut keys: Vec<u8> = self.read(at).iter().map(|(item, _)| *item).collect();
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        keys.len() < all
    }

    fn read(&self, at: usize) -> Content {
        let objects = self.prefixes.get(&self.made[at].prefix);
        let contents = objects.into_iter().flat_map(Prefix::values);
        contents.flatten().copied().collect()
    }

    pub fn end_import(&mut self, outcome: Outcome) -> Option<()> {
        let at = self.running()?;
        let mut items = self.read(at);
        self.made_mut()[at].went_wrong = !matches!(outcome, Outcome::Complete { .. });
        match outcome {
            Outcome::Complete { .. } => {}
            Outcome::Short => items.truncate(items.len().checked_sub(1)?),
            Outcome::Partial => items.truncate(1),
            Outcome::Early => {
                self.made_mut()[at].end = Some(End::Failed);
                self.table = None;
                return Some(());
            }
        }
        let is_complete = matches!(outcome, Outcome::Complete { .. } | Outcome::Short);
        self.made_mut()[at].end = Some(match is_complete {
            true => End::Complete(u8::try_from(items.len()).ok()?),
            false => End::Failed,
        });
        let table = self.table.as_mut()?;
        table.is_active = true;
        for (item, value) in items {
            let cell = &mut table.cells[usize::from(item)];
            let is_kept = cell.is_some() && matches!(outcome, Outcome::Complete { first_wins: true });
            if !is_kept {
                let value = Some(value);
                *cell = Some(Cell { value, stamp: None });
            }
        }
        Some(())
    }

    /// A request to delete the table of this name, by a process that saw one with this id.
    pub fn delete_table(&mut self, seen: u8) {
        let may_go = |table: &mut Table| table.is_active && !table.is_protected;
        let Some(table) = self.table.take_if(may_go) else {
            return;
        };
        self.deleted_foreign |= table.maker == Maker::Somebody;
        self.robbed |= table.id != seen;
    }
}
