//! Sends messages to one destination.

use super::message::Message;
use super::sent::Sent;
use super::way::Way;
use crate::dynamo::{Clients, Failure, FailureKind};
use crate::plan::Channel;
use std::time::Duration;

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

impl Publisher {
    /// Messages in a request, at most: the limit of all three services.
    pub const MOST: usize = 10;
    /// Bytes of a message, and of all messages of a request: the limit of SNS, which each queue and each event bus accepts, too.
    pub const MOST_BYTES: usize = 256 * 1024;

    /// Sends no request.
    pub async fn of(channel: &Channel, clients: &Clients) -> Self {
        Self {
            channel: channel.clone(),
            way: Way::of(channel, clients, ATTEMPT).await,
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
        let sending = self.way.send(&self.channel, messages);
        match tokio::time::timeout(ATTEMPT, Box::pin(sending)).await {
            Ok(sent) => sent,
            Err(_) => Err(Failure::timed_out_asking("sending messages", self.channel.arn())),
        }
    }
}
