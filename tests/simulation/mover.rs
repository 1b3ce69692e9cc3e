//! What an operator does in a run with cutovers: moves services to their tables, back, and ends the way back.

use std::time::Duration;

use rand::Rng;

use crate::advice::Step;
use crate::check::Wrong;
use crate::life::End;
use crate::operator::Operator;
use crate::shop::Goal;
use crate::shop::goods::Kind;
use crate::worker::Job;

impl Operator {
    /// The next command towards what has to be brought about.
    pub async fn towards_goal(&mut self) -> Option<End> {
        let goal = self.world.shop.as_ref()?.goal()?;
        let service = |kind: Kind| kind.name().to_owned();
        let holds = self.world.cast.holds;
        let job = match goal {
            Goal::Cutover(kind) => Job::Cutover {
                service: service(kind),
                cancel: false,
                full_check: self.rng.random_bool(0.2),
                // Without it, no step of stopped writers can be put on hold.
                max_pause: self.rng.random_bool(if holds { 0.7 } else { 0.2 }).then(|| {
                    let seconds = self.rng.random_range(if holds { 5..60 } else { 1..20 });
                    Duration::from_secs(seconds)
                }),
            },
            Goal::Rollback(kind) => Job::Rollback {
                service: service(kind),
                cancel: false,
                force: false,
            },
            Goal::Complete(kind) => Job::CompleteService {
                service: service(kind),
                end_way_back: false,
            },
            Goal::Prune(kind) => Job::Prune {
                service: service(kind),
            },
        };
        let is_prune = matches!(goal, Goal::Prune(_));
        let end = self.run(job).await;
        if is_prune
            && matches!(&end, End::Done(report) if report.words == "pruned")
            && let Some(shop) = &self.world.shop
        {
            shop.pruned();
        }
        Some(end)
    }

    /// An advice may name several ways to go on: one is gone.
    pub fn chosen(&mut self, steps: Vec<Step>) -> Vec<Step> {
        let moves = |step: &Step| {
            matches!(
                step,
                Step::Run(
                    Job::Import { .. }
                        | Job::Backfill { .. }
                        | Job::CopyExport { .. }
                        | Job::ExportStart
                        | Job::ExportCancel
                        | Job::Resume { .. }
                        | Job::Cutover { .. }
                        | Job::Rollback { .. }
                        | Job::CompleteService { .. }
                )
            )
        };
        let count = steps.iter().filter(|step| moves(step)).count();
        if count < 2 {
            return steps;
        }
        let kept = if self.rng.random_bool(0.7) {
            0
        } else {
            self.rng.random_range(0..count)
        };
        let mut place = 0;
        let mut is_kept = |step: &Step| {
            let is_move = moves(step);
            place += usize::from(is_move);
            !is_move || place == kept + 1
        };
        let kept_steps = steps.into_iter().filter(|step| is_kept(step));
        kept_steps.collect()
    }

    /// Stops forgotten writers, and settles what they wrote: with the service itself, or by overwriting it.
    pub async fn settles(&mut self, service: String) -> End {
        let overwrite = self.rng.random_bool(0.3);
        let kind = Kind::named(&service).expect("only these are cut over");
        if let Some(shop) = &self.world.shop {
            shop.apply_strays(kind, !overwrite);
        }
        self.run(Job::Settle { service, overwrite }).await
    }

    /// Whether nothing of the tool is left in what belongs to completed services.
    pub fn must_be_without_marks(&self) -> Result<(), Wrong> {
        let Some(shop) = &self.world.shop else {
            return Ok(());
        };
        let found = shop.kinds().into_iter().find_map(|kind| shop.completed(kind));
        found.map_or(Ok(()), Err)
    }
}
