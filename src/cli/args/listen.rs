//! The options of the commands that serve metrics and health.

use crate::telemetry::Namespace;
use clap::builder::ArgPredicate;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Options of what a command shows to others.
const MONITORING: &str = "Monitoring";

/// `--listen`, and what belongs to it.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct Listen {
    /// Serve a live page (/), metrics (/metrics) and health (/livez, /readyz) over HTTP while the command runs: a port of this machine, like
    /// 9464, or an address with a port, like 0.0.0.0:9464. An address that other machines can reach needs an access token.
    #[arg(long, value_name = "ADDRESS", value_parser = listen_address, help_heading = MONITORING)]
    pub listen: Option<SocketAddr>,
    /// File that contains the access token (default: the variable DYNASPLIT_LISTEN_TOKEN).
    #[arg(long, value_name = "FILE", help_heading = MONITORING, requires_if(ArgPredicate::IsPresent, "listen"))]
    pub listen_token_file: Option<PathBuf>,
    /// Print the metrics for CloudWatch once a minute, in this namespace: lines of JSON on stderr, in the embedded metric format.
    #[arg(long, value_name = "NAMESPACE", help_heading = MONITORING)]
    pub emf: Option<Namespace>,
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    let text = text.replace("localhost:", "127.0.0.1:");
    text.parse().map_err(|_| {
        "a port like 9464, or an IP address with a port, like 127.0.0.1:9464 or [::]:9464".into()
    })
}

#[cfg(test)]
mod tests {
    use super::listen_address;

    #[test]
    fn a_port_alone_is_one_of_this_machine() {
        for (text, address) in [
            ("9464", "127.0.0.1:9464"),
            ("0", "127.0.0.1:0"),
            ("localhost:80", "127.0.0.1:80"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::]:80", "[::]:80"),
        ] {
            assert_eq!(listen_address(text).unwrap().to_string(), address);
        }
        for bad in [
            "",
            "70000",
            "host:80",
            "127.0.0.1",
            "::1:80x",
            "http://127.0.0.1:80",
        ] {
            assert!(listen_address(bad).is_err(), "{bad}");
        }
    }
}
