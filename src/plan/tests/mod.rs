//! Tests of whole plans.

mod cutover;
mod everything;
mod examples;
mod fence;
mod mistakes;
mod reverse;
mod robust;
mod shapes;
mod together;
mod warnings;

use super::*;
use crate::model::{Item, Key, Number, Value};
use std::collections::BTreeMap;

const LEARNING: &str = include_str!("../../../plans/online-learning.yaml");
const CLIENTS: &str = include_str!("../../../plans/clients-and-people.yaml");

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

#[test]
fn the_good_plan_is_good() {
    let plan = Plan::parse(GOOD, "plan.yaml").unwrap();
    assert_eq!(plan.state_table, "dynasplit-shop");
    assert_eq!(plan.services.len(), 2);
    let orders = plan.service("orders").unwrap();
    assert!(orders.shapes[0].keys.is_injective());
    assert_eq!(orders.indexes[0].name, "by-state");
    assert_eq!(orders.shapes[0].attributes.target_name("st"), Some("state"));
    assert_eq!(orders.shapes[0].attributes.target_name("junk"), None);
    assert!(plan.service("nobody").is_none());
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
    let keys = &plan.services[0].shapes[0].keys;
    assert!(!keys.is_injective());
    assert_eq!(keys.vouched(), Some("the shop makes one line per order"));
    assert!(
        problems(&vouched("'yes'"))[0]
            .message
            .contains("must be a sentence")
    );
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
        ("", "the file contains no plan"),
        ("# nothing\n", "the file contains no plan"),
        ("[1, 2", "this is not valid YAML"),
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
    let read = |text: &str| Plan::parse(text, "p").unwrap();
    let of = |plan: &Plan| {
        let services = plan.services.iter().map(|s| s.fingerprint.clone());
        (plan.fingerprint(), services.collect::<Vec<_>>())
    };
    let good = read(GOOD);
    let (plan, services) = of(&good);
    let same = |from: &str, to: &str| {
        assert!(GOOD.contains(from), "{from}");
        let new = read(&GOOD.replace(from, to));
        let (new_plan, new_services) = of(&new);
        let same = (
            new_plan == plan,
            new_services[0] == services[0],
            new_services[1] == services[1],
        );
        // Each edit can be named: the settings differ where the fingerprints do.
        let named = |n: usize| new.services[n].settings() == good.services[n].settings();
        assert_eq!(
            (new.settings() == good.settings(), named(0), named(1)),
            same,
            "{to}"
        );
        same
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
    // A split that runs goes on with a newer version of dynasplit.
    assert_eq!(
        (plan.as_str(), services[0].as_str(), services[1].as_str()),
        ("f5f8bd1ecc2f082f", "fbeda8cc7b86497d", "eaa5364e348e6f01"),
        "the fingerprints of a plan never change"
    );
}
