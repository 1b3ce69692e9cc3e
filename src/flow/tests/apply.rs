//! The write path step by step: what is asked of the target and the ledger, in which order, and what is counted.

use super::{item, key, page, plan, record};
use crate::flow::{
    Again, Group, Guard, Landed, Ledger, Outcome, Sink, SinkError, Stop, Write, WriteKind, WriteUse, apply,
    coalesce,
};
use crate::model::{Change, Counters, Item, Value};
use crate::plan::Plan;
use futures::executor::block_on;
use std::sync::{Arc, Mutex};

/// A target and a ledger that answer as they are told, and note what they were asked.
#[derive(Default)]
struct Script {
    answers: Mutex<Vec<Result<Outcome, SinkError>>>,
    asked: Mutex<Vec<String>>,
    /// The ledger answers nothing more.
    ledger_stops: bool,
}

impl Script {
    fn of(answers: &[Result<Outcome, SinkError>]) -> Self {
        Self {
            answers: Mutex::new(answers.iter().rev().cloned().collect()),
            ..Self::default()
        }
    }

    fn asked(self) -> Vec<String> {
        self.asked.into_inner().unwrap()
    }

    fn ask(&self, what: String) {
        self.asked.lock().unwrap().push(what);
    }

    fn ledger(&self, what: String) -> Result<(), Stop> {
        self.ask(what);
        if self.ledger_stops { Err(stop()) } else { Ok(()) }
    }
}

fn stop() -> Stop {
    Stop {
        reason: "it is late".into(),
    }
}

impl Sink for Script {
    async fn write(&self, write: Write, _: &Again<'_>) -> Result<Landed, SinkError> {
        let kind = match write.kind {
            WriteKind::Put(_) => "put",
            WriteKind::PutRaw(_) => "raw put",
            WriteKind::Remove(_) => "remove",
        };
        let guard = match &write.guard {
            Guard::Any => "any",
            Guard::NotNewer(_) => "not newer",
            Guard::Older(_) => "older",
            Guard::Absent => "absent",
            Guard::Unchanged(_) => "unchanged",
        };
        self.ask(format!("{kind} {} {guard}", write.key));
        let answer = self.answers.lock().unwrap().pop().expect("an answer");
        answer.map(|outcome| Landed {
            outcome,
            used: WriteUse::told(1500),
        })
    }
}

impl Ledger for Script {
    async fn dead_letter(&self, service: &str, group: &Group, reason: &str) -> Result<(), Stop> {
        self.ledger(format!("letter {service} {} {reason}", group.key))
    }

    async fn recheck(&self, service: &str, group: &Group) -> Result<(), Stop> {
        self.ledger(format!("recheck {service} {}", group.key))
    }
}

/// Two items of one source item: `x` moves where the slot does.
fn timestamps() -> Plan {
    plan(
        "{ attribute: at, type: N }",
        "
    table: { name: Mine, keys: { partition: key } }
    transform: { keys: { from: { slot: '{slot}' }, to: { key: '{slot}' }, vouch: there is one item } }
",
    )
}

fn sequences() -> Plan {
    plan("none", "    table: { name: Mine, keys: { partition: id } }\n")
}

fn image(slot: &str, at: i64) -> Item {
    item([
        ("id", Value::s("1")),
        ("kind", Value::s("mine")),
        ("slot", Value::s(slot)),
        ("at", Value::N(at.into())),
    ])
}

fn run(plan: &Plan, script: &Script, changes: &[Arc<Change>]) -> Result<Counters, Stop> {
    let groups = coalesce(changes);
    assert_eq!(groups.len(), 1);
    block_on(apply(
        &plan.services[0],
        &plan.versions,
        &groups[0],
        script,
        script,
    ))
}

#[test]
fn every_outcome_is_counted() {
    let plan = timestamps();
    let moves = [
        record(1, Some(image("x", 1)), Some(image("y", 2))),
        record(2, Some(image("y", 2)), Some(image("z", 3))),
    ];
    let script = Script::of(&[
        Ok(Outcome::TombstoneWritten),
        Ok(Outcome::Written),
        Ok(Outcome::Written),
    ]);
    let expected = Counters {
        seen: 2,
        put: 1,
        removed: 2,
        tombstones: 1,
        write_milliunits: 4500,
        ..Counters::default()
    };
    assert_eq!(run(&plan, &script, &moves), Ok(expected));
    assert_eq!(
        script.asked(),
        ["remove x not newer", "remove y not newer", "put z not newer"]
    );
    // A removal that a tombstone refuses is one that was made before: nothing went backwards.
    let script = Script::of(&[
        Ok(Outcome::Superseded),
        Ok(Outcome::SupersededByTombstone),
        Ok(Outcome::Superseded),
    ]);
    let expected = Counters {
        seen: 2,
        superseded: 3,
        write_milliunits: 4500,
        ..Counters::default()
    };
    assert_eq!(run(&plan, &script, &moves), Ok(expected));
}

#[test]
fn what_changes_nothing_is_saved_and_counted() {
    let plan = sequences();
    let same = [record(1, Some(image("x", 1)), Some(image("x", 1)))];
    let script = Script::default();
    let expected = Counters {
        seen: 1,
        unchanged: 1,
        ..Counters::default()
    };
    assert_eq!(run(&plan, &script, &same), Ok(expected));
    assert!(script.asked().is_empty());
}

#[test]
fn what_went_backwards_is_on_the_list_before_it_is_written() {
    let plan = timestamps();
    let back = [record(1, Some(image("x", 5)), Some(image("x", 3)))];
    let script = Script::of(&[Ok(Outcome::Written)]);
    let expected = Counters {
        seen: 1,
        put: 1,
        backwards: 1,
        write_milliunits: 1500,
        ..Counters::default()
    };
    assert_eq!(run(&plan, &script, &back), Ok(expected));
    assert_eq!(script.asked(), ["recheck mine the item", "put x any"]);
    // Where it can't be listed it is not written: a repetition would find no sign of it.
    let script = Script {
        ledger_stops: true,
        ..Script::of(&[])
    };
    assert_eq!(run(&plan, &script, &back), Err(stop()));
    assert_eq!(script.asked(), ["recheck mine the item"]);
}

#[test]
fn a_tombstone_of_its_own_yields_to_the_streams_order() {
    let plan = timestamps();
    let created = [record(1, None, Some(image("x", 3)))];
    let script = Script::of(&[Ok(Outcome::SupersededByTombstone), Ok(Outcome::Written)]);
    let expected = Counters {
        seen: 1,
        put: 1,
        backwards: 1,
        write_milliunits: 1500,
        ..Counters::default()
    };
    assert_eq!(run(&plan, &script, &created), Ok(expected));
    assert_eq!(
        script.asked(),
        ["put x not newer", "recheck mine the item", "put x any"]
    );
    // One that is known to have gone backwards is listed once.
    let back = [record(1, Some(image("x", 5)), Some(image("x", 3)))];
    let script = Script::of(&[Ok(Outcome::SupersededByTombstone), Ok(Outcome::Written)]);
    assert_eq!(run(&plan, &script, &back).map(|applied| applied.backwards), Ok(1));
    assert_eq!(
        script.asked(),
        ["recheck mine the item", "put x any", "put x any"]
    );
    let script = Script {
        ledger_stops: true,
        ..Script::of(&[Ok(Outcome::SupersededByTombstone)])
    };
    assert_eq!(run(&plan, &script, &created), Err(stop()));
    assert_eq!(script.asked(), ["put x not newer", "recheck mine the item"]);
}

#[test]
fn any_other_refusal_stands() {
    let superseded = Counters {
        seen: 1,
        superseded: 1,
        write_milliunits: 1500,
        ..Counters::default()
    };
    let refusals = [Outcome::Superseded, Outcome::SupersededByTombstone];
    for refusal in refusals {
        // A late page never beats a tombstone.
        let script = Script::of(&[Ok(refusal)]);
        assert_eq!(
            run(&timestamps(), &script, &[page(image("x", 3))]),
            Ok(superseded)
        );
        assert_eq!(script.asked(), ["put x older"]);
        // In `sequence` mode it is a repetition.
        let script = Script::of(&[Ok(refusal)]);
        let created = [record(1, None, Some(image("x", 3)))];
        assert_eq!(run(&sequences(), &script, &created), Ok(superseded));
        assert_eq!(script.asked(), ["put 1 not newer"]);
    }
    // Something newer that lives.
    let script = Script::of(&[Ok(Outcome::Superseded)]);
    let created = [record(1, None, Some(image("x", 3)))];
    assert_eq!(run(&timestamps(), &script, &created), Ok(superseded));
    // A removal.
    let script = Script::of(&[Ok(Outcome::SupersededByTombstone)]);
    let deleted = [record(1, Some(image("x", 3)), None)];
    assert_eq!(run(&timestamps(), &script, &deleted), Ok(superseded));
    assert_eq!(script.asked(), ["remove x not newer"]);
}

#[test]
fn what_can_not_land_is_a_letter_and_the_rest_is_written() {
    let plan = timestamps();
    let moves = [record(1, Some(image("x", 1)), Some(image("y", 2)))];
    let script = Script::of(&[
        Err(SinkError::Rejected("the index says no".into())),
        Ok(Outcome::Written),
    ]);
    let expected = Counters {
        seen: 1,
        put: 1,
        dead_letters: 1,
        write_milliunits: 1500,
        ..Counters::default()
    };
    assert_eq!(run(&plan, &script, &moves), Ok(expected));
    assert_eq!(
        script.asked(),
        [
            "remove x not newer",
            "put y not newer",
            "letter mine the item the index says no"
        ]
    );
    // An image that can't be shaped: the same, without an attempt.
    let mut invalid = image("x", 2);
    invalid.remove("slot");
    let script = Script::of(&[]);
    let expected = Counters {
        seen: 1,
        dead_letters: 1,
        ..Counters::default()
    };
    assert_eq!(run(&plan, &script, &[page(invalid.clone())]), Ok(expected));
    let asked = script.asked();
    assert!(
        asked.len() == 1 && asked[0].starts_with("letter mine") && asked[0].contains("slot"),
        "{asked:?}"
    );
    // What can't be kept as a dead letter is not done.
    let script = Script {
        ledger_stops: true,
        ..Script::of(&[])
    };
    assert_eq!(run(&plan, &script, &[page(invalid)]), Err(stop()));
}

#[test]
fn a_stop_of_the_target_stops_all() {
    let plan = timestamps();
    let moves = [record(1, Some(image("x", 5)), Some(image("y", 6)))];
    let script = Script::of(&[Err(stop().into())]);
    assert_eq!(run(&plan, &script, &moves), Err(stop()));
    assert_eq!(script.asked(), ["remove x not newer"]);
}

#[test]
fn nothing_is_made_of_nothing() {
    let group = Group {
        key: key("1"),
        changes: vec![],
    };
    let (plan, script) = (timestamps(), Script::default());
    let applied = block_on(apply(&plan.services[0], &plan.versions, &group, &script, &script));
    assert_eq!(applied, Ok(Counters::default()));
}
