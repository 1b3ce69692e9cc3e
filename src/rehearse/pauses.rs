//! The steps of a rehearsed cutover, and how long its pauses were. Pure.

use serde::Serialize;

/// A step of a rehearsed cutover.
#[derive(Clone, Debug, Serialize)]
pub struct RehearsedStep {
    /// What was done.
    pub step: String,
    /// The service, if it concerned one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// What came of it.
    pub outcome: String,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// How long the service could write nowhere, as the journal says, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_ms: Option<u64>,
    /// The time between the last write before the step and the first write after it, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writers_waited_ms: Option<u64>,
}

/// How long services could write nowhere, over all cutovers without a writer that ignored the fence.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Pauses {
    /// The cutovers.
    pub cutovers: u64,
    /// Half of the pauses were not longer, in milliseconds.
    pub median_ms: u64,
    /// 99 in 100 pauses were not longer, in milliseconds. With fewer than 100 cutovers, this is the longest one.
    pub p99_ms: u64,
    /// The longest one, in milliseconds.
    pub longest_ms: u64,
}

impl Pauses {
    /// The pauses of these steps; `None` without a cutover.
    #[must_use]
    pub fn of(steps: &[RehearsedStep]) -> Option<Self> {
        let is_ignored = |at: usize| at > 0 && steps[at - 1].step == "ignored fence";
        let cutovers = steps
            .iter()
            .enumerate()
            .filter(|(_, step)| step.step == "cutover");
        let mut pauses: Vec<u64> = cutovers
            .filter(|(at, _)| !is_ignored(*at))
            .filter_map(|(_, step)| step.pause_ms)
            .collect();
        pauses.sort_unstable();
        Some(Self {
            cutovers: pauses.len() as u64,
            median_ms: percentile(&pauses, 50)?,
            p99_ms: percentile(&pauses, 99)?,
            longest_ms: *pauses.last()?,
        })
    }
}

/// The smallest value that this share of the values does not exceed.
pub(super) fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: &str, pause_ms: Option<u64>) -> RehearsedStep {
        RehearsedStep {
            step: step.into(),
            service: None,
            outcome: String::new(),
            ms: 0,
            pause_ms,
            writers_waited_ms: None,
        }
    }

    #[test]
    fn only_cutovers_without_an_ignored_fence_count() {
        let mut steps = vec![step("ignored fence", None), step("cutover", Some(99_000))];
        assert_eq!(Pauses::of(&steps), None);
        steps.push(step("rollback", Some(50_000)));
        steps.extend((1..=200).rev().map(|ms| step("cutover", Some(ms))));
        let pauses = Pauses::of(&steps).unwrap();
        assert_eq!(
            pauses,
            Pauses {
                cutovers: 200,
                median_ms: 100,
                p99_ms: 198,
                longest_ms: 200
            }
        );
    }
}
