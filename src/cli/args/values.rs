//! The values of options, read and checked.

use crate::model::BuildPart;
use crate::s3::{ExportPlace, Folder, PlaceError};
use crate::state::{Bound, Turn};
use std::time::Duration;

/// A stream keeps its records for so long.
const LEAST_OUTAGE: Duration = Duration::from_secs(24 * 3600);
const MOST_OUTAGE: Duration = Duration::from_secs(60 * 24 * 3600);

pub(super) fn url(text: &str) -> Result<String, String> {
    let wanted = "a URL with its scheme, like http://localhost:8000";
    let place = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"))
        .ok_or(wanted)?;
    let place = place.split(['/', '?', '#']).next().unwrap_or_default();
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    // The colons of an IPv6 address are in brackets.
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (place, None),
    };
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err(wanted.into());
    }
    match port.map(str::parse::<u16>) {
        None | Some(Ok(1..)) => Ok(text.to_owned()),
        Some(_) => Err(format!("{wanted}; a port is a number from 1 to 65535")),
    }
}

/// A name of a shared verify, which `status` shows in a line.
pub(super) fn shared_name(text: &str) -> Result<String, String> {
    let is_shown = |c: char| !c.is_whitespace() && !c.is_control();
    match (1..=128).contains(&text.len()) && text.chars().all(is_shown) {
        true => Ok(text.to_owned()),
        false => Err("a name has 1 to 128 characters, and no spaces".into()),
    }
}

/// The most segments that a process works on at once.
pub(super) const MOST_WORKERS: u16 = 256;

pub(super) fn bound(text: &str) -> Result<Turn<Bound>, String> {
    match text {
        "none" => Ok(Turn::To(Bound::None)),
        "default" => Ok(Turn::Options),
        _ => units(text)
            .map(|units| Turn::To(Bound::units(units)))
            .map_err(|wanted| format!("{wanted}, or `none`, or `default`")),
    }
}

pub(super) fn service_bound(text: &str) -> Result<(Option<String>, Turn<Bound>), String> {
    match text.rsplit_once('=') {
        Some((service, text)) => Ok((Some(service.to_owned()), bound(text)?)),
        None => Ok((None, bound(text)?)),
    }
}

pub(super) fn workers(text: &str) -> Result<Turn<u16>, String> {
    match text.parse::<u16>() {
        _ if text == "default" => Ok(Turn::Options),
        Ok(workers) if (1..=MOST_WORKERS).contains(&workers) => Ok(Turn::To(workers)),
        _ => Err(format!("a number from 1 to {MOST_WORKERS}, or `default`")),
    }
}

/// A folder that the command itself reads or writes.
pub(super) fn folder(text: &str) -> Result<Folder, String> {
    in_s3(text.parse())
}

/// An export that the command itself reads.
pub(super) fn export(text: &str) -> Result<ExportPlace, String> {
    in_s3(text.parse())
}

/// An export of the table of a service.
pub(super) fn service_export(text: &str) -> Result<(String, ExportPlace), String> {
    // An ARN has no equals sign, and the name of a folder may have one.
    match text.split_once('=') {
        Some((service, place)) if !service.is_empty() => Ok((service.to_owned(), export(place)?)),
        _ => Err("SERVICE=EXPORT, like orders=arn:aws:dynamodb:...".into()),
    }
}

fn in_s3<T>(place: Result<T, PlaceError>) -> Result<T, String> {
    let place = place.map_err(|error| error.to_string())?;
    let needed = BuildPart::S3.needed();
    needed.map(|()| place).map_err(|missing| missing.to_string())
}

/// A time, in milliseconds since 1970.
pub(super) fn moment(text: &str) -> Result<u64, String> {
    if let Ok(ms) = text.parse::<u64>() {
        return Ok(ms);
    }
    let parsed = humantime::parse_rfc3339_weak(text).ok();
    let since = parsed.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    since
        .and_then(|since| u64::try_from(since.as_millis()).ok())
        .ok_or_else(|| "a time in UTC like 2026-11-28T14:00:00Z, or milliseconds since 1970".into())
}

/// How long the table of a rehearsal accepts no writes.
pub(super) fn outage(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text)
        .map_err(|_| "write a time with its unit, such as 30h or 7d".to_owned())?;
    match time {
        time if time <= LEAST_OUTAGE => {
            Err("the stream keeps its records for 24h, so such an outage needs no ledger: name a longer one, such as 30h".into())
        }
        time if time > MOST_OUTAGE => Err("the most is 60d".into()),
        time => Ok(time),
    }
}

/// A number of units.
pub(super) fn units(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(units) if units.is_finite() && units > 0.0 => Ok(units),
        _ => Err("a number above zero, like 500 or 12.5".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::{outage, url};

    #[test]
    fn an_outage_is_longer_than_the_stream_keeps_its_records() {
        assert_eq!(outage("30h"), Ok(std::time::Duration::from_secs(108_000)));
        assert!(outage("1d").unwrap_err().contains("24h"));
        assert!(outage("61d").unwrap_err().contains("60d"));
        assert!(outage("week").unwrap_err().contains("with its unit"));
    }

    #[test]
    fn a_url_has_a_host_and_a_port_that_exists() {
        for good in [
            "http://localhost",
            "http://localhost:8000",
            "https://dynamodb.eu-central-1.amazonaws.com/",
            "http://[::1]:8000/path",
            "http://[::1]",
            "http://user:word@host:1/",
        ] {
            assert_eq!(url(good).as_deref(), Ok(good));
        }
        for bad in [
            "localhost:8000",
            "http://",
            "http:///x",
            "http://:8000",
            "http://a b",
            "ftp://a",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
        for port in ["99999", "65536", "0", "", "80x", "-1"] {
            let error = url(&format!("http://localhost:{port}")).unwrap_err();
            assert!(error.contains("1 to 65535"), "{error}");
        }
    }
}
