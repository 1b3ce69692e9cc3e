//! What the benchmark is asked for.

use crate::floor::Floor;
use crate::host::Host;
use crate::process::Measured;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Copies one table in several ways, side by side on one engine, and reports what each of them takes.
#[derive(Parser, Clone, Debug)]
#[command(name = "side_by_side", version, about)]
pub struct Args {
    /// The processes that the benchmark consists of.
    #[command(subcommand)]
    pub part: Option<Part>,
    /// How many items to copy; several with commas.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u64).range(100..=10_000_000), default_value = "10000,100000")]
    pub items: Vec<u64>,
    /// How many services to copy to; several with commas. The comparison with others is of one.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=100), default_value = "1,3,10")]
    pub services: Vec<u64>,
    /// Each figure is the median of so many runs.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=99), default_value_t = 3)]
    pub runs: u32,
    /// Also above 20,000 items, compare with what takes minutes there: the conditional script, `dynamodump` and
    /// `copy-dynamodb-table`.
    #[arg(long)]
    pub patient: bool,
    /// The product and the floor with 1,000,000 items as well, on the null endpoint.
    #[arg(long)]
    pub million: bool,
    /// A look at everything, in a few minutes: 2,000 items, one run. Its figures mean little.
    #[arg(long)]
    pub quick: bool,
    /// Only these parts.
    #[arg(long, value_delimiter = ',', value_enum)]
    pub only: Vec<Chapter>,
    /// Leave out what others made: nothing is installed then.
    #[arg(long)]
    pub no_peers: bool,
    /// Lease of the product's processes: what it waits for at the end of a backfill goes with it.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=600), default_value_t = 8)]
    pub lease_seconds: u32,
    /// Records of the backlog that `replicate` works off; several with commas. The embedded engine's stream takes each more
    /// slowly than the one before: 100,000 take it more than nine minutes.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u64).range(100..=100_000), default_value = "10000,20000")]
    pub backlog: Vec<u64>,
    /// Writes a second of the steady load.
    #[arg(long, default_value_t = 100)]
    pub load: u64,
    /// Seconds of the steady load.
    #[arg(long, default_value_t = 30)]
    pub load_seconds: u64,
    /// MiB of JSON of the export that is shaped.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000), default_value_t = 128)]
    pub shape_mib: u64,
    /// Write the report to this file, too (Markdown). Where it has the comments that bound figures, only what is between
    /// them.
    #[arg(long)]
    pub output: Option<PathBuf>,
    /// Write every run to this file (JSON).
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    pub bench: bool,
}

/// A part of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Chapter {
    /// Copies on the null endpoint.
    Null,
    /// Copies on the embedded engine.
    Embedded,
    /// One source to several services.
    Services,
    /// What a verify reads.
    Verify,
    /// Catching up, and lag.
    Tail,
    /// Copies by several processes, where answers take a while.
    Workers,
    /// What `plan` forecasts, against a copy from and to tables with the rates of AWS.
    Forecast,
    /// Shaping of an export, beside a script and Spark.
    Shape,
}

/// Processes that the benchmark starts from itself.
#[derive(Subcommand, Clone, Debug)]
pub enum Part {
    /// The server that everybody copies on
    Host(Host),
    /// Run a program, and write down what it used
    Measured(Measured),
    /// Scan and put, nothing else
    Floor(Floor),
}

impl Args {
    /// With what `--quick` means.
    pub fn settled(mut self) -> Self {
        if self.quick {
            self.items = vec![2000];
            self.runs = 1;
            self.backlog = vec![2000];
            self.load_seconds = self.load_seconds.min(5);
            self.shape_mib = self.shape_mib.min(8);
        }
        self.items.sort_unstable();
        self.items.dedup();
        self
    }

    /// Whether a part of the report is wanted.
    pub fn wants(&self, chapter: Chapter) -> bool {
        self.only.is_empty() || self.only.contains(&chapter)
    }
}
