//! Tests of the lease fence.

use super::*;
use crate::dynamo::Clock;
use crate::dynamo::scripted::scripted;
use crate::state::Moment;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextMut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(60);
const ATTEMPT: Duration = Duration::from_secs(5);

/// The process is suspended once while a request is being built, until its lease has expired.
#[derive(Debug)]
pub(in crate::target) struct HeldUp(Validity, AtomicBool);

impl HeldUp {
    pub(in crate::target) fn until_the_end_of(lease: &Validity) -> Self {
        Self(lease.clone(), AtomicBool::default())
    }
}

impl Intercept for HeldUp {
    fn name(&self) -> &'static str {
        "HeldUp"
    }

    fn modify_before_signing(
        &self,
        _: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if !self.1.swap(true, Ordering::Relaxed) {
            self.0.renew(Moment::now(Clock::SYSTEM), Duration::ZERO);
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_request_whose_lease_ran_out_while_it_was_built_is_not_sent() {
    let answer = (200, serde_json::json!({}));
    let (client, asked) = scripted(vec![answer.clone(), answer]).await;
    let lease = Validity::new(Clock::SYSTEM, Moment::now(Clock::SYSTEM), LEASE, ATTEMPT);
    let fence = Fence::new([
        Validity::new(Clock::SYSTEM, Moment::now(Clock::SYSTEM), LEASE, ATTEMPT),
        lease.clone(),
    ]);
    let config = client
        .config()
        .to_builder()
        .retry_config(aws_sdk_dynamodb::config::retry::RetryConfig::disabled())
        .interceptor(HeldUp::until_the_end_of(&lease))
        .build();
    let client = aws_sdk_dynamodb::Client::from_conf(config);
    let send = || {
        let list = client.list_tables().customize();
        list.interceptor(fence.clone()).send()
    };
    assert!(fence.is_open(), "as the write asked before it began");
    let refused = send().await.unwrap_err();
    let told = crate::dynamo::Failure::of("dynamodb:ListTables", "x", &refused).message;
    assert!(told.contains("the lease expired"), "{told}");
    assert!(asked.lock().unwrap().is_empty());
    lease.renew(Moment::now(Clock::SYSTEM), LEASE);
    send().await.unwrap();
    assert_eq!(asked.lock().unwrap().len(), 1);
}
