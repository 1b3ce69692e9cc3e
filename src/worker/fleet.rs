//! How many processes share the records of the state, and how often one of them reads what all of them read.

use crate::dynamo::{Timing, chance};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A pause that grows with the fleet differs by this part, so that the processes of a fleet do not read at the same moment.
const JITTER: f64 = 0.25;

/// The processes of a command that share the records of the state with this one, this one among them. Whoever counts them notes
/// it here.
#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    processes: Arc<AtomicUsize>,
    /// [`Timing::shared_milliunits`], in units.
    units_a_second: f64,
}

impl Fleet {
    /// Nobody was counted yet.
    pub fn new(timing: Timing) -> Self {
        Self {
            processes: Arc::new(AtomicUsize::new(1)),
            units_a_second: f64::from(timing.shared_milliunits) / 1000.0,
        }
    }

    /// So many processes were counted.
    pub fn note(&self, processes: usize) {
        self.processes.store(processes.max(1), Ordering::Relaxed);
    }

    /// As counted last.
    pub fn processes(&self) -> usize {
        self.processes.load(Ordering::Relaxed)
    }

    /// The pause until this process repeats a reading that costs so many read units: the usual one, or a longer one if
    /// the fleet is large.
    pub fn pause(&self, usual: Duration, units: f64) -> Duration {
        spread(usual, needed(self.processes(), units, self.units_a_second))
    }

    /// The same for requests that an account may send only so often in a second.
    pub fn pause_between(&self, usual: Duration, requests: f64, a_second: f64) -> Duration {
        spread(usual, needed(self.processes(), requests, a_second))
    }

    /// Whether every process may repeat a reading of so many units after this pause.
    pub fn affords(&self, pause: Duration, units: f64) -> bool {
        needed(self.processes(), units, self.units_a_second) <= pause
    }
}

/// How long each process has to pause so that all of them together stay below a rate.
fn needed(processes: usize, cost: f64, a_second: f64) -> Duration {
    #[allow(clippy::cast_precision_loss)] // there are few
    Duration::from_secs_f64(cost * processes as f64 / a_second)
}

/// The longer one of two pauses. Only one that depends on the fleet has jitter.
fn spread(usual: Duration, needed: Duration) -> Duration {
    if needed <= usual {
        return usual;
    }
    needed.mul_f64(chance::within(1.0 - JITTER..1.0 + JITTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_fleet_reads_no_more_in_a_second_than_a_small_one() {
        let fleet = Fleet::new(Timing::LIVE);
        let usual = Duration::from_secs(4);
        assert_eq!(fleet.pause(usual, 10.0), usual, "one process");
        fleet.note(40);
        assert_eq!(
            fleet.pause(usual, 10.0),
            usual,
            "40 processes read 400 units in 4 s"
        );
        assert!(fleet.affords(usual, 10.0) && !fleet.affords(usual, 11.0));
        for (processes, units) in [(80, 10.0), (256, 1000.0)] {
            fleet.note(processes);
            let pauses: Vec<f64> = (0..1000)
                .map(|_| fleet.pause(usual, units).as_secs_f64())
                .collect();
            let mean = pauses.iter().sum::<f64>() / 1000.0;
            #[allow(clippy::cast_precision_loss)]
            let a_second = processes as f64 * units / mean;
            assert!((90.0..110.0).contains(&a_second), "{a_second} units");
            let [least, most] = [f64::min, f64::max].map(|pick| pauses.iter().copied().reduce(pick).unwrap());
            assert!(
                most > least * 1.5,
                "they do not read at the same moment: {least} to {most}"
            );
        }
        fleet.note(0);
        assert_eq!(fleet.processes(), 1, "this one");
    }
}
