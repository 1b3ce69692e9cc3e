mod values;

use self::values::{MOST_WORKERS, bound, moment, service_bound, units, url, workers};
use super::session::Session;
use crate::backfill::OrderChoice;
use crate::state::{self, Bound, Turn};
use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Splits a live DynamoDB table into one table per service, and proves that the copies are exact.
#[derive(Parser, Debug)]
#[command(name = "dynasplit", version, about, long_about = None, after_help = EXITS)]
pub struct Args {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

const EXITS: &str = "Exit codes: 0 done; 1 failed; 2 the command line or the plan is wrong; \
3 done, and what was looked at is not as it should be (mismatches, findings, not clean); \
4 interrupted and saved: the same command goes on.";

/// Options of every command.
#[derive(clap::Args, Debug, Clone)]
pub struct Global {
    /// Named profile of the AWS configuration.
    #[arg(long, global = true, value_name = "NAME", help_heading = "AWS")]
    pub profile: Option<String>,
    /// AWS region.
    #[arg(long, global = true, value_name = "REGION", help_heading = "AWS")]
    pub region: Option<String>,
    /// Another engine than AWS, by its URL (DynamoDB Local, say).
    #[arg(long, global = true, value_name = "URL", help_heading = "AWS", value_parser = url)]
    pub endpoint_url: Option<String>,
    /// Form of the results on stdout.
    #[arg(long, global = true, value_enum, default_value_t = Output::Text, value_name = "FORM")]
    pub output: Output,
    /// Log more on stderr (twice: more yet). Item values are never logged.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Seconds until a worker that gives no sign of life is replaced (default 20, and 4 for a rehearsal).
    #[arg(long, global = true, value_name = "SECONDS", hide_short_help = true,
          value_parser = clap::value_parser!(u64).range(1..=600))]
    pub lease_seconds: Option<u64>,
    /// What the parts of the command share.
    #[arg(skip)]
    pub session: Session,
}

/// Form of the results.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}

/// The commands, in the order in which they are used.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Check the plan, and look at the live source without writing anything
    ///
    /// Routes a sample of the items (or all), shows what goes where and what would go wrong, compares the tables with the
    /// plan, and estimates units, money and hours. Ends with exit code 3 if something would go wrong.
    Plan(Survey),
    /// Create what is missing: the services' tables, the state table, the source's stream
    ///
    /// Everything is looked at before anything is created. A table that exists and differs is an error that shows
    /// the difference. Can be run again at any time.
    Apply(Apply),
    /// Follow the source's stream and apply every new write to the services' tables
    ///
    /// Leave it running until the split is complete. Several may run, and share the shards. Ctrl-C or SIGTERM drains
    /// and saves; the same command goes on.
    Replicate(Replicate),
    /// Copy what exists, beside the tail or while it is held, and never lose what is newer
    ///
    /// Resumes at its page after any crash. Several may run, and share the segments.
    Backfill(Backfill),
    /// Compare source and targets item by item, while writes go on
    ///
    /// Names every mismatch by class and key. Ends with exit code 3 if there is one.
    Verify(Verify),
    /// Show where the split stands, what limits it, and the next command
    ///
    /// With --check, ends with exit code 3 if a person should look at the split.
    Status(Status),
    /// Wait until a condition holds
    ///
    /// Ends with exit code 0 when it holds, 3 when the time is over, and 1 if waiting does not help (a lane lost records).
    Wait(Wait),
    /// Change the budgets of commands while they run
    ///
    /// What is tuned wins over the commands' own options, for those that run and for those that start later, until it is
    /// set to `default`. Shows what is tuned, and changes nothing, without options.
    Tune(Tune),
    /// List, show and reconcile changes that could not land
    DeadLetters(DeadLetters),
    /// Record that a service has switched, so that nothing is written to its table any more
    ///
    /// Stop the writers of the service first. Waits until its lane has delivered everything, refuses if the copy is not
    /// proven, and closes the lane. Then let the service write its own table.
    Switched(Switched),
    /// End the split: stop the lanes, strip stamps, switch TTL on
    ///
    /// Refuses while anything is not clean, and unless the source is shown to be at rest.
    Complete(Complete),
    /// Give up one service, or the whole split
    ///
    /// Without --yes, only lists what belongs to the split and what would become of it. Nothing is deleted without a flag of
    /// its own, and an adopted table never is.
    Abandon(Abandon),
    /// Rehearse the whole split on an embedded engine, with live writers
    ///
    /// Starts an engine in this process (or uses the one at --endpoint-url), loads sample items, lets writers write,
    /// splits, and verifies. Ends with exit code 3 if the tables differ.
    Rehearse(Rehearse),
    /// Print the JSON Schema of plan files
    Schema,
}

/// `plan`.
#[derive(clap::Args, Debug)]
pub struct Survey {
    /// The split plan.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Read and route every item of the source.
    #[arg(long, conflicts_with = "sample")]
    pub all: bool,
    /// Items to read and route.
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    pub sample: u64,
    /// Read units a second, at most, on the source; also what the forecast of a backfill reckons with.
    #[arg(long, value_name = "UNITS", value_parser = units)]
    pub read_units: Option<f64>,
    /// Write units a second on each service's table that the forecast reckons with.
    #[arg(long, value_name = "UNITS", value_parser = units)]
    pub write_units: Option<f64>,
    /// Prices of another region or day than the built-in ones (docs/commands.md shows the file).
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
    /// Check the plan file only, without a look at any table.
    #[arg(long, conflicts_with_all = ["all", "read_units", "write_units", "prices"])]
    pub offline: bool,
}

/// A command that takes a plan and no more.
#[derive(clap::Args, Debug)]
pub struct Plan {
    /// The split plan.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
}

/// `apply`.
#[derive(clap::Args, Debug)]
pub struct Apply {
    /// The split plan.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Switch the source's stream on again although the split has read one before. `replicate --restart-tail` and `verify
    /// --repair` are mandatory afterwards.
    #[arg(long)]
    pub enable_stream: bool,
}

/// `replicate`.
#[derive(clap::Args, Debug)]
pub struct Replicate {
    /// The split plan.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Begin anew at the stream as it is now, after a gap. `verify --repair` is mandatory afterwards.
    #[arg(long)]
    pub restart_tail: bool,
    /// Write units a second, at most, on each service's table.
    #[arg(long, value_name = "UNITS", value_parser = units, allow_negative_numbers = true)]
    pub write_units: Option<f64>,
}

/// `backfill`.
#[derive(clap::Args, Debug)]
pub struct Backfill {
    /// The split plan.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Read units a second, at most, on the source.
    #[arg(long, value_name = "UNITS", value_parser = units, allow_negative_numbers = true)]
    pub read_units: Option<f64>,
    /// Write units a second, at most, on each service's table.
    #[arg(long, value_name = "UNITS", value_parser = units, allow_negative_numbers = true)]
    pub write_units: Option<f64>,
    /// Segments of the parallel scan. Fixed when the backfill first starts; by the table's size when left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub segments: Option<u32>,
    /// Segments that this process works on at once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST_WORKERS)))]
    pub workers: Option<u16>,
    /// Read consistently (twice the read units), instead of waiting a minute once tombstones are on. Small tables
    /// always are.
    #[arg(long)]
    pub consistent_read: bool,
    /// Whether the lanes apply changes meanwhile (concurrent), or are held and go on after the copy (bulk), which is faster
    /// and cheaper. By default (auto), bulk where a forecast says that it ends early enough.
    #[arg(long, value_enum, value_name = "ORDER", default_value_t = Order::Auto)]
    pub order: Order,
}

/// The order of copying and applying.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// By a forecast, which is shown.
    Auto,
    /// The lanes apply what changes while it copies. Asked for in the middle of a bulk copy, it gives bulk up.
    Concurrent,
    /// The lanes are held while it copies.
    Bulk,
}

impl From<Order> for OrderChoice {
    fn from(order: Order) -> Self {
        match order {
            Order::Auto => Self::Auto,
            Order::Concurrent => Self::Only(state::Order::Concurrent),
            Order::Bulk => Self::Only(state::Order::Bulk),
        }
    }
}

/// `status`.
#[derive(clap::Args, Debug)]
pub struct Status {
    /// The split plan.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// End with exit code 3 if a lane lost records or lags more than --max-lag, if there are dead letters, or if no worker
    /// runs.
    #[arg(long)]
    pub check: bool,
    /// Seconds that a lane may be behind before --check fails.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, requires = "check")]
    pub max_lag: u64,
}

/// `wait`.
#[derive(clap::Args, Debug)]
pub struct Wait {
    /// The split plan.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// The condition.
    #[arg(long = "for", value_enum, value_name = "CONDITION")]
    pub condition: WaitFor,
    /// The time to catch up with, like 2026-11-28T14:00:00Z, or milliseconds since 1970 (default: when the command starts).
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub past: Option<u64>,
    /// Seconds to wait at most (default: without end).
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
}

/// What `wait` waits for.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitFor {
    /// Every lane has applied what was written before --past.
    CaughtUp,
    /// The last verify was clean, and nothing is in the way of completing.
    Verified,
    /// The stream is off, and every lane has read it to its end.
    Drained,
}

/// `abandon`.
#[derive(clap::Args, Debug)]
pub struct Abandon {
    /// The split plan, as the split has it.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Only this service: the split goes on without it.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["delete_targets", "delete_state", "disable_stream"])]
    pub service: Option<String>,
    /// Delete the table of this service.
    #[arg(long, requires = "service")]
    pub delete_table: bool,
    /// Delete the tables of all services, but for adopted ones.
    #[arg(long)]
    pub delete_targets: bool,
    /// Delete the state table.
    #[arg(long)]
    pub delete_state: bool,
    /// Switch the source's stream off. Others may be reading it.
    #[arg(long)]
    pub disable_stream: bool,
    /// Do it.
    #[arg(long)]
    pub yes: bool,
}

/// `tune`.
#[derive(clap::Args, Debug)]
pub struct Tune {
    /// The split plan.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Read units a second on each table that is read; `none` for no bound, `default` for what the commands' options
    /// say.
    #[arg(long, value_name = "UNITS", value_parser = bound, allow_negative_numbers = true)]
    pub read_units: Option<Turn<Bound>>,
    /// Write units a second on each service's table, or on that of one service (may be given several times); `none`
    /// and `default` as above.
    #[arg(long, value_name = "[SERVICE=]UNITS", value_parser = service_bound, allow_negative_numbers = true)]
    pub write_units: Vec<(Option<String>, Turn<Bound>)>,
    /// Segments that each process of a backfill works on at once, or `default`.
    #[arg(long, value_name = "N", value_parser = workers, allow_negative_numbers = true)]
    pub workers: Option<Turn<u16>>,
    /// Everything else is as the commands' options say again.
    #[arg(long)]
    pub reset: bool,
}

/// `verify`.
#[derive(clap::Args, Debug)]
pub struct Verify {
    /// The split plan.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Repair what is found: nothing that changes meanwhile is overwritten or resurrected.
    #[arg(long)]
    pub repair: bool,
    /// With --repair: overwrite and remove also what dynasplit did not write, such as the writes of a service that has
    /// switched without a record. These writes are lost.
    #[arg(long, requires = "repair")]
    pub discard_target_writes: bool,
    /// Compare even if no worker reads the stream or a copy is not finished. Changes that have not arrived yet count as
    /// mismatches.
    #[arg(long, conflicts_with = "repair")]
    pub anyway: bool,
    /// Only this service (may be given several times). Such a run proves nothing of the split as a whole.
    #[arg(long, value_name = "NAME")]
    pub service: Vec<String>,
    /// Read units a second, at most, on each table.
    #[arg(long, value_name = "UNITS", value_parser = units)]
    pub read_units: Option<f64>,
    /// Segments of each parallel scan.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub segments: Option<u32>,
    /// Memory for sorting, in MiB, for all services together. What does not fit goes to temporary files (TMPDIR).
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub memory: Option<u32>,
    /// For so many seconds a write of the source counts as late, not lost; by the lanes' lag when left out.
    #[arg(long, value_name = "SECONDS")]
    pub patience: Option<u64>,
    /// Mismatches to name; all are counted.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Write every mismatch to this file, as JSON lines.
    #[arg(long, value_name = "FILE")]
    pub list: Option<PathBuf>,
    /// Scan consistently, at twice the read units.
    #[arg(long)]
    pub consistent_read: bool,
}

/// `dead-letters`.
#[derive(clap::Args, Debug)]
pub struct DeadLetters {
    #[command(subcommand)]
    pub action: LettersAction,
}

/// What to do with dead letters.
#[derive(Subcommand, Debug)]
pub enum LettersAction {
    /// List them: id, key, reason
    List {
        /// The split plan.
        #[arg(value_name = "PLAN")]
        plan: PathBuf,
        /// Of one service.
        #[arg(long, value_name = "NAME")]
        service: Option<String>,
    },
    /// Show one with its images (this prints item values)
    Show {
        /// The split plan.
        #[arg(value_name = "PLAN")]
        plan: PathBuf,
        /// Its id, as `list` shows it.
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Read their keys again from the source, and bring the targets in order
    ///
    /// Fix the item in the source first. A letter is never replayed as an image, since its item may have changed since.
    Reconcile {
        /// The split plan.
        #[arg(value_name = "PLAN")]
        plan: PathBuf,
        /// Of one service.
        #[arg(long, value_name = "NAME")]
        service: Option<String>,
        /// These letters only.
        #[arg(value_name = "ID")]
        ids: Vec<String>,
    },
    /// Remove dead letters of a service that has switched to its own table
    ///
    /// dynasplit no longer writes that table, so the items must be corrected there, with the service. Dead letters of other
    /// services are refused: correct the item in the source and run `dead-letters reconcile`.
    Discard {
        /// The split plan.
        #[arg(value_name = "PLAN")]
        plan: PathBuf,
        /// The service. It must have switched.
        #[arg(long, value_name = "NAME")]
        service: String,
        /// These dead letters only.
        #[arg(value_name = "ID")]
        ids: Vec<String>,
    },
}

/// `complete`.
#[derive(clap::Args, Debug)]
pub struct Complete {
    /// The split plan.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Yes, every reader and writer has moved: replication ends for good.
    #[arg(long)]
    pub yes: bool,
    /// Seconds for which the source must have been quiet, before it counts as at rest.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub quiet_for: u64,
    /// Skip the check that the source is at rest. Writes that no lane has delivered are lost.
    #[arg(long)]
    pub lose_late_writes: bool,
}

/// `switched`.
#[derive(clap::Args, Debug)]
pub struct Switched {
    /// The split plan.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// The service that switches to its own table.
    #[arg(long, value_name = "NAME")]
    pub service: String,
    /// Record it although the copy is not proven, or its lane is behind. What the lane has not delivered never arrives.
    #[arg(long)]
    pub unproven: bool,
    /// Take the record back. The lane continues where it stopped. `verify --repair` is mandatory afterwards, and overwrites
    /// what the service wrote to its table.
    #[arg(long, conflicts_with = "unproven")]
    pub undo: bool,
}

/// `rehearse`.
#[derive(clap::Args, Debug)]
pub struct Rehearse {
    /// The split plan.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Items to load before the split begins.
    #[arg(long, value_name = "N", default_value_t = 5000, allow_negative_numbers = true)]
    pub items: u64,
    /// Writes a second of the live writers.
    #[arg(long, value_name = "N", default_value_t = 100, allow_negative_numbers = true)]
    pub writes_per_second: u32,
    /// Decides on the items and the writes; from the clock when left out, and printed.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// The live writers write for at least this long.
    #[arg(long, value_name = "N", default_value_t = 10, allow_negative_numbers = true)]
    pub seconds: u64,
    /// Your own items: DynamoDB JSON lines of an S3 export, or what `aws dynamodb scan` prints.
    #[arg(long, value_name = "FILE")]
    pub sample: Option<PathBuf>,
    /// Whether the lanes apply what changes while it copies, or are held
    #[arg(long, value_enum, value_name = "ORDER", default_value_t = Order::Concurrent)]
    pub order: Order,
    /// Leave the rehearsal's tables on the engine at --endpoint-url, to look at them.
    #[arg(long, requires = "endpoint_url")]
    pub keep_tables: bool,
}
