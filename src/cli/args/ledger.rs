//! The arguments of `ledger`.

use super::examples as example;
use super::options::{OUTPUT, TASK};
use super::values::moment;
use clap::Subcommand;
use std::path::{Path, PathBuf};

/// `ledger`.
#[derive(clap::Args, Debug)]
pub struct Ledger {
    /// What to do.
    #[command(subcommand)]
    pub action: LedgerAction,
}

/// What to do with the ledger.
#[derive(Subcommand, Debug)]
pub enum LedgerAction {
    /// Show changes of the source, the oldest first (this prints item values)
    #[command(after_help = example::LEDGER_SHOW)]
    Show {
        /// Which changes.
        #[command(flatten)]
        wanted: WantedChanges,
        /// Show only changes of the item with this source key, as JSON: '{"PK": {"S": "COURSE#1"}}'.
        #[arg(long, value_name = "KEY", help_heading = TASK)]
        key: Option<String>,
        /// Most changes to show.
        #[arg(long, value_name = "N", default_value_t = 100, help_heading = OUTPUT)]
        limit: usize,
    },
    /// Read every object, and find objects that are missing or damaged
    #[command(after_help = example::LEDGER_CHECK)]
    Check {
        /// The plan file.
        #[arg(value_name = "PLAN")]
        plan: PathBuf,
    },
    /// Read each key of the ledger again, and write what the source holds now to the table of a service
    ///
    /// `replay` never writes an image of the ledger, because the item may have changed since then.
    #[command(after_help = example::LEDGER_REPLAY)]
    Replay {
        /// Which changes.
        #[command(flatten)]
        wanted: WantedChanges,
        /// The service. It must not have switched.
        #[arg(long, value_name = "NAME", help_heading = TASK)]
        service: String,
    },
}

/// A part of the ledger.
#[derive(clap::Args, Debug)]
pub struct WantedChanges {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Only changes at or after this time (UTC, or milliseconds since 1970).
    #[arg(long, value_name = "TIME", value_parser = moment, help_heading = TASK)]
    pub since: Option<u64>,
    /// Only changes before this time.
    #[arg(long, value_name = "TIME", value_parser = moment, help_heading = TASK)]
    pub until: Option<u64>,
}

impl LedgerAction {
    /// The plan file.
    #[must_use]
    pub fn plan(&self) -> &Path {
        match self {
            Self::Show { wanted, .. } | Self::Replay { wanted, .. } => &wanted.plan,
            Self::Check { plan } => plan,
        }
    }
}
