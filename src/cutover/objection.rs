//! What speaks against a cutover, and which check found it.

use crate::status::{Obstacle, ObstacleKind, told};
use serde::Serialize;

/// What a check looks at. Part of the JSON output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Whether what the service writes can be written back, by the plan.
    Reversible,
    /// Whether the plan says how the writers stop.
    Fence,
    /// The phase of the service, and commands that are under way.
    State,
    /// The copy: its lane, its backfill and everything else that `status` names.
    Copy,
    /// Changes that could not be written.
    DeadLetters,
    /// The last verify.
    Verify,
    /// The stream of the service's own table.
    TargetStream,
    /// TTL of the source.
    SourceTtl,
    /// Other regions that write.
    GlobalTable,
    /// What dynasplit may do.
    Permissions,
    /// What the probe roles of the plan may do, and the resource policy that would stop them.
    Policy,
    /// The write units of the service's own table.
    Capacity,
}

/// What speaks against a cutover.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Objection {
    /// What found it.
    pub check: Check,
    /// In words, with what to do.
    pub what: String,
}

impl Objection {
    /// An objection of a check.
    pub(super) fn new(check: Check, what: impl Into<String>) -> Self {
        Self {
            check,
            what: what.into(),
        }
    }

    /// An obstacle of the split.
    pub(super) fn of(obstacle: &Obstacle) -> Self {
        let check = match obstacle.kind {
            ObstacleKind::DeadLetters | ObstacleKind::Rechecks => Check::DeadLetters,
            ObstacleKind::NotVerified | ObstacleKind::NotClean => Check::Verify,
            _ => Check::Copy,
        };
        Self::new(check, told([obstacle]).join("; "))
    }
}
