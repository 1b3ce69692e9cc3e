//! The survey from its first request to its findings.

use super::options::SurveyOptions;
use super::tables::{StateStatus, TargetStatus};
use super::view::Survey;
use super::{estimate, findings, read, stream, tables, tally};
use crate::cutover::preparations;
use crate::source::{check_keys, describe_source};
use crate::worker::{RunError, Split, read_prices};
use tokio_util::sync::CancellationToken;

/// Reads the source, the targets, the stream and the state. `progress` gets the number of items that were read.
///
/// Needs `dynamodb:DescribeTable`, `dynamodb:DescribeTimeToLive` and `dynamodb:Scan` on the source and on targets
/// that exist, `dynamodb:DescribeStream`, and `dynamodb:GetItem` and `dynamodb:Query` on the state.
///
/// # Errors
/// If the source is missing, something may not be read, the price file is wrong, or the survey was stopped. A plan
/// that does not fit is not an error but a `Finding`.
pub async fn survey(
    split: &Split,
    options: &SurveyOptions,
    stop: &CancellationToken,
    progress: impl Fn(u64),
) -> Result<Survey, RunError> {
    let prices = read_prices(options.prices.as_deref())?;
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
        survey.estimate = Some(estimate::estimate(
            plan,
            &survey,
            &tally,
            options,
            (prices, split.timing.settle),
        ));
    }
    let is_begun = matches!(
        survey.state.status,
        StateStatus::Begun | StateStatus::Wider { .. }
    );
    let has_tables = survey
        .tables
        .iter()
        .all(|table| !matches!(table.status, TargetStatus::Missing));
    if is_begun && has_tables {
        survey.preparation = Box::pin(preparations(split)).await?;
    }
    survey.findings = findings::judge(plan, &survey);
    Ok(survey)
}
