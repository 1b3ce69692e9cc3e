//! `dynasplit rehearse`: sample data, live writers that change it, and a run that splits it.
//!
//! Items come from the plan's own templates ([`generate`]) or from a file of the user ([`sample`]). They become a
//! [`population`], which is loaded ([`load`]) and then written to ([`writers`]) as [`mutate`] decides. The same seed
//! gives the same items and the same mutations.

mod application;
#[cfg(feature = "rehearse-s3")]
mod buckets;
#[cfg(not(feature = "rehearse-s3"))]
#[path = "no_buckets.rs"]
mod buckets;
mod buckets_error;
mod caught_up;
mod cutover;
mod delivery;
mod ending;
pub mod engine;
mod error;
mod exact;
mod forgotten;
pub mod generate;
mod ignored;
mod imported;
mod imports;
mod ledger;
pub mod load;
mod mortal;
pub mod mutate;
mod options;
mod outage;
mod passing_time;
mod pauses;
pub mod population;
mod report;
mod retry;
mod reverse_lag;
mod run;
mod run_view;
pub mod sample;
mod stage;
mod stand_in;
mod tables;
mod template;
mod timestamps;
mod write_rate;
mod writer_error;
pub mod writers;

pub use cutover::CutoverRehearsal;
pub use error::RehearseError;
pub use imported::{ImportRehearsal, ImportedService};
pub use options::RehearseOptions;
pub use outage::LedgerRehearsal;
pub use pauses::{Pauses, RehearsedStep};
pub use report::{ChaosReport, RehearseReport};
pub use reverse_lag::ReverseLag;
pub use run::Rehearsal;
pub use run_view::RehearseView;
pub use write_rate::Rests;
