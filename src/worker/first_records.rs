//! The records of a split and of a service that begin.

use crate::plan::{Plan, Service};
use crate::state::{STATE_FORMAT, ServiceRecord, SplitRecord, StreamRecord, Switch};
use std::collections::{BTreeMap, BTreeSet};

/// The record of a split that begins.
pub(crate) fn split_record(plan: &Plan, arn: &str, now_ms: u64) -> SplitRecord {
    SplitRecord {
        services: BTreeSet::new(),
        switched: BTreeMap::new(),
        format: STATE_FORMAT,
        split: plan.split.clone(),
        source: plan.source.table.clone(),
        fingerprint: plan.fingerprint(),
        settings: plan.settings(),
        earlier: Vec::new(),
        streams: vec![StreamRecord {
            arn: arn.to_owned(),
            captured_ms: None,
            ended_ms: None,
            restarted_ms: None,
        }],
        switch: Switch::default(),
        repair_required: None,
        repair_scopes: BTreeMap::new(),
        created_ms: now_ms,
        completing_ms: None,
        resting: None,
        completed_ms: None,
        abandoned: BTreeMap::new(),
        abandoned_ms: None,
    }
}

/// The record of a service that begins.
pub(crate) fn service_record(service: &Service) -> ServiceRecord {
    ServiceRecord {
        name: service.name.clone(),
        table: service.table.name.clone(),
        fingerprint: service.fingerprint.clone(),
        settings: service.settings(),
        captured_ms: None,
        captured_in: None,
        completed: false,
        created: false,
        created_arn: None,
    }
}
