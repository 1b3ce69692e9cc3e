//! What all parts of one command share: whether it was told to stop, and where its engine is.

use super::failure::Failed;
use crate::dynamo::Endpoints;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// After a signal, what is under way may land and be saved for so long; then it is left as it is. Supervisors kill after
/// thirty seconds, some after ten.
pub const GRACE: Duration = Duration::from_secs(9);

/// One command's session.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Cancelled by the first signal: no new work begins.
    pub stop: CancellationToken,
    /// Cancelled a little later: a request that failed is not sent again.
    pub hurry: CancellationToken,
    at: Arc<OnceLock<At>>,
}

/// Where the engine is.
#[derive(Clone, Debug)]
pub struct At {
    /// The endpoints that replace AWS's.
    pub endpoints: Endpoints,
    /// The source's region.
    pub region: String,
}

impl Session {
    /// The engine is known from here on.
    pub fn arrived(&self, at: At) {
        // The plan is opened once in a command; what was known first stays.
        self.at.get_or_init(|| at);
    }

    /// Where the engine is, once that is known.
    pub fn at(&self) -> Option<&At> {
        self.at.get()
    }
}

/// Works until it is done, or until a signal came and the grace is over: then the work is dropped where it stands, which
/// is as safe as the death of the process. What fails after the signal was interrupted, and did not fail by itself.
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
    use crate::cli::failure::Exit;
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
