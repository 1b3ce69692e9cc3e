//! The result of a survey: plain data, and the JSON output of the command.

use super::costs::Estimate;
use super::finding::{Finding, Severity};
use super::groups::Group;
use super::patterns::Pattern;
use super::stream::StreamView;
use super::tables::{StateStatus, StateView, TableView};
use super::ttl::TtlView;
use crate::cutover::Preparation;
use crate::plan::cost::scaled;
use crate::plan::{Cutover, TableThroughput, Versions};
use crate::source::SourceFacts;
use crate::worker::Split;
use serde::Serialize;

/// The result.
#[derive(Clone, Debug, Serialize)]
pub struct Survey {
    /// Name of the split.
    pub split: String,
    /// The facts of the source.
    pub source: SourceFacts,
    /// The plan names another primary key: how they differ. No item was read then.
    pub keys_differ: Option<String>,
    /// Where versions come from.
    pub versions: VersionView,
    /// The items that were read; `None` if none could be read.
    pub reading: Option<Reading>,
    /// How large the source is taken to be.
    pub size: Option<TableSize>,
    /// Where the items that were read go.
    pub routing: Option<Routing>,
    /// The targets.
    pub tables: Vec<TableView>,
    /// The state of the split.
    pub state: StateView,
    /// The source's stream.
    pub stream: StreamView,
    /// Units, money and hours.
    pub estimate: Option<Estimate>,
    /// What the plan says of the cutover of each service.
    pub cutover: Vec<Cutover>,
    /// What a cutover of each service would refuse now. Empty before the split has begun, and if the plan has no `fence` and no
    /// `hooks`.
    pub preparation: Vec<Preparation>,
    /// The findings, errors first.
    pub findings: Vec<Finding>,
}

/// Where versions come from.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "mode")]
pub enum VersionView {
    /// An attribute.
    Timestamp {
        /// Its name.
        attribute: String,
    },
    /// The stream's order.
    Sequence,
}

/// The items that were read.
#[derive(Clone, Debug, Serialize)]
pub struct Reading {
    /// Items.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Read units that it cost.
    pub read_units: u64,
    /// Segments of the key space that it was read from.
    pub places: u32,
    /// It is every item, rather than a sample.
    pub whole: bool,
}

/// Items and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Items.
    pub items: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Count {
    /// Counts one.
    pub fn add(&mut self, bytes: u64) {
        self.items += 1;
        self.bytes += bytes;
    }

    /// As many times as much.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        Self {
            items: scaled(self.items, factor),
            bytes: scaled(self.bytes, factor),
        }
    }
}

/// How large the source is taken to be.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TableSize {
    /// Items and bytes.
    #[serde(flatten)]
    pub count: Count,
    /// It was counted. Otherwise it rests on what `DescribeTable` says, which is about six hours old.
    pub counted: bool,
    /// The factor from the reading to the whole table.
    pub factor: f64,
}

/// Where the items that were read go.
#[derive(Clone, Debug, Serialize)]
pub struct Routing {
    /// By service, in the order of the plan.
    pub services: Vec<ServiceView>,
    /// Items that two services take.
    pub overlaps: Vec<Overlap>,
    /// Items that stay behind on purpose.
    pub left_behind: Count,
    /// Items that no service takes.
    pub unrouted: Count,
    /// The same by the shape of their keys.
    pub unrouted_shapes: Vec<Group>,
    /// Items that a service takes and that have no version, by why. Empty in `sequence` mode.
    pub unversioned: Vec<Group>,
    /// Items with `aws:rep:*` attributes.
    pub replicated: u64,
    /// How the source expires items, if it does.
    pub expiry: Option<Expiry>,
}

/// How the source expires items.
#[derive(Clone, Debug, Serialize)]
pub struct Expiry {
    /// By this attribute.
    pub attribute: String,
    /// Items read whose time is over, and which are still there.
    pub expired: u64,
}

/// Items that two services take.
#[derive(Clone, Debug, Serialize)]
pub struct Overlap {
    /// The two.
    pub services: [String; 2],
    /// How many.
    pub items: u64,
}

/// The part of the items that a service gets.
#[derive(Clone, Debug, Serialize)]
pub struct ServiceView {
    /// Its name.
    pub service: String,
    /// Items that are copied to its table.
    pub routed: u64,
    /// Whose they are, if everything is copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copies: Option<Copies>,
    /// The contents of its table, from the items that were read.
    pub written: Count,
    /// The contents of its table, for the whole source.
    pub whole: Count,
    /// Items that belong to it and that its table can't hold, by why.
    pub faults: Vec<Group>,
    /// Items of one target key.
    pub collisions: CollisionView,
    /// Items that hold the source's expiry attribute.
    pub expiring: u64,
    /// Patterns of their source keys, each with an item before and after.
    pub patterns: Vec<Pattern>,
    /// Their expiry, if the service's table has a TTL.
    pub ttl: Option<TtlView>,
}

/// Whose items a table receives that receives everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Copies {
    /// Items of the service itself.
    pub own: u64,
    /// Copies that `prune --target` removes.
    pub irrelevant: u64,
    /// Copies that stay.
    pub kept: u64,
}

/// Items of one target key.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "checked")]
pub enum CollisionView {
    /// The plan proves that there are none.
    Proven,
    /// The plan vouches for it, and the keys were compared.
    Compared {
        /// The vouch.
        vouch: Option<String>,
        /// Keys that were compared.
        keys: u64,
        /// The part of all keys that this is, picked by hash over the whole reading: the memory is bounded.
        share: f64,
        /// Collisions.
        found: u64,
        /// Some of them: the target key, and two source keys that make it.
        shown: Vec<Group>,
    },
}

impl Survey {
    /// The findings, errors first.
    #[must_use]
    pub fn problems(&self) -> Vec<Finding> {
        self.findings.clone()
    }

    /// The next step: before the split has begun, or after. After that, routes, shapes and versions can't change any
    /// more.
    #[must_use]
    pub(super) fn advice<'a>(&self, before: &'a str, after: &'a str) -> &'a str {
        match self.state.status {
            StateStatus::Begun | StateStatus::Wider { .. } => after,
            StateStatus::Unknown | StateStatus::Refused { .. } => before,
        }
    }

    /// Whether something would go wrong.
    #[must_use]
    pub fn would_fail(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }

    /// Everything except the results of reading the items.
    pub(super) fn new(
        split: &Split,
        source: SourceFacts,
        keys_differ: Option<String>,
        state: StateView,
        tables: Vec<TableView>,
        stream: StreamView,
    ) -> Self {
        Self {
            split: split.plan.split.clone(),
            source,
            keys_differ,
            versions: match &split.plan.versions {
                Versions::Timestamp(timestamp) => VersionView::Timestamp {
                    attribute: timestamp.attribute.clone(),
                },
                Versions::Sequence => VersionView::Sequence,
            },
            reading: None,
            size: None,
            routing: None,
            tables,
            state,
            stream,
            estimate: None,
            cutover: split.plan.cutover(),
            preparation: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// The throughput that a service's table is set to serve; `None` if it does not exist.
    pub(super) fn throughput(&self, service: &str) -> Option<&TableThroughput> {
        let table = self.tables.iter().find(|table| table.service == service);
        table.and_then(|table| table.throughput.as_ref())
    }
}

impl ServiceView {
    /// Items that its table can't hold.
    #[must_use]
    pub fn faulty(&self) -> u64 {
        self.faults.iter().map(|group| group.items).sum()
    }
}
