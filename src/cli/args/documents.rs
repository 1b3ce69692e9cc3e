//! Options of the commands that make documents: for people, for infrastructure code, for shells and for `man`.

use super::options::TASK;
use crate::infrastructure::Task;
use crate::s3::Folder;
use clap::ValueEnum;
use clap_complete::Shell;
use std::path::PathBuf;

/// `report`.
#[derive(clap::Args, Debug)]
pub struct Report {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// File for the page. An existing file is replaced.
    #[arg(long, value_name = "FILE", help_heading = TASK)]
    pub html: PathBuf,
    /// Output of `plan --output json`, to show the cost so far beside its estimate.
    #[arg(long, value_name = "FILE", help_heading = TASK)]
    pub forecast: Option<PathBuf>,
    /// File with the prices of another region or day than the built-in ones (docs/commands.md shows the format).
    #[arg(long, value_name = "FILE", help_heading = TASK)]
    pub prices: Option<PathBuf>,
}

/// `tables`.
#[derive(clap::Args, Debug)]
pub struct Tables {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Language of the document.
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = TASK)]
    pub format: TableFormat,
    /// Print only the table of this service; you can give it several times (default: all services).
    #[arg(long, value_name = "NAME", help_heading = TASK)]
    pub service: Vec<String>,
}

/// Language of a document with tables.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum TableFormat {
    /// A CloudFormation template, as JSON.
    Cloudformation,
    /// Resources of Terraform's AWS provider.
    Terraform,
}

/// `iam`.
#[derive(clap::Args, Debug)]
pub struct Iam {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Whose policy: `tool` for the role that runs dynasplit, `probe` for the roles as which a fence is tried, the name of a service
    /// for the service's own role, or the ARN of a role that the plan names.
    #[arg(long = "for", value_name = "WHO", help_heading = TASK)]
    pub principal: String,
    /// AWS account of the tables for which the plan names no role.
    #[arg(long, value_name = "ID", help_heading = TASK)]
    pub account: String,
    /// Allow only the commands of this task; you can give it several times (default: look, set-up and run).
    #[arg(long, value_enum, value_name = "TASK", help_heading = TASK)]
    pub task: Vec<IamTask>,
    /// Also allow to export the source to this folder of a bucket, to copy the export, and to heal a gap from exports.
    #[arg(long, value_name = "S3-URL", help_heading = TASK)]
    pub export_to: Option<Folder>,
    /// Instead, allow exactly what `offline` needs, with this folder of a bucket.
    #[arg(long, value_name = "S3-URL", conflicts_with_all = ["export_to", "task"], help_heading = TASK)]
    pub offline_to: Option<Folder>,
    /// Language of the document.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = IamFormat::Json, help_heading = TASK)]
    pub format: IamFormat,
}

/// Commands that a policy allows.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum IamTask {
    /// `plan`, `status` and `verify`.
    Look,
    /// `apply` and `complete`.
    SetUp,
    /// `replicate`, `backfill` and repairs.
    Run,
    /// `abandon`, with everything that it may delete.
    GiveUp,
}

impl From<IamTask> for Task {
    fn from(task: IamTask) -> Self {
        match task {
            IamTask::Look => Self::Look,
            IamTask::SetUp => Self::SetUp,
            IamTask::Run => Self::Run,
            IamTask::GiveUp => Self::GiveUp,
        }
    }
}

/// Language of a policy.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum IamFormat {
    /// An IAM policy document.
    Json,
    /// A data source of Terraform's AWS provider.
    Terraform,
}

/// `completions`.
#[derive(clap::Args, Debug)]
pub struct Completions {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// `man`.
#[derive(clap::Args, Debug)]
pub struct Man {
    /// Folder for the pages. It is created if it is missing.
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
}
