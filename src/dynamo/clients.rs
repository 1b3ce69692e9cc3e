use super::Timing;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Where the engine is: the AWS conventions, each of which the SDK's environment variables can give too.
#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    /// Named profile.
    pub profile: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// URL of an engine other than AWS.
    pub url: Option<String>,
    /// Fixed dummy credentials: for the embedded engine, which asks for none.
    pub anonymous: bool,
}

/// The clients of one place (a region and a role).
#[derive(Clone, Debug)]
pub struct Tables {
    /// For items: every attempt is ours to see, so the SDK does not retry, and each is bounded in time.
    pub items: aws_sdk_dynamodb::Client,
    /// As for items, for pages of up to 1 MB. It has connections of its own: each keeps a buffer as large as what it
    /// read, and those that write are many.
    pub pages: aws_sdk_dynamodb::Client,
    /// For tables and their settings: the SDK's own retries.
    pub control: aws_sdk_dynamodb::Client,
    /// For streams; no retries inside, as with items.
    pub streams: aws_sdk_dynamodbstreams::Client,
}

/// What tells one place from another.
type RegionAndRole = (Option<String>, Option<String>);

/// Makes clients, one set for each place that a plan names.
#[derive(Debug)]
pub struct Clients {
    base: SdkConfig,
    timing: Timing,
    made: Mutex<HashMap<RegionAndRole, Tables>>,
}

/// For tables and their settings: an address where nobody answers is told within the last of these, retries included.
const CONTROL_CONNECT: Duration = Duration::from_secs(4);
const CONTROL_ATTEMPT: Duration = Duration::from_secs(7);
const CONTROL_OPERATION: Duration = Duration::from_secs(12);

impl Clients {
    /// Loads the configuration as the AWS tools do: flags, environment, profile, instance role.
    pub async fn load(endpoint: &Endpoint, timing: Timing) -> Arc<Self> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(profile) = &endpoint.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &endpoint.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(url) = &endpoint.url {
            loader = loader.endpoint_url(url);
        }
        if endpoint.anonymous {
            loader = loader.region(Region::new("us-east-1")).credentials_provider(
                aws_sdk_dynamodb::config::Credentials::new("dynasplit", "dynasplit", None, None, "embedded"),
            );
        }
        let base = loader.load().await;
        Arc::new(Self {
            base,
            timing,
            made: Mutex::default(),
        })
    }

    /// The region in use, where one is known.
    #[must_use]
    pub fn region(&self) -> Option<String> {
        self.base.region().map(ToString::to_string)
    }

    /// How long requests and leases may take.
    #[must_use]
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// The clients for a place: the command's own where region and role are `None`.
    pub async fn at(&self, region: Option<&str>, role: Option<&str>) -> Tables {
        let place = (region.map(str::to_owned), role.map(str::to_owned));
        if let Some(tables) = self
            .made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&place)
        {
            return tables.clone();
        }
        let config = self.config_for(region, role).await;
        let tables = self.tables(&config);
        self.made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(place, tables.clone());
        tables
    }

    async fn config_for(&self, region: Option<&str>, role: Option<&str>) -> SdkConfig {
        let mut builder = self.base.clone().into_builder();
        let region = region.map(|name| Region::new(name.to_owned()));
        if let Some(region) = region.clone().or_else(|| self.base.region().cloned()) {
            builder = builder.region(region);
        }
        if let Some(role) = role {
            let mut provider = AssumeRoleProvider::builder(role)
                .session_name("dynasplit")
                .configure(&self.base);
            if let Some(region) = region {
                provider = provider.region(region);
            }
            let credentials =
                aws_sdk_dynamodb::config::SharedCredentialsProvider::new(provider.build().await);
            builder = builder.credentials_provider(credentials);
        }
        builder.build()
    }

    fn tables(&self, config: &SdkConfig) -> Tables {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(self.timing.attempt)
            .connect_timeout(self.timing.attempt)
            .build();
        let items = aws_sdk_dynamodb::config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts.clone())
            .build();
        let streams = aws_sdk_dynamodbstreams::config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .build();
        let control = aws_sdk_dynamodb::config::Builder::from(config)
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONTROL_CONNECT)
                    .operation_attempt_timeout(CONTROL_ATTEMPT)
                    .operation_timeout(CONTROL_OPERATION)
                    .build(),
            )
            .build();
        Tables {
            pages: aws_sdk_dynamodb::Client::from_conf(items.clone()),
            items: aws_sdk_dynamodb::Client::from_conf(items),
            control: aws_sdk_dynamodb::Client::from_conf(control),
            streams: aws_sdk_dynamodbstreams::Client::from_conf(streams),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamo::scripted::{Served, served};
    use serde_json::json;
    use std::sync::atomic::Ordering;

    #[tokio::test]
    async fn pages_come_by_connections_of_their_own() {
        let Served { endpoint, opened, .. } = served(vec![(200, json!({})); 5]).await;
        let place = Endpoint {
            url: Some(endpoint),
            anonymous: true,
            ..Endpoint::default()
        };
        let clients = Clients::load(&place, Timing::LIVE).await;
        let tables = clients.at(None, None).await;
        let scan = || tables.pages.scan().table_name("mine").send();
        let put = || {
            let id = aws_sdk_dynamodb::types::AttributeValue::S("x".into());
            tables.items.put_item().table_name("mine").item("id", id).send()
        };
        for (at, expected) in [1, 1, 2, 2, 2].into_iter().enumerate() {
            if at % 2 == 0 && at > 0 {
                scan().await.unwrap();
            } else {
                put().await.unwrap();
            }
            assert_eq!(opened.load(Ordering::Relaxed), expected, "after request {at}");
        }
    }
}
