//! Tests of the next command when nothing is in the way.

use super::*;
use crate::plan::Plan;
use crate::state::CutoverStep;
use crate::status::cutover_status::CutoverStatus;
use crate::status::lane_status::LaneStatus;

fn moves(with_way_back: &[&str], only_receive: &[&str]) -> Moves {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Moves {
        with_way_back: owned(with_way_back),
        only_receive: owned(only_receive),
    }
}

/// A verified split in which these services have not switched.
fn left(services: &[&str]) -> SplitStatus {
    let lanes = services.iter().copied().chain([ShardRecord::WATCH]);
    let lane = |name: &str| LaneStatus {
        lane: name.into(),
        ..LaneStatus::default()
    };
    SplitStatus::sample(Phase::Verified, lanes.map(lane).collect())
}

fn switched(service: &str, next: &str) -> CutoverStatus {
    CutoverStatus {
        service: service.into(),
        phase: CutoverPhase::Switched,
        epoch: 1,
        step: CutoverStep::Switched,
        step_ms_ago: 1,
        operator: "somebody".into(),
        running: false,
        pause_ms: Some(2000),
        paused: false,
        hold: None,
        problem: None,
        reverse: None,
        events: Vec::new(),
        next: next.into(),
    }
}

#[test]
fn a_service_with_a_way_back_is_moved_with_it() {
    let both = moves(&["a", "b"], &[]);
    let said = next(&left(&["a", "b"]), &both);
    assert!(
        said.contains("`dynasplit cutover --service NAME` for a, b."),
        "{said}"
    );
    assert!(!said.contains("switched"), "{said}");
    let said = next(&left(&["b"]), &both);
    assert!(said.starts_with("run `dynasplit cutover --service b`"), "{said}");
    let said = next(&left(&["a", "b", "c"]), &both);
    assert!(said.contains("NAME` for a, b."), "{said}");
    assert!(said.contains(
        "For c, for which the plan has no way back, stop the writers, then run `dynasplit switched"
    ));
    // When both have moved, the others switch by hand.
    let said = next(&left(&["c"]), &both);
    assert!(said.starts_with("stop the writers of c, then run `dynasplit switched --service c`"));
    let said = next(&left(&["a", "b"]), &Moves::default());
    assert!(said.contains("`dynasplit switched --service NAME`"), "{said}");
    assert!(!said.contains("dynasplit cutover"), "{said}");
}

#[test]
fn a_service_that_only_receives_items_is_not_moved() {
    let plan = moves(&["a"], &["names"]);
    let said = next(&left(&["a", "names"]), &plan);
    assert!(said.starts_with("run `dynasplit cutover --service a`"), "{said}");
    assert!(!said.contains("names"), "{said}");
    let said = next(&left(&["names"]), &plan);
    assert!(said.contains("names, which only receives data"), "{said}");
    assert!(said.contains("`dynasplit complete --yes`"), "{said}");
}

#[test]
fn a_split_does_not_end_while_a_service_can_go_back() {
    let plan = moves(&["a", "b"], &["names"]);
    let mut status = left(&["names"]);
    status.cutovers = vec![CutoverStatus {
        phase: CutoverPhase::Completed,
        ..switched("b", "nothing is left to do")
    }];
    status.cutovers.push(switched("a", "watch the service"));
    assert_eq!(next(&status, &plan), "watch the service");
    // The next service comes first.
    status.lanes.insert(0, left(&["b"]).lanes.remove(0));
    assert!(next(&status, &plan).starts_with("run `dynasplit cutover --service b`"));
    status.lanes.remove(0);
    status.cutovers.pop();
    assert!(next(&status, &plan).contains("`dynasplit complete --yes`"));
}

const FENCED: &str = "
version: 1
split: shop
source: { table: Shop, keys: { partition: PK } }
timestamp: none
unrouted: fail
HERE
services:
  - name: people
    where: begins_with(PK, 'P#')
    owns: items
    table: { name: People, keys: { partition: PK } }
  - name: names
    where: begins_with(PK, 'P#')
    owns: nothing
    table: { name: Names, keys: { partition: PK } }
  - name: parts
    where: begins_with(PK, 'P#') AND kind = 'part'
    owns: { attributes: [price] }
    table: { name: Parts, keys: { partition: PK } }
";

#[test]
fn a_way_back_needs_a_fence_on_both_sides() {
    let plan = |fence: &str| {
        let text = FENCED.replace("HERE", fence);
        let without_parts = text
            .split("  - name: parts")
            .next()
            .unwrap_or_default()
            .to_owned();
        Plan::parse(&without_parts, "plan.yaml").unwrap()
    };
    let fenced = Moves::of(&plan("fence: { manual: the shop }"));
    assert_eq!(fenced.with_way_back, ["people"]);
    assert_eq!(fenced.only_receive, ["names"]);
    for fence in ["", "hooks: { fence: { run: [a] }, unfence: { run: [b] } }"] {
        assert!(Moves::of(&plan(fence)).with_way_back.is_empty(), "{fence}");
    }
    let shared = FENCED.replace("HERE", "fence: { manual: the shop }");
    let shared = Plan::parse(&shared, "plan.yaml").unwrap();
    assert!(
        Moves::of(&shared).with_way_back.is_empty(),
        "somebody else owns a part of the items"
    );
}
