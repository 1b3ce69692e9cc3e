//! The records of a split and of a service that begin.

use super::{STATE_FORMAT, ServiceRecord, SplitRecord, StreamRecord, Switch};
use crate::plan::{Plan, Service};
use std::collections::{BTreeMap, BTreeSet};

impl SplitRecord {
    /// The record of a split that begins, with this stream.
    #[must_use]
    pub fn beginning(plan: &Plan, arn: &str, now_ms: u64) -> Self {
        Self {
            services: BTreeSet::new(),
            switched: BTreeMap::new(),
            cutovers: BTreeMap::new(),
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
            events: BTreeMap::new(),
            ledger: None,
            ended_chain: 0,
            awaiting_import: BTreeSet::new(),
            abandoned: BTreeMap::new(),
            abandoned_ms: None,
        }
    }

    /// For tests: a split whose plan does not matter.
    #[cfg(test)]
    pub(crate) fn sample() -> Self {
        let plan = include_str!("../../plans/online-learning.yaml");
        let plan = Plan::parse(plan, "plan.yaml").unwrap_or_else(|error| panic!("{error}"));
        Self::beginning(&plan, "arn", 0)
    }
}

impl ServiceRecord {
    /// The record of a service that begins.
    #[must_use]
    pub fn beginning(service: &Service) -> Self {
        Self {
            name: service.name.clone(),
            table: service.table.name.clone(),
            fingerprint: service.fingerprint.clone(),
            settings: service.settings(),
            captured_ms: None,
            captured_in: None,
            completed: false,
            created: false,
            created_arn: None,
            created_id: None,
        }
    }
}
