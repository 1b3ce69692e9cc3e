//! What went wrong in tools that do a part of this job, as tests that it does not go wrong here. The table in
//! [docs/protocol.md](../../docs/protocol.md) says which tool and what happened, and names a test for each row; what other
//! test binaries show already is named there and not repeated here.
#![cfg(unix)]

mod backfill;
mod read_only;
mod stream;

use crate::support::table::{SdkItem, item, number, text};

/// So many orders, each of an account of its own, so that every segment has some.
fn orders(count: usize) -> impl Iterator<Item = SdkItem> {
    (0..count).map(|n| {
        let order = [("kind", text("order")), ("at", number(n)), ("name", text("n"))];
        item(&format!("ACC#{n}"), "DOC#1", order)
    })
}
