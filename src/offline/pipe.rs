//! One service's items to the standard output, as a filter for shells and cluster engines.

use super::error::ShapeError;
use super::input::Input;
use super::report::{Counts, Report};
use super::shaper::{Shaped, Shaper};
use crate::plan::Plan;
use std::io::Write;
use tokio_util::sync::CancellationToken;

/// Writes the items of one service (by its place in the plan) to `out`. What the service refuses, and what belongs to no
/// service, is only counted: the report names it.
///
/// # Errors
/// See [`ShapeError`]; what was written up to then is not complete.
pub fn to_pipe(
    plan: &Plan,
    service: usize,
    inputs: &[Input],
    out: &mut dyn Write,
    stop: &CancellationToken,
) -> Result<Report, ShapeError> {
    let mut counts = Counts::of(plan);
    let (mut shaper, looked_at) = (Shaper::new(plan), plan.looked_at_to_shape());
    for input in inputs {
        input.items(&looked_at, stop, |number, item| {
            counts.items += 1;
            let unreadable = |problem| input.wrong_line(number, problem);
            shaper.shape(plan, item, unreadable, |shaped| match shaped {
                Shaped::For(place, shaped) => {
                    counts.services[place].items += 1;
                    counts.services[place].bytes += shaped.bytes as u64;
                    match place == service {
                        true => out.write_all(shaped.line).map_err(ShapeError::Stdout),
                        false => Ok(()),
                    }
                }
                Shaped::LeftBehind => {
                    counts.left_behind += 1;
                    Ok(())
                }
                Shaped::Refused(place, reason) => {
                    let name = place.map(|place| plan.services[place].name.as_str());
                    let at = || format!("{}:{number}", input.name());
                    counts.refused.add(name, &reason, at);
                    Ok(())
                }
            })
        })?;
    }
    out.flush().map_err(ShapeError::Stdout)?;
    Ok(counts.report(plan))
}
