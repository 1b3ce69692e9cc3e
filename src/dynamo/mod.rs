//! The AWS side of things that everybody shares: clients, value conversion, and one reading of errors.

mod average;
mod backoff;
mod budget;
mod causes;
mod clients;
mod config_error;
pub mod convert;
mod courtesy;
mod endpoints;
mod failure;
mod health;
mod identity;
mod load;
mod pace;
mod profiles;
mod region;
mod request_outcome;
#[cfg(test)]
pub(crate) mod scripted;
mod throughput;
mod timing;
mod trust;

pub use average::Average;
pub use backoff::{HotSince, PATIENCE, again, answered, backoff, until_answered, until_answered_or_hot};
pub use budget::Budget;
pub use clients::{Clients, Tables};
pub use config_error::ConfigError;
pub use courtesy::{Courtesy, ReadTurn};
pub use endpoints::{Endpoint, Endpoints};
pub use failure::{Failure, FailureKind};
pub(crate) use failure::{NO_CREDENTIALS, word_after};
pub use health::Health;
pub use identity::Caller;
pub use load::{Entry, Load};
pub use pace::{Brake, Pace, Paced};
pub use request_outcome::Felt;
pub use throughput::table_throughput;
pub use timing::Timing;
