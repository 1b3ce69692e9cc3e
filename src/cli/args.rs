//! The arguments that all commands share, and the help of the binary.

mod commands;
mod documents;
mod examples;
mod heal;
mod init;
mod ledger;
mod listen;
mod offline;
mod options;
mod values;

pub use self::commands::Command;
pub use self::documents::{Completions, Iam, IamFormat, Man, Report, TableFormat, Tables};
pub use self::heal::Heal;
pub use self::init::{Init, MOST_ITEMS};
pub use self::ledger::{Ledger, LedgerAction, WantedChanges};
pub use self::listen::Listen;
pub use self::offline::{ExportOptions, ImportOptions, Offline, OfflineAction, ShapeOptions};
use self::options::{AWS, LIMITS, OUTPUT};
pub use self::options::{
    Abandon, Apply, Backfill, Complete, Cutover, DeadLetters, DeadLettersAction, Export, ExportAction, Order,
    Pause, Prune, Rehearse, Replicate, Resume, Reverse, ReverseAction, Rollback, Shape, Status, Survey,
    Switched, Tune, Verify, Wait, WaitFor,
};
use self::values::url;
use super::session::Session;
use clap::{ArgAction, Parser, ValueEnum};

/// Splits a live DynamoDB table into one table per service, and proves that the copies are exact.
#[derive(Parser, Debug)]
#[command(name = "dynasplit", version, about, long_about = None, after_help = EXITS)]
#[command(disable_help_flag = true, disable_version_flag = true, max_term_width = 80)]
pub struct Args {
    /// Print the version.
    #[arg(short = 'V', long, action = ArgAction::Version, help_heading = OUTPUT)]
    pub version: Option<bool>,
    /// The options of every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

const EXITS: &str = "Exit codes: 0 done; 1 failed; 2 the command line or the plan is wrong; \
3 done, and the result is not as it should be (mismatches, findings, not clean); \
4 interrupted and saved: run the same command to continue.";

/// Options of every command.
#[derive(clap::Args, Debug, Clone)]
pub struct Global {
    /// Form of the results on stdout.
    #[arg(long, global = true, value_enum, default_value_t = Output::Text, value_name = "FORM", display_order = 900, help_heading = OUTPUT)]
    pub output: Output,
    /// Log more on stderr; give it twice for debug logs. Item values are never logged.
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = 900, help_heading = OUTPUT)]
    pub verbose: u8,
    /// Format of the logs on stderr.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT", hide_short_help = true, display_order = 900, help_heading = OUTPUT)]
    pub log_format: LogFormat,
    /// Print this help; `-h` prints less of it.
    #[arg(short, long, global = true, action = ArgAction::Help, display_order = 900, help_heading = OUTPUT)]
    pub help: Option<bool>,
    /// Seconds without a sign of life after which another process replaces a worker (default: 20, and 4 for `rehearse`).
    #[arg(long, global = true, value_name = "SECONDS", hide_short_help = true, display_order = 900, help_heading = LIMITS,
          value_parser = clap::value_parser!(u64).range(1..=600))]
    pub lease_seconds: Option<u64>,
    /// Named profile of the AWS configuration.
    #[arg(long, global = true, value_name = "NAME", help_heading = AWS)]
    pub profile: Option<String>,
    /// AWS region.
    #[arg(long, global = true, value_name = "REGION", help_heading = AWS)]
    pub region: Option<String>,
    /// URL of another engine than AWS, for example DynamoDB Local.
    #[arg(long, global = true, value_name = "URL", help_heading = AWS, value_parser = url)]
    pub endpoint_url: Option<String>,
    /// The data that the parts of the command share.
    #[arg(skip)]
    pub session: Session,
}

/// Format of the logs.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Text,
    /// A JSON object per line: logs, messages and progress.
    Json,
}

/// Form of the results.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}
