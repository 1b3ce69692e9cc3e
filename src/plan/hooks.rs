//! The commands that a cutover runs at its steps, as the plan names them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A step of a cutover or a rollback at which a command of the operator is run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookName {
    /// Before anything is stopped.
    BeforeFence,
    /// Stops the writers of the source.
    Fence,
    /// The fence is proven.
    Fenced,
    /// Every write from before the fence is applied.
    Drained,
    /// The last moment at which a failure cancels the cutover.
    BeforeSwitch,
    /// Lets the service write its own table.
    Switch,
    /// The service writes its own table.
    Switched,
    /// Lets the writers write the source again.
    Unfence,
    /// The cutover was cancelled.
    Cancelled,
    /// Before a rollback stops anything.
    BeforeRollback,
    /// Stops the writers of the service's table.
    FenceTarget,
    /// Lets the writers write the service's table again.
    UnfenceTarget,
    /// Lets the service write the source again.
    Rollback,
    /// The service writes the source again.
    RolledBack,
    /// A step failed.
    Failed,
}

impl HookName {
    /// All of them, in the order of the steps.
    pub const ALL: [Self; 15] = [
        Self::BeforeFence,
        Self::Fence,
        Self::Fenced,
        Self::Drained,
        Self::BeforeSwitch,
        Self::Switch,
        Self::Switched,
        Self::Unfence,
        Self::Cancelled,
        Self::BeforeRollback,
        Self::FenceTarget,
        Self::UnfenceTarget,
        Self::Rollback,
        Self::RolledBack,
        Self::Failed,
    ];

    /// Its name in the plan.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::BeforeFence => "before-fence",
            Self::Fence => "fence",
            Self::Fenced => "fenced",
            Self::Drained => "drained",
            Self::BeforeSwitch => "before-switch",
            Self::Switch => "switch",
            Self::Switched => "switched",
            Self::Unfence => "unfence",
            Self::Cancelled => "cancelled",
            Self::BeforeRollback => "before-rollback",
            Self::FenceTarget => "fence-target",
            Self::UnfenceTarget => "unfence-target",
            Self::Rollback => "rollback",
            Self::RolledBack => "rolled-back",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for HookName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A command of the operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HookCommand {
    /// The program. One with a `/` is found from the folder of the plan, and any other one by `PATH`.
    pub program: String,
    /// Its arguments. No shell reads them.
    pub arguments: Vec<String>,
    /// After this time, the command is killed, with every process that it started.
    pub timeout: Duration,
}

/// The commands of a plan, by the steps at which they are run.
pub type Hooks = BTreeMap<HookName, HookCommand>;
