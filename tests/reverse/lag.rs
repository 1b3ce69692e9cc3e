//! How far the source is behind the service's own table.

use std::time::{Duration, Instant};

use crate::scene::{COURSES, SOURCE, Scene, copy, source_key};
use crate::support::Engine;
use crate::support::table;

/// Writes between two probes.
const BETWEEN: u32 = 50;
const PROBES: u32 = 20;

/// The time from a write of the application to its arrival in the source, while other items are written all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_source_is_seconds_behind_at_most() {
    let (scene, tail) = Scene::switched(Engine::embedded().await, "none", 3).await;
    // The reverse lane has begun.
    table::put(&scene.client, COURSES, copy("0", "begin", 20)).await;
    scene.drained().await;
    let began = Instant::now();
    let mut lags = vec![];
    for probe in 0..PROBES {
        for n in 0..BETWEEN {
            let id = format!("b{n}");
            table::put(&scene.client, COURSES, copy(&id, &format!("{probe}"), 30)).await;
        }
        let (title, written) = (format!("probe {probe}"), Instant::now());
        table::put(&scene.client, COURSES, copy("1", &title, 30)).await;
        loop {
            let held = table::get(&scene.client, SOURCE, source_key("1")).await;
            if held.is_some_and(|item| item["title"] == table::text(&title)) {
                break;
            }
            assert!(written.elapsed() < Duration::from_secs(60), "it never comes");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        lags.push(written.elapsed());
    }
    lags.sort();
    let rate = f64::from(PROBES * (BETWEEN + 1)) / began.elapsed().as_secs_f64();
    eprintln!(
        "reverse lag at {rate:.0} writes a second: median {:?}, most {:?}",
        lags[lags.len() / 2],
        lags[lags.len() - 1]
    );
    assert!(lags[lags.len() / 2] < Duration::from_secs(5), "{lags:?}");
    drop(tail);
}
