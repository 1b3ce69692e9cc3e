//! Who may read: anybody on this machine, or whoever has the access token.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HOST};
use std::net::{IpAddr, SocketAddr};

/// A shorter token could be guessed.
pub const SHORTEST_TOKEN: usize = 16;

/// An access token. It is kept as a hash, so that a comparison takes the same time wherever two tokens differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token(blake3::Hash);

impl Token {
    /// From its text, without the white space around it.
    ///
    /// # Errors
    /// If the text is no usable token: the reason.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.len() < SHORTEST_TOKEN {
            return Err(format!(
                "the access token has {} characters, and at least {SHORTEST_TOKEN} are necessary",
                text.len()
            ));
        }
        if !text.chars().all(|c| c.is_ascii_graphic() && c != ':') {
            return Err(
                "the access token may contain only ASCII letters, digits and signs, and no colon".into(),
            );
        }
        Ok(Self(blake3::hash(text.as_bytes())))
    }

    fn is(&self, given: &str) -> bool {
        self.0 == blake3::hash(given.as_bytes())
    }
}

/// Who may read.
#[derive(Clone, Debug)]
pub struct Access {
    token: Option<Token>,
}

/// What a request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The answer.
    Granted,
    /// A demand for the token.
    TokenNeeded,
    /// A refusal: another site's page asks in the name of a browser on this machine.
    ForeignHost,
}

impl Access {
    /// For a server at this address.
    ///
    /// # Errors
    /// If other machines can reach the address, and there is no token.
    pub fn new(address: SocketAddr, token: Option<Token>) -> Result<Self, String> {
        if token.is_none() && !address.ip().is_loopback() {
            return Err(format!(
                "other machines can reach {address}, so an access token is necessary to listen there"
            ));
        }
        Ok(Self { token })
    }

    /// Judges a request for something that only authorised readers see.
    ///
    /// Without a token, the name that the client asked for must be one of this machine. Otherwise a page of another site could
    /// let its own name lead here (DNS rebinding) and read the answers.
    #[must_use]
    pub fn verdict(&self, headers: &HeaderMap) -> Verdict {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        match &self.token {
            Some(token) => match text(AUTHORIZATION).and_then(given) {
                Some(given) if token.is(&given) => Verdict::Granted,
                _ => Verdict::TokenNeeded,
            },
            None => match text(HOST) {
                Some(host) if is_of_this_machine(host) => Verdict::Granted,
                _ => Verdict::ForeignHost,
            },
        }
    }
}

/// The token in a header: `Bearer TOKEN`, or the password of `Basic`, which a browser asks for.
fn given(header: &str) -> Option<String> {
    let (scheme, value) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
    let (_, password) = decoded.split_once(':')?;
    Some(password.to_owned())
}

/// Whether a host with or without a port is a name of this machine that no other site can have.
fn is_of_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderName;

    const TOKEN: &str = "0123456789abcdef";

    fn verdict(token: bool, name: HeaderName, value: &str) -> Verdict {
        let token = token.then(|| Token::new(TOKEN).unwrap());
        let access = Access::new("127.0.0.1:1".parse().unwrap(), token).unwrap();
        access.verdict(&[(name, value.parse().unwrap())].into_iter().collect())
    }

    #[test]
    fn other_machines_need_a_token() {
        for address in ["0.0.0.0:1", "10.0.0.7:1", "[::]:1", "[2001:db8::1]:1"] {
            let address: SocketAddr = address.parse().unwrap();
            assert!(Access::new(address, None).is_err(), "{address}");
            assert!(Access::new(address, Some(Token::new(TOKEN).unwrap())).is_ok());
        }
        for address in ["127.0.0.1:1", "127.0.0.9:1", "[::1]:1"] {
            assert!(Access::new(address.parse().unwrap(), None).is_ok());
        }
    }

    #[test]
    fn a_token_is_asked_for_and_compared() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for good in [
            format!("Bearer {TOKEN}"),
            format!("bearer {TOKEN}"),
            basic(&format!("anybody:{TOKEN}")),
            basic(&format!(":{TOKEN}")),
        ] {
            assert_eq!(verdict(true, AUTHORIZATION, &good), Verdict::Granted, "{good}");
        }
        for bad in [
            format!("Bearer {TOKEN}0"),
            format!("Bearer {}", &TOKEN[1..]),
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
            TOKEN.to_owned(),
            basic(TOKEN),
            basic(&format!("{TOKEN}:")),
            "Basic ///".to_owned(),
        ] {
            assert_eq!(verdict(true, AUTHORIZATION, &bad), Verdict::TokenNeeded, "{bad}");
        }
        assert_eq!(verdict(true, HOST, "localhost"), Verdict::TokenNeeded);
    }

    #[test]
    fn without_a_token_only_names_of_this_machine_are_answered() {
        for good in [
            "localhost",
            "localhost:9464",
            "127.0.0.1:9464",
            "[::1]:9464",
            "[::1]",
            "127.1.2.3",
        ] {
            assert_eq!(verdict(false, HOST, good), Verdict::Granted, "{good}");
        }
        for bad in [
            "evil.example:9464",
            "localhost.evil.example",
            "10.0.0.1",
            "",
            "127.0.0.1.evil.example:1",
        ] {
            assert_eq!(verdict(false, HOST, bad), Verdict::ForeignHost, "{bad}");
        }
    }

    #[test]
    fn a_token_is_long_and_fits_into_a_header() {
        assert_eq!(Token::new(&format!(" {TOKEN}\n")), Token::new(TOKEN));
        for bad in [
            "",
            "short",
            "fifteen-letters",
            "sixteen letters!",
            "0123456789abcde:",
            "0123456789abcdeé",
        ] {
            assert!(Token::new(bad).is_err(), "{bad}");
        }
    }
}
