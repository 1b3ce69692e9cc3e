//! Beside the steps that wait until the writers have stopped, the changes are read and compared.

use super::work::Work;
use crate::worker::RunError;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two looks at what changed, while a step waits.
const BETWEEN_FOLLOWS: Duration = Duration::from_millis(300);

/// Does a step that waits until the writers have stopped. Meanwhile, the changes from before are read and compared, so that the
/// check finds little to do: the pause does not pay for what was written since the changes were followed.
pub(super) async fn beside<T>(
    work: &Work<'_>,
    step: impl Future<Output = Result<T, RunError>>,
) -> Result<T, RunError> {
    let (changed, mut tip) = (work.changed.lock().await.take(), work.tip.lock().await.take());
    // Another process did the steps before, or nothing will be checked.
    let Some(mut changed) = changed.filter(|_| !work.force) else {
        return step.await;
    };
    let (on, ended) = (work.compared(), CancellationToken::new());
    let following = async {
        while !ended.is_cancelled() {
            changed.follow_on(&on, tip.as_mut(), &ended).await?;
            tokio::select! {
                biased;
                () = ended.cancelled() => {}
                () = tokio::time::sleep(BETWEEN_FOLLOWS) => {}
            }
        }
        Ok::<(), RunError>(())
    };
    let doing = async {
        let done = step.await;
        ended.cancel();
        done
    };
    // Whatever becomes of the other, each comes to its end: a fence that is left in the middle of a request may come into force
    // after it was lifted.
    let (done, followed) = tokio::join!(doing, Box::pin(following));
    let done = done?;
    followed?;
    *work.changed.lock().await = Some(changed);
    *work.tip.lock().await = tip;
    Ok(done)
}
