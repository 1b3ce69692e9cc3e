//! Work that blocks a thread for long.

use super::chance;

/// Runs what blocks on a thread for that. A thread that simulates waits for no other one, and runs it at once. The error is a panic of
/// the work.
///
/// # Errors
/// If the work panicked.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    if chance::is_seeded() {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await
}
