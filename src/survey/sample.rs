//! A sample of a table for `dynasplit init`, before there is a plan.

use super::options::SurveyOptions;
use super::read::read_pages;
use super::view::Reading;
use crate::dynamo::Tables;
use crate::model::{Item, ItemExt};
use crate::source::{Scan, SourceFacts, describe_source};
use crate::worker::RunError;
use tokio_util::sync::CancellationToken;

/// A table and some of its items, from places all over its key space.
#[derive(Debug)]
pub struct SourceSample {
    /// The table.
    pub facts: SourceFacts,
    /// The items.
    pub items: Vec<Item>,
    /// How they were read.
    pub reading: Reading,
}

/// Reads a sample of a table. `progress` gets the number of items that were read.
///
/// Needs `dynamodb:DescribeTable`, `dynamodb:DescribeTimeToLive` and `dynamodb:Scan` on the table.
///
/// # Errors
/// If the table is missing, cannot be read now, may not be read, or the reading was stopped.
pub async fn sample_source(
    clients: &Tables,
    table: &str,
    options: &SurveyOptions,
    stop: &CancellationToken,
    progress: impl Fn(u64),
) -> Result<SourceSample, RunError> {
    let facts = describe_source(&clients.control, table).await?;
    if !matches!(facts.status.as_str(), "ACTIVE" | "UPDATING") {
        return Err(RunError::NotYet {
            what: format!(
                "the table {table} has the status {}, so it cannot be read",
                facts.status
            ),
            next: "wait until it is ACTIVE, and run the command again".to_owned(),
        });
    }
    let mut items = Vec::new();
    let scan = Scan::new(clients.pages.clone(), table, facts.keys.clone(), false);
    let read = read_pages(scan, &facts, options, stop, &progress, |item| items.push(item)).await?;
    let reading = Reading {
        items: read.items,
        bytes: items.iter().map(|item| item.size() as u64).sum(),
        read_units: read.read_milliunits.div_ceil(1000),
        places: read.segments,
        whole: read.whole,
    };
    Ok(SourceSample {
        facts,
        items,
        reading,
    })
}
