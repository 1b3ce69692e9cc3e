//! A colleague of the operator, who puts the next step of a service on hold while trouble lasts, and lets it begin later.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use tokio::time::sleep;

use crate::shop::{Goal, Shop};
use crate::worker::Job;
use crate::world::World;

impl World {
    /// Holds steps, and ends each hold, also one that comes late because its request was late. The operator may end it before.
    pub async fn holds_steps(self: Arc<Self>, shop: Arc<Shop>) {
        let mut rng = self.rng(40);
        for number in 0.. {
            sleep(Duration::from_millis(rng.random_range(300..6000))).await;
            let held = shop.held();
            let job = match held {
                Some(kind) => Job::Resume {
                    service: kind.name().to_owned(),
                },
                None if self.is_calm() => continue,
                None => {
                    let any = shop.kinds()[rng.random_range(0..2)];
                    let moving = shop.goal().map(Goal::kind).filter(|_| rng.random_bool(0.8));
                    Job::Pause {
                        service: moving.unwrap_or(any).name().to_owned(),
                    }
                }
            };
            if held.is_some() {
                sleep(Duration::from_millis(rng.random_range(0..9000))).await;
            } else {
                self.network.count("hold");
            }
            let name = format!("colleague-{}{number}", job.name());
            let plan = self.plan().clone();
            Box::pin(self.life(&job, &plan, &name, &mut rng)).await;
        }
    }
}
