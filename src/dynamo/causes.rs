//! The text of an SDK error for people. Much of it names internal parts of the SDK, or quotes the request with item
//! values. Only parts that are known to be safe are shown.

use rustls::CertificateError;
use std::error::Error;
use std::io;

/// Why nothing came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The server's certificate is not accepted.
    Certificate(String),
    /// Anything else.
    Other(String),
}

/// Words that say nothing to a person, as a whole part of a chain.
const NOISE: [&str; 7] = [
    "dispatch failure",
    "service error",
    "io error",
    "other",
    "TLS handshake failed",
    "the credential provider was not enabled",
    "an error occurred while loading credentials",
];
/// Marks of parts that name internals of the SDK and its HTTP client.
const INTERNAL: [&str; 11] = [
    "nterceptor",
    "unhandled error",
    "Error(",
    "Other(",
    "Error {",
    "{ ",
    "client error (",
    "hyper::",
    "construct request",
    "endpoint params",
    "orchestrat",
];

/// An error and its causes. The payload of an input/output error is one of them, which its `source` passes over.
fn each<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut all = Vec::new();
    let mut current = Some(error);
    while let Some(cause) = current {
        all.push(cause);
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        current = match inner {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => cause.source(),
        };
    }
    all
}

/// An error and its causes, each in its own words. Some of the SDK's words quote the request: those are cut off.
pub(super) fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let words = |cause: &&(dyn Error + 'static)| {
        let said = cause.to_string();
        let said = said.split(" to request `").next().unwrap_or_default();
        if let Some(message) = quoted_message(said) {
            return message.to_owned();
        }
        said.replace("the credential provider was not enabled: ", "")
    };
    each(error).iter().map(words).collect()
}

/// The service's message, of an error that the SDK shows as `Error { code: "...", message: "..." }`.
fn quoted_message(said: &str) -> Option<&str> {
    let (_, rest) = said.split_once("message: \"")?;
    let (message, _) = rest.split_once('"')?;
    Some(message)
}

/// An error and its causes in one line, without empty phrases and internals of the SDK; `otherwise` if nothing
/// remains.
pub(super) fn causes(error: &(dyn Error + 'static), otherwise: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for said in chain(error) {
        let is_internal = INTERNAL.iter().any(|mark| said.contains(mark));
        let is_told = words.iter().any(|word| word.contains(&said));
        if !is_internal && !is_told && !NOISE.contains(&said.as_str()) {
            words.push(said);
        }
    }
    if words.is_empty() {
        return otherwise.to_owned();
    }
    words.join(": ")
}

/// Why nothing came back, by the causes of an error.
pub(super) fn broken(error: &(dyn Error + 'static)) -> Broken {
    let tls = each(error)
        .into_iter()
        .find_map(|cause| cause.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(why)) => Broken::Certificate(format!(
            "the certificate of the server is not accepted: {}",
            certificate(why)
        )),
        Some(rustls::Error::InvalidMessage(_)) => Broken::Other("the server does not speak TLS".into()),
        Some(rustls::Error::AlertReceived(_)) => {
            Broken::Other("the server refused the TLS connection".into())
        }
        Some(_) => Broken::Other("the TLS connection could not be made".into()),
        None => {
            let told = causes(error, "the connection failed");
            Broken::Other(told.replace(
                "tls handshake eof",
                "the server does not speak TLS, or ended the connection",
            ))
        }
    }
}

fn certificate(why: &CertificateError) -> &'static str {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired by the clock of this machine"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet by the clock of this machine"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another host name"
        }
        CertificateError::UnknownIssuer => "its issuer is not trusted",
        CertificateError::Revoked => "it was revoked",
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "it signs itself, and is not trusted"
        }
        _ => "it is not valid",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt;
    use std::sync::Arc;

    #[derive(Debug)]
    struct Said(&'static str, Option<Box<dyn Error + Send + Sync>>);

    impl fmt::Display for Said {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Said {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as &(dyn Error + 'static))
        }
    }

    #[test]
    fn what_is_inside_the_sdk_is_not_told() {
        for said in [
            "failed to construct request",
            "GetItemEndpointParamsInterceptor read_before_execution interceptor encountered an error: endpoint params \
             could not be built: invalid value for field: `region`",
            "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
            "client error (SendRequest)",
            "ConnectorError { kind: Io, source: hyper::Error(Io) }",
        ] {
            let error = Said(said, None);
            assert_eq!(causes(&error, "it failed"), "it failed", "{said}");
            assert_eq!(
                causes(
                    &Said("Error { code: \"X\", message: \"not you\" }", None),
                    "it failed"
                ),
                "not you"
            );
            let refused = io::Error::from_raw_os_error(111);
            let told = causes(&Said(said, Some(Box::new(refused))), "it failed");
            assert!(told.starts_with("Connection refused"), "{told}");
        }
    }

    #[test]
    fn a_certificate_is_told_in_words() {
        let of = |why| {
            let inner = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::InvalidCertificate(why));
            broken(&Said(
                "client error (Connect)",
                Some(Box::new(io::Error::other(inner))),
            ))
        };
        for why in [
            CertificateError::UnknownIssuer,
            CertificateError::Expired,
            CertificateError::BadEncoding,
            CertificateError::Other(rustls::OtherError(Arc::new(Said("CaUsedAsEndEntity", None)))),
        ] {
            let Broken::Certificate(told) = of(why.clone()) else {
                panic!("{why:?} is about a certificate")
            };
            assert!(
                told.starts_with("the certificate of the server is not accepted: it"),
                "{told}"
            );
            assert!(!told.contains("Other"), "{told}");
        }
    }
}
