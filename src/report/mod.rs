//! The state of a split as one HTML page: the flow of items, lag, phases, cost, findings and the next command. Pure.

mod bars;
mod charts;
mod comparison;
mod copying;
mod cost;
mod events;
mod figures;
mod flow;
mod forecast;
mod journal;
mod lanes;
mod ledger;
mod limits;
mod page;
mod policy;
mod spent;
mod standing;
#[cfg(test)]
mod tests;
mod timeline;

pub use forecast::{Forecast, ForecastLine};
pub use page::page;
pub use policy::policy;
pub use spent::{Spent, SpentLine, spent};
pub use standing::{Moments, ServiceView, Standing};
