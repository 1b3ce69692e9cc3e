//! `dynasplit rehearse`: sample data, live writers that change it, and a run that splits it.
//!
//! Items come from the plan's own templates ([`generate`]) or from a file of the user ([`sample`]). They become a
//! [`population`], which is loaded ([`load`]) and then written to ([`writers`]) as [`mutate`] decides. The same seed
//! gives the same items and the same mutations.

mod application;
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
mod ledger;
pub mod load;
mod mortal;
pub mod mutate;
mod pauses;
pub mod population;
mod retry;
mod reverse_lag;
mod run;
mod run_view;
pub mod sample;
mod tables;
mod template;
mod timestamps;
mod write_rate;
mod writer_error;
pub mod writers;

pub use cutover::CutoverRehearsal;
pub use pauses::{Pauses, RehearsedStep};
pub use reverse_lag::ReverseLag;
pub use run::{ChaosReport, Rehearsal, RehearseError, RehearseOptions, RehearseReport};
pub use run_view::RehearseView;
pub use write_rate::Rests;
