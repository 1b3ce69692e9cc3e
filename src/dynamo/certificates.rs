//! Which certificates are trusted: the system's, or those of a bundle that the user names.

use super::ConfigError;
use aws_config::profile::ProfileSet;
use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use base64::Engine as _;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const VARIABLE: &str = "AWS_CA_BUNDLE";
const SETTING: &str = "ca_bundle";

/// The certificates of a bundle. They replace the system's, as they do for the AWS CLI.
#[derive(Clone, Debug)]
pub(super) struct Bundle {
    context: TlsContext,
}

impl Bundle {
    /// The bundle that the environment or the profile names; none if the system's certificates are to be trusted.
    pub fn load(profiles: &ProfileSet) -> Result<Option<Self>, ConfigError> {
        let variable = std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
        let setting = || Some((PathBuf::from(profiles.get(SETTING)?), "ca_bundle of the profile"));
        let Some((path, origin)) = variable.map(|path| (path.into(), VARIABLE)).or_else(setting) else {
            return Ok(None);
        };
        let unusable = |cause: String| ConfigError::Bundle {
            path: path.clone(),
            origin,
            cause,
        };
        let certificates = certificates(&path).map_err(unusable)?;
        let mut store = TrustStore::empty();
        for certificate in certificates {
            store.add_pem_certificate(pem(&certificate));
        }
        let context = TlsContext::builder().with_trust_store(store).build();
        context
            .map(|context| Some(Self { context }))
            .map_err(|error| unusable(error.to_string()))
    }

    /// An HTTP client with connections of its own.
    pub fn http_client(&self) -> SharedHttpClient {
        aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(self.context.clone())
            .build_https()
    }

    /// A connector for requests to others than AWS.
    pub fn connector(&self) -> Connector {
        Connector::builder()
            .proxy_config(ProxyConfig::from_env())
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(self.context.clone())
            .build()
    }
}

/// A connector for requests to others than AWS that trusts the certificates of the system.
pub(super) fn system_connector() -> Connector {
    Connector::builder()
        .proxy_config(ProxyConfig::from_env())
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build()
}

/// An HTTP client with connections of its own that trusts the certificates of the system.
pub(super) fn system_http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build_https()
}

/// The certificates of a file, without those that TLS cannot use: a bundle of a system has some, and the client
/// would end the process over one of them.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let all = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let mut all = all.map_err(|_| "a part of the file is not PEM".to_owned())?;
    if all.is_empty() {
        return Err("the file has no certificate in the PEM format".to_owned());
    }
    let mut roots = RootCertStore::empty();
    all.retain(|certificate| roots.add(certificate.clone()).is_ok());
    if all.is_empty() {
        return Err("none of its certificates can be read".to_owned());
    }
    Ok(all)
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        let _ = writeln!(pem, "{}", String::from_utf8_lossy(line));
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_usable_certificate_is_refused_and_never_ends_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bundle.pem");
        assert!(certificates(&path).is_err(), "there is no such file");
        let broken = pem(&CertificateDer::from(vec![1, 2, 3]));
        for (text, said) in [
            ("", "has no certificate"),
            (
                "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
                "is not PEM",
            ),
            (&broken, "none of its certificates"),
        ] {
            std::fs::write(&path, text).unwrap();
            let cause = certificates(&path).unwrap_err();
            assert!(cause.contains(said), "{text:?}: {cause}");
        }
    }
}
