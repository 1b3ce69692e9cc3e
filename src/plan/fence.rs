//! How a cutover stops the writers of a service, and how it shows that their last write was applied.

use std::time::Duration;

/// How the writers of a service are stopped, beside the hooks. The parts are raised in this order: manual, the hook, the
/// policy; and lifted in the reverse order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fence {
    /// What a person has to stop.
    pub manual: Option<String>,
    /// The policy that denies writes.
    pub policy: Option<FencePolicy>,
    /// How long nothing may be written before the fence counts as proven.
    pub prove_for: Duration,
}

impl Default for Fence {
    fn default() -> Self {
        Self {
            manual: None,
            policy: None,
            prove_for: Self::PROVE_FOR,
        }
    }
}

impl Fence {
    /// For how long a fence is watched if the plan does not say it.
    pub const PROVE_FOR: Duration = Duration::from_secs(10);
}

/// A resource policy that denies writes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FencePolicy {
    /// Which writes of the source it denies.
    pub scope: FenceScope,
    /// Roles that write the source; they try whether the fence holds.
    pub probe_roles: Vec<String>,
    /// Roles that write the service's table.
    pub target_probe_roles: Vec<String>,
    /// Roles that it does not deny, beside the one that runs dynasplit.
    pub exempt: Vec<String>,
}

/// Which writes of the source a policy denies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FenceScope {
    /// Writes of items whose partition key begins as the service's condition requires.
    Prefix,
    /// Every write of the table.
    Table,
}

/// How a lane is shown to be drained.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drain {
    /// What shows it.
    pub by: DrainBy,
    /// Without a marker, the lane must have read the stream to its tip this long after the last write. A stream may show a record
    /// this late.
    pub quiet_for: Duration,
    /// For how long markers are written, until the shards that have shown none are drained as by [`DrainBy::Quiet`].
    pub canary_for: Duration,
}

/// What shows that a lane is drained.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DrainBy {
    /// A stream that shows nothing more for a while.
    Quiet,
    /// A marker in every open shard, which was written after the fence.
    Canary,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            by: DrainBy::Quiet,
            quiet_for: Duration::from_secs(2),
            canary_for: Duration::from_secs(10),
        }
    }
}
