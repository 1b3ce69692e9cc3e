//! What is worth a notification now, by the status of the split. Pure. No text of an obstacle or of a journal is taken over,
//! because such a text may name a key, or contain the output of a hook.

use super::event_subjects::of_events;
use super::ledger_subjects::of_ledger;
use super::notice::{NoticeKind, Severity};
use super::subject::{SHORT_MS, Subject, Subjects, magnitude, ms};
use crate::model::{counted, duration};
use crate::state::{CutoverEvent, Limit, NotifyRecord, SeenSince, ShardRecord};
use crate::status::{CutoverStatus, LaneStatus, Phase, SplitStatus};
use std::time::Duration;

/// A figure of a limit that is older says nothing about the present.
const FRESH_MS: u64 = 90_000;
/// Throttling that was not seen for so long has ended.
const CALM_MS: u64 = 180_000;

/// What a plan calls worth a notification.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Thresholds {
    /// Lag of a lane.
    pub lag: Duration,
    /// Time of throttling.
    pub throttled: Duration,
}

/// The subjects of a status. `known` is what the destination was told.
#[must_use]
pub fn subjects(status: &SplitStatus, known: &NotifyRecord, thresholds: Thresholds) -> Subjects {
    let mut found = Subjects::new();
    found.insert("phase".into(), phase(status));
    if status.phase == Phase::Done {
        return found;
    }
    for lane in &status.lanes {
        of_lane(&mut found, lane, status, known, thresholds);
    }
    for (service, count) in status.dead_letters.iter().filter(|(_, count)| **count > 0) {
        let text = format!(
            "{} of {} could not be written",
            counted(*count, "change"),
            named(service)
        );
        let subject = Subject::new(NoticeKind::DeadLetters, Some(service), magnitude(*count), text);
        found.insert(
            format!("dead-letters/{service}"),
            subject.next("run `dynasplit dead-letters list`"),
        );
    }
    for cutover in &status.cutovers {
        of_cutover(&mut found, cutover, known);
    }
    for events in &status.events {
        of_events(&mut found, events, known, thresholds.lag);
    }
    if let Some(ledger) = &status.ledger {
        of_ledger(&mut found, ledger, known, thresholds.lag);
    }
    of_throttling(&mut found, status, known, thresholds);
    found
}

/// Notes which parts of commands are throttled now, so that a later reading can tell for how long.
pub fn note_throttling(record: &mut NotifyRecord, status: &SplitStatus, now_ms: u64) {
    record
        .throttled
        .retain(|_, seen| now_ms.saturating_sub(seen.last_ms) < CALM_MS);
    for name in throttled(status) {
        let seen = record.throttled.entry(name).or_insert(SeenSince {
            first_ms: now_ms,
            last_ms: now_ms,
        });
        seen.last_ms = now_ms;
    }
}

/// The parts of commands that are throttled now: the command, the part, and the reason.
fn throttled(status: &SplitStatus) -> impl Iterator<Item = String> {
    let fresh = status.limits.iter().filter(|limit| limit.age_ms <= FRESH_MS);
    let throttled = fresh.filter(|limit| matches!(limit.limit, Limit::Throttled { .. }));
    throttled.map(|limit| {
        format!(
            "{}/{}/{}",
            limit.command,
            limit.of,
            limit.limit.throttling_reason()
        )
    })
}

fn of_throttling(found: &mut Subjects, status: &SplitStatus, known: &NotifyRecord, thresholds: Thresholds) {
    let least = ms(thresholds.throttled);
    for (name, seen) in &known.throttled {
        if seen.last_ms.saturating_sub(seen.first_ms) < least {
            continue;
        }
        let mut parts = name.splitn(3, '/');
        let mut part = || parts.next().unwrap_or_default().to_owned();
        let (command, of, reason) = (part(), part(), part());
        let service = status
            .lanes
            .iter()
            .any(|lane| lane.lane == of)
            .then_some(of.as_str());
        let text = format!(
            "DynamoDB has throttled `{command}` ({}) for {}: {reason}",
            named(&of),
            duration(seen.last_ms.saturating_sub(seen.first_ms))
        );
        let subject = Subject::new(NoticeKind::Throttling, service, "throttled", text);
        found.insert(
            format!("throttling/{name}"),
            subject
                .next("look up the reason in docs/commands.md#throttling; `dynasplit tune` changes budgets"),
        );
    }
}

fn phase(status: &SplitStatus) -> Subject {
    let text = match status.phase {
        Phase::Created => "the tables and the state exist; the stream is not captured yet",
        Phase::Tailing => "the stream is captured, and its changes are applied",
        Phase::Backfilling => "the copy of the existing items has begun",
        Phase::CatchingUp => {
            "the copy is finished; something is left to do before the services can switch (`dynasplit status` shows it)"
        }
        Phase::Verified => "the copies are complete and verified",
        Phase::Completing => "the split is being completed",
        Phase::Done => "the split is complete",
    };
    let text = format!("phase {}: {text}", status.phase);
    Subject::new(NoticeKind::Phase, None, status.phase.to_string(), text).at(Severity::Info)
}

fn of_lane(
    found: &mut Subjects,
    lane: &LaneStatus,
    status: &SplitStatus,
    known: &NotifyRecord,
    thresholds: Thresholds,
) {
    let name = lane.lane.as_str();
    if lane.gap.is_some() {
        let text = format!("the lane of {} lost changes of the stream", named(name));
        found.insert(
            format!("gap/{name}"),
            Subject::new(NoticeKind::Gap, Some(name), "gap", text)
                .at(Severity::Critical)
                .next("run `dynasplit replicate --restart-tail`, then `dynasplit verify --repair`"),
        );
    }
    for (service, late) in lane.late.iter().filter(|(_, late)| late.count > 0) {
        let text = format!(
            "{} of {service} came to the source after the service had switched; its own table does not contain them",
            counted(late.count, "change")
        );
        found.insert(
            format!("late/{service}"),
            Subject::new(
                NoticeKind::StrayWrites,
                Some(service),
                magnitude(late.count),
                text,
            )
            .at(Severity::Critical)
            .next("run `dynasplit status`, which names the steps"),
        );
    }
    let subject = format!("lag/{name}");
    let told = known.told.get(&subject).and_then(|told| told.state.as_deref());
    let is_held = status.tombstones.get(name).is_some_and(|switch| switch.holds());
    if let Some(lag) = lag(lane, is_held, told, ms(thresholds.lag)) {
        found.insert(subject, lag);
    }
}

/// A lag that is worth a notification. One that was told is over only when it is half as long, so that a lag about as long as
/// the limit is not told again and again.
fn lag(lane: &LaneStatus, is_held: bool, told: Option<&str>, least_ms: u64) -> Option<Subject> {
    let lag_ms = lane.shown_lag_ms.filter(|_| lane.open_shards > 0)?;
    let left_ms = lane.time_left_ms()?;
    let next = "run `dynasplit status`, which shows what limits the lane";
    let name = lane.lane.as_str();
    if left_ms < SHORT_MS {
        let text = format!(
            "the lane of {} has less than {} until the stream removes changes that it has not applied",
            named(name),
            duration(SHORT_MS)
        );
        let subject = Subject::new(NoticeKind::Lag, Some(name), "short of time", text);
        return Some(subject.at(Severity::Critical).next(next));
    }
    // A bulk copy holds the lane on purpose.
    if is_held {
        return None;
    }
    let limit = if told.is_some() { least_ms / 2 } else { least_ms };
    (lag_ms >= limit).then(|| {
        let text = format!("the lane of {} is {} behind", named(name), duration(lag_ms));
        Subject::new(NoticeKind::Lag, Some(name), "behind", text).next(next)
    })
}

fn of_cutover(found: &mut Subjects, cutover: &CutoverStatus, known: &NotifyRecord) {
    let service = cutover.service.as_str();
    let listing = format!("run `dynasplit reverse list --service {service}`");
    if let Some(reverse) = &cutover.reverse {
        if reverse.gap.is_some() {
            let text = format!("the way back of {service} lost changes, so a rollback would lose them");
            let subject = Subject::new(NoticeKind::Gap, Some(service), "gap", text).at(Severity::Critical);
            found.insert(
                format!("reverse-gap/{service}"),
                subject.next("run `dynasplit status`, which names the choices"),
            );
        }
        let letters = reverse.dead_letters.len() as u64;
        if letters > 0 {
            let text = format!(
                "{} of {service} could not be carried back to the source",
                counted(letters, "write")
            );
            let subject = Subject::new(NoticeKind::DeadLetters, Some(service), magnitude(letters), text);
            found.insert(format!("reverse-dead-letters/{service}"), subject.next(&listing));
        }
        let strays = reverse.strays.len() as u64;
        if strays > 0 {
            let text = format!(
                "{} of others came to the source's items of {service} after the switch",
                counted(strays, "write")
            );
            let subject = Subject::new(NoticeKind::StrayWrites, Some(service), magnitude(strays), text);
            found.insert(format!("stray-writes/{service}"), subject.next(&listing));
        }
    }
    found.insert(format!("cutover/{service}"), steps(cutover, known));
}

/// The steps of a service's cutover since they were told last.
fn steps(cutover: &CutoverStatus, known: &NotifyRecord) -> Subject {
    let service = cutover.service.as_str();
    let told = known.told.get(&format!("cutover/{service}"));
    let until_ms = told.map_or(0, |told| told.until_ms);
    let new: Vec<&CutoverEvent> = cutover
        .events
        .iter()
        .filter(|event| event.at_ms > until_ms)
        .collect();
    let mut steps: Vec<String> = Vec::new();
    for step in new.iter().map(|event| event.step.to_string()) {
        if steps.last() != Some(&step) {
            steps.push(step);
        }
    }
    let step = cutover.step;
    if steps.last() != Some(&step.to_string()) {
        steps.push(step.to_string());
    }
    let stopped = !step.is_over() && !cutover.running;
    let (word, severity) = match () {
        () if cutover.hold.is_some() => ("on hold", Severity::Info),
        () if stopped && cutover.paused => ("stopped", Severity::Critical),
        () if stopped => ("stopped", Severity::Warning),
        () if step.is_over() => ("over", Severity::Info),
        () => ("running", Severity::Info),
    };
    let what = if stopped {
        format!("it stopped at the step {step}, which {}", step.doing())
    } else {
        step.doing().to_owned()
    };
    let pause = match cutover.pause_ms {
        Some(pause_ms) if cutover.paused => {
            format!(
                "; the service has been unable to write for {}",
                duration(pause_ms)
            )
        }
        Some(pause_ms) if step.is_over() => format!("; the pause took {}", duration(pause_ms)),
        _ => String::new(),
    };
    let text = format!("{service}, cutover {}: {what}{pause} ({word})", cutover.epoch);
    let last_ms = new.iter().map(|event| event.at_ms).max().unwrap_or(0);
    Subject {
        severity,
        next: stopped.then(|| "run `dynasplit status`, which names the next safe command".to_owned()),
        steps,
        until_ms: until_ms.max(last_ms),
        ..Subject::new(
            NoticeKind::Cutover,
            Some(service),
            format!("{} {step} {word}", cutover.epoch),
            text,
        )
    }
}

fn named(lane: &str) -> String {
    if lane == ShardRecord::WATCH {
        "items that belong to no service".into()
    } else {
        lane.to_owned()
    }
}
