//! Whether holds were obeyed: the journals of the cutovers, as they were one after the other.

use serde_json::Value as Json;

use super::goods::Kind;
use super::{Shop, records};
use crate::check::Wrong;
use crate::engine::Value;

/// Steps that let writers write again, or that end something: they begin also during a hold.
const LIFTS: [&str; 10] = [
    "switched",
    "cancel-reopen",
    "cancel-lift",
    "cancelled",
    "reopen",
    "unfence",
    "rolled-back",
    "rollback-cancel-lift",
    "rollback-cancelled",
    "completed",
];
/// Steps in which the writers are stopped, and which `--max-pause` ends.
const STOPPED: [&str; 6] = ["fence", "drain", "check", "close", "pin", "reverse"];
/// Steps after which the next one may not wait.
const HURRY: [&str; 9] = [
    "switch",
    "cancel-reopen",
    "cancel-lift",
    "fence-target",
    "drain-back",
    "check-back",
    "reopen",
    "unfence",
    "rollback-cancel-lift",
];

impl Shop {
    /// A service whose next step is on hold.
    pub fn held(&self) -> Option<Kind> {
        self.network.with_engine(|engine, _| {
            self.kinds().into_iter().find(|kind| {
                let name = format!("CUTOVER#{}", kind.name());
                let journal = records(engine).find(|(record, _)| *record == name);
                journal.is_some_and(|(_, record)| !journal_of(record)["hold"].is_null())
            })
        })
    }

    /// A step that began during a hold, or a hold that nothing would have ended.
    pub fn ignored_hold(&self) -> Option<Wrong> {
        self.kinds().into_iter().find_map(|kind| {
            let versions = self.network.with_engine(|engine, _| {
                let name = Value::S(format!("CUTOVER#{}", kind.name()));
                engine.versions(super::STATE, |place| place.sort.as_ref() == Some(&name))
            });
            let journals = versions.iter().map(|item| match item.get("record") {
                Some(Value::S(record)) => journal_of(record),
                _ => Json::Null,
            });
            let journals: Vec<Json> = journals.collect();
            let found = journals.windows(2).find_map(|pair| ignored(&pair[0], &pair[1]))?;
            Some(Wrong::because(
                "a hold was not obeyed",
                format!("{}: {found}", kind.name()),
            ))
        })
    }
}

fn journal_of(record: &str) -> Json {
    serde_json::from_str(record).expect("a journal is JSON")
}

/// What is wrong with a change of a journal.
fn ignored(before: &Json, after: &Json) -> Option<String> {
    let [was_held, is_held] = [before, after].map(|journal| !journal["hold"].is_null());
    let [from, to] = [before, after].map(|journal| journal["step"].as_str().unwrap_or_default());
    if was_held && is_held && from != to && !LIFTS.contains(&to) {
        return Some(format!("the step {to} began after {from}, during a hold"));
    }
    let is_endless = STOPPED.contains(&to) && after["max_pause_ms"].is_null();
    (!was_held && is_held && (is_endless || HURRY.contains(&to)))
        .then(|| format!("a hold was accepted in the step {to}, and nothing would have ended it"))
}

#[test]
fn a_step_during_a_hold_is_noticed_and_so_is_a_hold_without_an_end() {
    let journal = |step: &str, hold: bool, most: Option<u64>| {
        let hold = hold.then(|| serde_json::json!({ "operator": "o", "since_ms": 1 }));
        serde_json::json!({ "step": step, "hold": hold, "max_pause_ms": most })
    };
    for (before, after, is_wrong) in [
        (journal("ready", true, None), journal("fence", true, None), true),
        (journal("ready", true, None), journal("fence", false, None), false),
        (
            journal("drain", true, Some(5)),
            journal("cancel-lift", true, Some(5)),
            false,
        ),
        (journal("ready", false, None), journal("ready", true, None), false),
        (journal("drain", false, None), journal("drain", true, None), true),
        (
            journal("drain", false, Some(5)),
            journal("drain", true, Some(5)),
            false,
        ),
        (
            journal("unfence", false, Some(5)),
            journal("unfence", true, Some(5)),
            true,
        ),
    ] {
        assert_eq!(ignored(&before, &after).is_some(), is_wrong, "{before} {after}");
    }
}
