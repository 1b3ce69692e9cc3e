//! The AWS side of things that everybody shares: clients, value conversion, and one reading of errors.

mod adaptive_read_rate;
mod average;
mod backoff;
mod blocking;
mod bodies;
mod budget;
mod causes;
mod certificates;
pub mod chance;
mod chaos;
mod clients;
mod clock;
mod concurrency_limit;
mod config_error;
pub mod convert;
mod endpoints;
mod failure;
mod health;
mod identity;
mod load;
#[cfg(feature = "messages")]
mod message_clients;
#[cfg(feature = "s3")]
mod object_clients;
mod poll;
mod profiles;
mod recovery;
mod region;
mod request_outcome;
mod resource_policy;
#[cfg(test)]
pub(crate) mod scripted;
mod stand_in;
mod table_call;
mod throughput;
mod timing;
mod web_poster;
mod write_probe;

pub use adaptive_read_rate::{AdaptiveReadRate, ReadTurn};
pub use average::Average;
pub use backoff::{
    HotSince, PATIENCE, answered, backoff, retry_transient, until_answered, until_answered_or_hot,
};
pub use blocking::blocking;
pub use bodies::{OwnBody, RawScan};
pub use budget::Budget;
pub use chaos::{Chaos, ChaosError};
pub use clients::{Clients, Tables};
pub use clock::Clock;
pub use concurrency_limit::{AccountLimit, ConcurrencyLimit, ConcurrencyPermit};
pub use config_error::ConfigError;
pub use endpoints::{Endpoint, Endpoints, ObjectStore};
pub(crate) use failure::NO_CREDENTIALS;
pub use failure::{Failure, FailureKind};
pub use health::Health;
pub use identity::Caller;
pub use load::{Entry, Load};
pub(crate) use poll::Poll;
pub use recovery::{RestorablePeriod, point_in_time_recovery, restorable_period};
pub use request_outcome::RequestOutcome;
pub use resource_policy::{PolicyChange, ResourcePolicy};
pub use stand_in::{AskedOfEngine, EngineAnswer, RawEngine, StandIn};
pub use table_call::TableCallError;
pub(crate) use table_call::call_table;
pub use throughput::table_throughput;
pub use timing::Timing;
pub use web_poster::{WebAnswer, WebPoster};
pub use write_probe::{ProbeAnswer, ProbeCall, ProbePlace};
