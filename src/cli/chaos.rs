//! Chaos that the environment switches on, if the plan allows it.

use super::exit::Exit;
use super::failure::Failed;
use super::screen;
use crate::dynamo::{Chaos, ChaosError};
use crate::plan::Plan;
use std::time::Duration;

/// The variable that switches it on.
const VARIABLE: &str = "DYNASPLIT_CHAOS";
/// As if the process had been killed by `kill -9`.
const KILLED: i32 = 137;

/// The chaos of the environment. It is refused for a plan that does not allow it, so that nobody switches it on for
/// production by mistake.
pub fn of_environment(plan: &Plan, lease: Duration) -> Result<Option<Chaos>, Failed> {
    let text = match std::env::var(VARIABLE) {
        Ok(text) if text.trim().is_empty() => return Ok(None),
        Ok(text) => text,
        Err(std::env::VarError::NotPresent) => return Ok(None),
        Err(error) => return Err(Failed::of(Exit::Usage, format!("{VARIABLE}: {error}"))),
    };
    let wrong = |error: ChaosError| Failed::of(Exit::Usage, format!("{VARIABLE}: {error}"));
    let chaos = text.parse::<Chaos>().map_err(wrong)?;
    chaos.check(lease).map_err(wrong)?;
    if !plan.allows_chaos {
        let refused = format!("{VARIABLE} is set, and the plan does not allow chaos");
        return Err(Failed::of(Exit::Usage, refused).hint(
            "unset the variable; or, if this plan is for a staging environment, add `chaos: allowed` to it",
        ));
    }
    Ok(Some(chaos))
}

/// Says that chaos is on.
pub fn announce(chaos: Chaos) {
    screen::say(&format!(
        "warning: chaos is on ({chaos}): requests are slow or fail on purpose"
    ));
}

/// Lets this process die after its time, as `kill -9` would. It returns at once.
pub fn die_later(chaos: Chaos) {
    let Some(life) = chaos.life() else { return };
    // The task is not waited for: it ends the process, or the process ends before.
    let _task = tokio::spawn(async move {
        tokio::time::sleep(life).await;
        screen::say("chaos: this process dies now");
        std::process::exit(KILLED);
    });
}
