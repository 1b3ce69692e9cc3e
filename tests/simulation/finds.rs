//! What runs of the simulation found in the product, each as a small story of its own.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use dynasplit::backfill::OrderChoice;
use dynasplit::dynamo::{Clock, Timing, chance};
use dynasplit::plan::Plan;
use dynasplit::state::Order;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, Habits, Value};
use crate::network::{EPOCH_MS, Network, Trace};
use crate::script::Cuts;
use crate::support::table;
use crate::support::trial::{Mode, Trial};
use crate::worker::{Job, Report, configuration};
use crate::world::TIMING;

/// A split on which nothing goes wrong by itself.
struct Scene {
    network: Network,
    client: Client,
    plan: Plan,
    began: Instant,
}

impl Scene {
    /// With one order in its source, whose tables are there.
    async fn new() -> Self {
        Self::with_shards(1).await
    }

    /// The same, with so many shards of the stream.
    async fn with_shards(shards: u64) -> Self {
        let engine = Engine::new(Habits {
            page_items: 10,
            page_records: 10,
            shards,
            creation_ms: 0,
            policy_rest_ms: 0,
        });
        let network = Network::new(engine, 1, TIMING.landed(), Cuts::default(), Trace::default());
        let trial = Trial {
            mode: Mode::Timestamp,
            source: "source".into(),
            split: "trial".into(),
            orders: "orders".into(),
            invoices: "invoices".into(),
            names: "names".into(),
        };
        let (wire, _) = network.join("writer", false, None);
        let client = Client::new(&configuration(wire));
        trial.create_source(&client).await;
        let scene = Self {
            network,
            client,
            plan: Plan::parse(&trial.plan(), "plan.yaml").expect("the plan is right"),
            began: Instant::now(),
        };
        scene.order("DOC#1", 1).await;
        let apply = Job::Apply { enable_stream: false };
        scene.run("apply", apply, 0).await.expect("the tables are made");
        scene
    }

    /// An application writes an order.
    async fn order(&self, document: &str, at: i64) {
        self.order_of("ACC#1", document, at).await;
    }

    /// An application writes an order of an account.
    async fn order_of(&self, account: &str, document: &str, at: i64) {
        let kind = ("kind", table::text("order"));
        let order = table::item(account, document, [kind, ("at", table::number(at))]);
        table::put(&self.client, "source", order).await;
    }

    /// Whether the lanes are on hold.
    fn is_held(&self) -> bool {
        self.network.with_engine(|engine, _| {
            let records = engine.contents("dynasplit-trial").into_iter();
            let split = records.filter(|(key, _)| key.last() == Some(&Value::S("SPLIT".into())));
            split
                .map(|(_, item)| item["record"].json().to_string())
                .any(|text| text.contains("held"))
        })
    }

    /// A command, with a clock that is wrong by so much.
    fn run(
        &self,
        name: &str,
        job: Job,
        wrong_ms: i64,
    ) -> impl Future<Output = Result<Report, String>> + Send + 'static {
        let (wire, _) = self.network.join(name, false, None);
        let clock = Clock::simulated(self.began, EPOCH_MS.saturating_add_signed(wrong_ms), 0);
        let timing = Timing { clock, ..TIMING };
        job.work(self.plan.clone(), wire, timing, CancellationToken::new(), None)
    }
}

fn simulated<T>(story: impl Future<Output = T>) -> T {
    chance::seed(1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(story)
}

/// The worker's last sign of life looks older than its lease all the time. It renews it all the time, too.
#[test]
fn a_worker_whose_clock_is_slow_is_seen_alive() {
    let verified = simulated(async {
        let scene = Scene::new().await;
        let replicate = Job::Replicate { restart: false };
        let tail = tokio::spawn(scene.run("replicate", replicate, -60_000));
        sleep(Duration::from_secs(3)).await;
        let backfill = Job::Backfill {
            consistent: true,
            order: OrderChoice::Only(Order::Concurrent),
        };
        scene.run("backfill", backfill, 0).await?;
        let verified = scene.run("verify", Job::Verify { repair: false }, 0).await;
        let told = scene.run("status", Job::Status, 0).await?;
        tail.abort();
        assert!(
            told.next
                .unwrap_or_default()
                .starts_with("switch the services over")
        );
        verified
    });
    assert!(verified.expect("verify begins").is_clean);
}

/// A fast clock says that a lane is complete up to a moment that has not come. A day later, the record of that moment is
/// trimmed, and by a clock that is right the lane is not a day old.
#[test]
fn what_is_lost_a_day_later_is_a_gap_although_clocks_differ() {
    let found = simulated(async {
        let scene = Scene::new().await;
        let replicate = || Job::Replicate { restart: false };
        let tail = tokio::spawn(scene.run("fast", replicate(), 50_000));
        sleep(Duration::from_secs(3)).await;
        let backfill = Job::Backfill {
            consistent: true,
            order: OrderChoice::Only(Order::Concurrent),
        };
        scene.run("backfill", backfill, 0).await?;
        sleep(Duration::from_secs(20)).await;
        tail.abort();
        sleep(Duration::from_secs(5)).await;
        scene.order("DOC#lost", 2).await;
        sleep(Duration::from_secs(24 * 60 * 60 + 10)).await;
        let kept_ms = 24 * 60 * 60 * 1000;
        let trimmed = scene.network.with_engine(|engine, now_ms| {
            let stream = engine.stream("source").expect("it is on");
            stream.trim(now_ms - kept_ms)
        });
        assert_eq!(trimmed, 2, "what was written before and after the tail stopped");
        let tail = tokio::spawn(scene.run("right", replicate(), 0));
        sleep(Duration::from_secs(60)).await;
        let told = scene.run("status", Job::Status, 0).await;
        tail.abort();
        told
    });
    let next = found.expect("the status is told").next.unwrap_or_default();
    assert!(next.contains("--restart-tail"), "{next}");
}

/// The lanes are on hold while shards end, so that each worker has a shard whose lanes wait for its parent. The worker that reads the
/// first of them dies.
#[test]
fn the_parent_of_shards_that_wait_is_read_although_each_worker_has_its_share() {
    let held = simulated(async {
        let scene = Scene::new().await;
        let replicate = || Job::Replicate { restart: false };
        let bulk = || Job::Backfill {
            consistent: true,
            order: OrderChoice::Only(Order::Bulk),
        };
        let first = tokio::spawn(scene.run("first", replicate(), 0));
        sleep(Duration::from_secs(5)).await;
        // Who holds the lanes dies.
        let backfill = tokio::spawn(scene.run("backfill", bulk(), 0));
        while !scene.is_held() {
            sleep(Duration::from_millis(10)).await;
        }
        backfill.abort();
        scene.network.bury("backfill", "was killed");
        let mut others = Vec::new();
        for (number, name) in [(2, "second"), (3, "third"), (4, "fourth")] {
            scene.order(&format!("DOC#{number}"), number).await;
            sleep(Duration::from_secs(20)).await;
            scene.network.with_engine(|engine, now_ms| {
                let stream = engine.stream("source").expect("it is on");
                let open = stream.open_shards();
                assert!(stream.roll_shard(now_ms, &open[0]));
            });
            if number < 4 {
                others.push(tokio::spawn(scene.run(name, replicate(), 0)));
            }
        }
        sleep(Duration::from_secs(20)).await;
        first.abort();
        scene.network.bury("first", "was killed");
        scene
            .run("again", bulk(), 0)
            .await
            .expect("the lanes are released");
        scene.order("DOC#5", 5).await;
        sleep(Duration::from_secs(90)).await;
        others.iter().for_each(tokio::task::JoinHandle::abort);
        scene
            .network
            .with_engine(|engine, _| engine.contents("orders").len())
    });
    assert_eq!(held, 5, "orders are in their table");
}

/// A worker dies whose clock was fast. By the clock of its successor, it lives for two more minutes.
#[test]
fn the_shards_of_a_dead_worker_are_read_although_its_clock_was_fast() {
    let held = simulated(async {
        let scene = Scene::with_shards(4).await;
        let replicate = || Job::Replicate { restart: false };
        let tail = tokio::spawn(scene.run("fast", replicate(), 50_000));
        sleep(Duration::from_secs(5)).await;
        tail.abort();
        let tail = tokio::spawn(scene.run("slow", replicate(), -50_000));
        for number in 2..22 {
            scene.order_of(&format!("ACC#{number}"), "DOC#1", number).await;
        }
        sleep(Duration::from_secs(45)).await;
        tail.abort();
        scene
            .network
            .with_engine(|engine, _| engine.contents("orders").len())
    });
    assert!(held >= 20, "{held} orders are in their table");
}
