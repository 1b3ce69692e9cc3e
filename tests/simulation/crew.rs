//! Supervised commands: each is started again when it died, as a supervisor of a machine does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dynasplit::plan::Plan;
use rand::Rng;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::advice::{Step, steps};
use crate::life::End;
use crate::worker::Job;
use crate::world::World;

/// A worker that fails again and again is started after a pause that is doubled so often at most.
const MOST_DOUBLED: u32 = 3;

/// The copy in another order that was begun before, if that is why an import is refused.
fn begun_instead(error: &str) -> Option<Job> {
    let advice = steps(error)
        .ok()
        .filter(|_| error.contains("which continues it"))?;
    advice.into_iter().find_map(|step| match step {
        Step::Run(job @ Job::Backfill { .. }) => Some(job),
        _ => None,
    })
}

/// The supervised workers of `replicate`.
#[derive(Default)]
pub struct Tails {
    began: u64,
    /// Services of each one's plan, and how it is ended.
    live: Vec<(usize, CancellationToken)>,
}

impl World {
    /// A worker of `replicate`, one life after another. It keeps the plan that it began with: the oldest one, if asked.
    pub fn supervise_tail(self: &Arc<Self>, is_old: bool, restart: bool) {
        self.supervise_tail_from(is_old, Job::Replicate { restart });
    }

    /// The same; its first life may begin something anew.
    pub fn supervise_tail_from(self: &Arc<Self>, is_old: bool, first: Job) {
        let plan = if is_old { self.oldest_plan() } else { self.plan() }.clone();
        let quit = CancellationToken::new();
        let mut tails = self.tails.lock().expect("no thread panicked");
        tails.began += 1;
        let place = tails.began;
        tails.live.push((plan.services.len(), quit.clone()));
        drop(tails);
        let world = Arc::clone(self);
        let work = async move {
            let replicating = world.replicate(&plan, place, first);
            tokio::select! {
                biased;
                () = quit.cancelled() => {}
                () = Box::pin(replicating) => {}
            }
            // Others may be started.
            quit.cancel();
        };
        self.crew
            .lock()
            .expect("no thread panicked")
            .spawn(Box::pin(work));
    }

    async fn replicate(&self, plan: &Plan, place: u64, first: Job) {
        let mut rng = self.rng(1000 + place);
        let (mut failed, mut job) = (0, first);
        for life in 0.. {
            self.everybody_is_back().await;
            let name = format!("replicate{place}.{life}");
            let end = Box::pin(self.life(&job, plan, &name, &mut rng)).await;
            job = Job::Replicate { restart: false };
            match &end {
                End::Done(report) if report.words == "Completed" => return,
                // A supervisor waits longer from failure to failure.
                End::Failed(_) => failed = (failed + 1).min(MOST_DOUBLED),
                _ => failed = 0,
            }
            sleep(Duration::from_millis(rng.random_range(20..2500) << failed)).await;
        }
    }

    /// Whether a worker runs with the newest plan.
    pub fn has_tail(&self) -> bool {
        let services = self.plan().services.len();
        let mut tails = self.tails.lock().expect("no thread panicked");
        tails.live.retain(|(_, quit)| !quit.is_cancelled());
        tails.live.iter().any(|(plan, _)| *plan == services)
    }

    /// Ends the workers of older plans.
    pub fn end_old_tails(&self) {
        let services = self.plan().services.len();
        for (plan, quit) in &self.tails.lock().expect("no thread panicked").live {
            if *plan != services {
                quit.cancel();
            }
        }
    }

    /// A `backfill`, one life after another until it ends well.
    pub fn supervise_backfill(self: &Arc<Self>, place: u64) {
        self.unfilled.fetch_add(1, Ordering::Relaxed);
        let world = Arc::clone(self);
        let consistent = self.cast.consistent;
        let job = match self.cast.imports {
            true => Job::Import {
                consistent,
                delete_partial: false,
                object_bytes: self.cast.object_bytes,
            },
            false => Job::Backfill {
                consistent,
                order: self.cast.order,
            },
        };
        let work = async move {
            world.until_done(job, place).await;
            world.unfilled.fetch_sub(1, Ordering::Relaxed);
        };
        self.crew
            .lock()
            .expect("no thread panicked")
            .spawn(Box::pin(work));
    }

    /// Somebody who requests an export and copies it, and who follows what the commands say.
    pub fn supervise_copy_of_export(self: &Arc<Self>, place: u64) {
        self.unfilled.fetch_add(1, Ordering::Relaxed);
        let world = Arc::clone(self);
        let work = async move {
            let mut rng = world.rng(2000 + place);
            // An export can bring back what was deleted before it: something must have been.
            sleep(Duration::from_secs(rng.random_range(10..60))).await;
            let mut job = Job::ExportStart;
            for life in 0.. {
                world.everybody_is_back().await;
                let name = format!("{}{place}.{life}", job.name());
                let end = Box::pin(world.life(&job, world.plan(), &name, &mut rng)).await;
                match (end, &job) {
                    (End::Done(report), Job::ExportStart) => job = Job::CopyExport { arn: report.words },
                    (End::Done(_), _) => break,
                    (End::Failed(error), _) => {
                        let steps = steps(&error).unwrap_or_default().into_iter();
                        let is_copy = |job: &Job| {
                            matches!(
                                job,
                                Job::ExportStart | Job::CopyExport { .. } | Job::Backfill { .. }
                            )
                        };
                        let mut copies = steps.filter_map(|step| match step {
                            Step::Run(job) => Some(job).filter(is_copy),
                            _ => None,
                        });
                        job = copies.next().unwrap_or(job);
                    }
                    (End::Killed(_), _) => {}
                }
                sleep(Duration::from_millis(rng.random_range(20..2500))).await;
            }
            world.unfilled.fetch_sub(1, Ordering::Relaxed);
        };
        let mut crew = self.crew.lock().expect("no thread panicked");
        crew.spawn(Box::pin(work));
    }

    /// A command, one life after another until it ends well. Each life takes the newest plan.
    pub async fn until_done(self: &Arc<Self>, mut job: Job, place: u64) {
        let salt = job.name().bytes().fold(place, |salt, byte| {
            salt.wrapping_mul(131).wrapping_add(u64::from(byte))
        });
        let mut rng = self.rng(salt);
        for life in 0.. {
            self.everybody_is_back().await;
            let name = format!("{}{place}.{life}", job.name());
            let end = Box::pin(self.life(&job, self.plan(), &name, &mut rng)).await;
            match (&end, &mut job) {
                (End::Done(_), _) => return,
                // Somebody reads why it failed.
                (End::Failed(error), Job::Import { delete_partial, .. }) => {
                    *delete_partial |= error.contains("with --delete-partial");
                    if let Some(other) = begun_instead(error) {
                        job = other;
                    }
                }
                _ => {}
            }
            sleep(Duration::from_millis(rng.random_range(20..2500))).await;
        }
    }
}
