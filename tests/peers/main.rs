//! What went wrong in tools that do a part of this job, as tests that it does not go wrong here. The table in
//! [docs/protocol.md](../../docs/protocol.md) says which tool and what happened, and names a test for each row; what other
//! test binaries show already is named there and not repeated here.
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod backfill;
mod looking;
mod stream;
