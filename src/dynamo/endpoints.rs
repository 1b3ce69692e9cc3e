//! Where each service is asked: at AWS, or at an endpoint of the user's own.

use super::{Chaos, ConfigError, StandIn};
use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;
use std::sync::Arc;

/// The endpoints that replace those of AWS; none for AWS itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Of DynamoDB.
    pub dynamodb: Option<String>,
    /// Of DynamoDB Streams.
    pub streams: Option<String>,
    /// Of STS, if it was given for STS alone.
    pub(super) sts: Option<String>,
    /// Of S3: its own, or the common one of an engine that has both.
    pub(super) s3: Option<String>,
    /// Of SNS, as with S3.
    pub(super) sns: Option<String>,
    /// Of SQS, as with S3.
    pub(super) sqs: Option<String>,
    /// Of EventBridge, as with S3.
    pub(super) event_bridge: Option<String>,
}

impl Endpoints {
    /// Reads the endpoints that the clients will use: from the option, the variables, the profile.
    pub(super) fn of(config: &SdkConfig, option: Option<&String>) -> Self {
        let shared = config.endpoint_url().map(str::to_owned);
        let own = |service: &str| {
            let key = ServiceConfigKey::builder()
                .service_id(service)
                .env("AWS_ENDPOINT_URL")
                .profile("endpoint_url")
                .build();
            config.service_config()?.load_config(key.ok()?)
        };
        // An endpoint of DynamoDB in a virtual network is none of S3.
        let engine = |url: &Option<String>| url.clone().filter(|url| !is_aws(url));
        if let Some(url) = option {
            let beside = |service| {
                own(service)
                    .filter(|own| own != url)
                    .or_else(|| engine(&Some(url.clone())))
            };
            return Self {
                dynamodb: Some(url.clone()),
                streams: Some(url.clone()),
                sts: None,
                s3: beside("S3"),
                sns: beside("SNS"),
                sqs: beside("SQS"),
                event_bridge: beside("EventBridge"),
            };
        }
        Self {
            dynamodb: own("DynamoDB").or_else(|| shared.clone()),
            streams: own("DynamoDB Streams").or_else(|| shared.clone()),
            sts: own("STS").filter(|url| Some(url) != shared.as_ref()),
            s3: own("S3").or_else(|| engine(&shared)),
            sns: own("SNS").or_else(|| engine(&shared)),
            sqs: own("SQS").or_else(|| engine(&shared)),
            event_bridge: own("EventBridge").or_else(|| engine(&shared)),
        }
    }

    /// Refuses a value that is not a URL, because otherwise every request would fail.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let services = [
            ("DynamoDB", &self.dynamodb),
            ("DynamoDB Streams", &self.streams),
            ("S3", &self.s3),
            ("SNS", &self.sns),
            ("SQS", &self.sqs),
            ("EventBridge", &self.event_bridge),
        ];
        for (service, url) in services {
            if let Some(url) = url.as_ref().filter(|url| !is_url(url)) {
                return Err(ConfigError::Endpoint {
                    url: url.clone(),
                    service,
                });
            }
        }
        Ok(())
    }

    /// Whether DynamoDB is asked at AWS, directly or through an endpoint of a virtual network.
    #[must_use]
    pub fn is_aws(&self) -> bool {
        self.dynamodb.as_deref().is_none_or(is_aws)
    }

    /// The problem if only one of the two services has an endpoint outside AWS: a table of one engine and a stream of
    /// another do not belong together.
    #[must_use]
    pub fn mixed(&self, region: &str) -> Option<String> {
        let aws = |service: &str| format!("{service} at AWS ({region})");
        match (&self.dynamodb, &self.streams) {
            (Some(url), None) if !is_aws(url) => Some(format!(
                "DynamoDB is asked at {url}, but {}: set AWS_ENDPOINT_URL_DYNAMODB_STREAMS too, or give --endpoint-url for both",
                aws("DynamoDB Streams")
            )),
            (None, Some(url)) if !is_aws(url) => Some(format!(
                "DynamoDB Streams is asked at {url}, but {}: set AWS_ENDPOINT_URL_DYNAMODB too, or give --endpoint-url for both",
                aws("DynamoDB")
            )),
            _ => None,
        }
    }

    /// Where a request of this IAM action goes, for people.
    #[must_use]
    pub fn asked_for(&self, action: &str, region: &str) -> String {
        let stream = ["DescribeStream", "GetShardIterator", "GetRecords", "ListStreams"];
        let (service, url) = if action.starts_with("s3:") {
            ("S3", &self.s3)
        } else if stream.iter().any(|operation| action.ends_with(operation)) {
            ("DynamoDB Streams", &self.streams)
        } else {
            ("DynamoDB", &self.dynamodb)
        };
        url.clone().unwrap_or_else(|| format!("{service} in {region}"))
    }
}

fn is_url(url: &str) -> bool {
    let host = ["http://", "https://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme));
    host.is_some_and(|host| !host.is_empty() && !host.starts_with('/') && !host.contains(char::is_whitespace))
}

fn is_aws(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or(url);
    let host = host.split(['/', ':']).next().unwrap_or(host);
    [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"]
        .iter()
        .any(|domain| host.ends_with(domain))
}

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
    /// What happens to requests, if the user switched chaos on.
    pub chaos: Option<Chaos>,
    /// What stands between the clients of DynamoDB and the engine in a rehearsal.
    pub stand_in: Option<Arc<dyn StandIn>>,
    /// Where S3 is, if a rehearsal has one of its own.
    pub objects: Option<Arc<ObjectStore>>,
}

/// An S3 server of a rehearsal, and the credentials that it accepts.
#[derive(Clone, PartialEq, Eq)]
pub struct ObjectStore {
    /// Its URL.
    pub url: String,
    /// The id of its key.
    pub key_id: String,
    /// The secret of its key.
    pub secret: String,
}

impl std::fmt::Debug for ObjectStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(dynamodb: Option<&str>, streams: Option<&str>) -> Endpoints {
        Endpoints {
            dynamodb: dynamodb.map(str::to_owned),
            streams: streams.map(str::to_owned),
            ..Endpoints::default()
        }
    }

    #[test]
    fn one_endpoint_without_the_other_is_told_and_a_private_one_of_aws_is_not() {
        let local = Some("http://localhost:8000");
        let private = Some("https://vpce-1.dynamodb.eu-central-1.vpce.amazonaws.com");
        let said = at(local, None).mixed("eu-central-1").unwrap();
        assert!(said.contains("AWS_ENDPOINT_URL_DYNAMODB_STREAMS"), "{said}");
        assert!(at(None, local).mixed("eu-central-1").is_some());
        assert_eq!(at(local, local).mixed("x"), None);
        assert_eq!(at(None, None).mixed("x"), None);
        assert_eq!(at(private, None).mixed("x"), None);
        assert!(at(private, None).is_aws() && at(None, None).is_aws() && !at(local, local).is_aws());
        assert!(!at(Some("http://amazonaws.com.evil.example"), None).is_aws());
    }

    #[test]
    fn an_endpoint_is_a_url() {
        for wrong in ["localhost:8000", "http://", "http:///x", "http://a b", ""] {
            assert!(at(Some(wrong), None).check().is_err(), "{wrong:?}");
        }
        assert!(
            at(Some("http://localhost:8000"), Some("https://a.example/b"))
                .check()
                .is_ok()
        );
    }

    #[test]
    fn a_request_is_told_with_where_it_goes() {
        let split = at(Some("http://localhost:8000"), None);
        assert_eq!(
            split.asked_for("dynamodb:GetItem", "eu-central-1"),
            "http://localhost:8000"
        );
        assert_eq!(
            split.asked_for("dynamodb:DescribeStream", "eu-central-1"),
            "DynamoDB Streams in eu-central-1"
        );
    }
}
