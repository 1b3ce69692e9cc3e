//! One notification: what it says, and its forms for people and for programs.

use serde::Serialize;
use serde_json::{Value, json};
use std::fmt;
use std::time::{Duration, SystemTime};

/// What a notification is about. Part of the documented format.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    /// The phase of the split.
    Phase,
    /// A lane lost changes.
    Gap,
    /// Changes could not be written.
    DeadLetters,
    /// Others wrote the source after the switch of a service.
    StrayWrites,
    /// A lane is far behind.
    Lag,
    /// DynamoDB throttles for a long time.
    Throttling,
    /// The steps of a cutover, of a rollback, or of the end of a service.
    Cutover,
}

impl NoticeKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Phase,
        Self::Gap,
        Self::DeadLetters,
        Self::StrayWrites,
        Self::Lag,
        Self::Throttling,
        Self::Cutover,
    ];
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Phase => "phase",
            Self::Gap => "gap",
            Self::DeadLetters => "dead-letters",
            Self::StrayWrites => "stray-writes",
            Self::Lag => "lag",
            Self::Throttling => "throttling",
            Self::Cutover => "cutover",
        })
    }
}

/// How urgent it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Changes are lost, or soon will be, or writers are stopped and nothing goes on.
    Critical,
    /// A person should look at it.
    Warning,
    /// Nobody has to do anything.
    Info,
}

/// Whether something began, changed or ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It was not so before.
    Began,
    /// It is different from what was told last.
    Changed,
    /// It is over.
    Ended,
}

/// One notification. It has names of the plan, counts and times; it has no key and no value of an item.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Notice {
    /// The same if the same notification is sent again, and in no other one.
    pub id: String,
    /// Name of the split.
    pub split: String,
    /// What it is about.
    pub kind: NoticeKind,
    /// The service that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Whether it began, changed or ended.
    pub change: Change,
    /// How urgent it is.
    pub severity: Severity,
    /// What happened, in a sentence.
    pub text: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The steps of a cutover since the last notification.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<String>,
    /// When it was noticed, as ISO 8601.
    pub time: String,
}

/// A time in milliseconds since 1970, as ISO 8601.
#[must_use]
pub(super) fn iso(ms: u64) -> String {
    humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + Duration::from_millis(ms)).to_string()
}

impl Notice {
    /// For programs.
    #[must_use]
    pub fn document(&self) -> Value {
        // Texts, lists and words always have a JSON form.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// For people, on one or two lines.
    #[must_use]
    pub fn words(&self) -> String {
        let line = format!("dynasplit {}: {}", self.split, self.text);
        match &self.next {
            Some(next) => format!("{line}\nNext: {next}"),
            None => line,
        }
    }

    /// The subject of an e-mail: at most 100 ASCII characters, as SNS demands.
    #[must_use]
    pub fn subject(&self) -> String {
        let service = self.service.iter().map(|service| format!(" ({service})"));
        let text = format!(
            "dynasplit {}: {}{}",
            self.split,
            self.kind,
            service.collect::<String>()
        );
        text.chars().filter(char::is_ascii).take(100).collect()
    }

    /// The body of a webhook in the format of Slack. Three characters have a meaning there.
    #[must_use]
    pub fn slack(&self) -> Value {
        let sign = match self.severity {
            Severity::Critical => ":rotating_light: ",
            Severity::Warning => ":warning: ",
            Severity::Info => "",
        };
        let text = self
            .words()
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        json!({ "text": format!("{sign}{text}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn notice() -> Notice {
        Notice {
            id: "abc".into(),
            split: "shop".into(),
            kind: NoticeKind::Gap,
            service: Some("Orders".into()),
            change: Change::Began,
            severity: Severity::Critical,
            text: "the lane <Orders> lost changes".into(),
            next: Some("run `dynasplit status`".into()),
            steps: Vec::new(),
            time: iso(1_700_000_000_123),
        }
    }

    #[test]
    fn a_notification_has_a_form_for_each_reader() {
        let notice = notice();
        assert_eq!(
            notice.document(),
            json!({
                "id": "abc", "split": "shop", "kind": "gap", "service": "Orders", "change": "began", "severity": "critical",
                "text": "the lane <Orders> lost changes", "next": "run `dynasplit status`", "time": "2023-11-14T22:13:20.123Z",
            })
        );
        assert_eq!(
            notice.slack(),
            json!({ "text": ":rotating_light: dynasplit shop: the lane &lt;Orders&gt; lost changes\nNext: run `dynasplit status`" })
        );
        assert_eq!(notice.subject(), "dynasplit shop: gap (Orders)");
    }

    #[test]
    fn a_subject_fits_into_an_e_mail() {
        let long = Notice {
            split: "é".repeat(50) + &"x".repeat(200),
            ..notice()
        };
        assert_eq!(long.subject().len(), 100);
        assert!(long.subject().is_ascii());
    }

    #[test]
    fn the_words_are_those_of_the_documents() {
        for kind in NoticeKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.to_string());
        }
    }
}
