//! The survey of the live source for `dynasplit plan`: it shows the effect of the plan on the existing items, and
//! problems. It writes nothing. For `dynasplit init`, it only reads a sample ([`sample_source`]).
//!
//! *facts of the source -> pages of it (`read`) -> `tally`, by the plan's own `desired` -> tables, stream
//! and state -> `estimate` -> findings*. Invariants: of an item's values only those of its source key are
//! ever kept; everything that grows with the items read is bounded.

mod collisions;
mod costs;
mod estimate;
mod fill;
mod finding;
mod findings;
mod groups;
mod hot;
mod key_shape;
mod options;
mod orders;
mod patterns;
mod read;
mod run;
mod sample;
mod slow;
mod stream;
mod tables;
mod tally;
mod ttl;
mod view;

pub use costs::{Estimate, EstimateLine, HotKey, OrderEstimate, SlowTable};
pub use finding::{Finding, Severity};
pub use groups::{Example, Group};
pub use options::SurveyOptions;
pub use patterns::{Pattern, ShapedItem};
pub use run::survey;
pub use sample::{SourceSample, sample_source};
pub use stream::StreamView;
pub use tables::{StateStatus, StateView, TableView, TargetStatus};
pub use ttl::TtlView;
pub use view::{
    CollisionView, Count, Expiry, Overlap, Reading, Routing, ServiceView, Survey, TableSize, VersionView,
};
