//! The SDK clients of each region and role of a plan.

use super::certificates::{Bundle, system_http_client};
#[cfg(feature = "s3")]
use super::endpoints::ObjectStore;
use super::endpoints::{Endpoint, Endpoints};
use super::{Chaos, ConfigError, StandIn, Timing, WebPoster, profiles, region, stand_in};
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider, SharedHttpClient};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The clients of one place (a region and a role).
#[derive(Clone, Debug)]
pub struct Tables {
    /// For items: every attempt is ours to see, so the SDK does not retry, and each is bounded in time.
    pub items: aws_sdk_dynamodb::Client,
    /// A client for pages of up to 1 MB. It has its own connections: each connection keeps a buffer as large as its
    /// largest answer, and there are many connections that write.
    pub pages: aws_sdk_dynamodb::Client,
    /// For tables and their settings, which may take longer to answer; no retries inside, as with items.
    pub control: aws_sdk_dynamodb::Client,
    /// For streams; no retries inside, as with items.
    pub streams: aws_sdk_dynamodbstreams::Client,
    /// For objects; no retries inside, as with items.
    #[cfg(feature = "s3")]
    pub objects: aws_sdk_s3::Client,
}

/// The identity of a place.
type RegionAndRole = (Option<String>, Option<String>);

/// Makes clients, one set for each place that a plan names.
#[derive(Debug)]
pub struct Clients {
    base: SdkConfig,
    endpoints: Endpoints,
    /// The certificates that the user names, instead of the system's.
    bundle: Option<Bundle>,
    chaos: Option<Chaos>,
    stand_in: Option<Arc<dyn StandIn>>,
    #[cfg(feature = "s3")]
    objects: Option<Arc<ObjectStore>>,
    timing: Timing,
    made: Mutex<HashMap<RegionAndRole, Tables>>,
}

/// For tables and their settings: longer than for items, since nothing rests on how late such a request lands.
const CONTROL_CONNECT: Duration = Duration::from_secs(4);
const CONTROL_ATTEMPT: Duration = Duration::from_secs(7);
/// For the question who the caller is: nothing waits for its answer.
const STS_ATTEMPT: Duration = Duration::from_secs(3);

impl Clients {
    /// Loads the configuration as the AWS tools do: flags, environment, profile, instance role. Sends no request.
    ///
    /// # Errors
    /// When a profile, a region, an endpoint or a bundle of certificates cannot be used.
    pub async fn load(endpoint: &Endpoint, timing: Timing) -> Result<Arc<Self>, ConfigError> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        let mut bundle = None;
        if endpoint.anonymous {
            let nobody = Credentials::new("dynasplit", "dynasplit", None, None, "embedded");
            loader = loader
                .region(Region::new("us-east-1"))
                .credentials_provider(nobody);
        } else {
            let known = profiles::load(endpoint).await?;
            bundle = Bundle::load(&known)?;
        }
        if let Some(bundle) = &bundle {
            loader = loader.http_client(bundle.http_client());
        }
        if let Some(profile) = &endpoint.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &endpoint.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(url) = &endpoint.url {
            loader = loader.endpoint_url(url);
        }
        let mut base = loader.load().await;
        if let Some(profile) = endpoint.profile.as_ref().filter(|_| !endpoint.anonymous) {
            let credentials = profiles::credentials(profile, &provider_config(&base));
            base = base
                .into_builder()
                .credentials_provider(SharedCredentialsProvider::new(credentials))
                .build();
        }
        let mut endpoints = Endpoints::of(&base, endpoint.url.as_ref());
        if let Some(objects) = &endpoint.objects {
            endpoints.s3 = Some(objects.url.clone());
        }
        endpoints.check()?;
        if let Some(name) = base.region() {
            region::check(name.as_ref(), region_origin(endpoint), endpoints.is_aws())?;
        }
        let mut clients = Self::new(base, endpoints, bundle, timing);
        clients.chaos = endpoint.chaos;
        clients.stand_in.clone_from(&endpoint.stand_in);
        #[cfg(feature = "s3")]
        clients.objects.clone_from(&endpoint.objects);
        Ok(Arc::new(clients))
    }

    /// With a complete configuration, including the HTTP client.
    #[must_use]
    pub fn of(base: SdkConfig, timing: Timing) -> Arc<Self> {
        let endpoints = Endpoints::of(&base, None);
        Arc::new(Self::new(base, endpoints, None, timing))
    }

    fn new(base: SdkConfig, endpoints: Endpoints, bundle: Option<Bundle>, timing: Timing) -> Self {
        Self {
            base,
            endpoints,
            bundle,
            chaos: None,
            stand_in: None,
            #[cfg(feature = "s3")]
            objects: None,
            timing,
            made: Mutex::default(),
        }
    }

    /// The region in use, if it is known.
    #[must_use]
    pub fn region(&self) -> Option<String> {
        self.base.region().map(ToString::to_string)
    }

    /// Where the services are asked, if not at AWS.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Refuses the region of a place in the plan that cannot be one.
    ///
    /// # Errors
    /// [`ConfigError::Region`].
    pub fn check_region(&self, name: &str) -> Result<(), ConfigError> {
        region::check(name, "in the plan", self.endpoints.is_aws())
    }

    /// How long requests and leases may take.
    #[must_use]
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// What happens to requests, if the user switched chaos on.
    #[must_use]
    pub fn chaos(&self) -> Option<Chaos> {
        self.chaos
    }

    /// An HTTP client with connections of its own, if it is not the usual one.
    pub(super) fn own_http_client(&self) -> Option<SharedHttpClient> {
        let is_usual = self.bundle.is_none() && self.chaos.is_none() && self.stand_in.is_none();
        (!is_usual).then(|| {
            self.changed(
                self.bundle
                    .as_ref()
                    .map_or_else(system_http_client, Bundle::http_client),
            )
        })
    }

    /// An HTTP client with what stands between it and the engine.
    fn changed(&self, mut client: SharedHttpClient) -> SharedHttpClient {
        if let Some(stand_in) = &self.stand_in {
            client = stand_in::around(stand_in, client);
        }
        match self.chaos {
            Some(chaos) => chaos.around(client),
            None => client,
        }
    }

    /// The credentials of the S3 server of a rehearsal.
    #[cfg(feature = "s3")]
    pub(super) fn object_credentials(&self) -> Option<SharedCredentialsProvider> {
        let store = self.objects.as_ref()?;
        let own = Credentials::new(&store.key_id, &store.secret, None, None, "rehearsal");
        Some(SharedCredentialsProvider::new(own))
    }

    /// The clients for a place: those of the command itself if region and role are `None`.
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

    pub(super) async fn config_for(&self, region: Option<&str>, role: Option<&str>) -> SdkConfig {
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
            let credentials = SharedCredentialsProvider::new(provider.build().await);
            builder = builder.credentials_provider(credentials);
        }
        builder.build()
    }

    fn tables(&self, config: &SdkConfig) -> Tables {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(self.timing.attempt)
            .connect_timeout(self.timing.attempt)
            .build();
        let control = TimeoutConfig::builder()
            .connect_timeout(CONTROL_CONNECT)
            .operation_attempt_timeout(CONTROL_ATTEMPT)
            .build();
        let dynamodb = |timeouts: &TimeoutConfig| {
            let mut builder = aws_sdk_dynamodb::config::Builder::from(config)
                .retry_config(RetryConfig::disabled())
                .timeout_config(timeouts.clone());
            // Clients that share one HTTP client share its connections.
            if let Some(client) = self.own_http_client() {
                builder = builder.http_client(client);
            }
            aws_sdk_dynamodb::Client::from_conf(builder.build())
        };
        let mut streams = aws_sdk_dynamodbstreams::config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts.clone());
        if self.chaos.is_some() || self.stand_in.is_some() {
            let client = self
                .bundle
                .as_ref()
                .map_or_else(system_http_client, Bundle::http_client);
            streams = streams.http_client(self.changed(client));
        }
        Tables {
            pages: dynamodb(&timeouts),
            items: dynamodb(&timeouts),
            control: dynamodb(&control),
            streams: aws_sdk_dynamodbstreams::Client::from_conf(streams.build()),
            #[cfg(feature = "s3")]
            objects: self.objects(config, control),
        }
    }

    /// For webhooks of others.
    #[must_use]
    pub fn poster(&self) -> WebPoster {
        WebPoster::trusting(self.bundle.as_ref())
    }

    /// For the question who the caller is.
    pub(super) fn sts(&self) -> aws_sdk_sts::Client {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(STS_ATTEMPT)
            .operation_attempt_timeout(STS_ATTEMPT)
            .build();
        let mut config = aws_sdk_sts::config::Builder::from(&self.base)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        // The other endpoints are for DynamoDB, even if one was given for all services.
        config.set_endpoint_url(self.endpoints.sts.clone());
        aws_sdk_sts::Client::from_conf(config.build())
    }
}

/// The configuration of requests for credentials.
fn provider_config(base: &SdkConfig) -> ProviderConfig {
    let config = ProviderConfig::default().with_region(base.region().cloned());
    match base.http_client() {
        Some(client) => config.with_http_client(client),
        None => config,
    }
}

fn region_origin(endpoint: &Endpoint) -> &'static str {
    let is_set = |name| std::env::var_os(name).is_some();
    match () {
        () if endpoint.region.is_some() => "--region",
        () if is_set("AWS_REGION") => "AWS_REGION",
        () if is_set("AWS_DEFAULT_REGION") => "AWS_DEFAULT_REGION",
        () => "of the profile",
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
        let clients = Clients::load(&place, Timing::LIVE).await.unwrap();
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
