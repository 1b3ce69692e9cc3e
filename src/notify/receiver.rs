//! Sends notifications to one destination.

use super::notice::Notice;
use super::secret::{Secret, SecretError};
use crate::dynamo::{Clients, WebPoster};
use crate::plan::Destination;
use crate::publish::{ATTEMPT, Message, Publisher, Sent};
use serde_json::{Value, json};
use std::path::Path;

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
    Channel(Publisher),
    Webhook { poster: WebPoster, url: Secret },
}

impl Receiver {
    /// Sends no request.
    pub async fn of(
        destination: &Destination,
        clients: &Clients,
        folder: &Path,
    ) -> Result<Self, SecretError> {
        let way = match destination {
            Destination::Channel(channel) => Way::Channel(Publisher::of(channel, clients).await),
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
        match &self.way {
            Way::Channel(publisher) => {
                let sent = publisher.send(&[&message(notice)]).await;
                match sent.map_err(|failure| failure.to_string())?.pop() {
                    Some(Sent::Accepted) => Ok(()),
                    Some(Sent::Refused(reason) | Sent::Later(reason)) => Err(reason),
                    None => Err("the answer is empty".into()),
                }
            }
            Way::Webhook { poster, url } => {
                let body = notice.slack().to_string();
                let posting = Box::pin(poster.post(url.text(), body));
                match tokio::time::timeout(ATTEMPT, posting).await {
                    Ok(Ok(200..=299)) => Ok(()),
                    Ok(Ok(status)) => Err(format!("the webhook answered HTTP {status}")),
                    Ok(Err(reason)) => Err(reason),
                    Err(_) => Err(format!("no answer within {} s", ATTEMPT.as_secs())),
                }
            }
        }
    }
}

fn message(notice: &Notice) -> Message {
    let attributes = [
        ("split", Some(notice.split.clone())),
        ("kind", Some(notice.kind.to_string())),
        ("severity", word(&notice.severity)),
        ("service", notice.service.clone()),
    ];
    let attributes = attributes.into_iter();
    Message {
        id: notice.id.clone(),
        group: notice.split.clone(),
        kind: DETAIL_TYPE,
        body: notice.document().to_string(),
        forms: Some(forms(notice).to_string()),
        subject: Some(notice.subject()),
        attributes: attributes
            .filter_map(|(name, value)| Some((name, value?)))
            .collect(),
        time_ms: None,
    }
}

/// The message has one form for people and one for programs, and SNS gives each protocol its own.
fn forms(notice: &Notice) -> Value {
    let (words, document) = (notice.words(), notice.document().to_string());
    json!({
        "default": document, "email": words, "email-json": document, "sms": words, "http": document, "https": document,
        "sqs": document, "lambda": document, "firehose": document,
    })
}

fn word(value: &impl serde::Serialize) -> Option<String> {
    serde_json::to_value(value).ok()?.as_str().map(str::to_owned)
}
