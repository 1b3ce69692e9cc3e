//! Whether a worker runs with the plan that its split runs by, by what both recorded. Pure.

use crate::state::{ServiceRecord, SplitRecord, WorkerRecord};
use std::collections::BTreeSet;

/// How the plan of a worker differs from the split's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct OtherPlan {
    /// In words.
    pub what: String,
    /// It has other services, so it does not read every lane. Otherwise it reads every lane and routes items in another way.
    pub lacks_lanes: bool,
}

impl OtherPlan {
    /// Compares everything that decides where an item goes: the services, how each takes items, and what all share
    /// (`left-behind` above all, which may be widened while a worker runs).
    pub fn of(worker: &WorkerRecord, record: &SplitRecord, services: &[ServiceRecord]) -> Option<Self> {
        if let Some(what) = other_services(&worker.services, services) {
            return Some(Self {
                what,
                lacks_lanes: true,
            });
        }
        let routes = |what: String| {
            Some(Self {
                what,
                lacks_lanes: false,
            })
        };
        let mut others = services.iter().filter(|service| {
            let known = worker.routes.get(&service.name);
            known.is_some_and(|fingerprint| *fingerprint != service.fingerprint)
        });
        if let Some(other) = others.next() {
            return routes(format!("a worker runs with other settings of {}", other.name));
        }
        // A worker of an earlier version does not say which plan it has.
        if worker.fingerprint.is_empty() || worker.fingerprint == record.fingerprint {
            return None;
        }
        routes(if record.earlier.contains(&worker.fingerprint) {
            "a worker runs with an older plan: `left-behind` was widened since it started, and it records what only the newer \
             plan leaves behind as dead letters"
                .into()
        } else {
            "a worker runs with other settings of the source, the timestamp or `left-behind` than the split"
                .into()
        })
    }
}

/// How the services of a worker's plan differ from those of the split.
fn other_services(worker: &BTreeSet<String>, services: &[ServiceRecord]) -> Option<String> {
    if worker.is_empty() {
        return Some("a worker of an earlier version of dynasplit runs".into());
    }
    let split: BTreeSet<&String> = services.iter().map(|service| &service.name).collect();
    let lacks: Vec<&str> = split
        .iter()
        .filter(|name| !worker.contains(**name))
        .map(|name| name.as_str())
        .collect();
    let surplus: Vec<&str> = worker
        .iter()
        .filter(|name| !split.contains(name))
        .map(String::as_str)
        .collect();
    match (lacks.is_empty(), surplus.is_empty()) {
        (true, true) => None,
        (false, _) => Some(format!(
            "a worker runs with an older plan, which lacks {}",
            lacks.join(", ")
        )),
        (true, false) => Some(format!(
            "a worker runs with a plan that has {}, which the split does not have",
            surplus.join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::state::Lease;

    fn plan() -> Plan {
        Plan::parse(include_str!("../../plans/online-learning.yaml"), "plan.yaml").unwrap()
    }

    fn worker(plan: &Plan) -> WorkerRecord {
        WorkerRecord {
            kind: "tail".into(),
            lease: Lease::default(),
            beat: 0,
            acknowledged_epoch: 0,
            seen_ms: 0,
            services: plan.services.iter().map(|service| service.name.clone()).collect(),
            fingerprint: plan.fingerprint(),
            routes: plan.routes(),
            chaos: None,
        }
    }

    #[test]
    fn everything_that_decides_where_an_item_goes_is_compared() {
        let plan = plan();
        let mut record = SplitRecord::beginning(&plan, "arn", 0);
        let mut services: Vec<ServiceRecord> = plan.services.iter().map(ServiceRecord::beginning).collect();
        let with_plan = worker(&plan);
        assert_eq!(OtherPlan::of(&with_plan, &record, &services), None);

        record.widen("wider", record.settings.clone());
        let outdated = OtherPlan::of(&with_plan, &record, &services).unwrap();
        assert!(
            outdated.what.contains("`left-behind` was widened"),
            "{outdated:?}"
        );
        assert!(!outdated.lacks_lanes, "it reads every lane");
        record.earlier.clear();
        let other = OtherPlan::of(&with_plan, &record, &services).unwrap();
        assert!(other.what.contains("other settings of the source"), "{other:?}");

        services[0].fingerprint = "another".into();
        let other = OtherPlan::of(&with_plan, &record, &services).unwrap();
        let expected = format!("a worker runs with other settings of {}", services[0].name);
        assert_eq!(other.what, expected);

        services.pop();
        let other = OtherPlan::of(&with_plan, &record, &services).unwrap();
        assert!(other.lacks_lanes, "{other:?}");
    }

    #[test]
    fn a_worker_of_an_earlier_version_is_judged_by_its_services() {
        let plan = plan();
        let (record, services) = (
            SplitRecord::beginning(&plan, "arn", 0),
            plan.services.iter().map(ServiceRecord::beginning),
        );
        let services: Vec<ServiceRecord> = services.collect();
        let text = r#"{"kind":"tail","lease":{"owner":null,"duration_ms":1},"beat":0,"acknowledged_epoch":0,"seen_ms":0}"#;
        let mut older: WorkerRecord = serde_json::from_str(text).unwrap();
        let other = OtherPlan::of(&older, &record, &services).unwrap();
        assert!(
            other.what.contains("earlier version") && other.lacks_lanes,
            "{other:?}"
        );
        older.services = worker(&plan).services;
        assert_eq!(OtherPlan::of(&older, &record, &services), None);
    }
}
