//! A look at given keys of one service: both sides of each, consistently. While nobody writes, it is a verdict.

use super::point_reader::PointReader;
use super::reads::TableReads;
use crate::dynamo::AccountLimit;
use crate::model::Key;
use crate::source::Scan;
use crate::verify::compare::{Candidate, Delivery, MismatchClass, Written};
use crate::worker::{Budgets, RunError, Split};
use futures::{StreamExt, TryStreamExt};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Looks that are under way at once.
const LOOKS_AT_ONCE: usize = 32;

/// A single look asks no lane: its caller knows that the lane is drained, or looks again later.
const UNKNOWN: Delivery = Delivery {
    up_to: Duration::ZERO,
    is_given_up: true,
};

/// Looks at keys of one service's table. Only for a service whose source keys follow from the target keys: of others, each item
/// would seem to be extra.
pub struct KeyCheck {
    reader: PointReader,
}

impl KeyCheck {
    /// Reads nothing yet but the tuning: its reads are within the budgets of the split.
    ///
    /// # Errors
    /// If the service is not in the plan, or the state can't be read.
    pub async fn new(split: &Split, service: &str, stop: &CancellationToken) -> Result<Self, RunError> {
        let budgets = Budgets::new(split, None, None);
        budgets.read(&split.store).await?;
        let mut services = split.plan.services.iter();
        let place = services
            .position(|planned| planned.name == service)
            .ok_or_else(|| RunError::NoSuchService {
                service: service.to_owned(),
                known: split.plan.service_names().join(", "),
            })?;
        let planned = &split.plan.services[place];
        let (account_limit, patience) = (AccountLimit::default(), split.timing.hot_range());
        let target = Scan::new(
            split.targets[place].items.clone(),
            &planned.table.name,
            planned.keys.clone(),
            false,
        );
        let reads =
            |label: &str, scan, budget| TableReads::new(label, scan, budget, &account_limit, patience, stop);
        Ok(Self {
            reader: PointReader {
                target: reads(service, target, budgets.reads(service)),
                source: reads("source", split.scan_source(false), budgets.source()),
                split: split.clone(),
                place,
                // Nobody writes, or a key that differs is looked at again.
                written: Written::Source,
                clock: Instant::now(),
            },
        })
    }

    /// The keys whose items differ at this moment, or could not be read.
    ///
    /// # Errors
    /// If a read fails for good, or the command is stopped.
    pub async fn differing(&self, keys: Vec<Key>) -> Result<Vec<Key>, RunError> {
        let looks = keys.into_iter().map(|target_key| async move {
            let candidate = Candidate::Extra { target_key };
            let differs = match self.reader.look(&candidate, UNKNOWN).await {
                // The copies of others' items stay as they are after the switch, and their writers go on.
                Ok(seen) if !seen.is_own => false,
                Ok(seen) => seen
                    .observation
                    .difference()
                    .is_some_and(|class| class != MismatchClass::Expired),
                Err(RunError::HotRange { .. }) => true,
                Err(error) => return Err(error),
            };
            Ok(differs.then(|| candidate.target_key().clone()))
        });
        let looks: Vec<_> = looks.collect();
        futures::stream::iter(looks)
            .buffer_unordered(LOOKS_AT_ONCE)
            .try_filter_map(|differs| async move { Ok(differs) })
            .try_collect()
            .await
    }
}
