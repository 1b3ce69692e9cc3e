//! Tests of the tombstone switches.

use super::*;
use crate::model::cases::cases;
use crate::state::{Lease, Owner};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;

const BOTH: [&str; 2] = ["a", "b"];

fn worked_off(services: &[&str]) -> BTreeSet<String> {
    services.iter().map(|&service| service.to_owned()).collect()
}

fn phase(switch: &Switch, service: &str) -> TombstonePhase {
    switch.of(service).phase
}

#[test]
fn tombstones_go_off_when_the_last_holder_lets_go() {
    let mut switch = Switch::default();
    switch.turn_on("backfill", ["a"]);
    assert!(switch.of("a").leaves_tombstones());
    let epoch = switch.epoch();
    switch.turn_on("repair", ["a"]);
    let repair = switch.epoch();
    assert!(repair > epoch);
    assert!(switch.release("backfill", epoch, &worked_off(&["a"])));
    assert_eq!(phase(&switch, "a"), TombstonePhase::On);
    assert!(switch.release("repair", repair, &worked_off(&["a"])));
    assert_eq!(phase(&switch, "a"), TombstonePhase::Sweeping);
    assert!(switch.epoch() > epoch);
    switch.swept("a", switch.epoch());
    assert_eq!(phase(&switch, "a"), TombstonePhase::Off);
    let before = switch.clone();
    assert!(switch.release("repair", repair, &worked_off(&["a"])));
    assert_eq!(switch, before, "who lets go twice changes nothing");
    switch.turn_on("repair", ["a"]);
    let before = switch.clone();
    assert!(switch.release("repair", repair, &worked_off(&["a"])));
    assert_eq!(switch, before, "nor does one who lets go for others");
    let (first, second) = (switch.claim("repair").unwrap(), switch.claim("repair").unwrap());
    assert_eq!(switch.claim("backfill"), None);
    assert!(switch.release("repair", first, &worked_off(&["a"])));
    assert!(
        switch.of("a").leaves_tombstones(),
        "somebody took over from this one"
    );
    assert!(switch.release("repair", second, &worked_off(&["a"])));
    assert_eq!(phase(&switch, "a"), TombstonePhase::Sweeping);
    assert_eq!(switch.claim("repair"), None);
}

#[test]
fn one_that_was_held_up_does_not_let_go_for_one_that_began_since() {
    let mut switch = Switch::default();
    switch.turn_on("repair", BOTH);
    let first = switch.claim("repair").unwrap();
    switch.turn_on("repair", ["b"]);
    assert!(switch.release("repair", first, &worked_off(&BOTH)));
    assert_eq!(phase(&switch, "a"), TombstonePhase::Sweeping);
    assert!(
        switch.of("b").leaves_tombstones(),
        "the second one still reads and writes"
    );
    let second = switch.claim("repair").unwrap();
    assert!(switch.release("repair", second, &worked_off(&["b"])));
    assert_eq!(phase(&switch, "b"), TombstonePhase::Sweeping);
}

#[test]
fn it_is_off_only_while_nobody_needs_anything_and_all_is_swept() {
    let mut switch = Switch::default();
    assert!(switch.is_off());
    let since = switch.hold(["a"]).unwrap();
    assert!(!switch.is_off() && !switch.is_off_for("a") && switch.is_off_for("b"));
    assert_eq!(switch.renew("a"), None);
    assert_eq!(switch.renew("b"), Some(since + 1));
    switch.free(since);
    assert!(switch.is_off());
    switch.turn_on("repair", ["a"]);
    assert!(!switch.is_off());
    let since = switch.claim("repair").unwrap();
    assert!(switch.release("repair", since, &worked_off(&["a"])));
    assert!(switch.holders().is_empty() && !switch.is_off(), "it is not swept");
    assert_eq!(switch.renew("a"), None);
    let (service, epoch) = switch.unswept().pop_first().unwrap();
    switch.swept(&service, epoch);
    assert!(switch.is_off());
}

#[test]
fn only_who_worked_the_list_off_alone_is_the_last_to_let_go() {
    let (list, none) = (worked_off(&["a"]), BTreeSet::new());
    let mut switch = Switch::default();
    switch.turn_on("backfill", ["a"]);
    switch.turn_on("reconcile", ["a"]);
    let reconcile = switch.claim("reconcile").unwrap();
    assert!(
        switch.alone("reconcile", reconcile).is_empty(),
        "a page of the backfill may land"
    );
    assert!(
        switch.release("reconcile", reconcile, &none),
        "it is not the last"
    );
    let backfill = switch.claim("backfill").unwrap();
    assert_eq!(switch.alone("backfill", backfill), list);
    // Another one comes and ends meanwhile: the keys that it met are on the list.
    switch.turn_on("repair", ["a"]);
    let repair = switch.claim("repair").unwrap();
    assert!(switch.alone("backfill", backfill).is_empty());
    assert!(switch.release("repair", repair, &none));
    assert!(switch.alone("backfill", backfill).is_empty(), "nor is it now");
    assert!(!switch.release("backfill", backfill, &list) && switch.of("a").leaves_tombstones());
    let anew = switch.claim("backfill").unwrap();
    assert!(!switch.release("backfill", anew, &none) && switch.of("a").leaves_tombstones());
    assert!(switch.release("backfill", anew, &list));
    assert_eq!(phase(&switch, "a"), TombstonePhase::Sweeping);
}

#[test]
fn who_holds_two_services_works_off_the_list_of_the_one_that_nobody_else_holds() {
    let mut switch = Switch::default();
    switch.turn_on("backfill of b", ["b"]);
    switch.turn_on("repair", BOTH);
    let repair = switch.claim("repair").unwrap();
    let alone = switch.alone("repair", repair);
    assert_eq!(alone, worked_off(&["a"]));
    assert!(
        !switch.release("repair", repair, &worked_off(&["b"])),
        "the list of a"
    );
    assert!(switch.release("repair", repair, &alone));
    assert_eq!(phase(&switch, "a"), TombstonePhase::Sweeping);
    assert_eq!(phase(&switch, "b"), TombstonePhase::On, "the backfill goes on");
    assert_eq!(switch.held_by("backfill of b").collect::<Vec<_>>(), ["b"]);
}

#[test]
fn a_service_that_nobody_copies_is_free_while_others_are_copied() {
    let mut switch = Switch::default();
    switch.turn_on("backfill of b", ["b"]);
    let before = switch.epoch();
    assert!(switch.is_off_for("a") && switch.renew("a") == Some(before + 1));
    assert_eq!(switch.phases().of("b").phase, TombstonePhase::On);
    assert_eq!(switch.phases().of("a").phase, TombstonePhase::Off);
    assert!(switch.hold(["a"]).is_some(), "nor does a hold of it concern b");
    assert!(!switch.turn_on("repair", BOTH), "the lane of a is held");
    assert!(switch.turn_on("repair", ["b"]));
}

#[test]
fn the_lanes_are_held_until_the_copy_that_holds_them_lets_go() {
    let mut switch = Switch::default();
    let since = switch.hold(BOTH).unwrap();
    assert!(switch.of("a").holds() && switch.of("b").holds());
    assert_eq!(
        switch.hold(BOTH),
        Some(since),
        "another process of the copy, or the next"
    );
    assert!(
        !switch.turn_on("repair", ["b"]) && switch.of("b").holds(),
        "nobody else"
    );
    assert_eq!(switch.claim("repair"), None);
    assert!(switch.release("repair", since, &worked_off(&BOTH)));
    switch.swept("a", since);
    switch.free(since - 1);
    assert!(switch.of("a").holds());
    switch.free(since);
    assert!(switch.is_off());
    assert!(switch.epoch() > since);
    let again = switch.hold(BOTH).unwrap();
    switch.free(since);
    assert!(switch.of("a").holds(), "one that was held up lets go of nothing");
    assert!(switch.give_up("backfill") && switch.of("a").leaves_tombstones());
    assert!(switch.epoch() > again);
    assert_eq!(switch.hold(["a"]), None, "tombstones are on");
    switch.free(switch.epoch());
    assert!(!switch.give_up("backfill") && switch.of("b").leaves_tombstones());
    assert!(switch.release("backfill", switch.epoch(), &worked_off(&BOTH)));
    assert_eq!(switch.hold(["a"]), None, "they are not swept");
}

#[test]
fn a_holder_that_came_too_late_leaves_nothing_on() {
    let mut switch = Switch::default();
    switch.turn_on("backfill", ["a"]);
    switch.turn_on("backfill of b", ["b"]);
    switch.forget(|holder| holder == "backfill");
    assert_eq!(phase(&switch, "a"), TombstonePhase::Sweeping);
    assert_eq!(phase(&switch, "b"), TombstonePhase::On);
}

#[test]
fn a_sweep_that_ends_late_does_not_speak_for_a_later_switch_on() {
    let mut switch = Switch::default();
    switch.turn_on("backfill", ["a"]);
    assert!(switch.release("backfill", 1, &worked_off(&["a"])));
    let sweeping = switch.epoch();
    switch.turn_on("reconcile", ["a"]);
    switch.swept("a", sweeping);
    assert_eq!(phase(&switch, "a"), TombstonePhase::On);
    // A holder does not end a phase of another one.
    switch.swept("a", switch.epoch());
    assert_eq!(phase(&switch, "a"), TombstonePhase::On);
    assert!(Tombstones::sweeps(sweeping, sweeping - 1));
    assert!(!Tombstones::sweeps(sweeping, sweeping));
    assert!(!Tombstones::sweeps(sweeping, switch.epoch()));
}

#[test]
fn a_worker_is_waited_for_until_it_obeys_or_is_seen_to_be_gone() {
    let mut worker = WorkerRecord {
        kind: "tail".into(),
        lease: Lease::held_by(&Owner("a".into()), Duration::from_secs(1)),
        beat: 0,
        acknowledged_epoch: 3,
        seen_ms: 0,
        services: BTreeSet::new(),
        fingerprint: String::new(),
        routes: BTreeMap::new(),
        chaos: None,
    };
    assert_eq!(obedience(&worker, 3, false), Obedience::Obeys);
    assert_eq!(obedience(&worker, 4, false), Obedience::Awaited);
    assert_eq!(obedience(&worker, 4, true), Obedience::Gone);
    worker.lease = Lease::default();
    assert_eq!(
        obedience(&worker, 4, false),
        Obedience::Obeys,
        "it gave its lease back"
    );
}

/// What a process does with the switches of some services.
#[derive(Clone, Debug)]
enum Op {
    TurnOn(usize, Vec<&'static str>),
    Claim(usize),
    /// With one of the epochs that were claimed so far, and the services whose list was worked off.
    Release(usize, usize, Vec<&'static str>),
    Hold(Vec<&'static str>),
    /// With one of the epochs of the holds so far.
    Free(usize),
    GiveUp(usize),
    /// With one of the sweeps that were due so far.
    Swept(usize),
    Renew(&'static str),
    Forget(usize),
}

const HOLDERS: [&str; 3] = ["backfill", "repair", "reconcile"];

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let some = || proptest::sample::subsequence(BOTH.to_vec(), 0..=2);
    let holder = || 0..HOLDERS.len();
    let service = || proptest::sample::select(BOTH.to_vec());
    let op = prop_oneof![
        4 => (holder(), some()).prop_map(|(holder, services)| Op::TurnOn(holder, services)),
        4 => holder().prop_map(Op::Claim),
        4 => (holder(), 0..9usize, some()).prop_map(|(holder, since, off)| Op::Release(holder, since, off)),
        2 => some().prop_map(Op::Hold),
        2 => (0..9usize).prop_map(Op::Free),
        1 => holder().prop_map(Op::GiveUp),
        3 => (0..9usize).prop_map(Op::Swept),
        1 => service().prop_map(Op::Renew),
        1 => holder().prop_map(Op::Forget),
    ];
    proptest::collection::vec(op, 0..40)
}

/// The switch of one service alone, and epochs that others know under another number.
#[derive(Default)]
struct Alone {
    switch: Switch,
    claimed: Vec<u64>,
    holds: Vec<u64>,
    due: Vec<Option<u64>>,
}

impl Alone {
    /// Does what an operation does to this service. Answers whether it was allowed.
    fn act(&mut self, service: &'static str, op: &Op) -> bool {
        let switch = &mut self.switch;
        match op {
            Op::TurnOn(holder, services) if services.contains(&service) => {
                switch.turn_on(HOLDERS[*holder], [service])
            }
            Op::Hold(services) if services.contains(&service) => match switch.hold([service]) {
                Some(since) => {
                    self.holds.push(since);
                    true
                }
                None => false,
            },
            Op::Hold(_) => {
                self.holds.push(u64::MAX);
                true
            }
            Op::Claim(holder) => {
                self.claimed
                    .push(switch.claim(HOLDERS[*holder]).unwrap_or(u64::MAX));
                true
            }
            Op::Release(holder, since, off) => {
                let Some(since) = self.claimed.get(*since) else {
                    return true;
                };
                let off = off
                    .iter()
                    .filter(|name| **name == service)
                    .map(|name| (*name).to_owned());
                let released = switch.release(HOLDERS[*holder], *since, &off.collect());
                self.due.push(switch.unswept().get(service).copied());
                released
            }
            Op::Free(since) => {
                if let Some(since) = self.holds.get(*since) {
                    switch.free(*since);
                }
                true
            }
            Op::GiveUp(holder) => {
                switch.give_up(HOLDERS[*holder]);
                true
            }
            Op::Swept(due) => {
                if let Some(Some(epoch)) = self.due.get(*due) {
                    switch.swept(service, *epoch);
                }
                true
            }
            Op::Renew(named) if *named == service => switch.renew(service).is_some(),
            Op::Forget(holder) => {
                switch.forget(|name| name == HOLDERS[*holder]);
                true
            }
            Op::TurnOn(..) | Op::Renew(_) => true,
        }
    }
}

/// The switches of both services. An operation that is not allowed for one of its services changes nothing.
fn together(
    switch: &mut Switch,
    op: &Op,
    claimed: &mut Vec<u64>,
    holds: &mut Vec<u64>,
    due: &mut Vec<BTreeMap<String, u64>>,
) -> bool {
    match op {
        Op::TurnOn(holder, services) => switch.turn_on(HOLDERS[*holder], services.iter().copied()),
        Op::Hold(services) if services.is_empty() => {
            holds.push(u64::MAX);
            true
        }
        Op::Hold(services) => match switch.hold(services.iter().copied()) {
            Some(since) => {
                holds.push(since);
                true
            }
            None => false,
        },
        Op::Claim(holder) => {
            claimed.push(switch.claim(HOLDERS[*holder]).unwrap_or(u64::MAX));
            true
        }
        Op::Release(holder, since, off) => {
            let Some(since) = claimed.get(*since) else {
                return true;
            };
            let released = switch.release(HOLDERS[*holder], *since, &worked_off(off));
            due.push(switch.unswept());
            released
        }
        Op::Free(since) => {
            if let Some(since) = holds.get(*since) {
                switch.free(*since);
            }
            true
        }
        Op::GiveUp(holder) => {
            switch.give_up(HOLDERS[*holder]);
            true
        }
        Op::Swept(at) => {
            for (service, epoch) in due.get(*at).into_iter().flatten() {
                switch.swept(service, *epoch);
            }
            true
        }
        Op::Renew(service) => switch.renew(service).is_some(),
        Op::Forget(holder) => {
            switch.forget(|name| name == HOLDERS[*holder]);
            true
        }
    }
}

proptest! {
    #![proptest_config(cases(500))]

    /// Whatever is done with others, a service's switch does what it would do alone: the models check one.
    #[test]
    fn each_switch_does_what_it_would_do_alone(ops in ops()) {
        let mut both = Switch::default();
        let (mut claimed, mut holds, mut due) = (Vec::new(), Vec::new(), Vec::new());
        let mut alone = BOTH.map(|_| Alone::default());
        for op in &ops {
            // A copy holds all lanes of a round at once, and frees them at once: no other hold is of a part of them.
            if let Op::Hold(services) = op {
                let hold = |service: &str| {
                    let switch = both.of(service);
                    switch.holds().then_some(switch.epoch)
                };
                let is_part = |held: &u64| BOTH.iter().any(|other| {
                    let is_other = !services.contains(other);
                    is_other == (hold(other) == Some(*held))
                });
                if services.iter().filter_map(|service| hold(service)).any(|held| is_part(&held)) {
                    continue;
                }
            }
            let before = (both.clone(), due.len());
            let is_allowed = together(&mut both, op, &mut claimed, &mut holds, &mut due);
            let kept: Vec<_> = alone.iter().map(|one| one.switch.clone()).collect();
            let each: Vec<bool> = BOTH.iter().zip(&mut alone).map(|(service, one)| one.act(service, op)).collect();
            prop_assert_eq!(is_allowed, each.iter().all(|allowed| *allowed), "{:?}", op);
            if !is_allowed {
                let changed = (both.clone(), due.len());
                prop_assert!(changed.0 == before.0, "a refused operation changed something: {:?}", op);
                // Of one that is refused for another service, this service knows nothing.
                for (one, kept) in alone.iter_mut().zip(kept) {
                    one.switch = kept;
                    one.holds.truncate(holds.len());
                    one.due.truncate(before.1);
                }
                due.truncate(before.1);
            }
            for (service, one) in BOTH.iter().zip(&alone) {
                prop_assert_eq!(phase(&both, service), phase(&one.switch, service), "{:?}", op);
                prop_assert_eq!(both.is_off_for(service), one.switch.is_off());
                for holder in HOLDERS {
                    let held = |switch: &Switch| switch.held_since(service, holder).is_some();
                    prop_assert_eq!(held(&both), held(&one.switch), "{:?}", op);
                }
            }
        }
    }
}

#[test]
fn a_switch_that_is_off_is_recorded_as_before() {
    let json = serde_json::to_string(&Switch::default()).unwrap();
    assert_eq!(
        json,
        r#"{"tombstones":{"phase":"off","epoch":0},"tombstone_holders":{}}"#
    );
    let mut switch = Switch::default();
    switch.turn_on("repair", ["a"]);
    let json = serde_json::to_string(&switch).unwrap();
    assert_eq!(
        json,
        r#"{"tombstones":{"phase":"off","epoch":1},"tombstone_holders":{},"service_tombstones":{"a":{"phase":"on","epoch":1,"holders":{"repair":1}}}}"#
    );
    assert_eq!(serde_json::from_str::<Switch>(&json).unwrap(), switch);
}

#[test]
fn one_switch_for_all_services_becomes_one_for_each() {
    let recorded = r#"{"tombstones":{"phase":"on","epoch":4},"tombstone_holders":{"backfill":3}}"#;
    let mut switch: Switch = serde_json::from_str(recorded).unwrap();
    assert!(!switch.is_off() && !switch.is_off_for("a"));
    assert!(
        !switch.clone().spread(&BTreeSet::new()),
        "it does not say of which services"
    );
    assert!(switch.spread(&worked_off(&BOTH)));
    assert_eq!(switch.epoch(), 4);
    for service in BOTH {
        assert!(switch.of(service).leaves_tombstones());
        assert_eq!(switch.held_since(service, "backfill"), Some(3));
    }
    assert!(switch.is_off_for("c"));
}

#[test]
fn the_lane_of_one_service_is_released_and_the_hold_of_the_others_stays() {
    let mut switch = Switch::default();
    let since = switch.hold(BOTH).unwrap();
    switch.free_service("a");
    assert_eq!(phase(&switch, "a"), TombstonePhase::Off);
    assert!(switch.of("b").holds() && switch.epoch() > since);
    assert_eq!(
        switch.hold(["b"]),
        Some(since),
        "another process continues under it"
    );
    let before = switch.clone();
    switch.free_service("a");
    assert_eq!(switch, before);
    let mut switch = Switch::default();
    switch.turn_on("repair", ["a"]);
    let before = switch.clone();
    switch.free_service("a");
    assert_eq!(switch, before, "it was not on hold");
}
