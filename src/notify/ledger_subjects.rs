//! What is worth a notification about the ledger of all changes. No text of a reason is taken over, because it may name a key.

use super::notice::{NoticeKind, Severity};
use super::subject::{SHORT_MS, Subject, Subjects, ms};
use crate::model::duration;
use crate::state::NotifyRecord;
use crate::status::LedgerStatus;
use std::time::Duration;

/// The ledger writes an object every five minutes, so it is always some minutes behind.
const LEAST_LAG_MS: u64 = 900_000;

/// The subjects of the ledger. It belongs to the whole split, and not to a service.
pub(super) fn of_ledger(found: &mut Subjects, ledger: &LedgerStatus, known: &NotifyRecord, least: Duration) {
    if ledger.gap.is_some() {
        let text = match ledger.lanes.as_slice() {
            [] => "the ledger lost records of the stream; no lane needs them".to_owned(),
            lanes => format!(
                "the ledger lost records of the stream, and lanes that are far behind read it: {}",
                lanes.join(", ")
            ),
        };
        let gap = Subject::new(NoticeKind::Gap, None, "gap", text);
        found.insert(
            "ledger-gap/ledger".into(),
            gap.at(Severity::Critical)
                .next("run `dynasplit replicate --restart-ledger`, which begins the ledger anew"),
        );
    }
    let name = "ledger-lag/ledger";
    let told = known.told.get(name).is_some_and(|told| told.state.is_some());
    if let Some(lag) = lag(ledger, told, ms(least)) {
        found.insert(name.to_owned(), lag);
    }
}

/// As for a lane: one that was told is over only when it is half as long.
fn lag(ledger: &LedgerStatus, told: bool, least_ms: u64) -> Option<Subject> {
    let lag_ms = ledger.lag_ms.filter(|_| ledger.gap.is_none())?;
    let next = "run `dynasplit status`, which shows why it cannot be written";
    if ledger.time_left_ms.is_some_and(|left_ms| left_ms < SHORT_MS) {
        let text = format!(
            "the ledger has less than {} until the stream removes changes that it does not have",
            duration(SHORT_MS)
        );
        let lag = Subject::new(NoticeKind::Lag, None, "short of time", text);
        return Some(lag.at(Severity::Critical).next(next));
    }
    let least_ms = least_ms.max(LEAST_LAG_MS);
    let limit = if told { least_ms / 2 } else { least_ms };
    (lag_ms >= limit).then(|| {
        let text = format!("the ledger is {} behind", duration(lag_ms));
        Subject::new(NoticeKind::Lag, None, "behind", text).next(next)
    })
}
