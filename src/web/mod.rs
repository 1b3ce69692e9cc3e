//! Metrics and health of a split over HTTP. It reads the state of the split, and changes nothing.

mod access;
mod answer;
mod figures;
pub mod metrics;
mod prometheus;
mod reading;
mod server;
#[cfg(test)]
mod tests;

pub use access::Token;
pub use server::{ListenError, Listener, Server};
