//! Metrics, health and a live page of a split over HTTP. It reads the state of the split, and adds
//! samples for the charts to it. A request changes nothing.

mod access;
mod answer;
mod charting;
mod figures;
mod frame;
pub mod metrics;
mod prometheus;
mod reading;
mod samples;
mod server;
#[cfg(test)]
mod tests;

pub use access::Token;
pub use charting::Charting;
pub use figures::samples;
pub use samples::{Sample, Samples};
pub use server::{ListenError, Listener, Server};
