//! Work that a signal ends, at the latest after a grace.

use super::failure::Failed;
use super::session::Session;
use std::time::Duration;

/// Works until it is done, or until the grace time after a signal is over. The work is then dropped, which is as safe
/// as the death of the process. A failure after the signal counts as an interruption.
pub async fn stoppable<T, E: Into<Failed>>(
    session: &Session,
    grace: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Failed> {
    let over = async {
        session.stop.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        biased;
        done = work => done.map_err(|error| match error.into() {
            failed if session.stop.is_cancelled() => failed.interrupted(),
            failed => failed,
        }),
        () = over => Err(Failed::dropped(grace)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;
    use crate::dynamo::{Failure, FailureKind};
    use crate::worker::RunError;
    use std::future::pending;

    const SHORT: Duration = Duration::from_millis(50);

    fn failure(kind: FailureKind) -> RunError {
        RunError::Request(Failure {
            kind,
            action: "dynamodb:GetItem".into(),
            resource: "Orders".into(),
            code: "X".into(),
            message: String::new(),
        })
    }

    #[tokio::test]
    async fn a_signal_ends_what_never_would_and_what_fails_then_was_interrupted() {
        let session = Session::default();
        let fails = |kind| async { Err::<(), _>(failure(kind)) };
        let before = stoppable(&session, SHORT, fails(FailureKind::Transient)).await;
        assert_eq!(before.unwrap_err().exit(), Exit::Failed);
        session.stop.cancel();
        let never = stoppable(&session, SHORT, pending::<Result<(), RunError>>()).await;
        assert_eq!(never.unwrap_err().exit(), Exit::Interrupted);
        let after = stoppable(&session, SHORT, fails(FailureKind::Transient)).await;
        assert_eq!(after.unwrap_err().exit(), Exit::Interrupted);
        let throttled = stoppable(&session, SHORT, fails(FailureKind::Throttled(vec![]))).await;
        assert_eq!(throttled.unwrap_err().exit(), Exit::Interrupted);
        let denied = stoppable(&session, SHORT, fails(FailureKind::Denied)).await;
        assert_eq!(
            denied.unwrap_err().exit(),
            Exit::Failed,
            "it would have failed anyway"
        );
        let done = stoppable(&session, SHORT, async { Ok::<_, RunError>(7) }).await;
        assert_eq!(done.unwrap(), 7, "what was done is done");
    }
}
