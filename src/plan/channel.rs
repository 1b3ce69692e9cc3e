//! Where messages go: a topic, a queue, or an event bus.

use std::fmt;

/// A destination of messages in AWS.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Channel {
    /// A topic of SNS, by its ARN.
    Topic(String),
    /// A queue of SQS, by its ARN.
    Queue(String),
    /// An event bus of EventBridge, by its ARN.
    EventBus(String),
}

impl Channel {
    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> &str {
        match self {
            Self::Topic(arn) | Self::Queue(arn) | Self::EventBus(arn) => arn,
        }
    }

    /// Its region.
    #[must_use]
    pub fn region(&self) -> &str {
        self.arn().split(':').nth(3).unwrap_or_default()
    }

    /// Whether it keeps the order of the messages of a group.
    #[must_use]
    pub fn is_fifo(&self) -> bool {
        match self {
            Self::Topic(arn) | Self::Queue(arn) => arn.ends_with(".fifo"),
            Self::EventBus(_) => false,
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(arn) => write!(f, "the topic {arn}"),
            Self::Queue(arn) => write!(f, "the queue {arn}"),
            Self::EventBus(arn) => write!(f, "the event bus {arn}"),
        }
    }
}
