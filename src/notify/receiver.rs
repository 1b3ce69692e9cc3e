//! Sends notifications to one destination.

use super::notice::Notice;
use super::secret::{Secret, SecretError};
use crate::dynamo::{Clients, Failure, WebPoster};
use crate::plan::Destination;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_sns::types::MessageAttributeValue;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// A request that takes longer is given up, and tried again later.
const ATTEMPT: Duration = Duration::from_secs(10);
/// The source of the events, which rules of EventBridge match.
pub const EVENT_SOURCE: &str = "dynasplit";
/// The detail type of the events.
pub const DETAIL_TYPE: &str = "dynasplit notification";

/// A destination with what is needed to send to it.
#[derive(Debug)]
pub(super) struct Receiver {
    /// The destination, for people. It contains no secret.
    pub name: String,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Sns {
        client: aws_sdk_sns::Client,
        topic: String,
    },
    EventBus {
        client: aws_sdk_eventbridge::Client,
        bus: String,
    },
    Webhook {
        poster: WebPoster,
        url: Secret,
    },
}

impl Receiver {
    /// Sends no request.
    pub async fn of(
        destination: &Destination,
        clients: &Clients,
        folder: &Path,
    ) -> Result<Self, SecretError> {
        let way = match destination {
            Destination::Sns(arn) => Way::Sns {
                client: clients.topics(region(arn), ATTEMPT).await,
                topic: arn.clone(),
            },
            Destination::EventBus(arn) => Way::EventBus {
                client: clients.event_buses(region(arn), ATTEMPT).await,
                bus: arn.clone(),
            },
            Destination::Webhook(place) => Way::Webhook {
                url: Secret::read(place, folder)?,
                poster: clients.poster(),
            },
        };
        Ok(Self {
            name: destination.to_string(),
            way,
        })
    }

    /// Sends one notification. The error is the reason, without a secret.
    pub async fn send(&self, notice: &Notice) -> Result<(), String> {
        let sending = Box::pin(async {
            match &self.way {
                Way::Sns { client, topic } => publish(client, topic, notice).await,
                Way::EventBus { client, bus } => put_event(client, bus, notice).await,
                Way::Webhook { poster, url } => {
                    let body = notice.slack().to_string();
                    match poster.post(url.text(), body).await? {
                        200..=299 => Ok(()),
                        status => Err(format!("the webhook answered HTTP {status}")),
                    }
                }
            }
        });
        match tokio::time::timeout(ATTEMPT, sending).await {
            Ok(sent) => sent,
            Err(_) => Err(format!("no answer within {} s", ATTEMPT.as_secs())),
        }
    }
}

/// The message has one form for people and one for programs, and SNS gives each protocol its own.
fn message(notice: &Notice) -> Value {
    let (words, document) = (notice.words(), notice.document().to_string());
    json!({
        "default": document, "email": words, "email-json": document, "sms": words, "http": document, "https": document,
        "sqs": document, "lambda": document, "firehose": document,
    })
}

async fn publish(client: &aws_sdk_sns::Client, topic: &str, notice: &Notice) -> Result<(), String> {
    let mut request = client
        .publish()
        .topic_arn(topic)
        .subject(notice.subject())
        .message_structure("json")
        .message(message(notice).to_string());
    let attributes = [
        ("split", Some(notice.split.clone())),
        ("kind", Some(notice.kind.to_string())),
        ("severity", word(&notice.severity)),
        ("service", notice.service.clone()),
    ];
    for (name, value) in attributes {
        let Some(value) = value else { continue };
        let attribute = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(value)
            .build();
        request = request.message_attributes(name, attribute.map_err(|error| error.to_string())?);
    }
    if topic.ends_with(".fifo") {
        request = request
            .message_group_id(&notice.split)
            .message_deduplication_id(&notice.id);
    }
    let sent = request.send().await;
    sent.map(drop)
        .map_err(|error| Failure::of("sns:Publish", topic, &error).to_string())
}

async fn put_event(client: &aws_sdk_eventbridge::Client, bus: &str, notice: &Notice) -> Result<(), String> {
    const ACTION: &str = "events:PutEvents";
    let entry = PutEventsRequestEntry::builder()
        .event_bus_name(bus)
        .source(EVENT_SOURCE)
        .detail_type(DETAIL_TYPE)
        .detail(notice.document().to_string())
        .build();
    let answer = client.put_events().entries(entry).send().await;
    let answer = answer.map_err(|error| Failure::of(ACTION, bus, &error).to_string())?;
    // The request succeeds also if the event was not accepted.
    if answer.failed_entry_count() == 0 {
        return Ok(());
    }
    let entries = answer.entries.unwrap_or_default();
    let code = entries.iter().find_map(|entry| entry.error_code());
    Err(format!(
        "{ACTION} on {bus} failed: {}",
        code.unwrap_or("the event was not accepted")
    ))
}

/// The region of an ARN.
fn region(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap_or_default()
}

fn word(value: &impl serde::Serialize) -> Option<String> {
    serde_json::to_value(value).ok()?.as_str().map(str::to_owned)
}
