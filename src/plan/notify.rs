//! Where notifications go, and what is worth one.

use super::channel::Channel;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The notifications of a split.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notify {
    /// The destinations. At least one, and no two are the same.
    pub to: Vec<Destination>,
    /// A lane that is so far behind is worth a notification.
    pub lag: Duration,
    /// Throttling that lasts so long is worth a notification.
    pub throttled: Duration,
}

impl Notify {
    /// The lag, if the plan does not say it.
    pub const LAG: Duration = Duration::from_secs(3600);
    /// The time of throttling, if the plan does not say it.
    pub const THROTTLED: Duration = Duration::from_secs(1800);
}

/// A destination of notifications.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Destination {
    /// A topic of SNS or an event bus of EventBridge.
    Channel(Channel),
    /// A webhook, by the place of its URL.
    Webhook(SecretPlace),
}

/// Where a secret is. The plan does not contain it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum SecretPlace {
    /// In an environment variable.
    Variable(String),
    /// In a file. A relative path begins at the folder of the plan.
    File(PathBuf),
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Channel(channel) => channel.fmt(f),
            Self::Webhook(place) => write!(f, "the webhook of {place}"),
        }
    }
}

impl fmt::Display for SecretPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "the variable {name}"),
            Self::File(path) => write!(f, "the file {}", path.display()),
        }
    }
}
