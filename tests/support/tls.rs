//! A certificate for an engine on this machine, and the authority that signed it.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Where a file of them is.
pub fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "support", "tls", name]
        .iter()
        .collect()
}

/// The certificate of the authority.
pub fn authority() -> String {
    path("authority.pem").display().to_string()
}

/// A server by the certificate.
///
/// # Panics
/// Where the files are not what they should be.
pub fn server() -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_file(path("server.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(path("server.key")).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the usual versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key);
    Arc::new(config.expect("they belong together"))
}
