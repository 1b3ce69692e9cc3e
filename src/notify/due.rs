//! Which notifications a destination gets now: the difference between what is so, and what it was told. Pure.

use super::notice::{Change, Notice, NoticeKind, Severity, iso};
use super::subject::{Subject, Subjects};
use crate::state::{NotifyRecord, Told};

/// A notification with what is recorded after it was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due {
    /// Name of the subject.
    pub subject: String,
    /// The state that is told; `None`: it is over.
    pub state: Option<String>,
    /// Of a cutover: the time of the last step that is told.
    pub until_ms: u64,
    /// The notification.
    pub notice: Notice,
}

/// The next notification for a destination: the most urgent one that may be sent now.
#[must_use]
pub fn next_due(split: &str, known: &NotifyRecord, subjects: &Subjects, now_ms: u64) -> Option<Due> {
    let began = subjects
        .iter()
        .filter_map(|(name, subject)| of_subject(split, known, name, subject, now_ms));
    let ended = known
        .told
        .iter()
        .filter(|(name, told)| told.state.is_some() && !subjects.contains_key(*name))
        .filter_map(|(name, told)| of_end(split, known, name, told, now_ms));
    began
        .chain(ended)
        .filter(|due| known.may_send(&due.subject, now_ms))
        .min_by_key(|due| (due.notice.severity, due.subject.clone()))
}

fn of_subject(split: &str, known: &NotifyRecord, name: &str, subject: &Subject, now_ms: u64) -> Option<Due> {
    let told = known.told.get(name);
    let state = told.and_then(|told| told.state.as_deref());
    let is_new_step = subject.until_ms > told.map_or(0, |told| told.until_ms);
    if state == Some(subject.state.as_str()) && !is_new_step {
        return None;
    }
    let change = match state {
        Some(_) => Change::Changed,
        None => Change::Began,
    };
    Some(Due {
        subject: name.to_owned(),
        state: Some(subject.state.clone()),
        until_ms: subject.until_ms,
        notice: Notice {
            id: id(split, known, name, &subject.state),
            split: split.to_owned(),
            kind: subject.kind,
            service: subject.service.clone(),
            change,
            severity: subject.severity,
            text: subject.text.clone(),
            next: subject.next.clone(),
            steps: subject.steps.clone(),
            time: iso(now_ms),
        },
    })
}

/// What was told, and is over. The phase and the cutovers have no end of this kind: their last state stays.
fn of_end(split: &str, known: &NotifyRecord, name: &str, told: &Told, now_ms: u64) -> Option<Due> {
    let (sort, of) = name.split_once('/')?;
    let (kind, text) = match sort {
        "gap" => (NoticeKind::Gap, format!("the lane of {of} has no gap any more")),
        "reverse-gap" => (
            NoticeKind::Gap,
            format!("the way back of {of} has no gap any more"),
        ),
        "events-gap" => (
            NoticeKind::Gap,
            format!("the events of {of} have no gap any more"),
        ),
        "events-dead-letters" => (
            NoticeKind::DeadLetters,
            format!("the events of {of} have no open dead letters any more"),
        ),
        "events-lag" => (
            NoticeKind::Lag,
            format!("the events of {of} are not far behind any more"),
        ),
        "ledger-gap" => (NoticeKind::Gap, "the ledger has no gap any more".to_owned()),
        "ledger-lag" => (
            NoticeKind::Lag,
            "the ledger is not far behind any more".to_owned(),
        ),
        "dead-letters" => (
            NoticeKind::DeadLetters,
            format!("{of} has no open dead letters any more"),
        ),
        "reverse-dead-letters" => (
            NoticeKind::DeadLetters,
            format!("every write of {of} was carried back to the source, or was settled"),
        ),
        "stray-writes" => (
            NoticeKind::StrayWrites,
            format!("all stray writes of {of} are settled"),
        ),
        "late" => (
            NoticeKind::StrayWrites,
            format!("no change of {of} is missing after its switch any more"),
        ),
        "lag" => (
            NoticeKind::Lag,
            format!("the lane of {of} is not far behind any more"),
        ),
        "throttling" => (
            NoticeKind::Throttling,
            format!("DynamoDB no longer throttles {of}"),
        ),
        _ => return None,
    };
    // The ledger and a throttled part of a command are no services.
    let is_service = kind != NoticeKind::Throttling && !sort.starts_with("ledger-");
    let service = is_service.then(|| of.to_owned());
    Some(Due {
        subject: name.to_owned(),
        state: None,
        until_ms: told.until_ms,
        notice: Notice {
            id: id(split, known, name, "over"),
            split: split.to_owned(),
            kind,
            service,
            change: Change::Ended,
            severity: Severity::Info,
            text,
            next: None,
            steps: Vec::new(),
            time: iso(now_ms),
        },
    })
}

/// The same for the same notification, because the count of those that were sent is recorded only after one was sent.
fn id(split: &str, known: &NotifyRecord, subject: &str, state: &str) -> String {
    let mut hash = blake3::Hasher::new();
    for part in [split, &known.destination, subject, state, &known.sent.to_string()] {
        hash.update(part.as_bytes());
        hash.update(&[0]);
    }
    hash.finalize().to_hex()[..32].to_owned()
}
