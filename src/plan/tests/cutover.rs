//! What a plan says of the cutover of its services: each refusal at its line.

use super::*;

/// What is said of a service: whether it can be cut over, whether it is reversible, and each remark with its line.
fn said(text: &str, service: &str) -> (bool, Reversible, Vec<String>) {
    let plan = Plan::parse(text, "plan.yaml").unwrap_or_else(|error| panic!("{error}\n{text}"));
    let all = plan.cutover();
    assert_eq!(all.len(), plan.services.len());
    let told = all.into_iter().find(|one| one.service == service).unwrap();
    let remarks = [&told.not_reversible, &told.refusals, &told.conditions];
    let line = |remark: &Remark| format!("{} {}", remark.line.unwrap(), remark.message);
    let lines = remarks.into_iter().flatten().map(line).collect();
    (told.can_be_cut_over, told.reversible, lines)
}

#[track_caller]
fn refused(text: &str, service: &str, reversible: Reversible, lines: &[&str]) {
    let (can, back, said) = said(text, service);
    assert!(!can, "{text}\n{said:#?}");
    assert_eq!(
        (back, said),
        (reversible, lines.iter().map(|line| (*line).to_owned()).collect()),
        "{text}"
    );
}

/// A plan with one service and more of them behind it, in `timestamp` mode.
fn plan(service: &str, more: &str) -> String {
    format!(
        "version: 1
split: s
source: {{ table: Old, keys: {{ partition: PK, sort: SK }} }}
timestamp: {{ attribute: at, type: N }}
unrouted: fail
services:
  - name: mine
    table: {{ name: Mine, keys: {{ partition: id }} }}
{service}{more}"
    )
}

/// A service of courses, on the lines from 9 on.
const COURSES: &str = "    where: begins_with(PK, 'COURSE#') AND SK = 'INFO' AND type = 'Course'
    transform:
      keys:
        from: { PK: 'COURSE#{course}' }
        to: { id: '{course}' }
      drop: [PK, SK, type]
";

fn other(text: &str) -> String {
    format!("  - name: other\n    table: {{ name: Other, keys: {{ partition: PK, sort: SK }} }}\n{text}")
}

#[test]
fn the_examples_say_who_can_be_cut_over() {
    let line_of = |text: &str, part: &str| text.lines().position(|line| line.contains(part)).unwrap() + 1;
    for service in ["client", "person"] {
        assert_eq!(
            said(CLIENTS, service),
            (true, Reversible::Yes, vec![]),
            "{service}"
        );
    }
    for (text, service) in [(CLIENTS, "invoice"), (LEARNING, "Users")] {
        let (can, back, lines) = said(text, service);
        assert!(can && back == Reversible::WithConditions, "{service}");
        let line = line_of(text, "copy: everything").to_string();
        assert!(lines[0].starts_with(&line), "{service}: {lines:?}");
    }
    let line = line_of(CLIENTS, "owns: nothing");
    let why = "the service owns nothing: it receives data, and what it writes itself is never carried back";
    refused(CLIENTS, "common", Reversible::No, &[&format!("{line} {why}")]);
    for (service, part) in [("Content", "type = 'Content'"), ("Progress", "type = 'Progress'")] {
        let line = line_of(LEARNING, part);
        let pinned = format!("{line} new items of the source get the value of `type` that `where` requires");
        assert_eq!(
            said(LEARNING, service),
            (true, Reversible::WithConditions, vec![pinned]),
            "{service}"
        );
    }
    let (can, back, lines) = said(LEARNING, "CourseCatalog");
    assert!(can && back == Reversible::WithConditions);
    let (pinned, set) = (
        line_of(LEARNING, "type = 'Course'"),
        line_of(LEARNING, "editor: course-catalog"),
    );
    assert_eq!(
        lines,
        [
            format!("{pinned} new items of the source get the value of `type` that `where` requires"),
            format!("{set} new items of the source get this value of `editor`"),
        ]
    );
}

#[test]
fn conditions_are_told_at_their_lines() {
    let of = |from: &str, to: &str| {
        let text = plan(&COURSES.replace(from, to), "");
        assert!(from.is_empty() || COURSES.contains(from), "{from}");
        let (can, back, lines) = said(&text, "mine");
        assert!(can && back == Reversible::WithConditions, "{lines:#?}");
        lines
    };
    let pinned = "9 new items of the source get the value of `type` that `where` requires";
    assert_eq!(of("", ""), [pinned]);
    assert_eq!(
        of("drop: [PK, SK, type]", "drop: [PK, SK, type, x, y]"),
        [
            pinned,
            "14 new items of the source lack `x` and `y`; existing items are left as they are"
        ]
    );
    assert_eq!(
        of("drop: [PK, SK, type]", "keep: [title, at]"),
        [
            pinned,
            "14 an attribute that `keep` does not list cannot be written back; existing items of the source are left as they are"
        ]
    );
    assert_eq!(
        of("drop: [PK, SK, type]", "drop: [PK, SK]"),
        ["9 `where` reads `type`: an item that it does not match any more cannot be written back"]
    );
    assert_eq!(
        of(
            "drop: [PK, SK, type]",
            "drop: [SK, type]\n      rename: { PK: old }"
        ),
        [pinned, "10 each item must hold `old` as the source's key has it"]
    );
    assert_eq!(
        of(
            "type = 'Course'",
            "(type = 'Course' OR begins_with(PK, 'COURSE#x'))"
        ),
        [
            "14 new items of the source lack `type`; existing items are left as they are",
            "9 `where` reads `type`, which new items lack: one that it does not match cannot be written back"
        ]
    );
    assert_eq!(
        of(
            "type = 'Course'\n    transform:\n",
            "type = 'Course' AND state <> 'x'\n    transform:\n      rename: { st: state }\n"
        ),
        [
            pinned,
            "9 `where` reads `state`: an item that it does not match any more cannot be written back",
            "11 `where` reads `state`, and a new item with `state` in the target gets `st` in the source"
        ]
    );
    // The timestamp may have another name.
    assert_eq!(
        of(
            "drop: [PK, SK, type]",
            "drop: [PK, SK, type]\n      rename: { at: changed }"
        ),
        [pinned]
    );
    // What another service holds without owning it is nobody else's.
    let projection = other("    where: begins_with(PK, 'COURSE#')\n    owns: nothing\n");
    assert!(said(&plan(COURSES, &projection), "mine").0);
    // Keys tell the items of the other service apart.
    for condition in [
        "begins_with(PK, 'USER#')",
        "SK = 'PERSON'",
        "begins_with(SK, 'MODULE#')",
    ] {
        let apart = other(&format!("    where: {condition}\n"));
        assert!(said(&plan(COURSES, &apart), "mine").0, "{condition}");
        assert!(said(&plan(COURSES, &apart), "other").0, "{condition}");
    }
}

#[test]
fn a_service_without_proven_keys_has_no_way_back() {
    let vouched = COURSES.replace("AND SK = 'INFO' ", "").replace(
        "      drop:",
        "        vouch: there is one item for each course\n      drop:",
    );
    let why = "the source key cannot be read back from the target key: a `vouch` does not say which source item a target \
               item belongs to";
    refused(
        &plan(&vouched, ""),
        "mine",
        Reversible::No,
        &[&format!("14 {why}")],
    );
    let shapes = "    shapes:
      - where: begins_with(PK, 'A') AND SK = 'x'
        transform: { keys: { from: { PK: 'A{a}' }, to: { id: 'a{a}' } }, drop: [PK, SK] }
      - where: kind = 'b' AND SK = 'x'
        transform:
          keys:
            from: { PK: '{b}' }
            to: { id: 'b{b}' }
            vouch: nobody gives both to one item
          drop: [PK, SK, kind]
";
    let why = "nothing shows which shape a target item belongs to: a `vouch` does not say it";
    refused(&plan(shapes, ""), "mine", Reversible::No, &[&format!("17 {why}")]);
}

#[test]
fn a_service_whose_new_items_would_be_lost_has_no_way_back() {
    for (condition, drop, names) in [
        ("attribute_exists(type)", "type", "`type`"),
        ("type IN ('Course', 'Lesson')", "type", "`type`"),
        (
            "info.kind = 'x' AND attribute_exists(type)",
            "info, type",
            "`info` and `type`",
        ),
    ] {
        let text = COURSES
            .replace("type = 'Course'", condition)
            .replace("[PK, SK, type]", &format!("[PK, SK, {drop}]"));
        let why = format!(
            "9 new items would not belong to the service: `where` reads {names}, which the target does not hold"
        );
        refused(&plan(&text, ""), "mine", Reversible::No, &[&why]);
    }
    // A value gives them a place.
    let given = COURSES.replace("type = 'Course'", "type IN ('Course', 'Lesson')");
    let of = |value: &str| {
        plan(
            &format!("{given}    reverse: {{ set: {{ type: {value} }} }}\n"),
            "",
        )
    };
    assert!(said(&of("Lesson"), "mine").0);
    let why =
        "9 new items would not belong to the service: `where` does not match what `reverse.set` gives them";
    refused(&of("Other"), "mine", Reversible::No, &[why]);
}

#[test]
fn a_service_that_owns_nothing_or_a_part_is_never_cut_over() {
    let nothing = format!("{COURSES}    owns: nothing\n");
    let why =
        "15 the service owns nothing: it receives data, and what it writes itself is never carried back";
    refused(&plan(&nothing, ""), "mine", Reversible::No, &[why]);
    let part = format!(
        "{}    owns: {{ attributes: [title, at] }}\n",
        COURSES.replace("type = 'Course'", "attribute_exists(title)")
    );
    refused(
        &plan(&part, ""),
        "mine",
        Reversible::WithConditions,
        &[
            "15 the service owns only attributes of its items, and a service is cut over as a whole",
            "15 only changes of `at` and `title` are written back",
            "9 `where` reads `title`: an item that it does not match any more cannot be written back",
        ],
    );
    // Without `where` on what it owns, a delete would leave the item with the service.
    let part = format!("{COURSES}    owns: {{ attributes: [title] }}\n");
    refused(
        &plan(&part, ""),
        "mine",
        Reversible::No,
        &[
            "15 a delete could not be carried back: without `title`, an item could still belong to the service",
            "15 the service owns only attributes of its items, and a service is cut over as a whole",
        ],
    );
}

#[test]
fn a_service_that_shares_items_with_an_owner_is_never_cut_over() {
    let pinned = "9 new items of the source get the value of `type` that `where` requires";
    let lines = |why: &str| vec![why.to_owned(), pinned.to_owned()];
    for (text, why) in [
        // Attributes that are no keys can change.
        (
            "    where: type = 'Other'\n",
            "15 `other` may hold the same items, and the plan does not say who owns them",
        ),
        (
            "    where: begins_with(PK, 'COURSE#')\n",
            "15 `other` may hold the same items, and the plan does not say who owns them",
        ),
        (
            "    where: begins_with(PK, 'COURSE#x') OR begins_with(PK, 'USER#')\n",
            "15 `other` may hold the same items, and the plan does not say who owns them",
        ),
        (
            "    where: begins_with(PK, 'COURSE#')\n    owns: items\n",
            "18 `other` owns items, and nothing shows that none of them is an item of this service",
        ),
        (
            "    where: attribute_exists(seen)\n    owns: { attributes: [seen] }\n",
            "18 `other` owns attributes of items that this service may hold",
        ),
    ] {
        let text = plan(COURSES, &other(text));
        let (can, back, said) = said(&text, "mine");
        assert_eq!(
            (can, back, said),
            (false, Reversible::WithConditions, lines(why)),
            "{text}"
        );
    }
    // It holds for both of them, and `owns: items` in one decides nothing while the other is silent.
    let text = plan(
        &format!("{COURSES}    owns: items\n"),
        &other("    where: begins_with(PK, 'C')\n"),
    );
    let why = "16 `other` may hold the same items, and the plan does not say who owns them";
    assert_eq!(said(&text, "mine").2[0], why);
    let why = "15 `mine` owns items, and nothing shows that none of them is an item of this service";
    refused(&text, "other", Reversible::Yes, &[why]);
    // A shape of the other service is enough.
    let shapes = other(
        "    shapes:\n      - where: begins_with(PK, 'USER#')\n      - where: begins_with(PK, 'C') AND begins_with(SK, 'I')\n",
    );
    let (can, _, said) = said(&plan(COURSES, &shapes), "mine");
    assert_eq!(
        (can, said[0].as_str()),
        (
            false,
            "15 `other` may hold the same items, and the plan does not say who owns them"
        )
    );
}

#[test]
fn a_service_that_loses_the_timestamp_is_never_cut_over() {
    let pinned = "9 new items of the source get the value of `type` that `where` requires";
    let why =
        "14 the timestamp `at` is not copied, so a write of the service could not move it in the source";
    let lost = "14 new items of the source lack `at`; existing items are left as they are";
    let text = plan(&COURSES.replace("[PK, SK, type]", "[PK, SK, type, at]"), "");
    refused(&text, "mine", Reversible::WithConditions, &[why, pinned, lost]);
    let text = plan(&COURSES.replace("drop: [PK, SK, type]", "keep: [title]"), "");
    let (can, _, lines) = said(&text, "mine");
    assert_eq!((can, lines[0].as_str()), (false, why));
    // What global tables keep in items is never copied.
    let global = plan(COURSES, "").replace("attribute: at", "attribute: 'aws:rep:updatetime'");
    let why = "14 the timestamp `aws:rep:updatetime` is not copied, so a write of the service could not move it in the source";
    refused(&global, "mine", Reversible::WithConditions, &[why, pinned]);
    // In the order of the stream, nothing is lost.
    let sequence = text.replace("{ attribute: at, type: N }", "none");
    assert!(said(&sequence, "mine").0);
}

#[test]
fn a_report_is_json() {
    let plan = Plan::parse(CLIENTS, "p").unwrap();
    let json = serde_json::to_value(plan.cutover()).unwrap();
    assert_eq!(
        json[0],
        serde_json::json!({
            "service": "client",
            "reversible": "yes",
            "conditions": [],
            "not_reversible": [],
            "can_be_cut_over": true,
            "refusals": [],
        })
    );
    assert_eq!(json[2]["reversible"], "no");
    assert_eq!(json[2]["not_reversible"][0]["path"], "services[2].owns");
    let plan = Plan::parse(LEARNING, "p").unwrap();
    let json = serde_json::to_value(plan.cutover()).unwrap();
    assert_eq!(json[0]["reversible"], "with-conditions");
    assert_eq!(json[0]["conditions"][1]["path"], "services[0].reverse.set.editor");
}
