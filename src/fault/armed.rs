//! Failpoints as the tests' binary has them.

use super::{FaultError, MOMENTS, REQUESTS, VARIABLE, WriteOp, Writer};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A request that was lost on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lost {
    point: &'static str,
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "lost at the failpoint {}", self.point)
    }
}

/// A request is about to be sent.
///
/// # Errors
/// It counts as lost, and must not be sent.
pub async fn before(request: &'static str) -> Result<(), Lost> {
    pass(request, ".before").await
}

/// A request was answered.
///
/// # Errors
/// Its answer counts as lost.
pub async fn after(request: &'static str) -> Result<(), Lost> {
    pass(request, ".after").await
}

/// Between two steps.
pub async fn moment(name: &'static str) {
    // Only requests can be lost, which `Rule::parse` sees to.
    let _ = pass(name, "").await;
}

/// Name of a write of a target.
#[must_use]
pub fn writing(writer: Writer, stroke: impl FnOnce() -> WriteOp) -> &'static str {
    match (writer, stroke()) {
        (Writer::Tail, WriteOp::Put) => "tail.put",
        (Writer::Tail, WriteOp::Tombstone) => "tail.bury",
        (Writer::Tail, WriteOp::Delete) => "tail.delete",
        (Writer::Backfill, _) => "backfill.put",
        (Writer::Bulk, _) => "bulk.put",
        (Writer::Repair, WriteOp::Put) => "repair.put",
        (Writer::Repair, _) => "repair.bury",
        (Writer::Recheck, WriteOp::Put) => "recheck.put",
        (Writer::Recheck, _) => "recheck.bury",
        (Writer::DeadLetters, WriteOp::Put) => "letters.put",
        (Writer::DeadLetters, _) => "letters.bury",
    }
}

/// Name of a save or of a removal of a state record; `None` for an unknown record.
#[must_use]
pub fn saving(record: &str, removed: bool) -> &'static str {
    let kind = record.split_once('#').map_or(record, |(kind, _)| kind);
    match (kind, removed) {
        ("SPLIT", false) => "state.split.put",
        ("SERVICE", false) => "state.service.put",
        ("SERVICE", true) => "state.service.delete",
        ("SHARD" | "BACKSHARD", false) => "state.shard.put",
        ("HISTORY", false) => "state.history.put",
        ("WORKER", false) => "state.worker.put",
        ("WORKER", true) => "state.worker.delete",
        ("BACKFILL", false) => "state.backfill.put",
        ("IMPORT", false) => "state.import.put",
        ("HEAL", false) => "state.heal.put",
        ("SEGMENT", false) => "state.segment.put",
        ("SEGMENT", true) => "state.segment.delete",
        ("COPIED", false) => "state.copied.put",
        ("COPIED", true) => "state.copied.delete",
        ("MEMBER", false) => "state.member.put",
        ("MEMBER", true) => "state.member.delete",
        ("REPAIR", false) => "state.repair.put",
        ("VERIFY", false) => "state.verify.put",
        ("SHAREDVERIFY", false) => "state.shared-verify.put",
        ("VERIFYTASK", false) => "state.verify-task.put",
        ("VERIFYTASK", true) => "state.verify-task.delete",
        ("PROOF", false) => "state.proof.put",
        ("PROOF", true) => "state.proof.delete",
        ("CHANGES", false) => "state.changes.put",
        ("LETTER" | "BACKLETTER" | "STRAY" | "EVENTLETTER", false) => "state.letter.put",
        ("LETTER" | "BACKLETTER" | "STRAY" | "EVENTLETTER", true) => "state.letter.delete",
        ("LETTERPART" | "BACKLETTERPART" | "STRAYPART" | "EVENTLETTERPART", false) => "state.letter-part.put",
        ("LETTERPART" | "BACKLETTERPART" | "STRAYPART" | "EVENTLETTERPART", true) => {
            "state.letter-part.delete"
        }
        ("RECHECK", false) => "state.recheck.put",
        ("RECHECK", true) => "state.recheck.delete",
        ("TUNING", false) => "state.tuning.put",
        ("NOTIFY", false) => "state.notify.put",
        ("CHART", false) => "state.chart.put",
        ("ACTIVITY", false) => "state.activity.put",
        ("CUTOVER", false) => "state.cutover.put",
        ("CUTOVEREVENT", false) => "state.cutover-event.put",
        ("PRUNE", false) => "state.prune.put",
        ("CUTOVERPIN", false) => "state.cutover-pin.put",
        _ => "",
    }
}

/// Reads the variable, once.
///
/// # Errors
/// With the problem in it.
pub fn check() -> Result<(), FaultError> {
    rules().as_ref().map(|_| ()).map_err(Clone::clone)
}

fn rules() -> &'static Result<Vec<Rule>, FaultError> {
    static RULES: OnceLock<Result<Vec<Rule>, FaultError>> = OnceLock::new();
    RULES.get_or_init(|| parse(&std::env::var(VARIABLE).unwrap_or_default()))
}

async fn pass(name: &'static str, side: &'static str) -> Result<(), Lost> {
    let Ok(rules) = rules() else { return Ok(()) };
    for rule in rules.iter().filter(|rule| rule.is_at(name, side)) {
        if !rule.when.holds(rule.passes.fetch_add(1, Ordering::Relaxed) + 1) {
            continue;
        }
        match rule.action {
            Action::Kill => signal(rule, Signal::Kill),
            Action::Stop => signal(rule, Signal::Stop),
            Action::Error => return Err(Lost { point: name }),
            Action::Delay(time) => tokio::time::sleep(time).await,
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Signal {
    Kill,
    Stop,
}

/// Reports the place, and sends the process a signal, which has taken effect when this returns. The signal goes to this
/// thread: the system may give one for the whole process to another thread, and this one would run on for a moment, long
/// enough to send a request. A stop or the end of one thread is that of all.
#[cfg(unix)]
fn signal(rule: &Rule, signal: Signal) {
    use nix::sys::signal::{Signal as Unix, raise};
    let (word, signal) = match signal {
        Signal::Kill => ("kill", Unix::SIGKILL),
        Signal::Stop => ("stop", Unix::SIGSTOP),
    };
    eprintln!("failpoint {}: {word}", rule.point);
    if let Err(error) = raise(signal) {
        eprintln!("failpoint {}: {error}", rule.point);
    }
}

/// Where there are no such signals, only the end can be had.
#[cfg(not(unix))]
fn signal(rule: &Rule, signal: Signal) {
    if matches!(signal, Signal::Kill) {
        eprintln!("failpoint {}: kill", rule.point);
        std::process::abort();
    }
}

#[derive(Debug)]
struct Rule {
    point: String,
    when: When,
    action: Action,
    passes: AtomicU64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum When {
    Once(u64),
    From(u64),
    Every(u64),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    Kill,
    Stop,
    Error,
    Delay(Duration),
}

impl When {
    fn holds(self, pass: u64) -> bool {
        match self {
            Self::Once(at) => pass == at,
            Self::From(at) => pass >= at,
            Self::Every(step) => pass.is_multiple_of(step),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| text.parse().ok().filter(|number| *number > 0);
        if text == "*" {
            Some(Self::From(1))
        } else if let Some(step) = text.strip_prefix('/') {
            number(step).map(Self::Every)
        } else if let Some(first) = text.strip_suffix('+') {
            number(first).map(Self::From)
        } else {
            number(text).map(Self::Once)
        }
    }
}

impl Action {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "kill" => Some(Self::Kill),
            "stop" => Some(Self::Stop),
            "error" => Some(Self::Error),
            _ => {
                let ms = text.strip_prefix("delay:")?.parse().ok()?;
                Some(Self::Delay(Duration::from_millis(ms)))
            }
        }
    }
}

impl Rule {
    fn parse(text: &str) -> Result<Self, FaultError> {
        let wrong = |cause: String| FaultError::Malformed {
            rule: text.to_owned(),
            cause,
        };
        let (place, action) = text
            .split_once('=')
            .ok_or_else(|| wrong("expected POINT[@WHEN]=ACTION".to_owned()))?;
        let (point, when) = place.split_once('@').unwrap_or((place, "1"));
        let is_request = ["before", "after"].iter().any(|side| {
            point
                .strip_suffix(side)
                .and_then(|name| name.strip_suffix('.'))
                .is_some_and(|name| REQUESTS.contains(&name))
        });
        if !is_request && !MOMENTS.contains(&point) {
            return Err(wrong(format!("there is no failpoint '{point}'")));
        }
        let when = When::parse(when)
            .ok_or_else(|| wrong(format!("'{when}' is no pass: expected 17, 17+, /17 or *")))?;
        let action = Action::parse(action).ok_or_else(|| {
            wrong(format!(
                "'{action}' is no action: expected kill, stop, error or delay:MS"
            ))
        })?;
        if action == Action::Error && !is_request {
            return Err(wrong("no request can be lost there".to_owned()));
        }
        Ok(Self {
            point: point.to_owned(),
            when,
            action,
            passes: AtomicU64::new(0),
        })
    }

    fn is_at(&self, name: &str, side: &str) -> bool {
        self.point.strip_suffix(side) == Some(name)
    }
}

fn parse(text: &str) -> Result<Vec<Rule>, FaultError> {
    let rules = text.split(',').map(str::trim).filter(|rule| !rule.is_empty());
    rules.map(Rule::parse).collect()
}

#[cfg(test)]
mod tests;
