//! The client of a destination, and its requests.

use super::message::Message;
use super::requests::{publish, publish_batch, put_events, queue_url, send_batch};
use super::sent::Sent;
use crate::dynamo::{Clients, Failure};
use crate::plan::Channel;
use std::time::Duration;
use tokio::sync::OnceCell;

/// The client of a destination.
#[derive(Debug)]
pub(super) enum Way {
    Topic(aws_sdk_sns::Client),
    Queue {
        client: aws_sdk_sqs::Client,
        url: OnceCell<String>,
    },
    EventBus(aws_sdk_eventbridge::Client),
}

impl Way {
    /// Sends no request.
    pub async fn of(channel: &Channel, clients: &Clients, attempt: Duration) -> Self {
        let region = channel.region();
        match channel {
            Channel::Topic(_) => Self::Topic(clients.topics(region, attempt).await),
            Channel::Queue(_) => Self::Queue {
                client: clients.queues(region, attempt).await,
                url: OnceCell::new(),
            },
            Channel::EventBus(_) => Self::EventBus(clients.event_buses(region, attempt).await),
        }
    }

    /// Sends messages in one request.
    pub async fn send(&self, channel: &Channel, messages: &[&Message]) -> Result<Vec<Sent>, Failure> {
        let (arn, is_fifo) = (channel.arn(), channel.is_fifo());
        match (self, messages) {
            (Self::Topic(client), [message]) => {
                let sent = publish(client, arn, is_fifo, message).await;
                sent.map(|sent| vec![sent])
            }
            (Self::Topic(client), _) => publish_batch(client, arn, is_fifo, messages).await,
            (Self::Queue { client, url }, _) => {
                let url = url.get_or_try_init(|| queue_url(client, arn)).await?;
                send_batch(client, (arn, url), is_fifo, messages).await
            }
            (Self::EventBus(client), _) => put_events(client, arn, messages).await,
        }
    }
}
