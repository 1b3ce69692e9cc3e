//! The split plan: the file, its check, and the checked form that everything else runs on.
//!
//! *file -> `source_map` (YAML that knows its lines) -> `decode` ([`spec`], the file's shape) ->
//! `check` -> [`Plan`]*. Each step gathers all the problems it finds, with lines and hints; a [`Plan`]
//! exists only if there was none. All of it is pure except [`Plan::load`], which reads the file.

mod bucket_place;
mod channel;
mod check;
mod checked;
pub mod cost;
mod cut_off;
mod cutover;
mod decode;
pub mod either;
mod encoding;
mod events;
pub mod expr;
mod extent;
mod fence;
mod hooks;
mod key_fault;
mod key_mapping;
mod key_pieces;
mod key_proof;
mod leading_keys;
mod ledger;
mod lines;
mod load;
mod looked_at;
mod mark;
mod node_reader;
mod notify;
mod owns;
mod path;
mod plain_value;
mod prices;
mod problem;
mod remark;
mod reversal;
mod schema;
mod service;
mod settings;
mod shape;
mod sharing;
mod source;
mod source_map;
pub mod spec;
mod spec_cutover;
mod spec_events;
mod spec_ledger;
mod spec_notify;
mod spec_s3;
mod template;
mod text_place;
mod throughput;
mod timestamp;

pub use bucket_place::BucketPlace;
pub use channel::Channel;
pub use checked::Plan;
pub use cost::PutCost;
pub use cutover::{Cutover, Reversible};
pub use events::{EventImages, Events};
pub use expr::Condition;
pub use fence::{Drain, DrainBy, Fence, FencePolicy, FenceScope};
pub use hooks::{HookCommand, HookName, Hooks};
pub use key_fault::KeyFault;
pub use key_mapping::KeyMapping;
pub use leading_keys::LeadingKeys;
pub use ledger::LedgerPlace;
pub use looked_at::LookedAt;
pub use notify::{Destination, Notify, SecretPlace};
pub use owns::Owns;
pub use prices::{Prices, RequestPrices};
pub use problem::{PlanError, Problem, Problems, Warnings};
pub use remark::Remark;
pub use schema::{json_schema, to_json};
pub use service::{IndexKeys, Service};
pub use settings::{LEFT_BEHIND, Settings};
pub use shape::{Attributes, OwnItems, Shape};
pub use source::{Place, Source, Versions};
pub use spec::{RehearseSpec, SampleSpec, TableSpec};
pub use throughput::{TableThroughput, Throughput, Units};
pub use timestamp::{Timestamp, TimestampFormat};

#[cfg(test)]
mod tests;
