//! Failpoints in an ordinary build: they do nothing.

use super::{FaultError, VARIABLE, WriteOp, Writer};

/// A request that was lost on purpose: never, in this build.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {}

impl std::fmt::Display for Lost {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {}
    }
}

/// Nothing.
///
/// # Errors
/// None.
#[inline(always)]
pub async fn before(_request: &'static str) -> Result<(), Lost> {
    Ok(())
}

/// Nothing.
///
/// # Errors
/// None.
#[inline(always)]
pub async fn after(_request: &'static str) -> Result<(), Lost> {
    Ok(())
}

/// Nothing.
#[inline(always)]
pub async fn moment(_name: &'static str) {}

/// No name.
#[inline(always)]
#[must_use]
pub fn writing(_writer: Writer, _stroke: impl FnOnce() -> WriteOp) -> &'static str {
    ""
}

/// No name.
#[inline(always)]
#[must_use]
pub const fn saving(_record: &str, _removed: bool) -> &'static str {
    ""
}

/// Refuses the variable: who sets it expects faults, and would wait for them in vain.
///
/// # Errors
/// Where it is set.
pub fn check() -> Result<(), FaultError> {
    match std::env::var_os(VARIABLE) {
        Some(value) if !value.is_empty() => Err(FaultError::NotBuilt),
        _ => Ok(()),
    }
}
