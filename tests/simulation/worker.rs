//! The product's own workers, each with clients and a clock of its own.

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_types::SdkConfig;
use dynasplit::backfill::{Backfill, BackfillOptions, OrderChoice};
use dynasplit::dynamo::{Clients, Timing};
use dynasplit::lifecycle::{ApplyOptions, apply};
use dynasplit::plan::Plan;
use dynasplit::state::Order;
use dynasplit::tail::{Tail, TailOptions};
use dynasplit::worker::Split;
use tokio_util::sync::CancellationToken;

use crate::network::Wire;

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    Apply,
    Replicate,
    /// Whether pages are read consistently.
    Backfill {
        consistent: bool,
    },
}

impl Job {
    /// Its name in a trace.
    pub fn name(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Replicate => "replicate",
            Self::Backfill { .. } => "backfill",
        }
    }

    /// Does it, to its end. An error is told as an operator sees it.
    pub async fn work(
        self,
        plan: Plan,
        wire: Wire,
        timing: Timing,
        stop: CancellationToken,
    ) -> Result<String, String> {
        let clients = Clients::of(configuration(wire), timing);
        let split = Split::open(plan, &clients).await;
        match self {
            Self::Apply => {
                let applied = Box::pin(apply(&split, ApplyOptions::default(), &|_| {})).await;
                applied
                    .map(|_| "done".to_owned())
                    .map_err(|error| error.to_string())
            }
            Self::Replicate => {
                let (tail, _) = Tail::new(split, TailOptions::default(), stop);
                let ended = Box::pin(tail.run()).await;
                ended
                    .map(|ended| format!("{ended:?}"))
                    .map_err(|error| error.to_string())
            }
            Self::Backfill { consistent } => {
                let options = BackfillOptions {
                    segments: Some(3),
                    workers: Some(2),
                    consistent: Some(consistent),
                    order: Some(OrderChoice::Only(Order::Concurrent)),
                    ..BackfillOptions::default()
                };
                let (backfill, _) = Backfill::new(split, options, stop);
                let ended = Box::pin(backfill.run()).await;
                ended
                    .map(|_| "done".to_owned())
                    .map_err(|error| error.to_string())
            }
        }
    }
}

/// A complete configuration: requests go through the simulated network.
pub fn configuration(wire: Wire) -> SdkConfig {
    let nobody = Credentials::new("simulated", "simulated", None, None, "simulated");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(nobody))
        .endpoint_url("http://simulated")
        .http_client(wire)
        .build()
}
