//! The content security policy of the page: nothing may be loaded, and only this style sheet and this script may run.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The style sheet.
pub(super) const STYLE: &str = include_str!("style.css");
/// The script of the live page, which fetches the page again.
pub(super) const SCRIPT: &str = include_str!("live.js");

/// The policy of a page: the one in a file has no script, and fetches nothing.
#[must_use]
pub fn policy(is_live: bool) -> String {
    let style = format!("default-src 'none'; style-src {}", source(STYLE));
    let rest = "base-uri 'none'; form-action 'none'";
    if is_live {
        format!(
            "{style}; script-src {}; connect-src 'self'; {rest}",
            source(SCRIPT)
        )
    } else {
        format!("{style}; {rest}")
    }
}

/// An inline text that is allowed, by its hash.
fn source(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())))
}
