//! Runs futures of which the compiler cannot show that another thread could run them. A simulation has one thread only.

use std::cell::RefCell;

use futures::future::LocalBoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{LocalSet, spawn_local};
use tokio_util::sync::CancellationToken;

/// Makes a future that stays in its thread.
type Work = Box<dyn FnOnce() -> LocalBoxFuture<'static, ()> + Send>;

thread_local! {
    static WORKS: RefCell<Option<mpsc::UnboundedSender<Work>>> = const { RefCell::new(None) };
}

/// Runs something that may call [`beside`].
pub async fn with_beside<T>(run: impl Future<Output = T>) -> T {
    let (give, mut works) = mpsc::unbounded_channel::<Work>();
    WORKS.set(Some(give));
    let serving = async move {
        while let Some(work) = works.recv().await {
            spawn_local(work());
        }
    };
    let running = async {
        spawn_local(serving);
        run.await
    };
    LocalSet::new().run_until(running).await
}

/// Runs a future beside the others. It ends if this one is dropped.
pub async fn beside<T: Send + 'static>(
    make: impl FnOnce() -> LocalBoxFuture<'static, T> + Send + 'static,
) -> T {
    let (give, end) = oneshot::channel();
    let dropped = CancellationToken::new();
    let _dropping = dropped.clone().drop_guard();
    let work: Work = Box::new(move || {
        Box::pin(async move {
            tokio::select! {
                biased;
                () = dropped.cancelled() => {}
                done = make() => drop(give.send(done)),
            }
        })
    });
    let sent = WORKS.with_borrow(|works| works.as_ref().map(|works| works.send(work)));
    sent.expect("it is called within `with_beside`")
        .expect("it serves");
    end.await.expect("it ends, or panics here, too")
}
