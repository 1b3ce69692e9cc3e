//! Notifications of what happens to a split: to topics of SNS, event buses of EventBridge, and webhooks. It reads the status
//! of the split, and keeps a record of what each destination was told.

mod due;
mod event_subjects;
mod ledger_subjects;
mod notice;
mod notifier;
mod notifying;
mod receiver;
mod secret;
mod subject;
mod subjects;
#[cfg(test)]
mod tests;

pub use due::{Due, next_due};
pub use notice::{Change, Notice, NoticeKind, Severity};
pub use notifying::Notifying;
pub use receiver::DETAIL_TYPE;
pub use secret::SecretError;
pub use subject::{Subject, Subjects};
pub use subjects::{Thresholds, note_throttling, subjects};
