//! The commands and what their help says about them.

use super::documents::{Completions, Iam, Man, Report, Tables};
use super::examples as example;
use super::heal::Heal;
use super::init::Init;
use super::ledger::Ledger;
use super::offline::Offline;
use super::options::{
    Abandon, Apply, Backfill, Complete, Cutover, DeadLetters, Export, Pause, Prune, Rehearse, Replicate,
    Resume, Reverse, Rollback, Shape, Status, Survey, Switched, Tune, Verify, Wait,
};
use clap::Subcommand;
use std::path::Path;

/// The commands, in the order in which they are used.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Draft a plan from a table or from a file of items, and write nothing to any table
    ///
    /// `init` reads a sample, finds the kinds of items, and writes a plan that `plan` accepts, with one service for items that
    /// belong together. The plan contains a question as a comment wherever a person must decide.
    #[command(after_help = example::INIT)]
    Init(Init),
    /// Check the plan against the live source, and write nothing
    ///
    /// `plan` reads a sample of the items (or all of them) and routes each one. It shows what goes to which service and
    /// which items cannot be written, compares the tables with the plan, and estimates units, money and hours. It ends
    /// with exit code 3 if a problem was found.
    #[command(after_help = example::PLAN)]
    Plan(Survey),
    /// Create what is missing: the services' tables, the state table and the source's stream
    ///
    /// `apply` checks everything before it creates anything. If a table exists and differs from the plan, it shows the
    /// difference and creates nothing. You can run it again at any time.
    #[command(after_help = example::APPLY)]
    Apply(Apply),
    /// Follow the source's stream and apply every new write to the services' tables
    ///
    /// Leave `replicate` running until the split is complete. You can start several workers, which share the shards.
    /// After Ctrl-C or SIGTERM, a worker finishes the writes that are under way and saves its position. The same
    /// command continues there.
    #[command(after_help = example::REPLICATE)]
    Replicate(Replicate),
    /// Copy the items that exist, without overwriting newer ones
    ///
    /// After a crash or a stop, the same command continues at the page that it had reached. You can start several
    /// processes, which share the segments of the source.
    #[command(after_help = example::BACKFILL)]
    Backfill(Backfill),
    /// Request an export of the source that `backfill` can copy
    #[command(after_help = example::EXPORT_START)]
    Export(Export),
    /// Compare the source with the targets item by item, while writes continue
    ///
    /// `verify` names every mismatch by its class and key. It ends with exit code 3 if it finds one.
    #[command(after_help = example::VERIFY)]
    Verify(Verify),
    /// Heal a gap of the stream soon, by the keys that incremental exports name
    ///
    /// After a gap, `heal` restarts the tail, lets DynamoDB export which items changed meanwhile, reads each of them again and brings the
    /// services' tables in order. It cannot find an item that was created and deleted within one export, so `verify --repair` and
    /// a clean `verify` stay necessary. The exit code is 3 if it left a key as it is.
    #[command(after_help = example::HEAL)]
    Heal(Heal),
    /// Show the state of the split, what limits it, and the next command
    ///
    /// With --check, `status` ends with exit code 3 if a person should look at the split.
    #[command(after_help = example::STATUS)]
    Status(Status),
    /// Write a page with pictures of the split: flow, lag, phases, cost, findings and the next command
    ///
    /// The page is one HTML file that loads nothing from the network. You can open it in any browser, print it, and send it
    /// to somebody. It contains names and counts, and no values of items.
    #[command(after_help = example::REPORT)]
    Report(Report),
    /// Wait until a condition holds
    ///
    /// `wait` ends with exit code 0 when the condition holds, with 3 after --timeout, and with 1 if waiting does not
    /// help, for example because a lane lost records.
    #[command(after_help = example::WAIT)]
    Wait(Wait),
    /// Change the budgets of commands while they run
    ///
    /// A tuned budget overrides the command-line options of commands that run, and of commands that start later, until
    /// you set it to `default`. Without options, `tune` shows the tuned budgets and changes nothing.
    #[command(after_help = example::TUNE)]
    Tune(Tune),
    /// List, show and reconcile dead letters: changes that could not be written
    #[command(after_help = example::LETTERS_LIST)]
    DeadLetters(DeadLetters),
    /// Show the history of all changes of the source, check it, and read its keys again
    ///
    /// If the plan has a `ledger`, `replicate` writes every record of the source's stream to objects in S3, unchanged and in
    /// order.
    #[command(after_help = example::LEDGER_SHOW)]
    Ledger(Ledger),
    /// Move the writes of a service to its own table, with a way back
    ///
    /// `cutover` stops the writers of the service, proves that every write has arrived, closes the lane, and lets the service
    /// write its own table. From then on, `replicate` carries its writes back to the source, so `rollback` loses nothing.
    /// Without --yes, it only shows the steps. A failure before the switch cancels the cutover, and the exit code is 3.
    #[command(after_help = example::CUTOVER)]
    Cutover(Cutover),
    /// Move the writes of a service back to the source, after a cutover
    ///
    /// `rollback` stops the writers of the service's table, waits until the source holds everything that they wrote, and lets
    /// the service write the source again. Without --yes, it only shows the steps.
    #[command(after_help = example::ROLLBACK)]
    Rollback(Rollback),
    /// Hold the next step of a service's cutover, until `resume`
    ///
    /// A `cutover` that runs finishes its present step and waits. A command that has not begun is refused. `pause` refuses while
    /// the writers are stopped, except if the cutover has a --max-pause, which then ends the hold.
    #[command(after_help = example::PAUSE)]
    Pause(Pause),
    /// Let the next step of a service's cutover begin, after `pause`
    #[command(after_help = example::RESUME)]
    Resume(Resume),
    /// Record that a service has switched to its own table, so that dynasplit stops writing it
    ///
    /// Stop the writers of the service first. `switched` waits until the service's lane has applied everything that was
    /// written, refuses if the copy is not verified, and then closes the lane. After that, let the service write its own
    /// table.
    #[command(after_help = example::SWITCHED)]
    Switched(Switched),
    /// List and settle what stands in the way of going back to the source
    ///
    /// After a cutover, `replicate` carries the writes of the service's own table back to the source. `reverse` lists the
    /// changes that could not be carried back, and the writes of others to the source. A rollback waits until both lists are
    /// empty.
    #[command(after_help = example::REVERSE_LIST)]
    Reverse(Reverse),
    /// End the split: stop the lanes, remove dynasplit's attributes, and enable TTL
    ///
    /// `complete` refuses while the split is not clean, or if it cannot show that nothing writes to the source any more.
    #[command(after_help = example::COMPLETE)]
    Complete(Complete),
    /// Delete the items of a completed service from the source
    ///
    /// `prune` deletes the items that a completed service owns and that no other service needs, each only if it still is what was
    /// read. There is no way back, so it looks for a backup of the source first. With --dry-run, it only counts.
    #[command(after_help = example::PRUNE)]
    Prune(Prune),
    /// Give up one service, or the whole split
    ///
    /// Without --yes, `abandon` only lists what belongs to the split and what it would do with it. It deletes something
    /// only if you give the option for it, and it never deletes an adopted table.
    #[command(after_help = example::ABANDON)]
    Abandon(Abandon),
    /// Rehearse the whole split on an embedded engine, with live writers
    ///
    /// `rehearse` starts an engine in this process (or uses the one at --endpoint-url), loads sample items, starts
    /// writers, splits the table, and verifies the result. It ends with exit code 3 if the tables differ.
    #[command(after_help = example::REHEARSE)]
    Rehearse(Rehearse),
    /// Split exported items into files that DynamoDB imports, without AWS
    ///
    /// Use `shape` if the application may stop while you split: export the table, shape the export, and import the files of
    /// each service. It routes and transforms items exactly as the live split does. It ends with exit code 3 if an item
    /// cannot be written or belongs to no service.
    #[command(after_help = example::SHAPE)]
    Shape(Shape),
    /// Split a table whose writers are stopped, by an export and imports
    ///
    /// `offline run` requests an export, shapes it for each service, lets DynamoDB import one new table per service, sets what an
    /// import cannot set, and compares the tables with the source. It uses no write units. Its journal is in the bucket, so
    /// the same command continues after a stop.
    #[command(after_help = example::OFFLINE_RUN)]
    Offline(Offline),
    /// Print the services' tables for CloudFormation or Terraform
    ///
    /// Use `tables` if your infrastructure code owns the tables: deploy the document, and set `adopted: true` in the plan.
    /// `tables` needs no credentials and reads nothing but the plan.
    #[command(after_help = example::TABLES)]
    Tables(Tables),
    /// Print the IAM policy that the plan needs
    ///
    /// The policy allows exactly what the plan uses. `iam` needs no credentials and reads nothing but the plan.
    #[command(after_help = example::IAM)]
    Iam(Iam),
    /// Print the JSON Schema of plan files
    #[command(after_help = example::SCHEMA)]
    Schema,
    /// Print the completions of a shell
    #[command(after_help = example::COMPLETIONS)]
    Completions(Completions),
    /// Write manual pages, one per command
    #[command(after_help = example::MAN)]
    Man(Man),
}

impl Command {
    /// The plan file that the command line names.
    #[must_use]
    pub fn plan(&self) -> Option<&Path> {
        let plan = match self {
            Self::Init(command) => return command.write.as_deref(),
            Self::Plan(command) => &command.plan,
            Self::Apply(command) => &command.plan,
            Self::Replicate(command) => &command.plan,
            Self::Backfill(command) => &command.plan,
            Self::Verify(command) => &command.plan,
            Self::Heal(command) => &command.plan,
            Self::Status(command) => &command.plan,
            Self::Report(command) => &command.plan,
            Self::Wait(command) => &command.plan,
            Self::Tune(command) => &command.plan,
            Self::DeadLetters(command) => command.action.plan(),
            Self::Export(command) => command.action.plan(),
            Self::Ledger(command) => command.action.plan(),
            Self::Switched(command) => &command.plan,
            Self::Cutover(command) => &command.plan,
            Self::Rollback(command) => &command.plan,
            Self::Pause(command) => &command.plan,
            Self::Resume(command) => &command.plan,
            Self::Reverse(command) => command.action.plan(),
            Self::Complete(command) => &command.plan,
            Self::Prune(command) => &command.plan,
            Self::Abandon(command) => &command.plan,
            Self::Rehearse(command) => &command.plan,
            Self::Shape(command) => &command.plan,
            Self::Offline(command) => command.action.plan(),
            Self::Tables(command) => &command.plan,
            Self::Iam(command) => &command.plan,
            Self::Schema | Self::Completions(_) | Self::Man(_) => return None,
        };
        Some(plan)
    }
}
