//! Rehearsal: a whole split on an engine of our own, so that a plan can be tried before it meets a live table.

pub mod engine;
