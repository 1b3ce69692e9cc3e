use super::*;
use crate::model::{Item, Key, Number, Value};
use proptest::prelude::*;
use std::collections::BTreeMap;

const LEARNING: &str = include_str!("../../plans/online-learning.yaml");
const CLIENTS: &str = include_str!("../../plans/clients-and-people.yaml");

/// A plan that is right, to break in one place.
const GOOD: &str = "\
version: 1
split: shop
source: { table: Shop, keys: { partition: PK, sort: SK } }
timestamp: { attribute: at, type: N }
unrouted: { left-behind: \"PK = 'x'\" }
services:
  - name: orders
    where: begins_with(PK, 'ORDER#')
    table:
      name: Orders
      keys: { partition: orderId, sort: line }
      global-indexes:
        - { name: by-state, keys: { partition: state, sort: at } }
    transform:
      keys:
        from: { PK: 'ORDER#{order}', SK: 'LINE#{line}' }
        to: { orderId: '{order}', line: '{line}' }
      drop: [junk]
      rename: { st: state }
  - name: users
    where: begins_with(PK, 'USER#')
    table: { name: Users, keys: { partition: PK, sort: SK } }
rehearse:
  items:
    - item: { PK: 'USER#{n}', SK: x }
";

fn problems(text: &str) -> Vec<Problem> {
    match Plan::parse(text, "plan.yaml") {
        Ok(_) => vec![],
        Err(PlanError::Invalid(problems)) => problems.list,
        Err(other) => panic!("{other}"),
    }
}

/// Breaks the good plan in one place, and gives the only problem as `line path: message`.
#[track_caller]
fn broken(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    let list = problems(&GOOD.replacen(from, to, 1));
    let said: Vec<String> = list
        .iter()
        .map(|p| format!("{} {}: {}", p.line, p.path, p.message))
        .collect();
    assert_eq!(said.len(), 1, "`{from}` -> `{to}`: {said:#?}");
    assert!(list[0].hint.is_some(), "{said:?}");
    said.into_iter().next().unwrap()
}

#[test]
fn the_good_plan_is_good() {
    let plan = Plan::parse(GOOD, "plan.yaml").unwrap();
    assert_eq!(plan.state_table, "dynasplit-shop");
    assert_eq!(plan.services.len(), 2);
    let orders = plan.service("orders").unwrap();
    assert!(orders.shape.keys.is_injective());
    assert_eq!(orders.indexes[0].name, "by-state");
    assert_eq!(orders.shape.target_name("st"), Some("state"));
    assert_eq!(orders.shape.target_name("junk"), None);
    assert!(plan.service("nobody").is_none());
}

#[test]
fn each_mistake_is_found_at_its_line() {
    for (from, to, expected) in [
        ("version: 1", "version: 2", "1 version: version 2"),
        (
            "split: shop",
            "split: 'my shop'",
            "2 split: `my shop` cannot name a split",
        ),
        (
            "table: Shop",
            "table: S!",
            "3 source.table: DynamoDB takes no table",
        ),
        (
            "{ table: Shop",
            "{ region: EU West, table: Shop",
            "3 source.region: `EU West` is no region",
        ),
        (
            "{ table: Shop",
            "{ role: admin, table: Shop",
            "3 source.role: `admin` is no ARN",
        ),
        (
            "partition: PK, sort: SK } }\ntime",
            "partition: PK, sort: PK } }\ntime",
            "3 source.keys.sort: `PK` is both",
        ),
        (
            "attribute: at",
            "attribute: SK",
            "4 timestamp.attribute: `SK` is a key",
        ),
        (
            "attribute: at, type: N",
            "attribute: at, type: B",
            "4 timestamp.type: a timestamp of type B",
        ),
        (
            "type: N }",
            "type: S, format: rfc3339 }",
            "4 timestamp.format: this format has no fixed width",
        ),
        ("\"PK = 'x'\"", "\"PK = \"", "5 unrouted.left-behind: "),
        (
            "name: orders",
            "name: users",
            "20 services[1].name: two services are called `users`",
        ),
        (
            "name: Users",
            "name: Orders",
            "22 services[1].table.name: `Orders` is already the table of the service `orders`",
        ),
        (
            "name: Users",
            "name: Shop",
            "22 services[1].table.name: `Shop` is already the table of the source",
        ),
        (
            "name: Users",
            "name: dynasplit-shop",
            "22 services[1].table.name: `dynasplit-shop` is already the table of the state",
        ),
        (
            "begins_with(PK, 'USER#')",
            "begins_with(PK 'USER#')",
            "21 services[1].where: ",
        ),
        (
            "begins_with(PK, 'USER#')",
            "PK = 5",
            "21 services[1].where: `PK` is of type S in the source's key",
        ),
        (
            "name: by-state",
            "name: b",
            "13 services[0].table.global-indexes[0].name: DynamoDB takes no table or index",
        ),
        (
            "partition: state, sort: at",
            "partition: state, sort: st",
            "13 services[0].table.global-indexes[0]: no item can be in this index, for none has `st`",
        ),
        (
            "partition: state, sort: at",
            "partition: junk, sort: at",
            "13 services[0].table.global-indexes[0]: no item can be in this index, for none has `junk`",
        ),
        (
            "sort: at } }",
            "sort: { name: line, type: N } } }",
            "13 services[0].table.global-indexes[0]: `line` is of type N here, and of type S in the table's key",
        ),
        (
            "    transform:\n",
            "      ttl: line\n    transform:\n",
            "14 services[0].table.ttl: `line` is a key",
        ),
        (
            "    transform:\n",
            "      ttl: junk\n    transform:\n",
            "14 services[0].table.ttl: no item can expire",
        ),
        (
            "    transform:\n",
            "      max-on-demand: { read: 0, write: 1 }\n    transform:\n",
            "14 services[0].table.max-on-demand.read: no units",
        ),
        (
            "    transform:\n",
            "      encryption: { kms-key: '' }\n    transform:\n",
            "14 services[0].table.encryption.kms-key: this names no",
        ),
        (
            "    transform:\n",
            "      tags: { 'aws:x': y }\n    transform:\n",
            "14 services[0].table.tags.aws:x: AWS takes no tag",
        ),
        (
            "'ORDER#{order}'",
            "'ORDERS#{order}'",
            "16 services[0].transform.keys.from.PK: `where` takes only what begins with 'ORDER#'",
        ),
        (
            "'ORDER#{order}'",
            "'ORDER#{order'",
            "16 services[0].transform.keys.from.PK: a `{` without",
        ),
        (
            "'ORDER#{order}'",
            "'ORDER#{order}{x}'",
            "16 services[0].transform.keys.from.PK: nothing stands between",
        ),
        (
            "SK: 'LINE#{line}'",
            "SK: 'LINE#{order}'",
            "16 services[0].transform.keys.from.SK: `{order}` is captured from `PK` already",
        ),
        (
            "SK: 'LINE#{line}'",
            "SK: 'LINE#{line}', x: a",
            "16 services[0].transform.keys.from.x: `x` is no key of the source",
        ),
        (
            "line: '{line}' }",
            "line: '{lime}' }",
            "17 services[0].transform.keys.to.line: `{lime}` is captured nowhere",
        ),
        (
            "orderId: '{order}', ",
            "",
            "17 services[0].transform.keys.to: nothing says how the target's key `orderId` is made",
        ),
        (
            "line: '{line}' }",
            "line: '{line}', x: a }",
            "17 services[0].transform.keys.to.x: `x` is no key of the target",
        ),
        (
            "line: '{line}' }",
            "line: 'all' }",
            "16 services[0].transform.keys.from.SK: two items could share a target key: `{line}`",
        ),
        (
            "drop: [junk]",
            "drop: [line]",
            "18 services[0].transform.drop[0]: `line` is a key of the target",
        ),
        (
            "drop: [junk]",
            "drop: [junk, junk]",
            "18 services[0].transform.drop[1]: `junk` is listed twice",
        ),
        (
            "drop: [junk]",
            "drop: ['dynasplit:version']",
            "18 services[0].transform.drop[0]: names that begin with `dynasplit:`",
        ),
        (
            "{ st: state }",
            "{ st: state, other: state }",
            "19 services[0].transform.rename.st: `other` and `st` are both renamed",
        ),
        (
            "{ st: state }",
            "{ st: state, x: line }",
            "19 services[0].transform.rename.x: `line` is a key of the target",
        ),
        (
            "{ st: state }",
            "{ st: state, x: at }",
            "19 services[0].transform.rename.x: `at` is the timestamp's name",
        ),
        (
            "{ st: state }",
            "{ st: state, junk: j }",
            "19 services[0].transform.rename.junk: `junk` is renamed, and dropped",
        ),
        (
            "{ partition: PK, sort: SK } }\nrehearse",
            "{ partition: id } }\nrehearse",
            "22 services[1].table.keys.partition: `id` is no key of the source",
        ),
        (
            "{ partition: PK, sort: SK } }\nrehearse",
            "{ partition: PK } }\nrehearse",
            "22 services[1].table.keys: two items could share a target key: `SK`",
        ),
        (
            ", SK: x }",
            " }",
            "25 rehearse.items[0].item: the item has no `SK`",
        ),
        (
            "SK: x }",
            "SK: 5 }",
            "25 rehearse.items[0].item.SK: `SK` is of type S",
        ),
        (
            "- item: ",
            "- weight: 0\n      item: ",
            "24 rehearse.items: all kinds of items have the weight 0",
        ),
        (
            "SK: x }\n",
            "SK: x }\n      updates: { PK: y }\n",
            "26 rehearse.items[0].updates.PK: `PK` is a key",
        ),
        (
            "name: users",
            "nmae: users",
            "20 services[1].nmae: there is no such setting",
        ),
        (
            "split: shop",
            "split: shop\nsplit: shop",
            "3 : `split` is given twice, first on line 2",
        ),
    ] {
        let said = broken(from, to);
        assert!(said.starts_with(expected), "expected {expected}\n   found {said}");
    }
}

#[test]
fn keep_lists_are_checked_too() {
    for (to, expected) in [
        (
            "drop: [junk]\n      keep: [st, at, junk]",
            "under `keep` and under `drop`",
        ),
        ("keep: [st, at, state]", "`state` is kept as well"),
        (
            "keep: [at, other]",
            "`st` is renamed, but `keep` does not list it",
        ),
        ("keep: [st]", "no item can be in this index, for none has `at`"),
    ] {
        let list = problems(&GOOD.replace("drop: [junk]", to));
        assert!(
            list.iter().any(|p| p.message.contains(expected)),
            "{to}: {list:#?}"
        );
    }
}

#[test]
fn a_table_has_limits() {
    let good = "{ name: by-state, keys: { partition: state, sort: at } }";
    for (count, local, expected) in [(21, 0, "21 of them"), (0, 6, "6 of them"), (20, 5, "")] {
        let global: Vec<String> = (0..count)
            .map(|n| format!("{{ name: g-{n}, keys: {{ partition: a{n} }} }}"))
            .collect();
        let locals: Vec<String> = (0..local)
            .map(|n| format!("{{ name: l-{n}, sort: b{n} }}"))
            .collect();
        let table = format!(
            "global-indexes: [{}]\n      local-indexes: [{}]",
            global.join(", "),
            locals.join(", ")
        );
        let text = GOOD.replace(&format!("global-indexes:\n        - {good}"), &table);
        assert_ne!(text, GOOD);
        let list = problems(&text);
        assert_eq!(list.is_empty(), expected.is_empty(), "{list:#?}");
        assert!(list.iter().all(|p| p.message.contains(expected)), "{list:#?}");
    }
    let billed = |extra: &str| {
        problems(&GOOD.replace("    transform:\n", &format!("      {extra}\n    transform:\n")))
    };
    for (extra, expected) in [
        (
            "billing: { read: 5, write: 5 }\n      max-on-demand: { read: 5, write: 5 }",
            "an upper bound for on-demand",
        ),
        (
            "billing: { read: 5, write: 5 }\n      warm-throughput: { read: 1, write: 5 }",
            "less than the provisioned",
        ),
        (
            "local-indexes: [{ name: same, sort: a }, { name: same, sort: b }]",
            "two indexes are called `same`",
        ),
        (
            "local-indexes: [{ name: own, sort: orderId }]",
            "is the table's partition key already",
        ),
        (
            "local-indexes: [{ name: own, sort: a, projection: { include: [] } }]",
            "the list is empty",
        ),
    ] {
        let list = billed(extra);
        assert!(
            list.len() == 1 && list[0].message.contains(expected),
            "{extra}: {list:#?}"
        );
    }
    assert_eq!(
        billed("billing: { read: 5, write: 5 }\n      warm-throughput: { read: 5, write: 5 }"),
        []
    );
    let text = GOOD.replace("sort: at } }", "sort: at }, throughput: { read: 1, write: 1 } }");
    assert!(
        problems(&text)[0]
            .message
            .contains("provisioned units for an index")
    );
}

#[test]
fn a_vouch_stands_in_for_a_proof() {
    let lost = GOOD.replace("line: '{line}' }", "line: 'all' }");
    let vouched = |text: &str| {
        lost.replace(
            "      drop: [junk]",
            &format!("        vouch: {text}\n      drop: [junk]"),
        )
    };
    let plan = Plan::parse(&vouched("the shop makes one line per order"), "p").unwrap();
    let keys = &plan.services[0].shape.keys;
    assert!(!keys.is_injective());
    assert_eq!(keys.vouched(), Some("the shop makes one line per order"));
    assert!(problems(&vouched("'yes'"))[0].message.contains("in a sentence"));
}

#[test]
fn all_problems_come_at_once_and_read_well() {
    let text = GOOD
        .replace("version: 1", "version: 3")
        .replace("global-indexes", "globalIndexes")
        .replace("'ORDER#{order}'", "'ORDERS#{order}'")
        .replace(
            "table: { name: Users, keys: { partition: PK, sort: SK } }",
            "tabel: { name: Users }",
        );
    let Err(PlanError::Invalid(found)) = Plan::parse(&text, "plans/shop.yaml") else {
        panic!()
    };
    insta::assert_snapshot!(found.to_string());
}

#[test]
fn an_expression_is_pointed_into_whatever_its_style() {
    let wrong = "begins_with(PK 'USER#') AND x = 'y'";
    for written in [
        wrong.to_owned(),
        format!("\"{wrong}\""),
        format!("'{}'", wrong.replace('\'', "''")),
        format!(">-\n      {}", wrong.replace(' ', "\n      ")),
        format!("|\n      {}", wrong.replace(' ', "\n      ")),
        wrong.replace(' ', "\n      "),
    ] {
        let text = GOOD.replace("begins_with(PK, 'USER#')", &written);
        let list = problems(&text);
        assert_eq!(list.len(), 1, "{list:#?}");
        assert_eq!(list[0].path, "services[1].where");
        let error = Condition::parse(wrong).unwrap_err();
        let pointed: String = text
            .lines()
            .nth(list[0].line - 1)
            .unwrap()
            .chars()
            .skip(list[0].column - 1)
            .collect();
        // White space may be written otherwise in the file; what follows it is the same.
        let meant = wrong[error.offset..].split_whitespace().next().unwrap();
        let doubled = meant.replace('\'', "''");
        assert!(
            pointed.starts_with(meant) || pointed.starts_with(&doubled),
            "{written}: {pointed}"
        );
    }
}

#[test]
fn files_that_are_no_plan() {
    for (text, message) in [
        ("", "the file holds no plan"),
        ("# nothing\n", "the file holds no plan"),
        ("[1, 2", "this is not YAML"),
        ("- a\n", "expected a mapping, found a list"),
        ("a: 1\n---\nb: 2\n", "a second document"),
    ] {
        let list = problems(text);
        assert!(list[0].message.contains(message), "{text:?}: {list:#?}");
    }
    let error = Plan::load(std::path::Path::new("no/such/plan.yaml")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot read the plan no/such/plan.yaml: "),
        "{error}"
    );
}

#[test]
fn fingerprints_follow_what_is_written_and_not_its_price() {
    let of = |text: &str| {
        let plan = Plan::parse(text, "p").unwrap();
        (
            plan.fingerprint(),
            plan.services
                .iter()
                .map(|s| s.fingerprint.clone())
                .collect::<Vec<_>>(),
        )
    };
    let (plan, services) = of(GOOD);
    let same = |from: &str, to: &str| {
        assert!(GOOD.contains(from), "{from}");
        let (new_plan, new_services) = of(&GOOD.replace(from, to));
        (
            new_plan == plan,
            new_services[0] == services[0],
            new_services[1] == services[1],
        )
    };
    assert_eq!(
        same("    transform:\n", "      tags: { a: b }\n    transform:\n"),
        (true, true, true)
    );
    assert_eq!(
        same("begins_with(PK, 'USER#')", "begins_with(PK,   'USER#')"),
        (true, true, true)
    );
    assert_eq!(
        same("begins_with(PK, 'USER#')", "begins_with(PK, 'USERS#')"),
        (true, true, false)
    );
    assert_eq!(same("drop: [junk]", "drop: [junk, more]"), (true, false, true));
    assert_eq!(same("'LINE#{line}'", "'LINES#{line}'"), (true, false, true));
    assert_eq!(same("name: Users", "name: People"), (true, true, false));
    assert_eq!(same("PK = 'x'", "PK = 'y'"), (false, true, true));
    assert_eq!(
        same("attribute: at, type: N", "attribute: when, type: N"),
        (false, true, true)
    );
    assert_eq!(plan.len(), 16);
}

/// A sample value with the placeholders filled, as DynamoDB sees it.
fn sample(value: &serde_json::Value, n: usize) -> Value {
    use serde_json::Value as Json;
    let fill = |text: &str| {
        text.replace("{n}", &n.to_string())
            .replace("{n/10}", &(n / 10).to_string())
            .replace("{n%10}", &(n % 10).to_string())
            .replace("{random}", "r")
            .replace("{now}", "2024-02-29T10:00:00.500Z")
    };
    match value {
        Json::String(text) => Value::S(fill(text)),
        Json::Number(number) => Value::N(Number::parse(&number.to_string()).unwrap()),
        Json::Object(map) if map.contains_key("N") => {
            Value::N(Number::parse(&fill(map["N"].as_str().unwrap())).unwrap())
        }
        _ => Value::Null,
    }
}

/// The examples run as they stand: every sample item finds its services, and makes a key there.
#[test]
fn every_sample_item_of_the_examples_is_routed_and_shaped() {
    for text in [LEARNING, CLIENTS] {
        let plan = Plan::parse(text, "example").unwrap_or_else(|error| panic!("{error}"));
        let mut taken = vec![0; plan.services.len()];
        for kind in &plan.rehearse.as_ref().unwrap().items {
            let mut seen = std::collections::HashSet::new();
            for n in 1..=25 {
                let item: Item = kind.item.iter().map(|(k, v)| (k.clone(), sample(v, n))).collect();
                let key = plan.source.keys.key_of(&item).unwrap();
                assert!(seen.insert(key.clone()), "{key} is made twice");
                let mut routed = false;
                for (service, count) in plan.services.iter().zip(&mut taken) {
                    if service.condition.matches(&item) {
                        let target = service.shape.keys.apply(&item).unwrap();
                        assert_eq!(service.shape.keys.invert(&target), Some(key.clone()));
                        (*count, routed) = (*count + 1, true);
                    }
                }
                let left = plan
                    .left_behind
                    .as_ref()
                    .is_some_and(|condition| condition.matches(&item));
                assert!(routed != left, "{key}");
                if let Versions::Timestamp(timestamp) = &plan.versions {
                    assert!(timestamp.version_of(&item).is_some(), "{key}");
                }
            }
        }
        assert!(taken.iter().all(|count| *count > 0), "{taken:?}");
        assert!(
            plan.services
                .iter()
                .all(|service| service.shape.keys.is_injective())
        );
    }
}

#[test]
fn the_examples_show_what_they_say() {
    let plan = Plan::parse(CLIENTS, "example").unwrap();
    assert_eq!(plan.versions, Versions::Sequence);
    let client = Item::from([
        ("id".to_owned(), Value::s("CLIENT#7")),
        ("part".to_owned(), Value::s("INFO")),
    ]);
    let takers: Vec<&str> = plan
        .services
        .iter()
        .filter(|s| s.condition.matches(&client))
        .map(|s| s.name.as_str())
        .collect();
    assert_eq!(takers, ["client", "common"]);
    let common = plan.service("common").unwrap();
    assert_eq!(
        common.shape.keys.apply(&client),
        Ok(Key {
            partition: Value::s("7"),
            sort: None
        })
    );
    assert_eq!(common.shape.target_name("personCount"), None);
    let plan = Plan::parse(LEARNING, "example").unwrap();
    let weights: BTreeMap<usize, u32> = plan
        .rehearse
        .unwrap()
        .items
        .iter()
        .map(|s| s.weight)
        .enumerate()
        .collect();
    let most: u32 = weights.values().sum();
    assert!(
        (weights[&1] + weights[&2]) * 10 >= most * 8,
        "content and progress dominate"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = problems(&text);
    }

    #[test]
    fn no_yaml_makes_it_panic(text in "([a-c]|: |\n|  |- |[\\[\\]{}&*!|>'\"#,?%@`~]|---|\\.\\.\\.|\t|1){0,60}") {
        let _ = problems(&text);
    }

    /// Cut, doubled and overwritten examples: problems have a line of the file, or the plan is right.
    #[test]
    fn no_mutated_example_makes_it_panic(
        which in 0..3usize, at in 0.0..1.0f64, length in 0..40usize,
        insert in "([a-z]{0,3}|[\\[\\]{}&*!|>'\":#,?-]{0,3}|\n {0,6})",
    ) {
        let text: Vec<char> = [LEARNING, CLIENTS, GOOD][which].chars().collect();
        let from = ((text.len() as f64) * at) as usize;
        let to = (from + length).min(text.len());
        let mutated: String = text[..from].iter().copied().chain(insert.chars()).chain(text[to..].iter().copied()).collect();
        let lines = mutated.lines().count() + 1;
        for problem in problems(&mutated) {
            prop_assert!(problem.line >= 1 && problem.line <= lines && problem.column >= 1, "{:?}", problem);
            prop_assert!(!problem.message.is_empty());
        }
    }
}
