//! Options of `init`.

use super::options::{LIMITS, OUTPUT, TASK};
use super::values::units;
use std::path::PathBuf;

/// The most items that a draft is made from: it keeps them in memory.
pub const MOST_ITEMS: u64 = 100_000;

/// `init`.
#[derive(clap::Args, Debug)]
pub struct Init {
    /// The table to read. With --from-file: the name of the table in the plan, or the table of the model.
    #[arg(value_name = "TABLE", required_unless_present = "from_file")]
    pub table: Option<String>,
    /// Read no table, but this file: DynamoDB JSON lines of an S3 export, the output of `aws dynamodb scan`, or a model of
    /// NoSQL Workbench.
    #[arg(long, value_name = "FILE", help_heading = TASK)]
    pub from_file: Option<PathBuf>,
    /// With --from-file: the names of the primary key, like PK,SK (default: a guess, or what the model says).
    #[arg(long, value_name = "PK[,SK]", requires = "from_file", help_heading = TASK)]
    pub keys: Option<String>,
    /// Number of items to read (default: 2000 of a table, and 100000 of a file).
    #[arg(long, value_name = "N", help_heading = LIMITS, value_parser = clap::value_parser!(u64).range(1..=MOST_ITEMS))]
    pub sample: Option<u64>,
    /// Most read units per second on the table.
    #[arg(long, value_name = "UNITS", value_parser = units, conflicts_with = "from_file", help_heading = LIMITS)]
    pub read_units: Option<f64>,
    /// Write the draft to this file, and print a summary (default: print the draft).
    #[arg(long, value_name = "PLAN", help_heading = OUTPUT)]
    pub write: Option<PathBuf>,
    /// Replace the file of --write if it exists.
    #[arg(long, requires = "write", help_heading = OUTPUT)]
    pub force: bool,
}
