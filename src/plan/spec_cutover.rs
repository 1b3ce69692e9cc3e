//! The settings of a cutover as the plan file has them: the fence, the drain and the hooks.

use super::either::WordOr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the writers of a service are stopped. The parts are raised in this order, and lifted in the reverse order:
/// `manual`, the hook `fence`, `policy`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FenceSpec {
    /// Writers that a person stops, in words. The cutover shows the text and waits for a confirmation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<String>,
    /// A resource policy that denies the writes of everybody except dynasplit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<FencePolicySpec>,
    /// Seconds for which nothing may be written before the fence counts as proven. Default: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prove_for: Option<u32>,
}

/// A fence by a resource policy.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FencePolicySpec {
    /// `prefix`: deny only keys of the service, by `dynamodb:LeadingKeys`. `table`: deny every write of the table,
    /// which stops the writers of all services.
    pub scope: FenceScopeWord,
    /// ARNs of roles that write the source. dynasplit assumes each of them and tries writes that would change nothing.
    pub probe_roles: Vec<String>,
    /// ARNs of roles that write the table of the service. They prove the fence of a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_probe_roles: Option<Vec<String>>,
    /// ARNs of more roles that the policy does not deny. They must not write while the fence is up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exempt: Option<Vec<String>>,
}

/// Which writes a policy denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FenceScopeWord {
    /// Writes of items whose partition key begins as `where` requires.
    Prefix,
    /// Every write of the table.
    Table,
}

/// How a cutover shows that the last write from before the fence was applied: a word, or settings.
pub type WrittenDrain = WordOr<DrainWord, DrainSpec>;

/// What shows that every write from before the fence was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DrainWord {
    /// The stream shows nothing more for a while.
    Quiet,
    /// Every open shard of the stream has shown a marker that dynasplit wrote after the fence. dynasplit writes these items to
    /// the source (in a rollback: to the table of the service) and deletes them afterwards. Other readers of the table and of its
    /// stream see them.
    Canary,
}

/// How a cutover shows that the last write from before the fence was applied.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DrainSpec {
    /// `quiet` (the default) or `canary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<DrainWord>,
    /// Seconds after the last write up to which the lane must have read the stream to its tip, in shards without a marker.
    /// Default: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_for: Option<u32>,
    /// Seconds for which markers are written at most. Shards that have shown none by then are drained as by `quiet`. Default: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_for: Option<u32>,
}

/// A command that is run at a step of a cutover.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HookSpec {
    /// The program and its arguments. No shell reads them. A program with a `/` is found from the folder of the plan.
    pub run: Vec<String>,
    /// Seconds after which the command is killed, with every process that it started. Default: 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
}

/// The program of a hook without arguments, or a command with arguments and a timeout.
pub type WrittenHook = WordOr<String, HookSpec>;

/// Commands at the steps of a cutover and a rollback.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct HooksSpec {
    /// Before anything is stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before_fence: Option<WrittenHook>,
    /// Stops the writers of the source. It is a part of the fence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fence: Option<WrittenHook>,
    /// The fence is proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fenced: Option<WrittenHook>,
    /// Every write from before the fence is applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drained: Option<WrittenHook>,
    /// The service can be switched; the last moment at which a failure cancels the cutover.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before_switch: Option<WrittenHook>,
    /// Lets the service write its own table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switch: Option<WrittenHook>,
    /// The service writes its own table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switched: Option<WrittenHook>,
    /// Lets the writers write the source again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfence: Option<WrittenHook>,
    /// The cutover was cancelled, and the fence is lifted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<WrittenHook>,
    /// Before a rollback stops anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before_rollback: Option<WrittenHook>,
    /// Stops the writers of the service's table. It is a part of the fence of a rollback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fence_target: Option<WrittenHook>,
    /// Lets the writers write the service's table again, if a rollback is cancelled or the service is cut over again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfence_target: Option<WrittenHook>,
    /// Lets the service write the source again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<WrittenHook>,
    /// The service writes the source again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolled_back: Option<WrittenHook>,
    /// A step failed, and the cutover waits for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<WrittenHook>,
}

impl HooksSpec {
    /// The hooks by their names in the file, in the order of the steps.
    pub(super) fn by_name(&self) -> [(&'static str, Option<&WrittenHook>); 15] {
        [
            ("before-fence", self.before_fence.as_ref()),
            ("fence", self.fence.as_ref()),
            ("fenced", self.fenced.as_ref()),
            ("drained", self.drained.as_ref()),
            ("before-switch", self.before_switch.as_ref()),
            ("switch", self.switch.as_ref()),
            ("switched", self.switched.as_ref()),
            ("unfence", self.unfence.as_ref()),
            ("cancelled", self.cancelled.as_ref()),
            ("before-rollback", self.before_rollback.as_ref()),
            ("fence-target", self.fence_target.as_ref()),
            ("unfence-target", self.unfence_target.as_ref()),
            ("rollback", self.rollback.as_ref()),
            ("rolled-back", self.rolled_back.as_ref()),
            ("failed", self.failed.as_ref()),
        ]
    }
}
