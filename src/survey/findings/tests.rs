//! Tests of the findings of a survey.

use super::*;
use crate::model::{AttributeKind, KeyAttribute, KeySchema};
use crate::source::SourceFacts;
use crate::survey::Group;
use crate::survey::finding::Severity;
use crate::survey::stream::StreamView;
use crate::survey::tables::StateView;
use crate::survey::view::{Count, Overlap, Reading};

const PLAN: &str = "version: 1\nsplit: s\nsource: { table: Live, keys: { partition: PK } }\ntimestamp: none\n\
    unrouted: fail\nservices:\n  - name: all\n    where: attribute_exists(PK)\n    \
    table: { name: Apart, keys: { partition: PK } }\n";

/// A survey of an empty, quiet table.
pub(in crate::survey) fn quiet() -> Survey {
    let partition = KeyAttribute {
        name: "PK".into(),
        kind: AttributeKind::S,
    };
    let source = SourceFacts::sample(KeySchema {
        partition,
        sort: None,
    });
    Survey {
        split: "s".into(),
        keys_differ: None,
        versions: VersionView::Sequence,
        reading: None,
        size: None,
        routing: None,
        tables: Vec::new(),
        state: StateView {
            table: "state".into(),
            status: StateStatus::Unknown,
            stream: None,
        },
        stream: StreamView {
            state: StreamState::Off,
            shards: None,
            open_shards: None,
            global: false,
        },
        estimate: None,
        cutover: Vec::new(),
        preparation: Vec::new(),
        findings: Vec::new(),
        source,
    }
}

#[track_caller]
fn judged(change: impl Fn(&mut Survey), expected: Severity, part: &str) {
    let plan = Plan::parse(PLAN, "plan.yaml").unwrap();
    let mut survey = quiet();
    assert!(
        judge(&plan, &survey).iter().all(|each| !each.what.contains(part)),
        "{part}"
    );
    change(&mut survey);
    let found = judge(&plan, &survey);
    let said = |each: &Finding| each.severity == expected && each.what.contains(part);
    assert!(found.iter().any(said), "{part}: {found:#?}");
}

#[test]
fn a_global_table_is_a_hazard_to_timestamps() {
    let global = |survey: &mut Survey| survey.source.replicas = vec!["eu-west-1".into()];
    judged(global, Severity::Note, "is a global table with eu-west-1");
    let by_time = |survey: &mut Survey| {
        global(survey);
        survey.versions = VersionView::Timestamp {
            attribute: "at".into(),
        };
    };
    judged(by_time, Severity::Warning, "is a global table with eu-west-1");
}

#[test]
fn what_is_not_as_it_should_be_is_an_error() {
    judged(
        |survey| survey.source.status = "ARCHIVED".into(),
        Severity::Error,
        "is ARCHIVED",
    );
    let gone = |survey: &mut Survey| survey.state.stream = Some("arn".into());
    judged(gone, Severity::Error, "is off, but this split was reading it");
    let adopted = |survey: &mut Survey| {
        survey.tables.push(TableView {
            service: "all".into(),
            table: "Apart".into(),
            region: None,
            adopted: true,
            may_hold_items: false,
            status: TargetStatus::Missing,
            empty: None,
            throughput: None,
        });
    };
    judged(adopted, Severity::Error, "is adopted and does not exist");
    let allowed = |survey: &mut Survey| {
        adopted(survey);
        survey.tables[0].may_hold_items = true;
        survey.tables[0].empty = Some(false);
    };
    judged(allowed, Severity::Note, "as the plan allows");
}

/// A survey in which everything is wrong that a plan decides.
fn wrong(status: StateStatus) -> Survey {
    let group = |what: &str| Group {
        what: what.into(),
        items: 2,
        examples: Vec::new(),
    };
    let service = |routed, faults| ServiceView {
        service: "all".into(),
        routed,
        copies: None,
        written: Count::default(),
        whole: Count::default(),
        faults,
        collisions: CollisionView::Compared {
            vouch: None,
            keys: 9,
            share: 1.0,
            found: 1,
            shown: Vec::new(),
        },
        expiring: 0,
        patterns: Vec::new(),
        ttl: None,
    };
    let mut survey = quiet();
    survey.source.replicas = vec!["eu-west-1".into()];
    survey.versions = VersionView::Timestamp {
        attribute: "at".into(),
    };
    survey.state.status = status;
    survey.reading = Some(Reading {
        items: 9,
        bytes: 9,
        read_units: 1,
        places: 1,
        whole: true,
    });
    survey.routing = Some(Routing {
        services: vec![service(0, vec![group("it is large")]), service(7, Vec::new())],
        overlaps: vec![Overlap {
            services: ["all".into(), "all".into()],
            items: 1,
        }],
        left_behind: Count::default(),
        unrouted: Count { items: 2, bytes: 2 },
        unrouted_shapes: Vec::new(),
        unversioned: vec![group("no 'at'")],
        replicated: 0,
        expiry: None,
    });
    survey.tables.push(TableView {
        service: "all".into(),
        table: "Apart".into(),
        region: None,
        adopted: false,
        may_hold_items: false,
        status: TargetStatus::Differs {
            differences: Vec::new(),
        },
        empty: None,
        throughput: None,
    });
    survey
}

#[test]
fn after_the_split_has_begun_nobody_is_told_to_change_what_is_fixed() {
    let plan = Plan::parse(PLAN, "plan.yaml").unwrap();
    let hints = |status| -> Vec<String> {
        let found = judge(&plan, &wrong(status));
        found.into_iter().filter_map(|each| each.hint).collect()
    };
    let fixed = [
        "widen the `where` of a service",
        "narrow one `where`",
        "narrow the `where`",
        "check its `where`",
        "or the transform",
        "make the key from",
        "prefer `timestamp: none`",
        "or write `timestamp: none`",
        "or name another table",
    ];
    let before = hints(StateStatus::Unknown);
    for words in fixed {
        let recommended = |hints: &[String]| hints.iter().any(|hint| hint.contains(words));
        let after = [
            hints(StateStatus::Begun),
            hints(StateStatus::Wider {
                change: String::new(),
            }),
        ];
        let common = ["prefer", "or write `timestamp"]
            .iter()
            .any(|word| words.starts_with(word));
        assert!(common || recommended(&before), "{words}: {before:#?}");
        assert!(
            !after.iter().any(|hints| recommended(hints)),
            "{words}: {after:#?}"
        );
    }
}
