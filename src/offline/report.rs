//! What was shaped.

use super::refused::{Refused, RefusedItems};
use crate::plan::Plan;
use serde::{Deserialize, Serialize};

/// What a run of `shape` did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Items that were read.
    pub items: u64,
    /// The services, in the order of the plan.
    pub services: Vec<ServiceReport>,
    /// Items that the plan leaves behind.
    pub left_behind: u64,
    /// Items that were refused: by reason, at most 20 reasons.
    pub refused: Vec<Refused>,
    /// Refused items with other reasons than those.
    pub refused_otherwise: u64,
}

impl Report {
    /// Items that were refused.
    #[must_use]
    pub fn refused_items(&self) -> u64 {
        self.refused.iter().map(|group| group.items).sum::<u64>() + self.refused_otherwise
    }
}

/// The items of a service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServiceReport {
    /// The service.
    pub service: String,
    /// Its table.
    pub table: String,
    /// Its items.
    pub items: u64,
    /// Their bytes as DynamoDB counts them.
    pub bytes: u64,
    /// Its files.
    pub files: u64,
}

/// Items of one service.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Count {
    /// How many.
    pub items: u64,
    /// Their bytes as DynamoDB counts them.
    pub bytes: u64,
    /// Their files.
    pub files: u64,
}

/// All counts of one input, or of several.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Counts {
    /// Items that were read.
    pub items: u64,
    /// Those of each service, in the order of the plan.
    pub services: Vec<Count>,
    /// Items that the plan leaves behind.
    pub left_behind: u64,
    /// Items that were refused.
    pub refused: RefusedItems,
}

impl Counts {
    /// Of nothing yet.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        Self {
            items: 0,
            services: vec![Count::default(); plan.services.len()],
            left_behind: 0,
            refused: RefusedItems::default(),
        }
    }

    /// Adds those of another input, which comes after this one.
    pub fn extend(&mut self, other: Self) {
        self.items += other.items;
        self.left_behind += other.left_behind;
        for (count, other) in self.services.iter_mut().zip(other.services) {
            count.items += other.items;
            count.bytes += other.bytes;
            count.files += other.files;
        }
        self.refused.extend(other.refused);
    }

    /// The report of all that was counted.
    #[must_use]
    pub fn report(self, plan: &Plan) -> Report {
        let services = plan.services.iter().zip(self.services);
        let (refused, refused_otherwise) = self.refused.told();
        Report {
            items: self.items,
            services: services
                .map(|(service, count)| ServiceReport {
                    service: service.name.clone(),
                    table: service.table.name.clone(),
                    items: count.items,
                    bytes: count.bytes,
                    files: count.files,
                })
                .collect(),
            left_behind: self.left_behind,
            refused,
            refused_otherwise,
        }
    }
}
