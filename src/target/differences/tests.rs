//! Tests of the comparison of a table with the plan.

use super::*;
use crate::model::{AttributeKind, KeyAttribute};
use crate::plan::TableThroughput;
use crate::target::state::Kms;
use serde_json::json;
use std::collections::BTreeSet;

const AWS: &str = "arn:aws:dynamodb:eu-west-1:111122223333:table/Courses";
const EMULATOR: &str = "arn:aws:dynamodb:ddblocal:000000000000:table/Courses";
const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234";

/// A plan that speaks of every setting.
fn spec() -> TableSpec {
    serde_json::from_value(json!({
        "name": "Courses",
        "keys": { "partition": "PK", "sort": "SK" },
        "global-indexes": [
            { "name": "by-teacher", "keys": { "partition": "teacher" }, "warm-throughput": { "read": 20, "write": 10 } },
            { "name": "by-day", "keys": { "partition": "day" }, "projection": { "include": ["title", "price"] },
              "throughput": { "read": 3, "write": 4 } }
        ],
        "local-indexes": [{ "name": "by-title", "sort": "title", "projection": "keys-only" }],
        "billing": { "read": 5, "write": 6 },
        "max-on-demand": { "read": 100, "write": 50 },
        "warm-throughput": { "read": 200, "write": 100 },
        "ttl": "expires",
        "point-in-time-recovery": true,
        "class": "infrequent-access",
        "encryption": { "kms-key": "1234" },
        "deletion-protection": true,
        "tags": { "team": "courses" }
    }))
    .unwrap()
}

fn attribute(name: &str, kind: AttributeKind) -> KeyAttribute {
    KeyAttribute {
        name: name.to_owned(),
        kind,
    }
}

fn keys() -> KeySchema {
    KeySchema {
        partition: attribute("PK", AttributeKind::S),
        sort: Some(attribute("SK", AttributeKind::S)),
    }
}

fn indexes() -> Vec<IndexKeys> {
    let index = |name: &str, keys, local| IndexKeys {
        name: name.to_owned(),
        keys,
        local,
    };
    let alone = |partition| KeySchema {
        partition,
        sort: None,
    };
    let title = Some(attribute("title", AttributeKind::S));
    vec![
        index("by-teacher", alone(attribute("teacher", AttributeKind::S)), false),
        index("by-day", alone(attribute("day", AttributeKind::N)), false),
        index(
            "by-title",
            KeySchema {
                sort: title,
                ..keys()
            },
            true,
        ),
    ]
}

fn part(name: &str, kind: &str, sort: bool) -> KeyPart {
    KeyPart {
        name: name.to_owned(),
        kind: kind.to_owned(),
        sort,
    }
}

fn index(keys: Vec<KeyPart>, held: Held, read: i64, write: i64) -> IndexState {
    IndexState {
        keys,
        held,
        status: "ACTIVE".to_owned(),
        units: Units { read, write },
        warm: None,
    }
}

/// The table that the plan describes.
fn state() -> TableState {
    let warm = |read, write| {
        Some(Warm {
            units: Units { read, write },
            changing: false,
        })
    };
    let include = BTreeSet::from(["price".to_owned(), "title".to_owned()]);
    let mut by_teacher = index(vec![part("teacher", "S", false)], Held::All, 5, 6);
    by_teacher.warm = warm(20, 10);
    TableState {
        id: None,
        arn: AWS.to_owned(),
        status: "ACTIVE".to_owned(),
        keys: vec![part("PK", "S", false), part("SK", "S", true)],
        global_indexes: BTreeMap::from([
            ("by-teacher".to_owned(), by_teacher),
            (
                "by-day".to_owned(),
                index(vec![part("day", "N", false)], Held::Include(include), 3, 4),
            ),
        ]),
        local_indexes: BTreeMap::from([(
            "by-title".to_owned(),
            index(
                vec![part("PK", "S", false), part("title", "S", true)],
                Held::KeysOnly,
                0,
                0,
            ),
        )]),
        provisioned: Some(Units { read: 5, write: 6 }),
        max_on_demand: Some(Units { read: 100, write: 50 }),
        warm: warm(200, 100),
        stream: None,
        class: Some("STANDARD_INFREQUENT_ACCESS".to_owned()),
        kms: Some(Kms {
            key_arn: KEY.to_owned(),
        }),
        deletion_protection: true,
        throughput: TableThroughput::default(),
    }
}

fn settings() -> Settings {
    Settings {
        ttl: TtlState::Off,
        recovery: Observed::Seen(true),
        tags: Observed::Seen(BTreeMap::from([
            ("team".to_owned(), "courses".to_owned()),
            (
                "aws:cloudformation:stack-name".to_owned(),
                "not in the plan".to_owned(),
            ),
        ])),
    }
}

fn compared(spec: &TableSpec, state: &TableState, settings: &Settings) -> Comparison {
    compare(
        spec,
        &keys(),
        &indexes(),
        state,
        Some(settings),
        TableStream::Unused,
    )
}

#[test]
fn the_planned_table_has_no_difference() {
    assert_eq!(compared(&spec(), &state(), &settings()), Comparison::default());
}

#[test]
fn settings_that_the_plan_does_not_name_are_not_compared() {
    let bare =
        serde_json::from_value(json!({ "name": "Courses", "keys": { "partition": "PK", "sort": "SK" } }));
    let mut state = state();
    state.global_indexes.clear();
    state.local_indexes.clear();
    let found = compare(
        &bare.unwrap(),
        &keys(),
        &[],
        &state,
        Some(&settings()),
        TableStream::Unused,
    );
    assert_eq!(found, Comparison::default());
}

/// The change, and the one difference that it must cause.
type Mutation = (&'static str, fn(&mut TableState, &mut Settings));

const MUTATIONS: &[Mutation] = &[
    ("status", |table, _| table.status = "DELETING".into()),
    ("keys", |table, _| table.keys[0].name = "id".into()),
    ("keys", |table, _| table.keys[1].kind = "N".into()),
    ("keys", |table, _| {
        table.keys.pop();
    }),
    ("global index by-day", |table, _| {
        table.global_indexes.remove("by-day");
    }),
    ("global index other", |table, _| {
        table.global_indexes.insert(
            "other".into(),
            index(vec![part("x", "S", false)], Held::All, 5, 6),
        );
    }),
    ("global index by-day: keys", |table, _| {
        day(table).keys[0].kind = "S".into()
    }),
    ("global index by-day: keys", |table, _| {
        day(table).keys.push(part("hour", "N", true))
    }),
    ("global index by-day: projection", |table, _| {
        day(table).held = Held::All
    }),
    ("global index by-day: projection", |table, _| {
        day(table).held = Held::Include(["title".into()].into())
    }),
    ("global index by-day: throughput", |table, _| {
        day(table).units.read = 5
    }),
    ("global index by-teacher: throughput", |table, _| {
        teacher(table).units.write = 7
    }),
    ("global index by-teacher: warm throughput", |table, _| {
        teacher(table).warm = None
    }),
    ("local index by-title", |table, _| table.local_indexes.clear()),
    ("local index by-title: keys", |table, _| {
        title(table).keys[1].name = "name".into()
    }),
    ("local index by-title: projection", |table, _| {
        title(table).held = Held::All
    }),
    ("local index other", |table, _| {
        table.local_indexes.insert(
            "other".into(),
            index(vec![part("PK", "S", false)], Held::All, 0, 0),
        );
    }),
    ("billing", |table, _| table.provisioned = None),
    ("billing", |table, _| {
        table.provisioned = Some(Units { read: 5, write: 5 })
    }),
    ("max on-demand throughput", |table, _| table.max_on_demand = None),
    ("max on-demand throughput", |table, _| {
        table.max_on_demand = Some(Units { read: 100, write: -1 })
    }),
    ("warm throughput", |table, _| table.warm = None),
    ("warm throughput", |table, _| {
        table.warm = Some(Warm {
            units: Units { read: 200, write: 99 },
            changing: false,
        });
    }),
    ("stream", |table, _| table.stream = Some("KEYS_ONLY".into())),
    ("class", |table, _| table.class = None),
    ("class", |table, _| table.class = Some("STANDARD".into())),
    ("encryption", |table, _| table.kms = None),
    ("encryption", |table, _| {
        table.kms = Some(Kms {
            key_arn: "arn:aws:kms:eu-west-1:111122223333:key/91234".into(),
        });
    }),
    ("deletion protection", |table, _| {
        table.deletion_protection = false
    }),
    ("TTL", |_, settings| {
        settings.ttl = TtlState::On {
            attribute: "expires".into(),
        }
    }),
    ("TTL", |_, settings| {
        settings.ttl = TtlState::TurningOff {
            attribute: "other".into(),
        }
    }),
    ("tag team", |_, settings| {
        settings.tags = Observed::Seen([("team".into(), "people".into())].into())
    }),
];

fn day(table: &mut TableState) -> &mut IndexState {
    table.global_indexes.get_mut("by-day").unwrap()
}

fn teacher(table: &mut TableState) -> &mut IndexState {
    table.global_indexes.get_mut("by-teacher").unwrap()
}

fn title(table: &mut TableState) -> &mut IndexState {
    table.local_indexes.get_mut("by-title").unwrap()
}

#[test]
fn each_mutation_of_the_table_is_one_difference() {
    for (at, (what, mutate)) in MUTATIONS.iter().enumerate() {
        let (mut state, mut settings) = (state(), settings());
        mutate(&mut state, &mut settings);
        let found = compared(&spec(), &state, &settings);
        let names: Vec<&str> = found.differences.iter().map(|each| each.what.as_str()).collect();
        assert_eq!(names, [*what], "mutation {at}: {found:?}");
        assert_ne!(
            found.differences[0].planned, found.differences[0].actual,
            "mutation {at}"
        );
        assert_eq!((found.pending, found.notes), (vec![], vec![]), "mutation {at}");
    }
}

#[test]
fn what_can_be_added_is_pending_unless_the_table_is_adopted() {
    let settings = Settings {
        recovery: Observed::Seen(false),
        tags: Observed::Seen(BTreeMap::new()),
        ..settings()
    };
    let ours = compared(&spec(), &state(), &settings);
    let tags = BTreeMap::from([("team".to_owned(), "courses".to_owned())]);
    assert_eq!(ours.differences, []);
    assert_eq!(ours.pending, [Pending::PointInTimeRecovery, Pending::Tags(tags)]);

    let adopted = TableSpec {
        adopted: true,
        ..spec()
    };
    let theirs = compared(&adopted, &state(), &settings);
    let names: Vec<&str> = theirs.differences.iter().map(|each| each.what.as_str()).collect();
    assert_eq!(names, ["point-in-time recovery", "tag team"]);
    assert_eq!(theirs.pending, []);
}

#[test]
fn recovery_that_the_plan_wants_off_is_never_switched_off() {
    let spec = TableSpec {
        point_in_time_recovery: Some(false),
        ..spec()
    };
    let found = compared(&spec, &state(), &settings());
    assert_eq!(found.differences.len(), 1);
    assert_eq!(found.differences[0].what, "point-in-time recovery");
}

#[test]
fn the_stream_of_an_adopted_table_is_told_and_no_more() {
    let state = TableState {
        stream: Some("NEW_IMAGE".to_owned()),
        ..state()
    };
    let found = compared(
        &TableSpec {
            adopted: true,
            ..spec()
        },
        &state,
        &settings(),
    );
    assert_eq!(found.differences, []);
    assert!(
        found.notes[0].starts_with("stream: on (NEW_IMAGE)"),
        "{:?}",
        found.notes
    );
}

#[test]
fn only_an_emulator_may_hide_a_setting() {
    let hide = |arn: &str| TableState {
        arn: arn.to_owned(),
        max_on_demand: None,
        warm: None,
        class: None,
        kms: None,
        ..state()
    };
    let emulated = compared(&spec(), &hide(EMULATOR), &settings());
    assert_eq!(emulated.differences, []);
    assert_eq!(emulated.notes.len(), 4, "{:?}", emulated.notes);
    let real = compared(&spec(), &hide(AWS), &settings());
    assert_eq!((real.differences.len(), real.notes.len()), (4, 0));
    // An engine that gives no ARN is not given the benefit of the doubt.
    assert_eq!(compared(&spec(), &hide(""), &settings()).differences.len(), 4);
}

#[test]
fn what_an_emulator_shows_is_compared() {
    let state = TableState {
        arn: EMULATOR.to_owned(),
        class: Some("STANDARD".to_owned()),
        ..state()
    };
    assert_eq!(compared(&spec(), &state, &settings()).differences.len(), 1);
}

#[test]
fn operations_that_an_engine_does_not_have_are_notes() {
    let none = Settings {
        ttl: TtlState::Unknown,
        recovery: Observed::Unknown,
        tags: Observed::Unknown,
    };
    let found = compared(&spec(), &state(), &none);
    assert_eq!(
        (found.differences.len(), found.pending.len(), found.notes.len()),
        (0, 0, 3)
    );
}

#[test]
fn more_warm_throughput_is_as_good_and_one_that_is_raised_is_waited_for() {
    let warm = |read, changing| {
        Some(Warm {
            units: Units { read, write: 1000 },
            changing,
        })
    };
    let more = TableState {
        warm: warm(1000, false),
        ..state()
    };
    assert_eq!(compared(&spec(), &more, &settings()), Comparison::default());
    let less = TableState {
        warm: warm(1, true),
        ..state()
    };
    let found = compared(&spec(), &less, &settings());
    assert_eq!((found.differences.len(), found.notes.len()), (0, 1));
}

#[test]
fn keys_are_told_apart_when_their_names_look_like_text() {
    let one = [part("a (S), sort b", "S", false)];
    let two = [part("a", "S", false), part("b", "S", true)];
    assert_ne!(key_text(&one), key_text(&two));
}

#[test]
fn encryption_in_every_form() {
    let with = |encryption: serde_json::Value| TableSpec {
        encryption: Some(serde_json::from_value(encryption).unwrap()),
        ..spec()
    };
    let unencrypted = TableState { kms: None, ..state() };
    let count = |spec: &TableSpec, state: &TableState| {
        let found = compared(spec, state, &settings());
        (found.differences.len(), found.notes.len())
    };
    assert_eq!(count(&with(json!("owned")), &unencrypted), (0, 0));
    assert_eq!(count(&with(json!("owned")), &state()), (1, 0));
    assert_eq!(count(&with(json!("aws-managed")), &unencrypted), (1, 0));
    assert_eq!(count(&with(json!("aws-managed")), &state()), (0, 1));
    assert_eq!(
        count(&with(json!({ "kms-key": "alias/courses" })), &state()),
        (0, 1)
    );
    assert_eq!(count(&with(json!({ "kms-key": KEY })), &state()), (0, 0));
    assert_eq!(count(&with(json!({ "kms-key": KEY })), &unencrypted), (1, 0));
}
