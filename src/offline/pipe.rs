//! One service's items to the standard output, as a filter for shells and cluster engines.

use super::error::ShapeError;
use super::input::Input;
use super::report::{Counts, Report};
use super::shaper::{Shaped, shape};
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
    let (mut line, looked_at) = (Vec::new(), plan.looked_at());
    for input in inputs {
        input.items(&looked_at, stop, |number, item| {
            counts.items += 1;
            let unreadable = |problem| input.wrong_line(number, problem);
            shape(plan, item, unreadable, |shaped| match shaped {
                Shaped::For(place, item) => {
                    counts.services[place].items += 1;
                    counts.services[place].bytes += item.size() as u64;
                    if place != service {
                        return Ok(());
                    }
                    item.write_line(&mut line);
                    out.write_all(&line).map_err(ShapeError::Stdout)
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
