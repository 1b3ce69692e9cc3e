//! A split of two services, one of which switches with a way back; the other one only receives its items.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use dynasplit::dynamo::{Clients, Endpoint, Timing};
use dynasplit::plan::Plan;
use dynasplit::state::{CutoverPhase, SplitRecord, WorkerRecord};
use dynasplit::status::{ReverseState, reverse_state};
use dynasplit::tail::TipReader;
use dynasplit::worker::Split;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::support::process::{Cli, LIMIT, Running};
use crate::support::table::{self, SdkItem, item, number, text};
use crate::support::{Engine, contents};

/// Takeovers come after this.
const LEASE_SECONDS: u64 = 2;
const POLL: Duration = Duration::from_millis(50);
pub const SOURCE: &str = "Monolith";
pub const COURSES: &str = "Courses";
pub const ALL: &str = "Everything";
pub const SERVICE: &str = "courses";

/// The plan: keys are made, `type` and `editor` are dropped, `desc` is renamed.
fn plan(timestamp: &str) -> String {
    format!(
        "version: 1
split: reverse
source: {{ table: {SOURCE}, keys: {{ partition: PK, sort: SK }} }}
timestamp: {timestamp}
unrouted: fail
services:
  - name: {SERVICE}
    where: begins_with(PK, 'COURSE#') AND SK = 'INFO' AND type = 'Course'
    owns: items
    table: {{ name: {COURSES}, keys: {{ partition: courseId }} }}
    transform:
      keys: {{ from: {{ PK: 'COURSE#{{c}}' }}, to: {{ courseId: '{{c}}' }} }}
      drop: [PK, SK, type, editor]
      rename: {{ desc: description }}
    reverse: {{ set: {{ editor: nobody }} }}
  - name: all
    where: attribute_exists(PK)
    owns: nothing
    table: {{ name: {ALL}, keys: {{ partition: PK, sort: SK }} }}
"
    )
}

/// A service that has switched.
pub struct Scene {
    _engine: Engine,
    pub client: Client,
    pub cli: Cli,
    pub split: Split,
    pub epoch: u64,
    _directory: TempDir,
}

/// An item of the source, as the monolith writes it.
pub fn course(id: &str, title: &str, at: u64) -> SdkItem {
    item(
        &format!("COURSE#{id}"),
        "INFO",
        [
            ("type", text("Course")),
            ("editor", text("ann")),
            ("desc", text(format!("about {id}"))),
            ("title", text(title)),
            ("at", number(at)),
        ],
    )
}

/// The same item in the service's own table.
pub fn copy(id: &str, title: &str, at: u64) -> SdkItem {
    SdkItem::from([
        ("courseId".to_owned(), text(id)),
        ("description".to_owned(), text(format!("about {id}"))),
        ("title".to_owned(), text(title)),
        ("at".to_owned(), number(at)),
    ])
}

pub fn source_key(id: &str) -> SdkItem {
    table::key(&format!("COURSE#{id}"), "INFO")
}

pub fn target_key(id: &str) -> SdkItem {
    SdkItem::from([("courseId".to_owned(), text(id))])
}

impl Scene {
    /// A split whose tail runs. Nothing has switched.
    pub async fn replicating(engine: Engine, timestamp: &str, courses: u32) -> (Self, Running) {
        let client = engine.dynamodb();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("plan.yaml");
        std::fs::write(&path, plan(timestamp)).expect("the plan is written");
        table::create(&client, SOURCE).await;
        let items = (0..courses).map(|n| course(&n.to_string(), "first", 1));
        table::put_all(&client, SOURCE, items).await;
        let cli = Cli::new(path.clone(), engine.endpoint(), LEASE_SECONDS);
        let endpoint = Endpoint {
            url: Some(engine.endpoint().to_owned()),
            anonymous: true,
            ..Endpoint::default()
        };
        let timing = Timing::LIVE.with_lease(Duration::from_secs(LEASE_SECONDS));
        let clients = Clients::load(&endpoint, timing).await.expect("clients are made");
        let split = Split::open(Plan::load(&path).expect("the plan is valid"), &clients).await;
        cli.succeed(&["apply"]).await;
        let stream = client
            .update_table()
            .table_name(COURSES)
            .stream_specification(table::both_images());
        stream.send().await.expect("the stream of the target is enabled");
        table::wait_active(&client, COURSES).await;
        let tail = cli.start(&["replicate"]);
        cli.until_captured().await;
        cli.succeed(&["backfill"]).await;
        // The forward lane's own writes are in the target's stream, deletes and new items among them.
        for id in ["0", "1"] {
            table::delete(&client, SOURCE, source_key(id)).await;
            table::put(&client, SOURCE, course(id, "again", 2)).await;
        }
        cli.until_caught_up().await;
        let scene = Self {
            _engine: engine,
            client,
            cli,
            split,
            epoch: 0,
            _directory: directory,
        };
        (scene, tail)
    }

    /// The same, with the service switched.
    pub async fn switched(engine: Engine, timestamp: &str, courses: u32) -> (Self, Running) {
        let (mut scene, tail) = Box::pin(Self::replicating(engine, timestamp, courses)).await;
        scene.switch().await;
        (scene, tail)
    }

    /// What `cutover` does, without its fences: close, pin, switch.
    pub async fn switch(&mut self) {
        let stop = CancellationToken::new();
        let mut tip = TipReader::open(&self.split, SERVICE)
            .await
            .expect("the stream is on");
        let is_read = tip.follow(usize::MAX, &stop).await.expect("the stream is read");
        assert!(is_read, "there is no limit of keys");
        let now = self.split.now_ms();
        let (mut epoch, mut closed) = (0, 0);
        self.change(|record| {
            epoch = record
                .begin_cutover(SERVICE, now)
                .expect("no other service is cut over")
                .epoch;
            let switched = record.switch_service(SERVICE, now, None);
            closed = switched.expect("no command writes targets").epoch;
        })
        .await;
        self.acknowledged(closed).await;
        let pin = tip.pin(epoch, &stop).await.expect("the stream is read");
        pin.write_once(&self.split.store, SERVICE)
            .await
            .expect("the pin is written");
        self.change(|record| {
            let [fenced, switching, switched] = [
                CutoverPhase::Fenced,
                CutoverPhase::Switching,
                CutoverPhase::Switched,
            ];
            assert!(record.move_cutover(SERVICE, epoch, fenced, switching, now));
            assert!(record.move_cutover(SERVICE, epoch, switching, switched, now));
        })
        .await;
        self.epoch = epoch;
    }

    /// What `rollback` does, without its fences: nobody writes either side. The source is the application's when this returns.
    pub async fn roll_back(&self) {
        let state = self.drained().await;
        assert!(
            state.dead_letters.is_empty() && state.strays.is_empty(),
            "{state:?}"
        );
        let now = self.split.now_ms();
        let mut epoch = 0;
        self.change(|record| {
            let (from, to) = (CutoverPhase::Switched, CutoverPhase::Replicating);
            assert!(record.move_cutover(SERVICE, self.epoch, from, to, now));
            assert!(record.switch_back(SERVICE));
            epoch = record.switch.epoch();
        })
        .await;
        self.acknowledged(epoch).await;
    }

    async fn change(&self, change: impl FnMut(&mut SplitRecord)) {
        SplitRecord::change(&self.split.store, change)
            .await
            .expect("the record of the split is written");
    }

    async fn acknowledged(&self, epoch: u64) {
        let began = Instant::now();
        loop {
            let workers = self.split.store.list::<WorkerRecord>(WorkerRecord::PREFIX).await;
            let workers = workers.expect("the workers are listed");
            // A worker that was killed leaves its record, and acknowledges nothing any more.
            let is_dead =
                |worker: &WorkerRecord| self.split.now_ms() > worker.seen_ms + 3 * worker.lease.duration_ms;
            let obeys = |worker: &WorkerRecord| worker.acknowledged_epoch >= epoch || is_dead(worker);
            if workers.iter().all(|(_, worker)| obeys(&worker.value)) {
                return;
            }
            assert!(
                began.elapsed() < LIMIT,
                "nobody acknowledges {epoch}: {workers:?}"
            );
            tokio::time::sleep(POLL).await;
        }
    }

    pub async fn state(&self) -> ReverseState {
        let state = reverse_state(&self.split, SERVICE, self.epoch).await;
        state.expect("the state is read")
    }

    /// Looks again and again until the state is as it should be.
    pub async fn until(&self, what: &str, is: impl Fn(&ReverseState) -> bool) -> ReverseState {
        let began = Instant::now();
        loop {
            let state = self.state().await;
            if is(&state) {
                return state;
            }
            assert!(began.elapsed() < LIMIT, "{what} does not come: {state:?}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until the reverse lane and the watcher have read everything up to now. Nobody writes meanwhile.
    pub async fn drained(&self) -> ReverseState {
        let (began, now) = (Instant::now(), self.split.now_ms());
        loop {
            let state = self.state().await;
            let is_past = |complete: Option<u64>| complete.is_some_and(|to| to > now);
            if is_past(state.complete_to_ms) && is_past(state.watched_to_ms) {
                return state;
            }
            assert!(began.elapsed() < LIMIT, "the way back does not drain: {state:?}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// The source as everybody but dynasplit sees it.
    pub async fn source(&self) -> contents::Contents {
        let mut source = contents::read(&self.client, SOURCE).await;
        for item in source.values_mut() {
            item.retain(|name, _| !name.starts_with("dynasplit:mark:"));
        }
        source
    }

    /// Fails if the source, or the service that only receives its items, does not hold exactly these items.
    pub async fn assert_source(&self, items: impl IntoIterator<Item = SdkItem>) {
        let expected: contents::Contents = items
            .into_iter()
            .map(|item| {
                let item = contents::plain_item(&item);
                (vec![item["PK"].clone(), item["SK"].clone()], item)
            })
            .collect();
        contents::assert_same(&self.source().await, &expected);
        self.cli.until_caught_up().await;
        let mut all = contents::read(&self.client, ALL).await;
        for item in all.values_mut() {
            item.remove("dynasplit:version");
        }
        contents::assert_same(&all, &expected);
    }
}
