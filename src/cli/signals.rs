use super::screen;
use tokio_util::sync::CancellationToken;

/// A token that the first Ctrl-C or SIGTERM cancels: work drains and is saved. The second one ends the process at
/// once; that is safe too, only what was under way is done again.
pub fn stop_on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let first = stop.clone();
    tokio::spawn(async move {
        next_signal().await;
        screen::say("stopping: letting writes under way land, and saving (once more to end at once)");
        first.cancel();
        next_signal().await;
        std::process::exit(130);
    });
    stop
}

#[cfg(unix)]
async fn next_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(error) => {
            tracing::warn!(%error, "SIGTERM can't be caught");
            wait_for_ctrl_c().await;
        }
    }
}

#[cfg(not(unix))]
async fn next_signal() {
    wait_for_ctrl_c().await;
}

async fn wait_for_ctrl_c() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::warn!(%error, "Ctrl-C can't be caught");
        std::future::pending::<()>().await;
    }
}
