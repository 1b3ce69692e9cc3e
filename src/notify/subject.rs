//! One thing that is worth a notification.

use super::notice::{NoticeKind, Severity};
use std::collections::BTreeMap;
use std::time::Duration;

/// Something with less time until the stream trims is critical, whatever its lag may be: the same time as that of the alarm in
/// `deploy/prometheus`.
pub(super) const SHORT_MS: u64 = 8 * 3_600_000;

/// Something that is so now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subject {
    /// What it is about.
    pub kind: NoticeKind,
    /// The service.
    pub service: Option<String>,
    /// The state in a word or two. It is told again if this changes.
    pub state: String,
    /// How urgent it is.
    pub severity: Severity,
    /// In a sentence.
    pub text: String,
    /// What to do next.
    pub next: Option<String>,
    /// The steps of a cutover that were not told yet, and the time of the last one.
    pub steps: Vec<String>,
    /// The time of the last step, in milliseconds since 1970.
    pub until_ms: u64,
}

impl Subject {
    pub(super) fn new(
        kind: NoticeKind,
        service: Option<&str>,
        state: impl Into<String>,
        text: String,
    ) -> Self {
        Self {
            kind,
            service: service.map(str::to_owned),
            state: state.into(),
            severity: Severity::Warning,
            text,
            next: None,
            steps: Vec::new(),
            until_ms: 0,
        }
    }

    pub(super) fn next(self, next: &str) -> Self {
        Self {
            next: Some(next.to_owned()),
            ..self
        }
    }

    pub(super) fn at(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }
}

/// Everything that is worth a notification now, by name. The name of a subject does not change as long as it lasts.
pub type Subjects = BTreeMap<String, Subject>;

/// How many, roughly: a count is told again when it is ten times as large, or a tenth.
pub(super) fn magnitude(count: u64) -> String {
    format!("{}+", 10_u64.pow(count.max(1).ilog10()))
}

pub(super) fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
