//! The events of a service.

use super::notify::check_arn;
use super::report::Report;
use crate::plan::channel::Channel;
use crate::plan::events::{EventImages, Events};
use crate::plan::path::Path;
use crate::plan::spec_events::{EventImagesWord, EventsSpec, EventsTargetSpec};
use std::ops::RangeInclusive;

/// Refusals after which an event becomes a dead letter: at least one; at most so many that the lane, which waits between two
/// attempts, is not held up for hours by one event.
const ATTEMPTS: RangeInclusive<u32> = 1..=20;

/// The events. `None` only if a problem was reported.
pub(super) fn events(spec: &EventsSpec, path: &Path, report: &mut Report) -> Option<Events> {
    let attempts = spec.attempts.unwrap_or(Events::ATTEMPTS);
    let at = path.field("attempts");
    if !ATTEMPTS.contains(&attempts) && !report.is_faulty(&at) {
        report.at(
            &at,
            format!("{attempts} attempts are not possible"),
            format!("write a number from {} to {}", ATTEMPTS.start(), ATTEMPTS.end()),
        );
    }
    Some(Events {
        to: target(&spec.to, &path.field("to"), report)?,
        images: match spec.images {
            None | Some(EventImagesWord::Keys) => EventImages::Keys,
            Some(EventImagesWord::New) => EventImages::New,
            Some(EventImagesWord::NewAndOld) => EventImages::NewAndOld,
        },
        attempts,
    })
}

fn target(spec: &EventsTargetSpec, path: &Path, report: &mut Report) -> Option<Channel> {
    let channel = match (&spec.sqs, &spec.sns, &spec.event_bus) {
        (Some(arn), None, None) => Channel::Queue(arn.clone()),
        (None, Some(arn), None) => Channel::Topic(arn.clone()),
        (None, None, Some(arn)) => Channel::EventBus(arn.clone()),
        _ => {
            if !report.is_faulty(path) {
                report.at(
                    path,
                    "the destination of events has exactly one of `sqs`, `sns` and `event-bus`",
                    "write one of them, as in to: { sqs: 'arn:aws:sqs:eu-central-1:123456789012:orders.fifo' }",
                );
            }
            return None;
        }
    };
    check_arn(&channel, path, report);
    Some(channel)
}
