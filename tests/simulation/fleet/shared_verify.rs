//! Processes that share a verify: how much faster they are than one, and that the others finish if one dies in any phase.

use super::{Fleet, USUAL, simulated};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use dynasplit::plan::Plan;
use dynasplit::verify::{Verify, VerifyOptions, VerifyResult};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::support::long::in_the_long_run;
use crate::support::table::{self, item, number, text};
use crate::worker::configuration;

const BUCKET: &str = "shared";
/// Items of a page: so few that reading the tables takes hundreds of requests.
const PAGE_ITEMS: usize = 5;
const SEGMENTS: u32 = 64;

/// A process of a verify.
struct Process {
    name: String,
    task: JoinHandle<Result<VerifyResult, String>>,
}

impl Process {
    async fn ends_clean(self) {
        let result = self.task.await.expect("it ends").expect("it has a result");
        assert!(result.clean, "{result:?}");
    }
}

impl Fleet {
    /// A split whose backfill has ended, with so many items in the source, and a tail that goes on.
    async fn copied(items: usize) -> Self {
        let mut fleet = Box::pin(Self::paged(1, USUAL, PAGE_ITEMS)).await;
        fleet.network.with_engine(|engine, _| engine.make_bucket(BUCKET));
        let plan = fleet.trial.plan();
        let plan = plan.replace("unrouted:", &format!("s3: {{ bucket: {BUCKET} }}\nunrouted:"));
        fleet.plan = Plan::parse(&plan, "plan.yaml").expect("the plan is right");
        fleet.start("tail", 0).await;
        fleet.until("the stream is captured", Self::is_captured).await;
        let (wire, _) = fleet.network.join("writer", false, None);
        let client = Client::new(&configuration(wire));
        for id in 0..items {
            let kind = ["order", "invoice"][id % 2];
            let item = item(
                &format!("ACC#{id}"),
                "DOC#x",
                [("kind", text(kind)), ("at", number(id)), ("name", text("a name"))],
            );
            table::put(&client, &fleet.trial.source, item).await;
        }
        fleet.start("backfill", 8).await;
        let backfill = fleet.members.pop().expect("it was started");
        backfill
            .task
            .await
            .expect("it ends")
            .expect("it copies everything");
        fleet
    }

    async fn verify(&mut self, shared: Option<&str>, segments: Option<u32>) -> Process {
        self.joined += 1;
        let name = format!("verify{}", self.joined);
        let split = self.split(&name).await;
        let options = VerifyOptions {
            shared: shared.map(str::to_owned),
            segments,
            ..VerifyOptions::default()
        };
        let task = tokio::spawn(Box::pin(async move {
            let (verify, _) = Verify::new(split, options, CancellationToken::new());
            let ended = Box::pin(verify.run()).await;
            ended.map_err(|error| error.to_string())
        }));
        Process { name, task }
    }

    /// How long it takes until so many processes have a clean result.
    async fn timed(&mut self, shared: Option<&str>, segments: Option<u32>, processes: usize) -> Duration {
        let began = Instant::now();
        let mut started = Vec::new();
        for _ in 0..processes {
            started.push(self.verify(shared, segments).await);
        }
        for process in started {
            process.ends_clean().await;
        }
        began.elapsed()
    }

    /// Tasks of shared verifies that are done.
    fn tasks_done(&self) -> usize {
        let records = self.records("VERIFYTASK#");
        records
            .values()
            .filter(|record| !record["done"].is_null())
            .count()
    }

    fn left_of_scans(&self) -> Vec<String> {
        let objects = self.network.with_engine(|engine, _| engine.objects(BUCKET, ""));
        let keys = objects.into_iter().map(|(key, _)| key);
        keys.filter(|key| key.contains("/scans/")).collect()
    }
}

#[test]
fn two_processes_share_a_verify_and_leave_nothing_behind() {
    simulated(async || {
        let mut fleet = Box::pin(Fleet::copied(10)).await;
        fleet.timed(Some("both"), Some(1), 2).await;
        assert_eq!(fleet.records("VERIFYTASK#").len(), 0);
        assert_eq!(fleet.left_of_scans(), Vec::<String>::new());
        let name = &fleet.records("SHAREDVERIFY")["SHAREDVERIFY"]["name"];
        assert_eq!(name, "both");
    });
}

/// Each page takes so long. What a process does beside that takes some seconds, however large the tables are.
const PAGE_TIME: Duration = Duration::from_secs(3);

#[test]
fn four_processes_verify_three_times_as_fast_as_one() {
    in_the_long_run!(four_processes_verify_three_times_as_fast_as_one);
    simulated(async || {
        let mut fleet = Box::pin(Fleet::copied(1200)).await;
        fleet.network.slow_scans(PAGE_TIME);
        let alone = fleet.timed(None, None, 1).await;
        eprintln!("one process, not shared: {:.1} s", alone.as_secs_f64());
        let mut last = alone;
        for processes in [1, 2, 4] {
            let name = format!("by-{processes}");
            last = fleet.timed(Some(&name), Some(SEGMENTS), processes).await;
            eprintln!("shared by {processes}: {:.1} s", last.as_secs_f64());
        }
        let times = alone.as_secs_f64() / last.as_secs_f64();
        assert!(times >= 3.0, "{times:.1} times as fast");
    });
}

#[test]
fn a_process_of_a_shared_verify_dies_in_each_phase() {
    in_the_long_run!(a_process_of_a_shared_verify_dies_in_each_phase);
    const FEW: u32 = 4;
    const OF_TARGETS: usize = 3 * FEW as usize;
    simulated(async || {
        let mut fleet = Box::pin(Fleet::copied(120)).await;
        fleet.network.slow_scans(Duration::from_secs(1));
        for (phase, done) in [
            ("targets", 1),
            ("source", OF_TARGETS + 1),
            ("ranges", OF_TARGETS + FEW as usize + 1),
        ] {
            let first = fleet.verify(Some(phase), Some(FEW)).await;
            let second = fleet.verify(Some(phase), Some(FEW)).await;
            while fleet.tasks_done() < done {
                sleep(Duration::from_millis(5)).await;
            }
            fleet.network.bury(&first.name, "was killed");
            first.task.abort();
            let third = fleet.verify(Some(phase), Some(FEW)).await;
            second.ends_clean().await;
            third.ends_clean().await;
            assert_eq!(fleet.records("VERIFYTASK#").len(), 0, "{phase}");
            assert_eq!(fleet.left_of_scans(), Vec::<String>::new(), "{phase}");
        }
    });
}
