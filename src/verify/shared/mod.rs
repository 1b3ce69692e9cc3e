//! A verify that several processes share.
//!
//! ```text
//! targets' segments -> source's segments: entries by ranges of the keys, in objects of S3
//!     -> each range: joined, and its candidates settled as by one process -> the sum of all ranges -> the verdict
//! ```
//!
//! The record of the state names what is compared. Each segment and each range is a task with a lease. What a process found for a
//! task counts only if the record of the task names it, which one conditional write does. Objects have the name of their claim, so
//! a process that was replaced neither overwrites nor adds anything that is read.
//!
//! [`crate::verify::compare`] decides here as well, by the same rules: a range is a comparison of its own, with its own waits for
//! the lanes.

mod begin;
mod divided;
mod folder;
mod outcomes;
mod queue;
mod range_task;
mod scan_task;
mod show;
mod sum;
mod task;
mod worker;
