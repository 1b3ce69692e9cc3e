//! The answer to a request, from the last reading. Pure.

use super::access::{Access, Verdict};
use super::figures::{of_process, of_split};
use super::frame::Frame;
use super::prometheus::{self, CONTENT_TYPE};
use super::reading::Readings;
use super::samples::Samples;
use crate::report::policy;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE as TYPE, HeaderValue, REFERRER_POLICY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{HeaderMap, Method, Response, StatusCode};
use tokio::time::Instant;

/// An answer.
pub type Answer = Response<Full<Bytes>>;

const PLAIN: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const PATHS: &str = "dynasplit serves / (a page), /metrics (Prometheus), /livez and /readyz\n";

/// What a client asks for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// `GET`, or another method.
    pub method: &'a Method,
    /// The path, without a query.
    pub path: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
}

/// Answers a request.
#[must_use]
pub fn answer(asked: Asked<'_>, access: &Access, frame: &Frame, readings: &Readings, now: Instant) -> Answer {
    if ![Method::GET, Method::HEAD].contains(asked.method) {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "only GET and HEAD\n");
        let methods = HeaderValue::from_static("GET, HEAD");
        refused.headers_mut().insert(ALLOW, methods);
        return refused;
    }
    // Supervisors have no token, and these two tell nothing about the split.
    match asked.path {
        "/livez" => return text(StatusCode::OK, PLAIN, "ok\n"),
        "/readyz" => return readiness(readings, now),
        _ => {}
    }
    match access.verdict(asked.headers) {
        Verdict::Granted => {}
        Verdict::TokenNeeded => return token_needed(),
        Verdict::ForeignHost => {
            let why = "ask for localhost or 127.0.0.1: other names need an access token\n";
            return text(StatusCode::FORBIDDEN, PLAIN, why);
        }
    }
    match asked.path {
        "/metrics" => text(StatusCode::OK, CONTENT_TYPE, metrics(readings, now)),
        "/" => live_page(frame, readings, now),
        _ => text(StatusCode::NOT_FOUND, PLAIN, PATHS),
    }
}

/// The process is ready if it can read the state. A lag is no reason against it: a restart would only make it longer.
fn readiness(readings: &Readings, now: Instant) -> Answer {
    if readings.fresh(now).is_some() {
        text(StatusCode::OK, PLAIN, "ok\n")
    } else {
        let why = "the state of the split cannot be read at the moment\n";
        text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, why)
    }
}

/// The page. No other page may show it in a frame.
fn live_page(frame: &Frame, readings: &Readings, now: Instant) -> Answer {
    let Some((_, reading)) = readings.fresh(now) else {
        let why = readings.failure.as_deref().unwrap_or("it was not read in time");
        let why = format!("the state of the split cannot be read at the moment: {why}\n");
        return text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, why);
    };
    let mut answer = text(StatusCode::OK, HTML, frame.page(reading, &readings.chart));
    let policy = HeaderValue::try_from(format!("{}; frame-ancestors 'none'", policy(true)));
    let headers = answer.headers_mut();
    // The policy of the page itself says the same, without the frames.
    headers.insert(
        CONTENT_SECURITY_POLICY,
        policy.unwrap_or(HeaderValue::from_static(
            "default-src 'none'; frame-ancestors 'none'",
        )),
    );
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer
}

fn token_needed() -> Answer {
    let why =
        "the access token is missing or wrong: send it as `Authorization: Bearer TOKEN`, or as a password\n";
    let mut refused = text(StatusCode::UNAUTHORIZED, PLAIN, why);
    let scheme = HeaderValue::from_static("Basic realm=\"dynasplit\", charset=\"UTF-8\"");
    refused.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    refused
}

/// The metrics. Old figures of the split are left out, because a lag that is not measured would look constant.
fn metrics(readings: &Readings, now: Instant) -> String {
    let mut samples = Samples::default();
    let fresh = readings.fresh(now);
    let age_ms = fresh.map(|(age, _)| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
    of_process(&mut samples, fresh.is_some(), age_ms);
    if let Some((_, reading)) = fresh {
        of_split(&mut samples, &reading.status);
    }
    prometheus::text(&samples)
}

fn text(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Moments, ServiceView};
    use crate::status::{LaneStatus, Phase, SplitStatus};
    use crate::web::Token;
    use crate::web::reading::Reading;
    use hyper::header::{AUTHORIZATION, HOST};
    use std::sync::Arc;
    use std::time::Duration;

    const TOKEN: &str = "0123456789abcdef";

    fn access(token: bool) -> Access {
        let token = token.then(|| Token::new(TOKEN).unwrap());
        Access::new("127.0.0.1:1".parse().unwrap(), token).unwrap()
    }

    fn readings(lag_ms: u64, failure: Option<&str>) -> Readings {
        let lane = LaneStatus {
            lane: "orders".into(),
            lag_ms: Some(lag_ms),
            open_shards: 1,
            ..LaneStatus::default()
        };
        let status = SplitStatus::sample(Phase::Tailing, vec![lane]);
        Readings {
            last: Some(Reading {
                began: Instant::now(),
                status: Arc::new(status),
                moments: Moments::default(),
            }),
            chart: Arc::default(),
            failure: failure.map(str::to_owned),
            attempts: 1,
        }
    }

    fn frame() -> Frame {
        Frame {
            source: "Shop".into(),
            services: vec![ServiceView {
                name: "<orders>".into(),
                table: "t".into(),
                is_on_demand: true,
                is_infrequent: false,
            }],
            clock: crate::dynamo::Clock::SYSTEM,
            copyable: str::to_owned,
        }
    }

    fn asked(
        path: &str,
        access: &Access,
        readings: &Readings,
        header: &[(hyper::header::HeaderName, &str)],
    ) -> Answer {
        let headers = header
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect();
        let asked = Asked {
            method: &Method::GET,
            path,
            headers: &headers,
        };
        answer(asked, access, &frame(), readings, Instant::now())
    }

    #[test]
    fn lag_fails_neither_liveness_nor_readiness() {
        let late = readings(23 * 3_600_000, None);
        for path in ["/livez", "/readyz"] {
            assert_eq!(asked(path, &access(false), &late, &[]).status(), 200);
        }
        let broken = readings(0, Some("throttled"));
        assert_eq!(asked("/livez", &access(false), &broken, &[]).status(), 200);
        assert_eq!(asked("/readyz", &access(false), &broken, &[]).status(), 503);
    }

    #[test]
    fn what_tells_of_the_split_needs_the_token() {
        let readings = readings(0, None);
        let (host, bearer) = ((HOST, "localhost:1"), (AUTHORIZATION, "Bearer 0123456789abcdef"));
        for path in ["/metrics", "/"] {
            let status =
                |token, headers: &[_]| asked(path, &access(token), &readings, headers).status().as_u16();
            assert_eq!(status(false, std::slice::from_ref(&host)), 200);
            assert_eq!(status(false, &[(HOST, "evil.example")]), 403);
            assert_eq!(status(true, std::slice::from_ref(&host)), 401);
            assert_eq!(status(true, std::slice::from_ref(&bearer)), 200);
        }
        let demand = asked("/metrics", &access(true), &readings, &[]);
        assert!(
            demand.headers()[WWW_AUTHENTICATE]
                .to_str()
                .unwrap()
                .starts_with("Basic")
        );
        assert_eq!(
            asked("/nowhere", &access(true), &readings, &[]).status(),
            401,
            "it tells nothing"
        );
        assert_eq!(
            asked("/nowhere", &access(false), &readings, &[host]).status(),
            404
        );
    }

    #[test]
    fn figures_that_are_not_of_the_present_are_left_out() {
        let now = Instant::now();
        let good = metrics(&readings(3_600_000, None), now);
        assert!(
            good.contains("dynasplit_stream_time_left_seconds{split=\"split\",lane=\"orders\"} 82800\n"),
            "{good}"
        );
        for gone in [
            metrics(&readings(0, Some("x")), now),
            metrics(&readings(0, None), now + Duration::from_secs(3600)),
            metrics(&Readings::default(), now),
        ] {
            assert!(gone.contains("dynasplit_state_readable 0\n"), "{gone}");
            assert!(!gone.contains("split="), "{gone}");
        }
    }

    #[test]
    fn the_page_is_of_the_present_and_in_no_frame() {
        let host = [(HOST, "localhost:1")];
        let page = asked("/", &access(false), &readings(0, None), &host);
        assert_eq!(page.headers()[TYPE], HTML);
        let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert!(
            policy.ends_with("; frame-ancestors 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        let old = asked("/", &access(false), &readings(0, Some("throttled")), &host);
        assert_eq!(old.status(), 503);
        assert_eq!(old.headers()[TYPE], PLAIN, "a reason is no markup");
    }

    #[test]
    fn nothing_can_be_written() {
        let (headers, readings) = (HeaderMap::new(), readings(0, None));
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let asked = Asked {
                method: &method,
                path: "/metrics",
                headers: &headers,
            };
            assert_eq!(
                answer(asked, &access(false), &frame(), &readings, Instant::now()).status(),
                405
            );
        }
    }
}
