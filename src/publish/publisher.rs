//! Sends messages to one destination.

use super::message::Message;
use super::requests::{publish, publish_batch, put_events, queue_url, send_batch};
use super::sent::Sent;
use crate::dynamo::{Clients, Failure, FailureKind};
use crate::plan::Channel;
use std::time::Duration;
use tokio::sync::OnceCell;

/// A request that takes longer is given up.
pub const ATTEMPT: Duration = Duration::from_secs(10);

/// Whether a request failed because of what a message contains.
fn is_of_contents(failure: &Failure) -> bool {
    const CODES: [&str; 11] = [
        "InvalidParameter",
        "InvalidParameterValue",
        "InvalidParameterValueException",
        "ParameterValueInvalid",
        "InvalidMessageContents",
        "AWS.SimpleQueueService.BatchRequestTooLong",
        "BatchRequestTooLong",
        "MessageTooLong",
        "MalformedDetail",
        "PayloadTooLargeException",
        "HTTP 413 Payload Too Large",
    ];
    failure.kind == FailureKind::Invalid || CODES.contains(&failure.code.as_str())
}

/// A destination with what is needed to send to it.
#[derive(Debug)]
pub struct Publisher {
    channel: Channel,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Topic(aws_sdk_sns::Client),
    Queue {
        client: aws_sdk_sqs::Client,
        url: OnceCell<String>,
    },
    EventBus(aws_sdk_eventbridge::Client),
}

impl Publisher {
    /// Messages in a request, at most: the limit of all three services.
    pub const MOST: usize = 10;
    /// Bytes of a message, and of all messages of a request: the limit of SNS, which each queue and each event bus accepts, too.
    pub const MOST_BYTES: usize = 256 * 1024;

    /// Sends no request.
    pub async fn of(channel: &Channel, clients: &Clients) -> Self {
        let region = channel.region();
        let way = match channel {
            Channel::Topic(_) => Way::Topic(clients.topics(region, ATTEMPT).await),
            Channel::Queue(_) => Way::Queue {
                client: clients.queues(region, ATTEMPT).await,
                url: OnceCell::new(),
            },
            Channel::EventBus(_) => Way::EventBus(clients.event_buses(region, ATTEMPT).await),
        };
        Self {
            channel: channel.clone(),
            way,
        }
    }

    /// The destination.
    #[must_use]
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Sends messages: at most [`Publisher::MOST`], of [`Publisher::MOST_BYTES`] together. Answers what became of each.
    ///
    /// # Errors
    /// If nothing is known to be accepted.
    pub async fn send(&self, messages: &[&Message]) -> Result<Vec<Sent>, Failure> {
        match (self.request(messages).await, messages) {
            (Err(failure), [_]) if is_of_contents(&failure) => {
                // Its message may repeat a part of the contents.
                let code = &failure.code;
                let reason = format!("{} on {} failed: {code}", failure.action, failure.resource);
                Ok(vec![Sent::Refused(reason)])
            }
            // One message spoils the request for the others.
            (Err(failure), several) if is_of_contents(&failure) => {
                let mut sent = Vec::with_capacity(several.len());
                for message in several {
                    let alone = Box::pin(self.send(&[message])).await;
                    sent.extend(match alone {
                        Ok(one) => one,
                        Err(failure) => vec![Sent::Later(failure.to_string())],
                    });
                }
                Ok(sent)
            }
            (result, _) => result,
        }
    }

    async fn request(&self, messages: &[&Message]) -> Result<Vec<Sent>, Failure> {
        let (arn, is_fifo) = (self.channel.arn(), self.channel.is_fifo());
        let sending = async {
            match (&self.way, messages) {
                (Way::Topic(client), [message]) => {
                    let sent = publish(client, arn, is_fifo, message).await;
                    sent.map(|sent| vec![sent])
                }
                (Way::Topic(client), _) => publish_batch(client, arn, is_fifo, messages).await,
                (Way::Queue { client, url }, _) => {
                    let url = url.get_or_try_init(|| queue_url(client, arn)).await?;
                    send_batch(client, (arn, url), is_fifo, messages).await
                }
                (Way::EventBus(client), _) => put_events(client, arn, messages).await,
            }
        };
        match tokio::time::timeout(ATTEMPT, Box::pin(sending)).await {
            Ok(sent) => sent,
            Err(_) => Err(Failure::timed_out_asking("sending messages", arn)),
        }
    }
}
