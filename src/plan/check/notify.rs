//! The notifications of a plan.

use super::fence::seconds;
use super::report::Report;
use crate::model::BuildPart;
use crate::plan::channel::Channel;
use crate::plan::notify::{Destination, Notify, SecretPlace};
use crate::plan::path::Path;
use crate::plan::spec_notify::{DestinationSpec, NotifySpec, WebhookSpec};
use std::collections::HashSet;
use std::ops::RangeInclusive;

/// Most destinations: each has a record of its own in the state table.
const MAX_DESTINATIONS: usize = 10;
/// Seconds of lag that are worth a notification: at least a minute, because a lane is always a little behind; at most the time
/// that a stream keeps a record.
const LAG_SECONDS: RangeInclusive<u32> = 60..=86_400;
/// Seconds of throttling that are worth a notification.
const THROTTLED_SECONDS: RangeInclusive<u32> = 60..=86_400;

/// The notifications.
pub(super) fn notify(spec: &NotifySpec, path: &Path, report: &mut Report) -> Notify {
    let to = path.field("to");
    if spec.to.is_empty() && !report.is_faulty(&to) {
        report.at(
            &to,
            "no destination is listed",
            "list one, as in to: [{ sns: 'arn:aws:sns:eu-central-1:123456789012:dynasplit' }], or remove `notify`",
        );
    }
    if spec.to.len() > MAX_DESTINATIONS {
        report.at(
            &to,
            format!("{} destinations are listed", spec.to.len()),
            format!("list at most {MAX_DESTINATIONS}; a topic or an event bus can have many receivers"),
        );
    }
    let mut seen = HashSet::new();
    let mut destinations = Vec::new();
    for (n, written) in spec.to.iter().enumerate() {
        let path = to.index(n);
        let Some(destination) = destination(written, &path, report) else {
            continue;
        };
        if seen.insert(destination.clone()) {
            destinations.push(destination);
        } else {
            report.at(&path, format!("{destination} is listed twice"), "remove one");
        }
    }
    Notify {
        to: destinations,
        lag: seconds(
            spec.lag_seconds,
            Notify::LAG,
            LAG_SECONDS,
            &path.field("lag-seconds"),
            report,
        ),
        throttled: seconds(
            spec.throttled_seconds,
            Notify::THROTTLED,
            THROTTLED_SECONDS,
            &path.field("throttled-seconds"),
            report,
        ),
    }
}

fn destination(spec: &DestinationSpec, path: &Path, report: &mut Report) -> Option<Destination> {
    match (&spec.sns, &spec.event_bus, &spec.webhook) {
        (Some(arn), None, None) => {
            let topic = Channel::Topic(arn.clone());
            check_arn(&topic, path, report);
            Some(Destination::Channel(topic))
        }
        (None, Some(arn), None) => {
            let bus = Channel::EventBus(arn.clone());
            check_arn(&bus, path, report);
            Some(Destination::Channel(bus))
        }
        (None, None, Some(webhook)) => {
            secret(webhook, &path.field("webhook"), report).map(Destination::Webhook)
        }
        _ => {
            if !report.is_faulty(path) {
                report.at(
                    path,
                    "a destination has exactly one of `sns`, `event-bus` and `webhook`",
                    "write one entry of the list for each destination",
                );
            }
            None
        }
    }
}

/// Checks the ARN of a destination. The path is that of the setting that names the destination.
pub(super) fn check_arn(channel: &Channel, path: &Path, report: &mut Report) {
    if let Err(missing) = BuildPart::Messages.needed() {
        report.at(path, missing.problem(), missing.hint());
        return;
    }
    let (field, what, service, prefix, example) = match channel {
        Channel::Topic(_) => ("sns", "a topic", "sns", "", "dynasplit"),
        Channel::Queue(_) => ("sqs", "a queue", "sqs", "", "dynasplit"),
        Channel::EventBus(_) => (
            "event-bus",
            "an event bus",
            "events",
            "event-bus/",
            "event-bus/default",
        ),
    };
    let (arn, path) = (channel.arn(), path.field(field));
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let fine = matches!(&parts[..], ["arn", partition, of, region, account, name]
        if partition.starts_with("aws")
            && *of == service
            && !region.is_empty()
            && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && account.len() == 12
            && account.bytes().all(|b| b.is_ascii_digit())
            && name.strip_prefix(prefix).is_some_and(|name| !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c))));
    if !fine && !report.is_faulty(&path) {
        report.at(
            &path,
            format!("`{arn}` is not the ARN of {what}"),
            format!("write an ARN like arn:aws:{service}:eu-central-1:123456789012:{example}"),
        );
    }
}

fn secret(spec: &WebhookSpec, path: &Path, report: &mut Report) -> Option<SecretPlace> {
    match (&spec.variable, &spec.file) {
        (Some(name), None) => {
            let fine = !name.is_empty()
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !fine && !report.is_faulty(&path.field("variable")) {
                // The text is not repeated: it may be the URL itself, which is a secret.
                report.at(
                    &path.field("variable"),
                    "this is not the name of an environment variable",
                    "write the name of the variable that contains the URL, not the URL itself: variable: SLACK_WEBHOOK_URL",
                );
            }
            Some(SecretPlace::Variable(name.clone()))
        }
        (None, Some(file)) => {
            let is_url = file.contains("://");
            if (file.is_empty() || is_url) && !report.is_faulty(&path.field("file")) {
                report.at(
                    &path.field("file"),
                    "this is not the path of a file",
                    "write the path of the file that contains the URL, not the URL itself: file: /run/secrets/slack",
                );
            }
            Some(SecretPlace::File(file.into()))
        }
        _ => {
            if !report.is_faulty(path) {
                report.at(
                    path,
                    "a webhook has exactly one of `variable` and `file`",
                    "name the environment variable, or the file, that contains its URL",
                );
            }
            None
        }
    }
}
