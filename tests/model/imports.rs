//! The import order: the items of a service go into objects, which are copied to a claimed prefix, DynamoDB makes a table of them, and
//! the lane, which was on hold, continues. Processes die or are held up at each step, imports fail, and the order may be given up.
//!
//! What is decided about an import is the product's own code: whether a claim, a token or an answer is missing, what is wrong with an
//! import that has ended, whose table it is ([`dynasplit::import`]), and where the switch of the lane stands
//! ([`dynasplit::state::Switch`]). Pages that are older than the hold are a matter of the models of the bulk order.
//!
//! Two things are wrong: a table that does not hold what the source does when the lane is drained, and an import that fails or is refused
//! although DynamoDB and the operator made no mistake, because an import is paid for, and nobody can fix the cause.

mod dynamo;
mod operator;
mod pages;
mod run;
mod step;
mod world;

use crate::effort::effort;
use crate::proof::{breaks, holds};
use run::Model;

/// The rules, each of which can be left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rule {
    /// An object counts only if the record of a segment names it.
    OnRecord,
    /// The same change of the record names the object and moves the cursor.
    OneChange,
    /// The names of objects are new for each claim of a segment.
    OwnNames,
    /// Each claim has a prefix of its own.
    OwnPrefix,
    /// A claim counts when every object was copied to it.
    ClaimComplete,
    /// An object is copied only if it still is the one that was written.
    CopiedAsWritten,
    /// A process that lost the lease changes the record no more.
    Compared,
    /// The token is on record before the request.
    TokenFirst,
    /// An import whose answer was lost is looked for by its token.
    FoundByToken,
    /// An import is good only if DynamoDB read exactly the items that were written.
    Counted,
    /// A table is deleted only if its id is that of the import that failed.
    OwnTable,
    /// Whoever takes a deletion over waits until no request of it can land.
    DeletionLands,
    /// So does whoever gives the order up meanwhile.
    DeletionLandsGivenUp,
    /// The table is protected against deletion before the lane continues.
    ProtectedFirst,
    /// The table is looked at once more before the lane continues.
    StillImported,
    /// The lane continues when the table is ready, and not when the import has ended.
    ReadyFirst,
    /// Whoever gives up waits until no request for an import can land.
    RequestLands,
    /// Whoever gives up waits for an import that has begun.
    ImportEnds,
    /// After giving up, what was copied for an import is copied again.
    BegunAnew,
}

/// How much of everything there is.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Writes of the source.
    writes: usize,
    /// The items are written to objects page by page; else all at once.
    pages: bool,
    /// How many objects there are then.
    objects: u8,
    /// Processes that die. Their last request lands later, or never.
    deaths: u8,
    /// They are held up, and send their last request at any time.
    held_up: bool,
    /// Imports that fail, or lose items.
    failures: u8,
    /// Objects that somebody replaces.
    replaced_objects: u8,
    /// Tables that somebody replaces before they are ready.
    replaced_tables: u8,
    /// The order may be given up.
    gives_up: bool,
    /// Times that eight hours pass.
    hours: u8,
}

const NOTHING: Bounds = Bounds {
    writes: 1,
    pages: false,
    objects: 1,
    deaths: 0,
    held_up: false,
    failures: 0,
    replaced_objects: 0,
    replaced_tables: 0,
    gives_up: false,
    hours: 0,
};

/// Pages go into objects, and a process dies meanwhile.
const PAGES: Bounds = Bounds {
    pages: true,
    deaths: 1,
    ..NOTHING
};

/// A process dies between the claim and the end, and eight hours may pass.
const DIES: Bounds = Bounds {
    objects: 2,
    deaths: 1,
    hours: 1,
    ..NOTHING
};

/// The same, if an import fails, and its table is deleted.
const FAILS: Bounds = Bounds {
    deaths: 1,
    failures: 1,
    ..NOTHING
};

/// Somebody replaces objects and tables.
const OTHERS: Bounds = Bounds {
    failures: 1,
    replaced_objects: 1,
    replaced_tables: 1,
    gives_up: true,
    ..NOTHING
};

/// The order is given up at any step, also while a request of a process that died is under way.
const GIVEN_UP: Bounds = Bounds {
    deaths: 1,
    failures: 1,
    gives_up: true,
    ..NOTHING
};

/// A process is held up for longer than anybody waits.
const HELD_UP: Bounds = Bounds {
    deaths: 1,
    held_up: true,
    failures: 1,
    ..NOTHING
};

impl Bounds {
    fn words(self) -> String {
        let deaths = if self.held_up {
            "processes that are held up"
        } else {
            "deaths"
        };
        format!(
            "2 items, {} writes, {} {deaths}, {} failures, {} objects and {} tables that somebody replaces{}{}",
            self.writes,
            self.deaths,
            self.failures,
            self.replaced_objects,
            self.replaced_tables,
            if self.pages { ", in pages" } else { "" },
            if self.gives_up { ", may be given up" } else { "" },
        )
    }
}

fn exact(name: &str, bounds: Bounds) {
    let without = None;
    holds(
        &format!("imports, {name}"),
        &bounds.words(),
        Model { bounds, without },
    );
}

/// With more of what may go wrong.
fn wider(bounds: Bounds) -> Bounds {
    let more = u8::from(effort() > 1);
    Bounds {
        deaths: bounds.deaths + more,
        failures: bounds.failures + if bounds.failures > 0 { more } else { 0 },
        ..bounds
    }
}

#[test]
fn an_import_holds_what_the_source_does_whoever_dies() {
    exact("pages", wider(PAGES));
    exact("a process dies", wider(DIES));
    exact("an import fails", wider(FAILS));
    exact("a process is held up", wider(HELD_UP));
}

#[test]
fn what_somebody_replaces_is_never_imported_or_deleted() {
    exact("others", wider(OTHERS));
}

#[test]
fn an_import_order_may_be_given_up_at_each_step() {
    exact("given up", wider(GIVEN_UP));
}

#[test]
fn what_an_import_needs() {
    for (rule, bounds) in [
        (Rule::OnRecord, PAGES),
        (Rule::OneChange, PAGES),
        (Rule::OwnNames, PAGES),
        (Rule::OwnPrefix, DIES),
        (Rule::ClaimComplete, DIES),
        (Rule::Compared, DIES),
        (Rule::TokenFirst, DIES),
        (Rule::FoundByToken, DIES),
        (Rule::Counted, FAILS),
        (Rule::DeletionLands, FAILS),
        (Rule::ReadyFirst, FAILS),
        (Rule::CopiedAsWritten, OTHERS),
        (Rule::OwnTable, OTHERS),
        (Rule::StillImported, OTHERS),
        (Rule::RequestLands, GIVEN_UP),
        (Rule::ImportEnds, GIVEN_UP),
        (Rule::BegunAnew, GIVEN_UP),
        (Rule::DeletionLandsGivenUp, GIVEN_UP),
        (Rule::ProtectedFirst, HELD_UP),
    ] {
        let without = Some(rule);
        breaks(&format!("imports, without {rule:?}"), Model { bounds, without });
    }
}
