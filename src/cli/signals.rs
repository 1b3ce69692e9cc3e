//! Signals: the first one stops a command cleanly, the second one ends the process.

use super::screen;
use super::session::Session;
use std::time::Duration;

/// The time after a signal in which a failed request is repeated.
const HURRY: Duration = Duration::from_secs(3);

/// The first Ctrl-C or SIGTERM cancels the session's token: work drains and is saved. The second one ends the process
/// at once. This is safe, too: only unfinished work is repeated.
pub fn stop_on_signal(session: &Session) {
    let Session {
        stop, stop_retrying, ..
    } = session.clone();
    tokio::spawn(async move {
        next_signal().await;
        screen::say("stopping: waiting for writes under way, and saving (press again to end at once)");
        stop.cancel();
        tokio::select! {
            () = next_signal() => std::process::exit(130),
            () = tokio::time::sleep(HURRY) => stop_retrying.cancel(),
        }
        next_signal().await;
        std::process::exit(130);
    });
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
