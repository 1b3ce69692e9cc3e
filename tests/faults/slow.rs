//! Pages of the stream that never come in time: smaller ones do.

use super::course::{begin, end, put, set};
use crate::support::faulty::{Call, Fault, Landing, Loss, Rule, Script};
use crate::support::long::in_the_long_run;
use crate::support::trial::Mode;

/// More than can come in time.
const TOO_MANY: u64 = 40;

fn is_too_large(call: &Call) -> bool {
    call.json()["Limit"].as_u64().unwrap_or(1000) > TOO_MANY
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_that_can_not_come_at_once_comes_in_smaller_pages() {
    in_the_long_run!(a_backlog_that_can_not_come_at_once_comes_in_smaller_pages);
    let stage = set(Script::quiet(31), Mode::Sequence).await;
    let tail = begin(&stage).await;
    put(&stage, 0, 1, "before").await;
    stage.cli.until_caught_up().await;
    // From here on, as over a slow line: no page of more than so many records comes in time, and none of them ever.
    let slow = Rule::new(Fault::Lost(Loss::Silence, Landing::Never))
        .on(&["GetRecords"])
        .when(is_too_large);
    let slow = stage.engine.faults().rule(slow);
    for id in 0..300 {
        put(&stage, id, 2, "in the backlog").await;
    }
    // 1000, 500, 250, 125, 62: the sixth comes.
    slow.until(5).await;
    end(&stage, tail).await;
    assert!(slow.hits() < 150, "it was tried in vain {} times", slow.hits());
}
