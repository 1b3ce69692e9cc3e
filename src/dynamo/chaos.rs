//! Chaos that a user switches on: requests that are slow, fail, are throttled or lose their answers. It shows what a split
//! does on a bad day, and that no change is lost.

use super::chance;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Longest latency. A request is given up after a few seconds, and with more than this nothing would ever succeed.
const MOST_LATENCY: Duration = Duration::from_secs(1);
/// Largest share of requests that fail, and of those that are throttled.
const MOST_SHARE: f64 = 0.5;
/// The average life of a process lasts at least so many lease times. It takes up to three until a process has taken over from
/// one that died, and as long again until the waits at the end of a copy are over.
const LEAST_LEASES: u32 = 8;

/// What happens to requests and to the process.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Chaos {
    /// Each request waits for a random time of up to this.
    pub latency: Duration,
    /// The share of requests that fail: half of them are never sent, and half are carried out and lose their answer.
    pub errors: f64,
    /// The share of requests that are throttled.
    pub throttle: f64,
    /// The process dies after a random time, which is this long on average.
    pub kill: Option<Duration>,
}

/// Why a text is no chaos.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ChaosError(String);

/// The settings, for errors.
const KNOWN: &str = "latency=200ms, errors=1%, throttle=5% and kill=5m, separated by commas";

impl FromStr for Chaos {
    type Err = ChaosError;

    fn from_str(text: &str) -> Result<Self, ChaosError> {
        let mut chaos = Self::default();
        let mut seen = Vec::new();
        for setting in text.split(',').map(str::trim) {
            let Some((name, value)) = setting.split_once('=') else {
                return Err(ChaosError(format!(
                    "'{setting}' has no value; the settings are {KNOWN}"
                )));
            };
            if seen.contains(&name) {
                return Err(ChaosError(format!("{name} is given twice")));
            }
            seen.push(name);
            match name {
                "latency" => chaos.latency = time(name, value, MOST_LATENCY)?,
                "errors" => chaos.errors = share(name, value)?,
                "throttle" => chaos.throttle = share(name, value)?,
                "kill" => chaos.kill = Some(time(name, value, Duration::MAX)?),
                _ => {
                    return Err(ChaosError(format!(
                        "'{name}' is not a setting of chaos; the settings are {KNOWN}"
                    )));
                }
            }
        }
        Ok(chaos)
    }
}

fn time(name: &str, value: &str, most: Duration) -> Result<Duration, ChaosError> {
    let wrong = |what: String| ChaosError(format!("{name}={value}: {what}"));
    let time = humantime::parse_duration(value)
        .map_err(|_| wrong("write a time with its unit, such as 200ms or 30s".into()))?;
    if time <= most {
        Ok(time)
    } else {
        Err(wrong(format!("the most is {}", short(most))))
    }
}

fn share(name: &str, value: &str) -> Result<f64, ChaosError> {
    let wrong = |what: &str| ChaosError(format!("{name}={value}: {what}"));
    let number = value
        .strip_suffix('%')
        .and_then(|number| number.parse::<f64>().ok());
    let share = number.ok_or_else(|| wrong("write a share in percent, such as 1% or 0.5%"))? / 100.0;
    if (0.0..=MOST_SHARE).contains(&share) {
        Ok(share)
    } else {
        Err(wrong("a share is from 0% to 50%"))
    }
}

impl fmt::Display for Chaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.latency.is_zero() {
            parts.push(format!("latency={}", short(self.latency)));
        }
        for (name, share) in [("errors", self.errors), ("throttle", self.throttle)] {
            if share > 0.0 {
                // No more digits than were written.
                parts.push(format!("{name}={}%", (share * 1e8).round() / 1e6));
            }
        }
        if let Some(kill) = self.kill {
            parts.push(format!("kill={}", short(kill)));
        }
        f.write_str(&parts.join(","))
    }
}

/// As one word.
fn short(time: Duration) -> String {
    humantime::format_duration(time).to_string().replace(' ', "")
}

impl Chaos {
    /// Refuses deaths that are so frequent that nothing moves on.
    ///
    /// # Errors
    /// With the shortest average life for this lease time.
    pub fn check(&self, lease: Duration) -> Result<(), ChaosError> {
        let least = lease * LEAST_LEASES;
        match self.kill {
            Some(kill) if kill < least => Err(ChaosError(format!(
                "kill={}: the lease time is {}, so the least is {}; otherwise each process dies before it has taken over from \
                 the one before",
                short(kill),
                short(lease),
                short(least)
            ))),
            _ => Ok(()),
        }
    }

    /// A random time to live, near the average; `None` if nothing is to die.
    #[must_use]
    pub fn life(&self) -> Option<Duration> {
        self.kill.map(|average| average.mul_f64(chance::within(0.5..1.5)))
    }

    /// An HTTP client whose requests meet the chaos.
    #[must_use]
    pub fn around(self, client: SharedHttpClient) -> SharedHttpClient {
        SharedHttpClient::new(ChaosClient { chaos: self, client })
    }
}

#[derive(Debug)]
struct ChaosClient {
    chaos: Chaos,
    client: SharedHttpClient,
}

impl HttpClient for ChaosClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(ChaosConnector {
            chaos: self.chaos,
            connector: self.client.http_connector(settings, components),
        })
    }
}

#[derive(Debug)]
struct ChaosConnector {
    chaos: Chaos,
    connector: SharedHttpConnector,
}

/// What happens to one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Sent,
    Throttled,
    NeverSent,
    AnswerLost,
}

impl Chaos {
    /// By two numbers from 0 to 1.
    fn fate(&self, draw: f64, half: f64) -> Fate {
        if draw < self.throttle {
            Fate::Throttled
        } else if draw >= self.throttle + self.errors {
            Fate::Sent
        } else if half < 0.5 {
            Fate::NeverSent
        } else {
            Fate::AnswerLost
        }
    }
}

impl HttpConnector for ChaosConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let wait = self.chaos.latency.mul_f64(chance::within(0.0..1.0));
        let fate = self
            .chaos
            .fate(chance::within(0.0..1.0), chance::within(0.0..1.0));
        let connector = self.connector.clone();
        // Requests of S3 name no operation in a header.
        let is_of_tables = request.headers().get("x-amz-target").is_some();
        HttpConnectorFuture::new(async move {
            tokio::time::sleep(wait).await;
            match fate {
                Fate::Sent => connector.call(request).await,
                Fate::Throttled if is_of_tables => answer(400, "ThrottlingException"),
                Fate::NeverSent if is_of_tables => answer(500, "InternalServerError"),
                Fate::Throttled => answer_of_s3(503, "SlowDown"),
                Fate::NeverSent => answer_of_s3(500, "InternalError"),
                Fate::AnswerLost => {
                    connector.call(request).await?;
                    Err(ConnectorError::io("chaos: the answer was lost".into()))
                }
            }
        })
    }
}

/// An error as DynamoDB answers it.
fn answer(status: u16, code: &str) -> Result<HttpResponse, ConnectorError> {
    let status = StatusCode::try_from(status).map_err(|error| ConnectorError::other(error.into(), None))?;
    let body = serde_json::json!({
        "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"),
        "message": "chaos",
    });
    let mut response = HttpResponse::new(status, SdkBody::from(body.to_string()));
    response
        .headers_mut()
        .insert("content-type", "application/x-amz-json-1.0");
    Ok(response)
}

/// An error as S3 answers it.
fn answer_of_s3(status: u16, code: &str) -> Result<HttpResponse, ConnectorError> {
    let status = StatusCode::try_from(status).map_err(|error| ConnectorError::other(error.into(), None))?;
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>chaos</Message></Error>"
    );
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    response.headers_mut().insert("content-type", "application/xml");
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_shown() {
        let text = "latency=200ms,errors=1.5%,throttle=10%,kill=1m 30s";
        let chaos: Chaos = text.parse().unwrap();
        assert_eq!(chaos.latency, Duration::from_millis(200));
        assert_eq!((chaos.errors, chaos.throttle), (0.015, 0.1));
        assert_eq!(chaos.kill, Some(Duration::from_secs(90)));
        assert_eq!(chaos.to_string(), text.replace(' ', ""));
        assert_eq!("errors=0.3%".parse::<Chaos>().unwrap().to_string(), "errors=0.3%");
    }

    #[test]
    fn what_is_wrong_is_refused_with_what_is_right() {
        let refused = |text: &str| text.parse::<Chaos>().unwrap_err().to_string();
        assert!(refused("").contains("the settings are latency=200ms"));
        assert!(refused("latency").contains("has no value"));
        assert!(refused("lag=1s").contains("'lag' is not a setting"));
        assert!(refused("errors=1%,errors=2%").contains("twice"));
        assert!(refused("latency=200").contains("with its unit"));
        assert!(refused("latency=2s").contains("the most is 1s"));
        let chaos: Chaos = "kill=24s".parse().unwrap();
        assert!(chaos.check(Duration::from_secs(3)).is_ok());
        let frequent = chaos.check(Duration::from_secs(4)).unwrap_err();
        assert!(frequent.to_string().contains("the least is 32s"), "{frequent}");
        assert!(refused("errors=0.1").contains("in percent"));
        assert!(refused("errors=60%").contains("from 0% to 50%"));
        assert!(refused("errors=-1%").contains("from 0% to 50%"));
        assert!(refused("errors=NaN%").contains("from 0% to 50%"));
    }

    #[test]
    fn shares_are_shares_of_all_requests() {
        let chaos: Chaos = "errors=20%,throttle=10%".parse().unwrap();
        assert_eq!(chaos.fate(0.09, 0.0), Fate::Throttled);
        assert_eq!(chaos.fate(0.11, 0.4), Fate::NeverSent);
        assert_eq!(chaos.fate(0.29, 0.6), Fate::AnswerLost);
        assert_eq!(chaos.fate(0.31, 0.0), Fate::Sent);
        assert_eq!(Chaos::default().fate(0.0, 0.0), Fate::Sent);
    }
}
