//! In place of the clients of destinations, in a build without them. No plan that names a destination is accepted there.

use super::message::Message;
use super::sent::Sent;
use crate::dynamo::{Clients, Failure};
use crate::model::BuildPart;
use crate::plan::Channel;
use std::time::Duration;

/// No client.
#[derive(Debug)]
pub(super) struct Way;

impl Way {
    pub async fn of(_: &Channel, _: &Clients, _: Duration) -> Self {
        Self
    }

    pub async fn send(&self, channel: &Channel, _: &[&Message]) -> Result<Vec<Sent>, Failure> {
        let reason = BuildPart::Messages.needed();
        let reason = reason.map_or_else(|missing| missing.to_string(), |()| String::new());
        Err(Failure::unusable("sending messages", channel.arn(), reason))
    }
}
