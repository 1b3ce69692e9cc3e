//! `dynasplit rehearse`: sample data, live writers that change it, and a run that splits it.
//!
//! Items come from the plan's own templates ([`generate`]) or from a file of the user ([`sample`]). They become a
//! [`population`], which is loaded ([`load`]) and then written to ([`writers`]) as [`mutate`] decides. The same seed
//! gives the same items and the same mutations.

pub mod engine;
pub mod generate;
pub mod load;
mod mortal;
pub mod mutate;
pub mod population;
mod retry;
mod run;
pub mod sample;
mod tables;
mod template;
pub mod writers;

pub use run::{ChaosReport, Rehearsal, RehearseError, RehearseOptions, RehearseReport, RehearseView};
