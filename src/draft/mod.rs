//! A first plan from a sample of a table, for `dynasplit init`: a person corrects it and answers its questions.
//!
//! *sample -> patterns of its keys (`pattern`) and the attribute that names the kind (`type_attribute`) ->
//! clusters of related kinds (`cluster`) -> the text of a plan (`write`), with what was found*. All of it is
//! pure: no clock, no network. The same sample gives the same plan. A draft is always valid, and each item of the sample
//! belongs to exactly one service, or stays behind.
//!
//! The text of the plan contains no values of items except beginnings of keys that look like words, and names of kinds.

mod attributes;
mod cluster;
mod entry;
mod indexes;
mod kind;
mod limits;
mod name;
mod own_keys;
mod pattern;
mod report;
mod sample;
mod suspect;
mod suspects;
mod time;
mod time_format;
mod type_attribute;
mod workbench;
mod write;
mod yaml;

#[cfg(test)]
mod tests;

pub use cluster::Axis;
pub use kind::Kind;
pub use report::{Draft, Findings, LeftBehind, ServiceDraft};
pub use sample::{KeysError, Loaded, Sample, guess_keys, keys_named};
pub use suspect::Suspect;
pub use time::{Role, TimeCandidate};
pub use type_attribute::TypeAttribute;
pub use workbench::{Model, ModelError, is_model, model};
pub use write::draft;
