//! The clients of SNS, SQS and EventBridge.

use super::clients::Clients;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use std::time::Duration;

impl Clients {
    /// For topics of SNS in a region. No retries inside: the sender repeats.
    pub async fn topics(&self, region: &str, attempt: Duration) -> aws_sdk_sns::Client {
        let config = self.config_for(Some(region), None).await;
        let mut builder = aws_sdk_sns::config::Builder::from(&config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(notifying(attempt));
        builder.set_endpoint_url(self.endpoints().sns.clone());
        if let Some(client) = self.own_http_client() {
            builder = builder.http_client(client);
        }
        aws_sdk_sns::Client::from_conf(builder.build())
    }

    /// For queues of SQS in a region. No retries inside: the sender repeats.
    pub async fn queues(&self, region: &str, attempt: Duration) -> aws_sdk_sqs::Client {
        let config = self.config_for(Some(region), None).await;
        let mut builder = aws_sdk_sqs::config::Builder::from(&config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(notifying(attempt));
        builder.set_endpoint_url(self.endpoints().sqs.clone());
        if let Some(client) = self.own_http_client() {
            builder = builder.http_client(client);
        }
        aws_sdk_sqs::Client::from_conf(builder.build())
    }

    /// For event buses of EventBridge in a region. No retries inside: the sender repeats.
    pub async fn event_buses(&self, region: &str, attempt: Duration) -> aws_sdk_eventbridge::Client {
        let config = self.config_for(Some(region), None).await;
        let mut builder = aws_sdk_eventbridge::config::Builder::from(&config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(notifying(attempt));
        builder.set_endpoint_url(self.endpoints().event_bridge.clone());
        if let Some(client) = self.own_http_client() {
            builder = builder.http_client(client);
        }
        aws_sdk_eventbridge::Client::from_conf(builder.build())
    }
}

fn notifying(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(attempt)
        .operation_attempt_timeout(attempt)
        .build()
}
