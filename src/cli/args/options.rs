//! The options of each command.

use super::examples as example;
use super::listen::Listen;
use super::values::{
    MOST_WORKERS, bound, export, folder, moment, outage, service_bound, service_export, shared_name, units,
    workers,
};
use crate::backfill::OrderChoice;
use crate::dynamo::Chaos;
use crate::model::Compression;
use crate::s3::{ExportPlace, Folder};
use crate::state::{self, Bound, Turn};
use clap::{Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Options that say what a command does.
pub(super) const TASK: &str = "Task";
/// Options that limit how fast it does it, and how long it waits.
pub(super) const LIMITS: &str = "Limits";
/// Options of what it prints.
pub(super) const OUTPUT: &str = "Output";
/// Options of where AWS, or another engine, is.
pub(super) const AWS: &str = "AWS";

/// `plan`.
#[derive(clap::Args, Debug)]
pub struct Survey {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Read and route every item of the source.
    #[arg(long, conflicts_with = "sample", help_heading = TASK)]
    pub all: bool,
    /// Number of items to read and route.
    #[arg(long, value_name = "N", default_value_t = 2000, help_heading = TASK,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub sample: u64,
    /// Check the plan file only, and read no table.
    #[arg(long, conflicts_with_all = ["all", "read_units", "write_units", "prices"], help_heading = TASK)]
    pub offline: bool,
    /// File with the prices of another region or day than the built-in ones (docs/commands.md shows the format).
    #[arg(long, value_name = "FILE", help_heading = TASK)]
    pub prices: Option<PathBuf>,
    /// Most read units per second on the source. The estimate of the backfill uses this budget, too.
    #[arg(long, value_name = "UNITS", value_parser = units, help_heading = LIMITS)]
    pub read_units: Option<f64>,
    /// Write units per second on each service's table that the estimate of the backfill uses.
    #[arg(long, value_name = "UNITS", value_parser = units, help_heading = LIMITS)]
    pub write_units: Option<f64>,
}

/// `apply`.
#[derive(clap::Args, Debug)]
pub struct Apply {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Enable the source's stream again, although the split has read an earlier one. Afterwards you must run
    /// `replicate --restart-tail` and `verify --repair`.
    #[arg(long, help_heading = TASK)]
    pub enable_stream: bool,
    /// Create no tables: `backfill --order import` lets DynamoDB make them of the items in S3. The plan needs the section `s3`.
    #[arg(long, help_heading = TASK)]
    pub for_import: bool,
}

/// `replicate`.
#[derive(clap::Args, Debug)]
pub struct Replicate {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Start again at the current position of the stream, after a gap. Afterwards you must run `verify --repair`.
    #[arg(long, help_heading = TASK)]
    pub restart_tail: bool,
    /// Begin the events anew of each service whose events were lost. The lost ones are never sent.
    #[arg(long, help_heading = TASK)]
    pub restart_events: bool,
    /// Begin the ledger anew after it lost records, with what the stream still keeps.
    #[arg(long, help_heading = TASK)]
    pub restart_ledger: bool,
    /// Most write units per second on each service's table.
    #[arg(long, value_name = "UNITS", value_parser = units, allow_negative_numbers = true, help_heading = LIMITS)]
    pub write_units: Option<f64>,
    /// What it serves meanwhile.
    #[command(flatten)]
    pub listen: Listen,
}

/// `backfill`.
#[derive(clap::Args, Debug)]
pub struct Backfill {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Whether the lanes apply changes during the copy. By default, `backfill` chooses by a forecast of the duration.
    #[arg(long, value_enum, value_name = "ORDER", default_value_t = Order::Auto, help_heading = TASK)]
    pub order: Order,
    /// Copy a full export of the source in S3 instead of scanning the source, which uses no read units: its ARN, or the folder of its
    /// manifest (s3://BUCKET/PREFIX/AWSDynamoDB/ID/). `export start` requests one that is late enough.
    #[arg(long, value_name = "EXPORT", value_parser = export, help_heading = TASK, conflicts_with_all = ["segments", "consistent_read", "read_units"])]
    pub from_export: Option<ExportPlace>,
    /// In the import order: delete the partial table of an import that failed, if its id is that of the import, and import again.
    #[arg(long, help_heading = TASK)]
    pub delete_partial: bool,
    /// In the import order: how the objects in S3 are compressed. The first start of a backfill fixes it.
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Packing::Zstd, help_heading = TASK)]
    pub compression: Packing,
    /// Read consistently, which uses twice the read units and saves a wait of one minute. Small tables are always read
    /// consistently.
    #[arg(long, help_heading = TASK)]
    pub consistent_read: bool,
    /// Most read units per second on the source.
    #[arg(long, value_name = "UNITS", value_parser = units, allow_negative_numbers = true, help_heading = LIMITS)]
    pub read_units: Option<f64>,
    /// Most write units per second on each service's table.
    #[arg(long, value_name = "UNITS", value_parser = units, allow_negative_numbers = true, help_heading = LIMITS)]
    pub write_units: Option<f64>,
    /// Segments of the parallel scan (default: by the size of the table). The first start of a backfill fixes the number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000), help_heading = LIMITS)]
    pub segments: Option<u32>,
    /// Segments that this process copies at the same time.
    #[arg(long, value_name = "N", help_heading = LIMITS,
          value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST_WORKERS)))]
    pub workers: Option<u16>,
    /// What it serves meanwhile.
    #[command(flatten)]
    pub listen: Listen,
    /// Region of the bucket, if it is not that of the source.
    #[arg(long, value_name = "REGION", requires = "from_export", help_heading = AWS)]
    pub s3_region: Option<String>,
}

/// `export`.
#[derive(clap::Args, Debug)]
pub struct Export {
    /// What to do.
    #[command(subcommand)]
    pub action: ExportAction,
}

/// What to do with exports.
#[derive(Subcommand, Debug)]
pub enum ExportAction {
    /// Request an export that `backfill --from-export` can copy, and wait until DynamoDB has made it
    ///
    /// `export start` switches tombstones on, waits until every worker has acknowledged that, and then requests the export, because an
    /// earlier one may contain items that are deleted by now. It needs point-in-time recovery on the source. After a stop, the same
    /// command continues.
    #[command(after_help = example::EXPORT_START)]
    Start {
        /// The plan file.
        #[arg(value_name = "PLAN")]
        plan: PathBuf,
        /// Folder of the bucket to which DynamoDB writes the export (default: the one that an interrupted `export start` named).
        #[arg(long, value_name = "S3-URL", value_parser = folder, help_heading = TASK)]
        to: Option<Folder>,
    },
    /// Wait for no export: `backfill` then scans the source
    ///
    /// This is possible until `backfill --from-export` has begun to copy. An export that DynamoDB makes already is not stopped, and is
    /// billed.
    Cancel {
        /// The plan file.
        #[arg(value_name = "PLAN")]
        plan: PathBuf,
    },
}

impl ExportAction {
    /// The plan file.
    #[must_use]
    pub fn plan(&self) -> &PathBuf {
        match self {
            Self::Start { plan, .. } | Self::Cancel { plan } => plan,
        }
    }
}

/// The order of copying and applying.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Bulk if a forecast says that the copy ends early enough, concurrent otherwise. The reason is shown.
    Auto,
    /// The lanes apply changes during the copy. If a bulk copy has begun, it is given up and continues in this order.
    Concurrent,
    /// The lanes are on hold during the copy, which is faster and cheaper.
    Bulk,
    /// The lanes are on hold while the items are written to S3 and DynamoDB imports them into new tables (`apply --for-import`).
    Import,
}

impl From<Order> for OrderChoice {
    fn from(order: Order) -> Self {
        match order {
            Order::Auto => Self::Auto,
            Order::Concurrent => Self::Only(state::Order::Concurrent),
            Order::Bulk => Self::Only(state::Order::Bulk),
            Order::Import => Self::Only(state::Order::Import),
        }
    }
}

/// How files for an import are compressed.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packing {
    /// The smallest files.
    Zstd,
    /// For programs that do not read zstd.
    Gzip,
    /// Not at all.
    None,
}

impl From<Packing> for Compression {
    fn from(packing: Packing) -> Self {
        match packing {
            Packing::Zstd => Self::Zstd,
            Packing::Gzip => Self::Gzip,
            Packing::None => Self::None,
        }
    }
}

/// `status`.
#[derive(clap::Args, Debug)]
pub struct Status {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// End with exit code 3 if a lane lost records or lags more than --max-lag, if there are dead letters, or if no worker
    /// runs.
    #[arg(long, help_heading = TASK)]
    pub check: bool,
    /// Also show what a cutover of each service would refuse now. What it needs is tried without an effect.
    #[arg(long, conflicts_with_all = ["check", "watch"], help_heading = TASK)]
    pub preparation: bool,
    /// The JSON output of `plan`. Also show what the split has used so far beside this estimate. Make the file before the split
    /// begins.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["check", "preparation", "watch"], help_heading = TASK)]
    pub forecast: Option<PathBuf>,
    /// File with the prices of another region or day than the built-in ones (docs/commands.md shows the format).
    #[arg(long, value_name = "FILE", requires = "forecast", help_heading = TASK)]
    pub prices: Option<PathBuf>,
    /// Seconds that a lane may lag before --check fails.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, requires = "check", help_heading = LIMITS)]
    pub max_lag: u64,
    /// Show the state again and again, until Ctrl-C. With `--output json`: one document per line.
    #[arg(long, conflicts_with = "check", help_heading = TASK)]
    pub watch: bool,
    /// Seconds between two looks of --watch.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, requires = "watch", help_heading = LIMITS,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub interval: u64,
}

/// `wait`.
#[derive(clap::Args, Debug)]
pub struct Wait {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// The condition to wait for.
    #[arg(long = "for", value_enum, value_name = "CONDITION", help_heading = TASK)]
    pub condition: WaitFor,
    /// With `caught-up`: the time up to which every write must be applied, like 2026-11-28T14:00:00Z, or milliseconds since
    /// 1970 (default: when the command starts).
    #[arg(long, value_name = "TIME", value_parser = moment, help_heading = TASK)]
    pub past: Option<u64>,
    /// Most seconds to wait (default: no limit).
    #[arg(long, value_name = "SECONDS", help_heading = LIMITS)]
    pub timeout: Option<u64>,
}

/// What `wait` waits for.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitFor {
    /// Every lane has applied everything that was written before --past.
    CaughtUp,
    /// The last verify was clean, and the split can be completed.
    Verified,
    /// The stream is off, and every lane has read it to its end.
    Drained,
}

/// `abandon`.
#[derive(clap::Args, Debug)]
pub struct Abandon {
    /// The plan file that the split uses.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Give up only this service; the split continues without it.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["delete_targets", "delete_state", "disable_stream"],
          help_heading = TASK)]
    pub service: Option<String>,
    /// Delete the table of this service.
    #[arg(long, requires = "service", help_heading = TASK)]
    pub delete_table: bool,
    /// Delete the tables of all services, except adopted ones.
    #[arg(long, help_heading = TASK)]
    pub delete_targets: bool,
    /// Delete the state table.
    #[arg(long, help_heading = TASK)]
    pub delete_state: bool,
    /// Disable the source's stream. Other applications may be reading it.
    #[arg(long, help_heading = TASK)]
    pub disable_stream: bool,
    /// Confirm: do what the command lists without this option.
    #[arg(long, help_heading = TASK)]
    pub yes: bool,
}

/// `tune`.
#[derive(clap::Args, Debug)]
pub struct Tune {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Read units per second on each table that is read. `none` removes the limit; `default` goes back to the options of
    /// the commands.
    #[arg(long, value_name = "UNITS", value_parser = bound, allow_negative_numbers = true, help_heading = LIMITS)]
    pub read_units: Option<Turn<Bound>>,
    /// Write units per second on each service's table, or on the table of one service. `none` and `default` as above. Can be
    /// given several times.
    #[arg(long, value_name = "[SERVICE=]UNITS", value_parser = service_bound, allow_negative_numbers = true,
          help_heading = LIMITS)]
    pub write_units: Vec<(Option<String>, Turn<Bound>)>,
    /// Segments that each backfill process copies at the same time, or `default`.
    #[arg(long, value_name = "N", value_parser = workers, allow_negative_numbers = true, help_heading = LIMITS)]
    pub workers: Option<Turn<u16>>,
    /// Set every budget that this command line does not name to `default`.
    #[arg(long, help_heading = LIMITS)]
    pub reset: bool,
}

/// `verify`.
#[derive(clap::Args, Debug)]
pub struct Verify {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Repair the mismatches. A repair never overwrites a newer item and never brings a deleted one back.
    #[arg(long, help_heading = TASK)]
    pub repair: bool,
    /// With --repair: also overwrite and remove items that dynasplit did not write, for example those of a service that has
    /// switched without a record. These writes are lost.
    #[arg(long, requires = "repair", help_heading = TASK)]
    pub discard_target_writes: bool,
    /// Compare even if no worker reads the stream or the copy is not finished. Changes that have not arrived yet count as
    /// mismatches.
    #[arg(long, conflicts_with = "repair", help_heading = TASK)]
    pub anyway: bool,
    /// Compare only items that changed since the last clean verify, by the stream of the source. It does not see what somebody else
    /// wrote into the tables of the services, so it never counts for the split as a whole.
    #[arg(long, help_heading = TASK, conflicts_with_all = ["repair", "anyway", "shared", "source_export", "target_export"])]
    pub changed: bool,
    /// Compare only this service. Can be given several times. Such a verify does not count for the split as a whole.
    #[arg(long, value_name = "NAME", help_heading = TASK)]
    pub service: Vec<String>,
    /// Share the work with all processes that are given the same name, through the state and the folder `s3` of the plan. Once it has
    /// ended, the command shows its result; to verify again, give another name.
    #[arg(long, value_name = "NAME", value_parser = shared_name, help_heading = TASK, conflicts_with_all = ["repair", "source_export", "target_export"])]
    pub shared: Option<String>,
    /// With --shared: give up a shared verify with another name that is under way.
    #[arg(long, requires = "shared", help_heading = TASK)]
    pub replace: bool,
    /// Read this full export of the source in S3 instead of the source, which uses no read units: its ARN, or the folder of its
    /// manifest (s3://BUCKET/PREFIX/AWSDynamoDB/ID/). The result is about the time of the export.
    #[arg(long, value_name = "EXPORT", value_parser = export, help_heading = TASK, conflicts_with_all = ["repair", "anyway"])]
    pub source_export: Option<ExportPlace>,
    /// Read this full export of a service's table instead of the table. Can be given several times.
    #[arg(long, value_name = "SERVICE=EXPORT", value_parser = service_export, help_heading = TASK, conflicts_with_all = ["repair", "anyway"])]
    pub target_export: Vec<(String, ExportPlace)>,
    /// Most read units per second on each table.
    #[arg(long, value_name = "UNITS", value_parser = units, help_heading = LIMITS)]
    pub read_units: Option<f64>,
    /// Segments of each parallel scan.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000), help_heading = LIMITS)]
    pub segments: Option<u32>,
    /// MiB of memory for sorting, for all services together. The rest goes to temporary files (TMPDIR).
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=1_048_576), help_heading = LIMITS)]
    pub memory: Option<u32>,
    /// Seconds for which a write that has not arrived counts as late, not as missing (default: by the lag of the lanes).
    #[arg(long, value_name = "SECONDS", help_heading = LIMITS)]
    pub patience: Option<u64>,
    /// Number of mismatches to print. All of them are counted.
    #[arg(long, value_name = "N", default_value_t = 100, help_heading = OUTPUT)]
    pub limit: usize,
    /// Write every mismatch to this file, as JSON lines.
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub list: Option<PathBuf>,
    /// What it serves meanwhile.
    #[command(flatten)]
    pub listen: Listen,
    /// Region of the buckets of exports, if it is not that of their tables.
    #[arg(long, value_name = "REGION", help_heading = AWS)]
    pub s3_region: Option<String>,
}

/// `dead-letters`.
#[derive(clap::Args, Debug)]
pub struct DeadLetters {
    #[command(subcommand)]
    pub action: DeadLettersAction,
}

/// What to do with dead letters.
#[derive(Subcommand, Debug)]
pub enum DeadLettersAction {
    /// List the dead letters with id, key and reason
    #[command(after_help = example::LETTERS_LIST)]
    List {
        /// The plan file.
        #[arg(value_name = "PLAN")]
        plan: PathBuf,
        /// List only the dead letters of this service.
        #[arg(long, value_name = "NAME", help_heading = TASK)]
        service: Option<String>,
        /// List events that their destination refused, not changes.
        #[arg(long, help_heading = TASK)]
        events: bool,
    },
    /// Show one dead letter with its images (this prints item values)
    #[command(after_help = example::LETTERS_SHOW)]
    Show {
        /// The plan file.
        #[arg(value_name = "PLAN")]
        plan: PathBuf,
        /// The id, as `list` shows it.
        #[arg(value_name = "ID")]
        id: String,
        /// Show an event that its destination refused.
        #[arg(long, help_heading = TASK)]
        events: bool,
    },
    /// Read the keys of the dead letters again, and write what the source holds now
    ///
    /// Correct the item in the source first. `reconcile` does not write the image of a dead letter, because the item may have
    /// changed since then.
    #[command(after_help = example::LETTERS_RECONCILE)]
    Reconcile {
        /// The plan file.
        #[arg(value_name = "PLAN")]
        plan: PathBuf,
        /// Reconcile only the dead letters of this service.
        #[arg(long, value_name = "NAME", help_heading = TASK)]
        service: Option<String>,
        /// Send events again that their destination refused, instead of reading keys again.
        #[arg(long, help_heading = TASK)]
        events: bool,
        /// Reconcile only these dead letters.
        #[arg(value_name = "ID")]
        ids: Vec<String>,
    },
    /// Remove dead letters of a service that has switched to its own table
    ///
    /// dynasplit no longer writes that table, so correct the items there, with the service. `discard` refuses the dead letters
    /// of other services: correct the item in the source and run `dead-letters reconcile`.
    #[command(after_help = example::LETTERS_DISCARD)]
    Discard {
        /// The plan file.
        #[arg(value_name = "PLAN")]
        plan: PathBuf,
        /// The service. It must have switched, except with `--events`.
        #[arg(long, value_name = "NAME", help_heading = TASK)]
        service: String,
        /// Remove events that their destination refused. They are never sent.
        #[arg(long, help_heading = TASK)]
        events: bool,
        /// Remove only these dead letters.
        #[arg(value_name = "ID")]
        ids: Vec<String>,
    },
}

impl DeadLettersAction {
    /// The plan file.
    #[must_use]
    pub fn plan(&self) -> &PathBuf {
        match self {
            Self::List { plan, .. }
            | Self::Show { plan, .. }
            | Self::Reconcile { plan, .. }
            | Self::Discard { plan, .. } => plan,
        }
    }
}

/// `reverse`.
#[derive(clap::Args, Debug)]
pub struct Reverse {
    #[command(subcommand)]
    pub action: ReverseAction,
}

/// What to do with what stands in the way of going back.
#[derive(Subcommand, Debug)]
pub enum ReverseAction {
    /// List changes that could not be carried back, and writes of others to the source
    #[command(after_help = example::REVERSE_LIST)]
    List {
        /// The plan file.
        #[arg(value_name = "PLAN")]
        plan: PathBuf,
        /// The service that has switched.
        #[arg(long, value_name = "NAME", help_heading = TASK)]
        service: String,
    },
    /// Show one of them with its images (this prints item values)
    #[command(after_help = example::REVERSE_SHOW)]
    Show {
        /// The plan file.
        #[arg(value_name = "PLAN")]
        plan: PathBuf,
        /// The id, as `list` shows it.
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Settle writes of others to the source
    ///
    /// `settle` takes a write off the list if the source and the service's own table agree on the item by now. With --overwrite,
    /// it first writes what the service's own table holds to the source.
    #[command(after_help = example::REVERSE_SETTLE)]
    Settle {
        /// The plan file.
        #[arg(value_name = "PLAN")]
        plan: PathBuf,
        /// The service that has switched.
        #[arg(long, value_name = "NAME", help_heading = TASK)]
        service: String,
        /// Overwrite the source items with what the service's own table holds. What the other writer wrote is lost.
        #[arg(long, help_heading = TASK)]
        overwrite: bool,
        /// Settle only these.
        #[arg(value_name = "ID")]
        ids: Vec<String>,
    },
}

impl ReverseAction {
    /// The plan file.
    #[must_use]
    pub fn plan(&self) -> &PathBuf {
        match self {
            Self::List { plan, .. } | Self::Show { plan, .. } | Self::Settle { plan, .. } => plan,
        }
    }
}

/// `complete`.
#[derive(clap::Args, Debug)]
pub struct Complete {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Complete only this service, which was moved with `cutover`: end its way back. The other services continue.
    #[arg(long, value_name = "NAME", help_heading = TASK)]
    pub service: Option<String>,
    /// With --service: services that receive items of this one from the source keep what they have, and receive no more.
    #[arg(long, requires = "service", help_heading = TASK)]
    pub end_copies: bool,
    /// With --service: end the way back although it is incomplete. The source stays without some writes of the service, or the
    /// service's own table without writes of others to the source.
    #[arg(long, requires = "service", help_heading = TASK)]
    pub end_way_back: bool,
    /// Confirm: every reader and writer has moved, and replication ends for good.
    #[arg(long, help_heading = TASK)]
    pub yes: bool,
    /// Skip the check that nothing writes to the source. Writes that no lane has applied are lost.
    #[arg(long, conflicts_with = "service", help_heading = TASK)]
    pub lose_late_writes: bool,
    /// Seconds without a write to the source after which it counts as being at rest.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, help_heading = LIMITS)]
    pub quiet_for: u64,
}

/// `cutover`.
#[derive(clap::Args, Debug)]
pub struct Cutover {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// The service to cut over.
    #[arg(long, value_name = "NAME", help_heading = TASK)]
    pub service: String,
    /// Show the steps, and what would refuse the cutover now. The exit code is 3 if something would.
    #[arg(long, conflicts_with_all = ["yes", "cancel"], help_heading = TASK)]
    pub dry_run: bool,
    /// Cancel a cutover that has not switched yet: the writers write the source again, and nothing is lost.
    #[arg(long, conflicts_with_all = ["max_pause", "full_check"], help_heading = TASK)]
    pub cancel: bool,
    /// Compare the whole table of the service while its writers are stopped, and not only the keys that changed since the last
    /// verify. This takes as long as `verify`.
    #[arg(long, help_heading = TASK)]
    pub full_check: bool,
    /// Confirm that the writers are stopped that `manual` in the plan names. Without it, the command asks on the terminal.
    #[arg(long, help_heading = TASK)]
    pub stopped: bool,
    /// Confirm: do the steps that the command shows without this option.
    #[arg(long, help_heading = TASK)]
    pub yes: bool,
    /// Cancel the cutover if the service could write nowhere for longer than this, for example 30s or 2min.
    #[arg(long, value_name = "TIME", help_heading = LIMITS)]
    pub max_pause: Option<humantime::Duration>,
    /// What it serves meanwhile.
    #[command(flatten)]
    pub listen: Listen,
}

/// `rollback`.
#[derive(clap::Args, Debug)]
pub struct Rollback {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// The service to move back.
    #[arg(long, value_name = "NAME", help_heading = TASK)]
    pub service: String,
    /// Show the steps, and what would refuse the rollback now. The exit code is 3 if something would.
    #[arg(long, conflicts_with_all = ["yes", "cancel"], help_heading = TASK)]
    pub dry_run: bool,
    /// Cancel a rollback while the forward lane is still closed: the service continues to write its own table.
    #[arg(long, conflicts_with_all = ["force", "max_pause"], help_heading = TASK)]
    pub cancel: bool,
    /// Go back although some writes could not be carried back, or others wrote the source. Afterwards you must run
    /// `verify --repair`, which overwrites the service's table with what the source holds.
    #[arg(long, help_heading = TASK)]
    pub force: bool,
    /// Compare the source with the whole table of the service while its writers are stopped. Without it, the keys are compared that
    /// changed since the switch, as far as the stream of the table shows them (24 hours).
    #[arg(long, conflicts_with_all = ["cancel", "force"], help_heading = TASK)]
    pub full_check: bool,
    /// Confirm that the writers of the service's table are stopped that `manual` in the plan names. Without it, the command
    /// asks on the terminal.
    #[arg(long, help_heading = TASK)]
    pub stopped: bool,
    /// Confirm: do the steps that the command shows without this option.
    #[arg(long, help_heading = TASK)]
    pub yes: bool,
    /// Cancel the rollback if the service could write nowhere for longer than this, for example 30s or 2min. It does not limit the
    /// steps that cannot be cancelled any more.
    #[arg(long, value_name = "TIME", help_heading = LIMITS)]
    pub max_pause: Option<humantime::Duration>,
    /// What it serves meanwhile.
    #[command(flatten)]
    pub listen: Listen,
}

/// `pause`.
#[derive(clap::Args, Debug)]
pub struct Pause {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// The service whose next step waits.
    #[arg(long, value_name = "NAME", help_heading = TASK)]
    pub service: String,
}

/// `resume`.
#[derive(clap::Args, Debug)]
pub struct Resume {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// The service whose next step may begin.
    #[arg(long, value_name = "NAME", help_heading = TASK)]
    pub service: String,
}

/// `prune`.
#[derive(clap::Args, Debug)]
pub struct Prune {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// The completed service whose items are deleted from the source, or whose own table is pruned.
    #[arg(long, value_name = "NAME", help_heading = TASK)]
    pub service: String,
    /// Delete from the service's own table what the plan declares as `irrelevant`, and not from the source.
    #[arg(long, conflicts_with = "lose_late_writes", help_heading = TASK)]
    pub target: bool,
    /// Count the items, and delete nothing. The exit code is 3 if something would refuse the command.
    #[arg(long, conflicts_with = "yes", help_heading = TASK)]
    pub dry_run: bool,
    /// Confirm: the items are deleted for good.
    #[arg(long, help_heading = TASK)]
    pub yes: bool,
    /// The ARN of an export of the table that was made after the service was completed. It counts as a backup.
    #[arg(long, value_name = "ARN", conflicts_with = "no_backup", help_heading = TASK)]
    pub export: Option<String>,
    /// Delete the items although there is no backup of the table.
    #[arg(long, help_heading = TASK)]
    pub no_backup: bool,
    /// Delete the items although others wrote some of them to the source after the switch. These writes are lost.
    #[arg(long, help_heading = TASK)]
    pub lose_late_writes: bool,
    /// Most read units per second on the table.
    #[arg(long, value_name = "UNITS", value_parser = units, allow_negative_numbers = true, help_heading = LIMITS)]
    pub read_units: Option<f64>,
    /// Most write units per second on the table. In the source, each delete needs two writes.
    #[arg(long, value_name = "UNITS", value_parser = units, allow_negative_numbers = true, help_heading = LIMITS)]
    pub write_units: Option<f64>,
}

/// `switched`.
#[derive(clap::Args, Debug)]
pub struct Switched {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// The service that switches to its own table.
    #[arg(long, value_name = "NAME", help_heading = TASK)]
    pub service: String,
    /// Record the switch although the copy is not verified or the lane lags. Changes that the lane has not applied are lost.
    #[arg(long, help_heading = TASK)]
    pub unproven: bool,
    /// Take the record back. The lane continues where it stopped. Afterwards you must run `verify --repair`, which
    /// overwrites what the service wrote to its table.
    #[arg(long, conflicts_with = "unproven", help_heading = TASK)]
    pub undo: bool,
}

/// `rehearse`.
#[derive(clap::Args, Debug)]
pub struct Rehearse {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Number of items to load before the split begins.
    #[arg(long, value_name = "N", default_value_t = 5000, allow_negative_numbers = true, help_heading = TASK)]
    pub items: u64,
    /// Load your own items: DynamoDB JSON lines of an S3 export, or the output of `aws dynamodb scan`.
    #[arg(long, value_name = "FILE", help_heading = TASK)]
    pub sample: Option<PathBuf>,
    /// Seed of the items and the writes (default: random, and printed).
    #[arg(long, value_name = "N", help_heading = TASK)]
    pub seed: Option<u64>,
    /// Whether the lanes apply changes during the copy.
    #[arg(long, value_enum, value_name = "ORDER", default_value_t = Order::Concurrent, help_heading = TASK)]
    pub order: Order,
    /// Let requests be slow, fail or be throttled, and let workers die: `latency=200ms,errors=1%,throttle=5%,kill=40s`.
    #[arg(long, value_name = "SETTINGS", help_heading = TASK)]
    pub chaos: Option<Chaos>,
    /// Cut the services over as well: each one that can go back, one of them back and over again, beside writers that were
    /// forgotten.
    #[arg(long, conflicts_with = "chaos", help_heading = TASK)]
    pub cutover: bool,
    /// With --cutover: how often the first service goes back and is cut over again. The report then shows how long the pauses
    /// are.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "cutover", help_heading = LIMITS,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,
    /// Keep a ledger, and let the table of one service accept no writes for days. Its lane then reads the ledger, because the stream has
    /// forgotten the changes. A week passes in some minutes.
    #[arg(long, conflicts_with_all = ["cutover", "chaos"], help_heading = TASK)]
    pub ledger: bool,
    /// With --ledger: for how long the table accepts no writes, for example `30h` or `7d`.
    #[arg(long, value_name = "TIME", default_value = "7d", requires = "ledger", value_parser = outage, help_heading = LIMITS)]
    pub outage: Duration,
    /// Keep the rehearsal's tables on the engine at --endpoint-url, so that you can look at them.
    #[arg(long, requires = "endpoint_url", help_heading = TASK)]
    pub keep_tables: bool,
    /// Writes per second of the live writers.
    #[arg(long, value_name = "N", default_value_t = 100, allow_negative_numbers = true, help_heading = LIMITS)]
    pub writes_per_second: u32,
    /// Seconds for which the live writers write at least.
    #[arg(long, value_name = "N", default_value_t = 5, allow_negative_numbers = true, help_heading = LIMITS)]
    pub seconds: u64,
}

/// `shape`.
#[derive(clap::Args, Debug)]
#[command(group = clap::ArgGroup::new("destination").required(true).args(["to", "service"]))]
pub struct Shape {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Data files of an export, or directories that contain them; `-` or none for the standard input. Compressed files
    /// (gzip, zstd) are unpacked.
    #[arg(value_name = "ITEMS")]
    pub items: Vec<PathBuf>,
    /// Directory for the files of all services. It must not exist.
    #[arg(long, value_name = "DIRECTORY", help_heading = TASK)]
    pub to: Option<PathBuf>,
    /// Write the items of this service to the standard output instead, uncompressed.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["compression", "file_size", "threads"], help_heading = TASK)]
    pub service: Option<String>,
    /// How the files are compressed.
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Packing::Zstd, help_heading = TASK)]
    pub compression: Packing,
    /// Most MiB of a file before compression.
    #[arg(long, value_name = "MIB", default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..=4096), help_heading = LIMITS)]
    pub file_size: u64,
    /// How many inputs are read at the same time (default: one per core).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256), help_heading = LIMITS)]
    pub threads: Option<u16>,
}
