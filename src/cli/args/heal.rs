//! The arguments of `heal`.

use super::options::{AWS, TASK};
use super::values::folder;
use crate::s3::Folder;
use std::path::PathBuf;

/// `heal`.
#[derive(clap::Args, Debug)]
pub struct Heal {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Take the keys that changed during the gap from incremental exports of the source, which DynamoDB makes and bills.
    #[arg(long, required = true, help_heading = TASK)]
    pub from_exports: bool,
    /// Folder of the bucket to which DynamoDB writes the exports (default: the one that an interrupted `heal` named).
    #[arg(long, value_name = "S3-URL", value_parser = folder, help_heading = TASK)]
    pub to: Option<Folder>,
    /// Show the exports and what everything costs, and change nothing.
    #[arg(long, conflicts_with = "yes", help_heading = TASK)]
    pub dry_run: bool,
    /// Confirm: the tail is restarted, DynamoDB bills the exports, and items of the services' tables are written.
    #[arg(long, help_heading = TASK)]
    pub yes: bool,
    /// Request the exports that are not healed yet once more, because one of them is damaged or gone.
    #[arg(long, help_heading = TASK)]
    pub new_exports: bool,
    /// File with the prices of another region or day than the built-in ones (docs/commands.md shows the format).
    #[arg(long, value_name = "FILE", requires = "dry_run", help_heading = TASK)]
    pub prices: Option<PathBuf>,
    /// Region of the bucket, if it is not that of the source.
    #[arg(long, value_name = "REGION", help_heading = AWS)]
    pub s3_region: Option<String>,
}
