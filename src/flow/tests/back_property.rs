//! The way back of arbitrary plans: what it writes means what the target says, it touches nothing of others, and it gives up
//! only where it must.

use super::shapes;
use crate::flow::{Desired, NoWayBack, SourceWrite, SourceWriteKind, TargetChange, WayBack, desired};
use crate::model::cases::cases;
use crate::model::{Item, Key, Value};
use crate::plan::{Owns, Plan, Reversible, Shape};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use std::collections::BTreeSet;

/// Attributes that are no keys of the source; `id` and `n` are keys of some targets.
const NAMES: [&str; 8] = ["a", "b", "c", "d", "id", "n", "at", "aws:rep:x"];

/// How the keys are made: the condition, the keys of the table, and the templates.
const KEYS: [[&str; 3]; 6] = [
    ["attribute_exists(PK)", "partition: PK, sort: SK", ""],
    [
        "begins_with(PK, 'A#')",
        "partition: id, sort: n",
        "from: { PK: 'A#{p}', SK: '{s}' }, to: { id: '{p}', n: '{s}' }",
    ],
    [
        "begins_with(PK, 'A#') AND SK = 'x'",
        "partition: id",
        "from: { PK: 'A#{p}' }, to: { id: '{p}' }",
    ],
    [
        "begins_with(PK, 'A')",
        "partition: id, sort: n",
        "from: { PK: '{p}#{q}', SK: '{s}' }, to: { id: '{q}', n: '{p}#{s}' }",
    ],
    [
        "begins_with(PK, 'A') AND begins_with(SK, '1')",
        "partition: id, sort: { name: n, type: N }",
        "from: { PK: '{p}', SK: '{s}' }, to: { id: '{p}', n: '{s:N}' }",
    ],
    [
        "begins_with(PK, 'A#')",
        "partition: SK, sort: a",
        "from: { PK: 'A#{p}', SK: '{s}' }, to: { SK: '{s}', a: '{p}' }",
    ],
];

const CONDITIONS: [&str; 8] = [
    "",
    " AND a = 'x'",
    " AND attribute_exists(b)",
    " AND c <> 'y'",
    " AND (a = 'x' OR b = 'x')",
    " AND d.e = 'x'",
    " AND NOT attribute_exists(c) AND a = 'x'",
    " AND b IN ('x', 'y')",
];

fn names() -> impl Strategy<Value = String> {
    subsequence(vec!["a", "b", "c", "d", "at", "PK", "SK"], 0..5).prop_map(|names| names.join(", "))
}

/// A plan of one service; not each of them is right.
fn plan() -> impl Strategy<Value = String> {
    let lists = prop_oneof![
        2 => Just(String::new()),
        1 => names().prop_map(|names| format!("      keep: [{names}]\n")),
        3 => names().prop_map(|names| format!("      drop: [{names}]\n")),
    ];
    let rename = select(vec![
        "",
        "",
        "a: b",
        "a: b, b: a",
        "c: z",
        "a: z, b: a",
        "at: when",
        "PK: old, d: dd",
    ]);
    let owns = prop_oneof![
        5 => Just("items".to_owned()),
        3 => subsequence(vec!["a", "b", "c", "d"], 1..4).prop_map(|names| format!("{{ attributes: [{}] }}", names.join(", "))),
    ];
    let set = select(vec!["", "", "b: x", "a: x", "d: { e: x }", "c: 1"]);
    let times = select(vec!["none", "{ attribute: at, type: N }"]);
    (select(KEYS.to_vec()), select(CONDITIONS.to_vec()), lists, rename, owns, set, times).prop_map(
        |([base, keys, templates], more, lists, rename, owns, set, times)| {
            let mut transform = lists;
            if !templates.is_empty() {
                transform += &format!("      keys: {{ {templates} }}\n");
            }
            if !rename.is_empty() {
                transform += &format!("      rename: {{ {rename} }}\n");
            }
            let transform = if transform.is_empty() { transform } else { format!("    transform:\n{transform}") };
            let reverse = if set.is_empty() { String::new() } else { format!("    reverse: {{ set: {{ {set} }} }}\n") };
            format!(
                "version: 1\nsplit: s\nsource: {{ table: Old, keys: {{ partition: PK, sort: SK }} }}\ntimestamp: {times}\n\
                 unrouted: fail\nservices:\n  - name: mine\n    where: {base}{more}\n    owns: {owns}\n    \
                 table: {{ name: New, keys: {{ {keys} }} }}\n{transform}{reverse}"
            )
        },
    )
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => Just(Value::s("x")),
        2 => Just(Value::s("y")),
        1 => Just(Value::N(1.into())),
        1 => Just(Value::M([("e".to_owned(), Value::s("x"))].into())),
        1 => Just(Value::string_set(vec!["x".into(), "y".into()])),
    ]
}

fn attributes() -> impl Strategy<Value = Item> {
    btree_map(select(NAMES.map(str::to_owned).to_vec()), value(), 0..7)
}

fn source() -> impl Strategy<Value = Item> {
    let pk = select(vec!["A#1", "A#x#y", "A", "B#1"]);
    let sk = select(vec!["x", "y", "1", "10", "01", "x#y"]);
    (pk, sk, attributes()).prop_map(|(pk, sk, mut item)| {
        item.insert("PK".to_owned(), Value::s(pk));
        item.insert("SK".to_owned(), Value::s(sk));
        item
    })
}

/// Changes of a target item: attributes that it gets, and those that it loses.
fn edits() -> impl Strategy<Value = Vec<(String, Option<Value>)>> {
    let name = select(vec![
        "a", "b", "c", "d", "z", "at", "when", "old", "dd", "PK", "SK", "id", "n", "other",
    ]);
    let edit = (name.prop_map(str::to_owned), prop::option::weighted(0.7, value()));
    prop_oneof![1 => Just(vec![]), 3 => vec(edit, 1..4)]
}

/// A service, and what is asked of its way back.
struct Bench<'a> {
    plan: &'a Plan,
    back: WayBack<'a>,
}

impl<'a> Bench<'a> {
    fn new(plan: &'a Plan) -> Self {
        let back = WayBack {
            service: &plan.services[0],
            source: &plan.source.keys,
            versions: &plan.versions,
            mark_bytes: 300,
        };
        Self { plan, back }
    }

    fn forward(&self, item: &Item) -> Option<Desired> {
        desired(self.back.service, self.back.versions, item)
            .ok()
            .flatten()
    }

    fn owns_items(&self) -> bool {
        *self.back.service.owns() == Owns::Items
    }

    fn is_key(&self, name: &str) -> bool {
        self.plan.source.keys.attributes().any(|key| key.name == name)
    }

    fn is_own(&self, shape: &Shape, name: &str) -> bool {
        !self.is_key(name)
            && shape.attributes.target_name(name).is_some()
            && self.back.service.owns().has(name)
    }

    /// The shape that a source key belongs to.
    fn shape(&self, key: &Key) -> &Shape {
        let shapes = &self.back.service.shapes;
        shapes.iter().find(|shape| shape.may_take(key)).unwrap()
    }

    /// Whether `where` is decided by what the target holds under a name of its own, by keys, and by what it pins.
    fn where_is_known(&self, shape: &Shape) -> bool {
        let pins = shape.condition.pins();
        let mut read = shape.condition.attributes().into_iter();
        read.all(|name| {
            if shape.attributes.rename.values().any(|to| *to == name) {
                return false;
            }
            self.is_key(&name)
                || shape.attributes.target_name(&name).is_some()
                || pins.contains_key(name.as_str())
        })
    }

    /// What a target item that did not change does: nothing.
    fn unchanged(&self, source: &Item) -> Result<(), TestCaseError> {
        let Some(copy) = self.forward(source) else {
            return Ok(());
        };
        let change = TargetChange::Put {
            item: &copy.item,
            is_new: false,
        };
        prop_assert_eq!(self.back.write(change, Some(source)), Ok(None));
        Ok(())
    }

    /// What a target item does to a source item, or where there is none.
    fn put(
        &self,
        target: &Item,
        is_new: bool,
        current: Option<&Item>,
        is_copy: bool,
    ) -> Result<(), TestCaseError> {
        let change = TargetChange::Put { item: target, is_new };
        let Ok(Some(key)) = self.back.source_key(change) else {
            prop_assert!(self.back.write(change, None).is_err());
            prop_assert!(!is_copy);
            return Ok(());
        };
        let current = current.map(|current| {
            let mut moved = current.clone();
            moved.extend(self.plan.source.keys.item_of(&key));
            moved
        });
        let current = current.as_ref();
        match self.back.write(change, current) {
            Ok(write) => self.is_right(target, &key, write.as_ref(), current),
            Err(reason) => self.is_justified(&reason, &key, is_new, current, is_copy),
        }
    }

    fn is_right(
        &self,
        target: &Item,
        key: &Key,
        write: Option<&SourceWrite>,
        current: Option<&Item>,
    ) -> Result<(), TestCaseError> {
        let shape = self.shape(key);
        let merged = write
            .map_or_else(|| current.cloned(), |write| write.merged(current))
            .unwrap();
        let said = self.forward(&merged);
        let wanted = Desired {
            key: self.back.service.keys.key_of(target).unwrap(),
            item: target.clone(),
        };
        prop_assert!(
            said.as_ref().is_some_and(|said| said.looks_like(&wanted)),
            "{:?}",
            said
        );
        match write.map(|write| &write.kind) {
            None => {}
            Some(SourceWriteKind::Create(new)) => {
                prop_assert!(current.is_none() && self.owns_items());
                for (name, value) in new {
                    let known =
                        self.is_key(name) || self.is_own(shape, name) || shape.given.get(name) == Some(value);
                    prop_assert!(known, "{name} was made up");
                }
            }
            Some(SourceWriteKind::Update { set, remove }) => {
                let touched: BTreeSet<&String> = set.keys().chain(remove).collect();
                prop_assert!(!touched.is_empty());
                prop_assert!(touched.iter().all(|name| self.is_own(shape, name)), "{touched:?}");
                let current = current.unwrap();
                for name in current
                    .keys()
                    .chain(merged.keys())
                    .filter(|name| !touched.contains(name))
                {
                    prop_assert_eq!(current.get(name), merged.get(name));
                }
            }
            Some(SourceWriteKind::Delete) => prop_assert!(false, "a put deletes nothing"),
        }
        // Carried out, it is done.
        let again = TargetChange::Put {
            item: target,
            is_new: false,
        };
        prop_assert_eq!(self.back.write(again, Some(&merged)), Ok(None));
        Ok(())
    }

    /// A copy of a source item of the service can be written over another one with the same key, and where there is none,
    /// unless the plan's `where` asks for what the target does not hold.
    fn is_justified(
        &self,
        reason: &NoWayBack,
        key: &Key,
        is_new: bool,
        current: Option<&Item>,
        is_copy: bool,
    ) -> Result<(), TestCaseError> {
        if !self.owns_items() || !is_copy {
            return Ok(());
        }
        match current {
            None if !is_new => prop_assert_eq!(reason, &NoWayBack::Gone),
            Some(current) if !self.back.service.takes(current) => {
                prop_assert_eq!(reason, &NoWayBack::Occupied)
            }
            _ => {
                prop_assert_eq!(reason, &NoWayBack::NotRouted);
                prop_assert!(!self.where_is_known(self.shape(key)));
            }
        }
        Ok(())
    }

    fn delete(&self, source: &Item) -> Result<(), TestCaseError> {
        let Some(copy) = self.forward(source) else {
            return Ok(());
        };
        let change = TargetChange::Delete(&copy.key);
        match self.back.write(change, Some(source)) {
            Ok(Some(write)) => {
                prop_assert_eq!(Some(write.key.clone()), self.plan.source.keys.key_of(source));
                let merged = write.merged(Some(source));
                prop_assert_eq!(merged.is_none(), self.owns_items());
                if let Some(merged) = merged {
                    prop_assert_eq!(self.forward(&merged), None);
                    let shape = self.shape(&write.key);
                    for (name, value) in source.iter().filter(|(name, _)| !self.is_own(shape, name)) {
                        prop_assert_eq!(merged.get(name), Some(value));
                    }
                }
            }
            Ok(None) => prop_assert!(false, "the item is there"),
            Err(reason) => {
                prop_assert_eq!(reason, NoWayBack::StillRouted);
                prop_assert_eq!(self.plan.cutover()[0].reversible, Reversible::No);
            }
        }
        prop_assert_eq!(self.back.write(change, None), Ok(None));
        Ok(())
    }

    fn all(
        &self,
        source: &Item,
        other: &Item,
        edits: &[(String, Option<Value>)],
    ) -> Result<(), TestCaseError> {
        self.unchanged(source)?;
        self.delete(source)?;
        let Some(copy) = self.forward(source) else {
            return Ok(());
        };
        let mut target = copy.item.clone();
        for (name, value) in edits {
            match value {
                Some(value) => _ = target.insert(name.clone(), value.clone()),
                None => _ = target.remove(name),
            }
        }
        let is_copy = target == copy.item;
        for current in [None, Some(other), Some(source)] {
            for is_new in [false, true] {
                self.put(&target, is_new, current, is_copy)?;
            }
        }
        let created = self.back.write(
            TargetChange::Put {
                item: &target,
                is_new: true,
            },
            None,
        );
        if self.owns_items() && self.plan.cutover()[0].reversible == Reversible::No {
            prop_assert!(created.is_err(), "{created:?}");
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 1_000_000, ..cases(60) })]

    #[test]
    fn the_way_back_of_any_plan_is_right(
        text in plan(),
        sources in vec((source(), source(), edits()), 12),
    ) {
        let plan = Plan::parse(&text, "p");
        prop_assume!(plan.is_ok());
        let plan = plan.unwrap();
        let bench = Bench::new(&plan);
        for (source, other, edits) in &sources {
            bench.all(source, other, edits)?;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 1_000_000, ..cases(15) })]

    /// The same for services with several shapes, whose keys are over a small alphabet.
    #[test]
    fn the_way_back_of_any_shapes_is_right(
        shapes in vec(shapes::shape(), 2..4),
        items in vec(("[ab#]{1,3}", "[ab#]{1,3}", attributes(), attributes(), edits()), 24),
    ) {
        let plan = shapes::plan(&shapes, "");
        prop_assume!(plan.is_ok());
        let plan = plan.unwrap();
        let bench = Bench::new(&plan);
        for (pk, sk, attributes, others, edits) in &items {
            let with_key = |attributes: &Item| {
                let mut item = attributes.clone();
                item.insert("PK".to_owned(), Value::s(pk));
                item.insert("SK".to_owned(), Value::s(sk));
                item
            };
            bench.all(&with_key(attributes), &with_key(others), edits)?;
        }
    }
}

/// The properties are about something: each kind of outcome occurs among few random plans.
#[test]
fn every_outcome_occurs() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let strategy = (plan(), source(), source(), edits());
    let wanted = [
        "create",
        "differs",
        "gone",
        "no key",
        "no place",
        "no source key",
        "none",
        "not owned",
        "not routed",
        "occupied",
        "update",
    ];
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for _ in 0..4000 {
        if wanted.iter().all(|outcome| seen.contains(outcome)) {
            break;
        }
        let (text, source, mut other, edits) = strategy.new_tree(&mut runner).unwrap().current();
        let Ok(plan) = Plan::parse(&text, "p") else {
            continue;
        };
        let bench = Bench::new(&plan);
        let Some(copy) = bench.forward(&source) else {
            continue;
        };
        let mut target = copy.item;
        for (name, value) in edits {
            target.remove(&name);
            target.extend(value.map(|value| (name, value)));
        }
        let change = TargetChange::Put {
            item: &target,
            is_new: true,
        };
        if let Ok(Some(key)) = bench.back.source_key(change) {
            other.extend(plan.source.keys.item_of(&key));
        }
        for current in [None, Some(&other)] {
            seen.insert(match bench.back.write(change, current) {
                Ok(None) => "none",
                Ok(Some(SourceWrite {
                    kind: SourceWriteKind::Create(_),
                    ..
                })) => "create",
                Ok(Some(_)) => "update",
                Err(NoWayBack::Gone) => "gone",
                Err(NoWayBack::Occupied) => "occupied",
                Err(NoWayBack::NoPlace { .. }) => "no place",
                Err(NoWayBack::Differs { .. }) => "differs",
                Err(NoWayBack::NotOwned { .. }) => "not owned",
                Err(NoWayBack::NotRouted) => "not routed",
                Err(NoWayBack::NoKey) => "no key",
                Err(NoWayBack::NoSourceKey { .. }) => "no source key",
                Err(_) => "other",
            });
        }
    }
    assert!(wanted.iter().all(|outcome| seen.contains(outcome)), "{seen:?}");
}
