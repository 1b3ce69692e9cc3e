//! Everything goes wrong now and then.

use std::time::Duration;

use super::course::{HABITS, begin, end, set};
use crate::support::long::in_the_long_run;
use crate::support::random_faults;
use crate::support::trial::Mode;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_goes_wrong_now_and_then() {
    in_the_long_run!(everything_goes_wrong_now_and_then);
    let stage = set(
        random_faults::script(20, Duration::from_millis(1300)),
        Mode::Timestamp,
    )
    .await;
    let mutator = stage.write(HABITS).await;
    let tail = begin(&stage).await;
    let second = stage.cli.start(&["replicate"]);
    stage.cli.succeed(&["backfill"]).await;
    random_faults::until_struck(stage.engine.faults(), Duration::from_secs(60)).await;
    mutator.stop().await;
    stage.cli.until_caught_up().await;
    stage.cli.succeed(&["verify"]).await;
    second.signal("TERM");
    second.end().await.with_code(&["replicate"], 0);
    end(&stage, tail).await;
    random_faults::assert_struck(stage.engine.faults());
}
