//! The AWS side of things that everybody shares: clients, value conversion, and one reading of errors.

mod average;
mod backoff;
mod budget;
mod clients;
pub mod convert;
mod courtesy;
mod failure;
mod health;
mod load;
mod pace;
#[cfg(test)]
pub(crate) mod scripted;
mod throughput;
mod timing;

pub use average::Average;
pub use backoff::{HotSince, again, backoff, until_answered, until_answered_or_hot};
pub use budget::Budget;
pub use clients::{Clients, Endpoint, Tables};
pub use courtesy::{Courtesy, ReadTurn};
pub use failure::{Failure, FailureKind};
pub(crate) use failure::{NO_CREDENTIALS, word_after};
pub use health::Health;
pub use load::{Entry, Load};
pub use pace::{Brake, Felt, Pace, Paced};
pub use throughput::table_throughput;
pub use timing::Timing;
