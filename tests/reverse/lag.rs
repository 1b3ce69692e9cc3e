//! How far the source is behind the service's own table.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::scene::{COURSES, SOURCE, Scene, copy, source_key};
use crate::support::Engine;
use crate::support::long::in_the_long_run;
use crate::support::process::{LIMIT, Running};
use crate::support::table;

const WRITERS: u32 = 8;
/// Items of each writer.
const ITEMS: u32 = 50;
/// Between two writes of a writer.
const PAUSE: Duration = Duration::from_millis(5);
/// Writes of each writer, at most: on a machine that is too slow for them, the backlog must end, too.
const WRITES: u32 = 150;
const PROBES: u32 = 20;
/// Between two looks at the lane's progress.
const LOOK: Duration = Duration::from_secs(2);

/// The time from a write of the application to its arrival in the source, while eight writers write other items all the time.
/// The test demands no time, because that is the machine's: each write arrives, and nothing stands still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_write_arrives_beside_eight_writers() {
    in_the_long_run!(every_write_arrives_beside_eight_writers);
    let (scene, mut tail) = Scene::switched(Engine::embedded().await, "none", 3).await;
    // The reverse lane has begun.
    table::put(&scene.client, COURSES, copy("0", "begin", 20)).await;
    scene.drained().await;
    let began = Instant::now();
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (client, stop, written) = (scene.client.clone(), Arc::clone(&stop), Arc::clone(&written));
        writers.spawn(async move {
            for n in 0..WRITES {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let id = format!("w{writer}-{}", n % ITEMS);
                table::put(&client, COURSES, copy(&id, &n.to_string(), 30)).await;
                written.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(PAUSE).await;
            }
        });
    }
    let mut lags = vec![];
    for probe in 0..PROBES {
        lags.push(arrives(&scene, &mut tail, &format!("probe {probe}")).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let rate = f64::from(written.load(Ordering::Relaxed)) / began.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = writers.join_next().await {
        ended.expect("a writer does not fail");
    }
    lags.sort();
    eprintln!(
        "reverse lag at {rate:.0} writes a second: median {:?}, most {:?}",
        lags[lags.len() / 2],
        lags[lags.len() - 1]
    );
    let state = scene.drained().await;
    assert!(
        state.dead_letters.is_empty() && state.strays.is_empty(),
        "{state:?}"
    );
    drop(tail);
}

/// Writes one item, and waits until the source has it. The deadline is for each step of the lane: what is queued before the item
/// takes as long as the machine needs.
async fn arrives(scene: &Scene, tail: &mut Running, title: &str) -> Duration {
    let at = Instant::now();
    let (mut carried, mut moved, mut looked) = (None, at, at);
    table::put(&scene.client, COURSES, copy("1", title, 30)).await;
    loop {
        let held = table::get(&scene.client, SOURCE, source_key("1")).await;
        if held.is_some_and(|item| item["title"] == table::text(title)) {
            return at.elapsed();
        }
        if looked.elapsed() >= LOOK {
            let state = scene.state().await;
            looked = Instant::now();
            if carried != Some(state.received) {
                (carried, moved) = (Some(state.received), looked);
            }
            assert!(
                moved.elapsed() < LIMIT,
                "the reverse lane stands still before {title}: {state:?}\n{}",
                tail.told()
            );
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
