//! The clients of S3.

use super::clients::{Clients, Tables};
use aws_config::{Region, SdkConfig};
use aws_sdk_dynamodb::config::StalledStreamProtectionConfig;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;

impl Tables {
    /// The client for objects of a bucket in this region.
    #[must_use]
    pub fn objects_in(&self, region: Option<&str>) -> aws_sdk_s3::Client {
        let Some(region) = region else {
            return self.objects.clone();
        };
        let config = self.objects.config().to_builder();
        aws_sdk_s3::Client::from_conf(config.region(Region::new(region.to_owned())).build())
    }
}

impl Clients {
    /// For objects. The time of an attempt ends with the first byte of the answer; [`crate::s3::Bucket`] limits the rest.
    pub(super) fn objects(&self, config: &SdkConfig, timeouts: TimeoutConfig) -> aws_sdk_s3::Client {
        let mut builder = aws_sdk_s3::config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        // Local engines have no host name for each bucket.
        builder = builder.force_path_style(self.endpoints().s3.is_some());
        builder.set_endpoint_url(self.endpoints().s3.clone());
        if let Some(own) = self.object_credentials() {
            builder = builder.credentials_provider(own);
        }
        if let Some(client) = self.own_http_client() {
            builder = builder.http_client(client);
        }
        aws_sdk_s3::Client::from_conf(builder.build())
    }
}
