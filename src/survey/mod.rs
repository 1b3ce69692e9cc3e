//! The look at the live source that `dynasplit plan` takes: what the plan would do to the items that are
//! there, and what would go wrong. Writes nothing, anywhere.
//!
//! *facts of the source -> pages of it (`read`) -> `tally`, by the plan's own `desired` -> tables, stream
//! and state -> `estimate` -> findings*. Invariants: of an item's values only those of its source key are
//! ever kept; everything that grows with the items read is bounded.

mod collisions;
mod estimate;
mod findings;
mod groups;
mod hot;
mod key_shape;
mod patterns;
mod read;
mod slow;
mod stream;
mod tables;
mod tally;
mod ttl;
mod view;

pub use estimate::{Estimate, EstimateLine, HotKey};
pub use findings::{Finding, Severity};
pub use groups::{Example, Group};
pub use patterns::{Pattern, ShapedItem};
pub use slow::SlowTable;
pub use stream::StreamView;
pub use tables::{StateStanding, StateView, TableStanding, TableView};
pub use ttl::TtlView;
pub use view::{
    CollisionView, Count, Expiry, Overlap, Reading, Routing, ServiceView, Survey, TableSize, VersionView,
};

use crate::plan::Prices;
use crate::source::{check_keys, describe_source};
use crate::worker::{RunError, Split};
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

/// Options of a survey.
#[derive(Clone, Debug)]
pub struct SurveyOptions {
    /// Read every item instead of a sample.
    pub all: bool,
    /// Items to read, spread over the table.
    pub sample: u64,
    /// Read units a second on the source, for the survey itself and in the forecast. Without it, the survey
    /// takes no more than half of what a provisioned source has.
    pub read_units: Option<f64>,
    /// Write units a second on each service's table, in the forecast.
    pub write_units: Option<f64>,
    /// A price file in the place of the built-in prices: see [`Prices::parse`].
    pub prices: Option<PathBuf>,
}

/// Enough that a kind of item that is one in a hundred shows; some hundred read units where items are small.
const SAMPLE: u64 = 2000;

impl Default for SurveyOptions {
    fn default() -> Self {
        Self {
            all: false,
            sample: SAMPLE,
            read_units: None,
            write_units: None,
            prices: None,
        }
    }
}

/// Looks at the source, the targets, the stream and the state. `progress` is told how many items were read.
///
/// Needs `dynamodb:DescribeTable`, `dynamodb:DescribeTimeToLive` and `dynamodb:Scan` on the source and on
/// targets that exist, `dynamodb:DescribeStream`, and `dynamodb:GetItem` and `dynamodb:Query` on the state.
///
/// # Errors
/// Where the source is missing, something may not be looked at, the price file is wrong, or it was stopped.
/// What is wrong with the plan's fit is no error but a [`Finding`].
pub async fn survey(
    split: &Split,
    options: &SurveyOptions,
    stop: &CancellationToken,
    progress: impl Fn(u64),
) -> Result<Survey, RunError> {
    let prices = match &options.prices {
        Some(path) => read_prices(path)?,
        None => Prices::published(),
    };
    let plan = &split.plan;
    let facts = describe_source(&split.source.control, &plan.source.table).await?;
    let keys_differ = check_keys(&plan.source.keys, &facts)
        .err()
        .map(|error| error.to_string());
    let readable = matches!(facts.status.as_str(), "ACTIVE" | "UPDATING");
    let state = tables::state(split).await?;
    let targets = tables::targets(split).await?;
    let stream = stream::look(split, &facts).await?;
    let mut survey = Survey::new(split, facts, keys_differ, state, targets, stream);
    // With other keys than the plan's, every item would look wrong: that says nothing.
    if readable && survey.keys_differ.is_none() {
        let mut tally = tally::Tally::new(plan, survey.source.ttl_attribute.clone());
        let reading = read::read(split, &survey.source, options, stop, &progress, &mut tally).await?;
        survey.fill(plan, reading, &tally);
        survey.estimate = Some(estimate::estimate(plan, &survey, &tally, options, prices));
    }
    survey.findings = findings::judge(plan, &survey);
    Ok(survey)
}

fn read_prices(path: &Path) -> Result<Prices, RunError> {
    let wrong = |cause: String| RunError::NotYet {
        what: format!("the price file can't be used: {cause}"),
        next: "correct it, or leave --prices out for the built-in list".to_owned(),
    };
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| wrong(format!("{file}: {error}")))?;
    Prices::parse(&text, &file).map_err(|error| wrong(error.to_string()))
}
