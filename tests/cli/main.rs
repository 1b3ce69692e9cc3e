//! The command line as its users see it: what the binary prints on stdout and stderr, and how it ends.
//!
//! Snapshots hold the texts, so that a change of one is seen by whoever reviews it. A message has to say what is wrong,
//! where, and what to do next.
#![allow(clippy::unwrap_used)] // Clippy excuses test functions, but not what they share.

#[path = "../support/mod.rs"]
mod support;

mod as_json;
mod beginner;
mod browser;
mod chaos;
// While this binary waits, these work.
#[cfg(unix)]
#[path = "../crashes/mod.rs"]
mod crashes;
mod cutovers;
mod documents;
mod drafts;
mod events;
mod help;
mod identity;
mod life;
mod listen;
mod notify;
mod order;
mod plans;
mod reach;
mod refused;
mod rehearsed_s3;
mod report;
mod shape;
mod shell;
mod stopped;
mod tables;
mod telemetry;
mod trust;
mod tuned;
mod waits;
mod watch;
