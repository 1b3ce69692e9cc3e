//! The requests of each kind of destination.

use super::message::{EVENT_SOURCE, Message};
use super::sent::Sent;
use crate::dynamo::Failure;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_sns::types::{MessageAttributeValue, PublishBatchRequestEntry};
use aws_sdk_sqs::types::{MessageAttributeValue as QueuedAttribute, SendMessageBatchRequestEntry};
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

const PUBLISH: &str = "sns:Publish";
const SEND: &str = "sqs:SendMessage";
const PUT_EVENTS: &str = "events:PutEvents";

/// A request that could not be built: a message lacks what the SDK demands.
fn unbuilt(action: &'static str, to: &str, error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::unbuilt(action, to, error)
}

fn topic_attributes(
    message: &Message,
    topic: &str,
) -> Result<HashMap<String, MessageAttributeValue>, Failure> {
    let attribute = |(name, value): &(&str, String)| {
        let built = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(value)
            .build();
        built
            .map(|built| ((*name).to_owned(), built))
            .map_err(|error| unbuilt(PUBLISH, topic, &error))
    };
    message.attributes.iter().map(attribute).collect()
}

/// One message for a topic.
pub(super) async fn publish(
    client: &aws_sdk_sns::Client,
    topic: &str,
    is_fifo: bool,
    message: &Message,
) -> Result<Sent, Failure> {
    let request = client
        .publish()
        .topic_arn(topic)
        .set_subject(message.subject.clone())
        .set_message_structure(message.forms.as_ref().map(|_| "json".to_owned()))
        .message(message.forms.as_ref().unwrap_or(&message.body))
        .set_message_attributes(Some(topic_attributes(message, topic)?))
        .set_message_group_id(is_fifo.then(|| message.group.clone()))
        .set_message_deduplication_id(is_fifo.then(|| message.id.clone()));
    let sent = request.send().await;
    sent.map(|_| Sent::Accepted)
        .map_err(|error| Failure::of(PUBLISH, topic, &error))
}

/// Several messages for a topic.
pub(super) async fn publish_batch(
    client: &aws_sdk_sns::Client,
    topic: &str,
    is_fifo: bool,
    messages: &[&Message],
) -> Result<Vec<Sent>, Failure> {
    let mut request = client.publish_batch().topic_arn(topic);
    for (number, message) in messages.iter().enumerate() {
        let entry = PublishBatchRequestEntry::builder()
            .id(number.to_string())
            .set_subject(message.subject.clone())
            .set_message_structure(message.forms.as_ref().map(|_| "json".to_owned()))
            .message(message.forms.as_ref().unwrap_or(&message.body))
            .set_message_attributes(Some(topic_attributes(message, topic)?))
            .set_message_group_id(is_fifo.then(|| message.group.clone()))
            .set_message_deduplication_id(is_fifo.then(|| message.id.clone()))
            .build()
            .map_err(|error| unbuilt(PUBLISH, topic, &error))?;
        request = request.publish_batch_request_entries(entry);
    }
    let answer = request.send().await;
    let answer = answer.map_err(|error| Failure::of(PUBLISH, topic, &error))?;
    let accepted = answer.successful().iter().filter_map(|entry| entry.id());
    let failed = answer
        .failed()
        .iter()
        .map(|entry| (entry.id(), entry.code(), entry.sender_fault()));
    Ok(by_id(messages.len(), accepted, failed, PUBLISH, topic))
}

/// Messages for a queue.
pub(super) async fn send_batch(
    client: &aws_sdk_sqs::Client,
    (queue, url): (&str, &str),
    is_fifo: bool,
    messages: &[&Message],
) -> Result<Vec<Sent>, Failure> {
    let mut request = client.send_message_batch().queue_url(url);
    for (number, message) in messages.iter().enumerate() {
        let mut entry = SendMessageBatchRequestEntry::builder()
            .id(number.to_string())
            .message_body(&message.body)
            .set_message_group_id(is_fifo.then(|| message.group.clone()))
            .set_message_deduplication_id(is_fifo.then(|| message.id.clone()));
        for (name, value) in &message.attributes {
            let attribute = QueuedAttribute::builder()
                .data_type("String")
                .string_value(value)
                .build()
                .map_err(|error| unbuilt(SEND, queue, &error))?;
            entry = entry.message_attributes(*name, attribute);
        }
        let entry = entry.build().map_err(|error| unbuilt(SEND, queue, &error))?;
        request = request.entries(entry);
    }
    let answer = request.send().await;
    let answer = answer.map_err(|error| Failure::of(SEND, queue, &error))?;
    let accepted = answer.successful().iter().map(|entry| entry.id());
    let failed = answer
        .failed()
        .iter()
        .map(|entry| (entry.id(), entry.code(), entry.sender_fault()));
    Ok(by_id(messages.len(), accepted, failed, SEND, queue))
}

/// The URL of a queue.
pub(super) async fn queue_url(client: &aws_sdk_sqs::Client, queue: &str) -> Result<String, Failure> {
    const ACTION: &str = "sqs:GetQueueUrl";
    let mut parts = queue.split(':').skip(4);
    let (account, name) = (parts.next(), parts.next());
    let request = client
        .get_queue_url()
        .set_queue_name(name.map(str::to_owned))
        .set_queue_owner_aws_account_id(account.map(str::to_owned));
    let answer = request.send().await;
    let answer = answer.map_err(|error| Failure::of(ACTION, queue, &error))?;
    answer
        .queue_url()
        .map(str::to_owned)
        .ok_or_else(|| Failure::unreadable(ACTION, queue, "the answer has no URL"))
}

/// Messages for an event bus.
pub(super) async fn put_events(
    client: &aws_sdk_eventbridge::Client,
    bus: &str,
    messages: &[&Message],
) -> Result<Vec<Sent>, Failure> {
    let time = |ms: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
    let entries = messages.iter().map(|message| {
        PutEventsRequestEntry::builder()
            .event_bus_name(bus)
            .source(EVENT_SOURCE)
            .detail_type(message.kind)
            .detail(&message.body)
            .set_time(message.time_ms.map(|ms| time(ms).into()))
            .build()
    });
    let request = client.put_events().set_entries(Some(entries.collect()));
    let answer = request.send().await;
    let answer = answer.map_err(|error| Failure::of(PUT_EVENTS, bus, &error))?;
    // The request succeeds also if some events were not accepted. The entries of the answer are in the order of the request.
    let failed = answer.failed_entry_count();
    let entries = answer.entries.unwrap_or_default();
    let sent = (0..messages.len()).map(|number| match entries.get(number) {
        Some(entry) => match entry.error_code() {
            Some(code) => Sent::refused_with(code, true, PUT_EVENTS, bus),
            None if entry.event_id().is_some() || failed == 0 => Sent::Accepted,
            None => Sent::unanswered(PUT_EVENTS, bus),
        },
        None => Sent::unanswered(PUT_EVENTS, bus),
    });
    Ok(sent.collect())
}

/// What became of each entry, by its number.
fn by_id<'a>(
    count: usize,
    accepted: impl Iterator<Item = &'a str>,
    failed: impl Iterator<Item = (&'a str, &'a str, bool)>,
    action: &str,
    to: &str,
) -> Vec<Sent> {
    let mut sent = vec![Sent::unanswered(action, to); count];
    let place = |id: &str| id.parse::<usize>().ok().filter(|number| *number < count);
    for number in accepted.filter_map(place) {
        sent[number] = Sent::Accepted;
    }
    for (id, code, is_senders) in failed {
        if let Some(number) = place(id) {
            sent[number] = Sent::refused_with(code, is_senders, action, to);
        }
    }
    sent
}
