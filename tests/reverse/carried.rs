//! What is carried back, also by workers that die.

use aws_sdk_dynamodb::Client;
use dynasplit::fault::REQUESTS;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::scene::{COURSES, SOURCE, Scene, copy, course, target_key};
use crate::support::Engine;
use crate::support::long::in_the_long_run;
use crate::support::process::LIMIT;
use crate::support::stage::seed;
use crate::support::table::{self, SdkItem, text};

const TIMES: &str = "{ attribute: at, type: N }";

/// The application, which writes the service's own table, and knows what the source must hold in the end.
struct Application {
    client: Client,
    random: StdRng,
    /// What the source must hold, by id.
    truth: BTreeMap<String, SdkItem>,
    titles: u32,
}

impl Application {
    fn new(scene: &Scene, courses: u32, seed: u64) -> Self {
        let first = |n: u32| {
            let id = n.to_string();
            let item = if n < 2 {
                course(&id, "again", 2)
            } else {
                course(&id, "first", 1)
            };
            (id, item)
        };
        Self {
            client: scene.client.clone(),
            random: StdRng::seed_from_u64(seed),
            truth: (0..courses).map(first).collect(),
            titles: 0,
        }
    }

    /// Puts an item, new or not. The timestamp stands still now and then.
    async fn put(&mut self, id: &str) {
        self.titles += 1;
        let (title, at) = (format!("title {}", self.titles), u64::from(self.titles / 3 + 10));
        let mut meant = course(id, &title, at);
        let editor = match self.truth.get(id) {
            Some(known) => known["editor"].clone(),
            None => text("nobody"),
        };
        meant.insert("editor".into(), editor);
        table::put(&self.client, COURSES, copy(id, &title, at)).await;
        self.truth.insert(id.to_owned(), meant);
    }

    async fn delete(&mut self, id: &str) {
        table::delete(&self.client, COURSES, target_key(id)).await;
        self.truth.remove(id);
    }

    /// Removes an attribute, if there is such an item.
    async fn forget(&mut self, id: &str) {
        let Some(meant) = self.truth.get_mut(id) else {
            return;
        };
        meant.remove("desc");
        let update = self
            .client
            .update_item()
            .table_name(COURSES)
            .set_key(Some(target_key(id)))
            .update_expression("REMOVE description");
        update.send().await.expect("the attribute is removed");
    }

    async fn writes(&mut self, count: u32, keys: u32) {
        for _ in 0..count {
            let id = self.random.random_range(0..keys).to_string();
            match self.random.random_range(0..10) {
                0..6 => self.put(&id).await,
                6..8 => self.delete(&id).await,
                8 => self.forget(&id).await,
                _ => {
                    self.delete(&id).await;
                    self.put(&id).await;
                }
            }
        }
    }

    fn meant(&self) -> Vec<SdkItem> {
        self.truth.values().cloned().collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_carried_back_and_again_after_a_rollback_in_sequence_mode() {
    there_and_back_and_there_again("none").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_carried_back_and_again_after_a_rollback_in_timestamp_mode() {
    in_the_long_run!(everything_is_carried_back_and_again_after_a_rollback_in_timestamp_mode);
    there_and_back_and_there_again(TIMES).await;
}

async fn there_and_back_and_there_again(timestamp: &str) {
    let (mut scene, first) = Scene::switched(Engine::embedded().await, timestamp, 12).await;
    let mut application = Application::new(&scene, 12, seed());
    application.writes(75, 20).await;
    // A second worker takes over.
    let tail = scene.cli.start(&["replicate"]);
    application.writes(25, 20).await;
    first.kill().await;
    application.writes(50, 20).await;
    let state = scene.drained().await;
    assert!(
        state.dead_letters.is_empty() && state.strays.is_empty() && state.gap.is_none(),
        "{state:?}"
    );
    scene.assert_source(application.meant()).await;

    scene.roll_back().await;
    // The application writes the source again, and the lane continues.
    for (n, id) in ["3", "40"].into_iter().enumerate() {
        let item = course(id, "back", 100 + n as u64);
        table::put(&scene.client, SOURCE, item.clone()).await;
        application.truth.insert(id.to_owned(), item);
    }
    scene.cli.until_caught_up().await;
    scene.assert_source(application.meant()).await;
    scene.cli.succeed(&["verify"]).await;

    application.titles = 400;
    scene.switch().await;
    application.writes(60, 20).await;
    let state = scene.drained().await;
    assert!(
        state.dead_letters.is_empty() && state.strays.is_empty(),
        "{state:?}"
    );
    scene.assert_source(application.meant()).await;
    drop(tail);
}

/// A worker dies at each point of a reverse write, and between a write and its checkpoint; the next one goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_die_lose_nothing_and_repeat_nothing() {
    in_the_long_run!(workers_that_die_lose_nothing_and_repeat_nothing);
    let (scene, tail) = Scene::switched(Engine::embedded().await, "none", 8).await;
    tail.kill().await;
    let mut application = Application::new(&scene, 8, seed());
    for point in points() {
        application.writes(30, 12).await;
        let mut worker = scene.cli.armed(&point).start(&["replicate"]);
        if point.ends_with("kill") {
            // Until the worker comes to the point.
            let began = Instant::now();
            while !worker.has_ended() {
                assert!(began.elapsed() < LIMIT, "nobody comes to {point}");
                application.writes(5, 12).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let done = worker.end().await;
            assert!(done.killed_at().is_some(), "{point}: {}", done.stderr);
        } else {
            scene.drained().await;
            worker.kill().await;
        }
    }
    let worker = scene.cli.start(&["replicate"]);
    let state = scene.drained().await;
    assert!(state.strays.is_empty() && state.gap.is_none(), "{state:?}");
    // What was only repeated after a delete is looked at again.
    scene
        .until("an empty list", |state| state.dead_letters.is_empty())
        .await;
    scene.assert_source(application.meant()).await;
    drop(worker);
}

/// A death on both sides of each reverse write, and between a write and its checkpoint; and answers that are lost.
fn points() -> Vec<String> {
    let mut points = vec!["tail.checkpoint.before@5=kill".to_owned()];
    for request in REQUESTS.iter().filter(|name| name.starts_with("reverse.")) {
        for (n, side) in ["before", "after"].into_iter().enumerate() {
            points.push(format!("{request}.{side}@{}=kill", n + 1));
        }
        points.push(format!("{request}.after@2=error"));
    }
    points
}
