//! What the page shows: the status of a split with its names, its moments, its prices and what was measured meanwhile.

use super::forecast::Forecast;
use crate::plan::either::WordOr;
use crate::plan::spec::TableClassSpec;
use crate::plan::{Plan, Prices};
use crate::state::{ChartSample, SplitRecord};
use crate::status::SplitStatus;
use std::sync::Arc;

/// What the page shows.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The status of the split.
    pub status: Arc<SplitStatus>,
    /// The source table.
    pub source: String,
    /// The services of the plan, in their order.
    pub services: Vec<ServiceView>,
    /// When the steps of the split were taken.
    pub moments: Moments,
    /// Prices of requests.
    pub prices: Prices,
    /// What `plan` estimated, if it is known.
    pub forecast: Option<Forecast>,
    /// What was measured during the split, oldest first.
    pub history: Vec<ChartSample>,
    /// The present time, in milliseconds since 1970.
    pub now_ms: u64,
    /// Makes the commands in a text such that they can be copied.
    pub copyable: fn(&str) -> String,
    /// Whether the page fetches itself again.
    pub is_live: bool,
}

/// A service, as far as the plan describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceView {
    /// Its name.
    pub name: String,
    /// Its table.
    pub table: String,
    /// Its table is billed by request.
    pub is_on_demand: bool,
    /// Its table has the class Standard-Infrequent Access.
    pub is_infrequent: bool,
}

impl ServiceView {
    /// The services of a plan.
    #[must_use]
    pub fn all(plan: &Plan) -> Vec<Self> {
        let services = plan.services.iter().map(|service| Self {
            name: service.name.clone(),
            table: service.table.name.clone(),
            is_on_demand: service.table.billing.as_ref().and_then(WordOr::map).is_none(),
            is_infrequent: service.table.class == Some(TableClassSpec::InfrequentAccess),
        });
        services.collect()
    }
}

/// When the steps of a split were taken, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moments {
    /// `apply` first ran.
    pub created_ms: u64,
    /// The present stream was captured.
    pub captured_ms: Option<u64>,
    /// `complete` began.
    pub completing_ms: Option<u64>,
    /// `complete` ended.
    pub completed_ms: Option<u64>,
}

impl From<&SplitRecord> for Moments {
    fn from(record: &SplitRecord) -> Self {
        Self {
            created_ms: record.created_ms,
            captured_ms: record.stream().and_then(|(_, stream)| stream.captured_ms),
            completing_ms: record.completing_ms,
            completed_ms: record.completed_ms,
        }
    }
}
