//! The whole split in one process, through the library: apply, a tail and a backfill while writes go on. What the
//! targets hold in the end is read by a reader that shares nothing with the product, and compared with what each test
//! says in its own words that the plan means.
#![allow(clippy::unwrap_used)] // Clippy excuses test functions, but not what they share.

mod added;
mod again;
mod budgets;
mod changes;
mod damaged;
mod dead_letters;
mod limits;
mod overlap;
mod running;
mod shapes;
mod times;
mod values;
