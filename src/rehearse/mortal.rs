//! Workers that die and start again, as chaos demands. A worker that is dropped leaves as little behind as one that is killed.

use crate::dynamo::Chaos;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

/// How often workers died.
#[derive(Clone, Debug, Default)]
pub(super) struct Deaths(Arc<AtomicU64>);

impl Deaths {
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Runs a worker in a task, and a new one each time that it dies. The view is that of the one that lives.
pub(super) fn mortal<T, V, W>(
    chaos: Option<Chaos>,
    deaths: &Deaths,
    mut worker: impl FnMut() -> (W, watch::Receiver<V>) + Send + 'static,
) -> (watch::Receiver<V>, AbortOnDropHandle<T>)
where
    T: Send + 'static,
    V: Clone + Default + Send + Sync + 'static,
    W: Future<Output = T> + Send + 'static,
{
    let (view, seen) = watch::channel(V::default());
    let deaths = deaths.clone();
    let task = tokio::spawn(async move {
        loop {
            let (work, its_view) = worker();
            let _showing = AbortOnDropHandle::new(tokio::spawn(show(its_view, view.clone())));
            // On the heap: the future of a worker is large.
            let work = Box::pin(work);
            let Some(life) = chaos.and_then(|chaos| chaos.life()) else {
                return work.await;
            };
            if let Ok(done) = timeout(life, work).await {
                return done;
            }
            deaths.0.fetch_add(1, Ordering::Relaxed);
            tracing::info!("chaos: a worker died, and starts again");
        }
    });
    (seen, AbortOnDropHandle::new(task))
}

async fn show<V: Clone>(mut from: watch::Receiver<V>, to: watch::Sender<V>) {
    while from.changed().await.is_ok() {
        let now = from.borrow_and_update().clone();
        to.send_replace(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// A worker that needs a second, and shows that it runs.
    fn worker() -> (impl Future<Output = u32> + Send, watch::Receiver<u32>) {
        let (told, view) = watch::channel(0);
        let work = async move {
            told.send_replace(1);
            tokio::time::sleep(Duration::from_secs(1)).await;
            7
        };
        (work, view)
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_dies_starts_again_until_one_lives_long_enough() {
        crate::dynamo::chance::seed(3);
        let deaths = Deaths::default();
        let kill = "kill=1s".parse().unwrap();
        let (mut view, work) = mortal(Some(kill), &deaths, worker);
        view.changed().await.unwrap();
        assert_eq!(*view.borrow(), 1);
        assert_eq!(work.await.unwrap(), 7);
        let before = deaths.count();
        for _ in 0..20 {
            let (_, work) = mortal(Some(kill), &deaths, worker);
            assert_eq!(work.await.unwrap(), 7);
        }
        assert!(deaths.count() > before, "half of them live less than a second");
        let (_, work) = mortal(None, &deaths, worker);
        let before = deaths.count();
        assert_eq!((work.await.unwrap(), deaths.count()), (7, before));
    }
}
