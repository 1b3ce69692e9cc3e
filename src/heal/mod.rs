//! Heals gaps of the stream from incremental exports: they name the keys that changed meanwhile, and each key is read again.
//!
//! The images of the exports are never written, because the items may have changed since. An item that was created and deleted within one
//! export is in none, so a gap stays a reason for a complete repair and verify.

mod begin;
mod exports;
mod forecast;
mod healing;
mod journal;
mod keys;
mod loss;
mod run;
mod windows;

pub use forecast::{HealForecast, HealStep, forecast_heal};
pub use healing::{HealOptions, HealView};
pub use run::{HealReport, heal};
