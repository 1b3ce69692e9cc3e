//! What there is: the source and its log, the lane, objects, the records, the table, and what DynamoDB knows of imports.

use dynasplit::import::TOKEN_MS;
use dynasplit::state::{ImportClaim, ImportPhase, ImportRecord, ServiceImport, Switch};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Items of the source. Each is a page of its own.
pub const ITEMS: u8 = 2;
/// The service.
pub const ORDERS: &str = "orders";
/// A step of time, after which a token holds no longer.
const STEP_MS: u64 = TOKEN_MS + 3_600_000;

/// Items of an object, with the numbers of their values. Its ETag is that of what is in it.
pub type Content = Vec<(u8, u8)>;
/// The name of an object: the claim of its segment, and its number.
pub type Name = (u8, u8);
/// The objects of a prefix, by their places.
pub type Prefix = BTreeMap<u8, Content>;

/// An object that is on record.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Recorded {
    pub name: Name,
    pub etag: Content,
    pub items: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Claim {
    pub prefix: u8,
    pub items: u8,
    pub complete: bool,
}

/// The record of the import.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Import {
    pub phase: ImportPhase,
    pub token: u8,
    pub asked: u8,
    pub answered: bool,
    pub table: Option<u8>,
}

/// An import that DynamoDB makes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Made {
    pub token: u8,
    pub asked: u8,
    pub prefix: u8,
    pub table: u8,
    pub end: Option<End>,
    /// DynamoDB did not do as it should.
    pub went_wrong: bool,
}

/// How an import ended, and how many items it read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum End {
    Complete(u8),
    Failed,
}

/// An item or a tombstone of the table. The lane's writes have stamps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Cell {
    pub value: Option<u8>,
    pub stamp: Option<u8>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Table {
    pub id: u8,
    pub is_active: bool,
    pub is_protected: bool,
    /// Whose it is.
    pub maker: Maker,
    pub cells: [Option<Cell>; ITEMS as usize],
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Maker {
    /// An import.
    Import,
    /// The command, because the import was given up. The split's record says so.
    Command,
    /// Somebody else.
    Somebody,
}

/// A request of a process that died, or that is held up.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Late {
    Put(Name, Content),
    Copy(u8, u8, Name, Content),
    Request {
        token: u8,
        prefix: u8,
    },
    /// Of the table with this id: but DynamoDB deletes by name.
    Delete(u8),
    /// A change of the record of imports, which is whatever the process knew.
    Save(Option<Claim>, Option<Import>),
}

/// What the process at work knows beside the records.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Run {
    /// It reads the records.
    Reads,
    /// It has read pages of a segment.
    Page { read: u8, batch: Content },
    /// It has written the object, and the store answered with this ETag.
    Object {
        read: u8,
        items: u8,
        name: Name,
        etag: Content,
    },
    /// The cursor has moved, and the object is not on record. Only without a rule.
    Moved(Recorded),
    /// It copies these objects to the claimed prefix.
    Copies {
        left: Vec<(Name, Content)>,
        copied: Prefix,
    },
    /// It is about to send the request.
    Sends { token: u8 },
    /// The request was answered. Only without a rule, its token is not on record.
    Answered { token: u8, table: u8 },
    /// It has seen the partial table under its id. Another process may have begun the deletion.
    Deletes { took_over: bool },
    /// The partial table is gone.
    Deleted { took_over: bool },
    /// It gives up, and has found no import.
    Fills,
    /// It gives up, and the table exists.
    Filled,
}

/// Everything. What seldom changes is shared by the states.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct World {
    pub now: u8,
    /// The numbers of the values that the items have.
    pub source: [Option<u8>; ITEMS as usize],
    /// Each write: the item, and the number of its value.
    pub log: Arc<Vec<(u8, Option<u8>)>>,
    /// Writes that the lane has applied.
    pub lane: u8,
    pub switch: Arc<Switch>,
    /// The table is left to an import.
    pub awaiting: bool,
    pub given_up: bool,
    /// Items that are copied.
    pub cursor: u8,
    pub recorded: Arc<Vec<Recorded>>,
    /// Claims of the segment so far, and the objects that this one has written.
    pub segment_claims: u8,
    pub written: u8,
    pub objects: Arc<BTreeMap<Name, Content>>,
    pub prefixes: Arc<BTreeMap<u8, Prefix>>,
    pub claims: u8,
    pub tokens: u8,
    pub claim: Option<Claim>,
    pub import: Option<Import>,
    pub run: Run,
    pub made: Arc<Vec<Made>>,
    pub table: Option<Table>,
    pub tables: u8,
    pub late: Option<Late>,
    pub deaths: u8,
    pub failures: u8,
    pub replaced_objects: u8,
    pub replaced_tables: u8,
    /// A table of somebody else was deleted by the product.
    pub deleted_foreign: bool,
    /// A table was deleted by somebody else, or by a process that was held up.
    pub robbed: bool,
    /// An import failed or was refused, and nobody had made a mistake.
    pub failed_alone: bool,
}

impl World {
    pub fn first() -> Self {
        let mut switch = Switch::default();
        let _epoch = switch.hold([ORDERS]);
        Self {
            now: 0,
            source: [Some(0); ITEMS as usize],
            log: Arc::default(),
            lane: 0,
            switch: Arc::new(switch),
            awaiting: true,
            given_up: false,
            cursor: 0,
            recorded: Arc::default(),
            segment_claims: 0,
            written: 0,
            objects: Arc::default(),
            prefixes: Arc::default(),
            claims: 0,
            tokens: 0,
            claim: None,
            import: None,
            run: Run::Reads,
            made: Arc::default(),
            table: None,
            tables: 0,
            late: None,
            deaths: 0,
            failures: 0,
            replaced_objects: 0,
            replaced_tables: 0,
            deleted_foreign: false,
            robbed: false,
            failed_alone: false,
        }
    }

    /// A time by AWS's clock.
    pub fn ms(now: u8) -> u64 {
        (1 + u64::from(now)) * STEP_MS
    }

    /// The record of the imports in the product's form.
    pub fn service_import(&self) -> ServiceImport {
        ServiceImport {
            claim: self.claim.map(|claim| ImportClaim {
                prefix: claim.prefix.to_string(),
                items: claim.items.into(),
                bytes: 0,
                objects: 0,
                complete: claim.complete,
            }),
            import: self.import.map(Import::record),
        }
    }

    /// The id of the table of this name, as it is described.
    pub fn found(&self) -> Option<Option<String>> {
        self.table.as_ref().map(|table| Some(table.id.to_string()))
    }

    /// The id of the table that the import makes, as far as it is on record.
    pub fn own(&self) -> Option<String> {
        let own = self.import.and_then(|import| import.table);
        own.map(|id| id.to_string())
    }

    pub fn new_table(&mut self, maker: Maker) -> u8 {
        self.tables += 1;
        self.table = Some(Table {
            id: self.tables,
            is_active: maker != Maker::Import,
            is_protected: false,
            maker,
            cells: [None; ITEMS as usize],
        });
        self.tables
    }

    /// The next step of the command, in words.
    pub fn work(&self) -> &'static str {
        match &self.run {
            Run::Reads if self.given_up && !self.awaiting => "copies the rest, and sweeps",
            Run::Reads if self.given_up => "looks what became of the import",
            Run::Reads if self.cursor < ITEMS => "reads a page",
            Run::Reads => self.import_work(),
            Run::Page { .. } => "reads another page",
            Run::Object { .. } => "commits the object",
            Run::Moved(_) => "names the object",
            Run::Copies { .. } => "lists the prefix",
            Run::Sends { .. } => "requests the import",
            Run::Answered { .. } => "notes the answer",
            Run::Deletes { .. } => "deletes the table",
            Run::Deleted { .. } => "forgets the failed import",
            Run::Fills => "looks for the table, and creates it",
            Run::Filled => "begins the copy anew, and releases the lane",
        }
    }

    fn import_work(&self) -> &'static str {
        match self.import {
            None if self.service_import().needs_claim() => "claims a prefix",
            None => "saves a token",
            Some(import) if !import.record().is_answered() => "looks for the import",
            Some(import) => match import.phase {
                ImportPhase::Requested => "sees how the import ended",
                ImportPhase::Imported => "looks at the table, and protects it",
                ImportPhase::Ready => "releases the lane",
                ImportPhase::Failed | ImportPhase::Removing => "looks at the partial table",
            },
        }
    }

    /// The table and the source are the same, and the lane has applied everything.
    pub fn is_same(&self) -> bool {
        let held = |cell: &Option<Cell>| cell.and_then(|cell| cell.value);
        let has_all = usize::from(self.lane) == self.log.len();
        has_all
            && self
                .table
                .as_ref()
                .is_some_and(|table| table.cells.iter().map(held).eq(self.source))
    }
}

impl Import {
    pub fn requested(token: u8, asked: u8) -> Self {
        Self {
            phase: ImportPhase::Requested,
            token,
            asked,
            answered: false,
            table: None,
        }
    }

    /// In the product's form.
    pub fn record(self) -> ImportRecord {
        ImportRecord {
            phase: self.phase,
            arn: self.answered.then(|| self.token.to_string()),
            table_id: self.table.map(|id| id.to_string()),
            ..ImportRecord::requested(self.token.to_string(), World::ms(self.asked))
        }
    }
}
