//! The AWS side of things that everybody shares: clients, value conversion, and one reading of errors.

mod clients;
pub mod convert;
mod failure;
#[cfg(test)]
pub(crate) mod scripted;
mod timing;

pub use clients::{Clients, Endpoint, Tables};
pub use failure::{Failure, FailureKind};
pub use timing::Timing;
