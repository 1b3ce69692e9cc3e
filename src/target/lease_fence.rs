//! The lease fence: no request is sent that could land after the leases of its worker.

use crate::state::{Request, Validity};
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use std::sync::Arc;

/// No write is sent that could end after one of these leases: the lease of the work, and the lease of the worker.
///
/// A write asks before it begins, and once more, through the SDK, immediately before it is sent. In between, a
/// process can be suspended (stopped, swapped out, or on a machine with too little CPU) for longer than its lease,
/// while other workers continue.
#[derive(Clone, Debug)]
pub struct Fence(Arc<[Validity]>);

impl Fence {
    /// Of these leases.
    #[must_use]
    pub fn new(leases: impl IntoIterator<Item = Validity>) -> Self {
        Self(leases.into_iter().collect())
    }

    /// Whether a write that starts now ends, at its latest, before all leases do.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.iter().all(Validity::may_write)
    }

    /// A write is about to be sent under these leases. Until [`UnderWay::answered`], it counts as one that may land.
    pub(super) fn begin(&self) -> UnderWay {
        UnderWay(self.0.iter().map(|lease| lease.requests().begin()).collect())
    }
}

/// A write that is under way, for each of its leases.
#[must_use]
pub(super) struct UnderWay(Vec<Request>);

impl UnderWay {
    /// The service decided about it.
    pub fn answered(self) {
        self.0.into_iter().for_each(Request::answered);
    }
}

impl Intercept for Fence {
    fn name(&self) -> &'static str {
        "Fence"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.is_open() {
            Ok(())
        } else {
            Err("the lease expired before the request was sent, so it was not sent".into())
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
