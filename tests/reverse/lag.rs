//! How far the source is behind the service's own table.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::scene::{COURSES, SOURCE, Scene, copy, source_key};
use crate::support::Engine;
use crate::support::table;

const WRITERS: u32 = 4;
/// Items of each writer.
const ITEMS: u32 = 50;
/// Between two writes of a writer. The engine shares two cores with the product, so more writes would only measure the engine.
const PAUSE: Duration = Duration::from_millis(40);
const PROBES: u32 = 20;

/// The time from a write of the application to its arrival in the source, while other items are written all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_source_is_seconds_behind_at_most() {
    let (scene, tail) = Scene::switched(Engine::embedded().await, "none", 3).await;
    // The reverse lane has begun.
    table::put(&scene.client, COURSES, copy("0", "begin", 20)).await;
    scene.drained().await;
    let began = Instant::now();
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (client, stop, written) = (scene.client.clone(), Arc::clone(&stop), Arc::clone(&written));
        writers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let n = written.fetch_add(1, Ordering::Relaxed);
                let id = format!("w{writer}-{}", n % ITEMS);
                table::put(&client, COURSES, copy(&id, &n.to_string(), 30)).await;
                tokio::time::sleep(PAUSE).await;
            }
        });
    }
    let mut lags = vec![];
    for probe in 0..PROBES {
        let (title, at) = (format!("probe {probe}"), Instant::now());
        table::put(&scene.client, COURSES, copy("1", &title, 30)).await;
        loop {
            let held = table::get(&scene.client, SOURCE, source_key("1")).await;
            if held.is_some_and(|item| item["title"] == table::text(&title)) {
                break;
            }
            assert!(at.elapsed() < Duration::from_secs(60), "it never comes");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        lags.push(at.elapsed());
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
    assert!(lags[lags.len() / 2] < Duration::from_secs(5), "{lags:?}");
    drop(tail);
}
