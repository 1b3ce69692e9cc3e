//! `dynasplit rehearse`: sample data, live writers that change it, and a run that splits it.
//!
//! Items come from the plan's own templates ([`generate`]) or from a file of the user ([`sample`]). They become a
//! [`population`], which is loaded ([`load`]) and then written to ([`writers`]) as [`mutate`] decides. The same seed
//! gives the same items and the same mutations.

mod application;
mod cutover;
mod delivery;
mod ending;
pub mod engine;
mod error;
mod exact;
mod forgotten;
pub mod generate;
mod ledger;
pub mod load;
mod mortal;
pub mod mutate;
pub mod population;
mod retry;
mod run;
pub mod sample;
mod tables;
mod template;
mod writer_error;
pub mod writers;

pub use cutover::{CutoverRehearsal, RehearsedStep};
pub use run::{ChaosReport, Rehearsal, RehearseError, RehearseOptions, RehearseReport, RehearseView};
