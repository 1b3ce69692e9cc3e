//! `copy: everything`: what is read, who owns what, and each refusal at its line.

use super::*;

/// A plan in which the first service copies everything, with lines of its own from line 9 on.
fn plan(service: &str) -> String {
    format!(
        "version: 1
split: s
source: {{ table: Old, keys: {{ partition: PK, sort: SK }} }}
timestamp: none
unrouted: {{ left-behind: \"begins_with(PK, 'SESSION#')\" }}
services:
  - name: orders
    table: {{ name: Orders, keys: {{ partition: PK, sort: SK }} }}
    copy: everything
{service}  - name: people
    where: begins_with(PK, 'PERSON#')
    table: {{ name: People, keys: {{ partition: PK, sort: SK }} }}
  - name: names
    where: begins_with(PK, 'ORDER#') AND attribute_exists(name)
    owns: nothing
    table: {{ name: Names, keys: {{ partition: PK, sort: SK }} }}
"
    )
}

const ORDERS: &str = "    where: begins_with(PK, 'ORDER#') AND kind = 'order'\n";

fn parsed(service: &str) -> Plan {
    let text = plan(service);
    Plan::parse(&text, "p").unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn item(pk: &str, kind: &str) -> Item {
    Item::from([
        ("PK".to_owned(), Value::s(pk)),
        ("SK".to_owned(), Value::s("x")),
        ("kind".to_owned(), Value::s(kind)),
    ])
}

#[test]
fn everything_is_copied_and_where_says_what_belongs_to_the_service() {
    let plan = parsed(ORDERS);
    let orders = &plan.services[0];
    let own = item("ORDER#1", "order");
    assert!(orders.copies_everything() && orders.takes(&own) && orders.belongs(&own));
    for other in [
        item("ORDER#1", "draft"),
        item("PERSON#1", "order"),
        item("SESSION#1", "x"),
    ] {
        assert!(orders.takes(&other) && !orders.belongs(&other), "{other:?}");
    }
    let people = &plan.services[1];
    assert!(!people.copies_everything() && !people.takes(&own) && !people.belongs(&own));
}

#[test]
fn what_only_rides_along_does_not_make_owners_of_two_services() {
    let plan = parsed(ORDERS);
    for told in plan.cutover() {
        assert_eq!(told.can_be_cut_over, told.service != "names", "{told:?}");
    }
    let said = plan.cutover().remove(0);
    let copy = said
        .conditions
        .iter()
        .find(|remark| remark.message.contains("are copied, too"));
    assert_eq!(copy.and_then(|remark| remark.line), Some(9), "{said:?}");
    let names = |service: usize| -> Vec<&str> {
        let copies = plan.copies_of(&plan.services[service]).into_iter();
        copies.map(|service| service.name.as_str()).collect()
    };
    assert_eq!(names(0), ["names"]);
    assert_eq!(names(1), ["orders"], "its table receives them");
    // Two owners of one item are refused as ever.
    let shared = plan_with_people_among_orders();
    assert!(
        shared.cutover().iter().all(|told| !told.can_be_cut_over),
        "{shared:?}"
    );
}

fn plan_with_people_among_orders() -> Plan {
    let text = plan(ORDERS).replace("begins_with(PK, 'PERSON#')", "begins_with(PK, 'ORDER#P')");
    Plan::parse(&text, "p").unwrap()
}

#[test]
fn the_prefix_of_a_fence_is_that_of_the_own_items() {
    let fence = "fence: { policy: { scope: prefix, probe-roles: ['arn:aws:iam::123456789012:role/a'], \
                 target-probe-roles: ['arn:aws:iam::123456789012:role/b'] } }\nservices:";
    let text = plan(ORDERS).replace("services:", fence);
    let text = text
        .split("  - name: names")
        .next()
        .unwrap_or_default()
        .to_owned();
    let plan = Plan::parse(&text, "p").unwrap_or_else(|error| panic!("{error}\n{text}"));
    let keys = |n: usize| plan.leading_keys(&plan.services[n]).unwrap();
    assert_eq!(keys(0), Some(vec!["ORDER#*".to_owned()]));
    assert_eq!(keys(1), Some(vec!["PERSON#*".to_owned()]));
}

#[test]
fn it_is_fixed_while_a_split_runs() {
    let everything = parsed(ORDERS).services.remove(0);
    let text = plan(ORDERS).replace("    copy: everything\n", "");
    let only_own = Plan::parse(&text, "p").unwrap().services.remove(0);
    assert_ne!(everything.fingerprint, only_own.fingerprint);
    assert_eq!(everything.settings()["copy"], "everything");
    assert!(!only_own.settings().contains_key("copy"));
    assert_eq!(everything.settings()["where"], only_own.settings()["where"]);
    let other = ORDERS.replace("order", "bill");
    assert_ne!(parsed(&other).services[0].fingerprint, everything.fingerprint);
}

/// The problems of a plan: line, path and message.
#[track_caller]
fn refused(service: &str, expected: &[(usize, &str, &str)]) {
    let found = problems(&plan(service));
    let told: Vec<(usize, &str, &str)> = found
        .iter()
        .map(|problem| (problem.line, problem.path.as_str(), problem.message.as_str()))
        .collect();
    assert_eq!(told, expected);
}

#[test]
fn what_is_irrelevant_may_change_while_a_split_runs() {
    let with = |text: &str| {
        parsed(&format!("{ORDERS}    irrelevant: {text}\n"))
            .services
            .remove(0)
    };
    let (one, other) = (
        with("NOT begins_with(PK, 'ORDER#')"),
        with("begins_with(PK, 'SESSION#')"),
    );
    assert!(one.irrelevant.is_some() && one.irrelevant != other.irrelevant);
    assert_eq!(
        (&one.fingerprint, one.settings()),
        (&other.fingerprint, other.settings())
    );
    assert_eq!(parsed(ORDERS).services[0].irrelevant, None);
}

#[test]
fn what_cannot_be_irrelevant_is_refused_at_its_line() {
    let irrelevant = |text: &str| format!("{ORDERS}    irrelevant: {text}\n");
    let all = "this matches every item of the service itself, which always stays";
    for text in ["attribute_exists(name)", "begins_with(PK, 'ORDER#') OR SK = 'x'"] {
        let found = problems(&plan(&irrelevant(text)));
        let told = found
            .iter()
            .any(|problem| problem.line == 11 && problem.message == all);
        assert_eq!(told, text.starts_with("begins"), "{text}: {found:?}");
    }
    refused(
        &format!("{}    transform: {{ drop: [junk] }}\n", irrelevant("junk = 'x'")),
        &[(
            11,
            "services[0].irrelevant",
            "with `copy: everything`, the table has to show which of its items are meant, and `junk` is not copied",
        )],
    );
    let alone = plan(&irrelevant("PK = 'x'")).replace("    copy: everything\n", "");
    let found = problems(&alone);
    assert_eq!(
        (found[0].line, found[0].path.as_str()),
        (10, "services[0].irrelevant"),
        "{found:?}"
    );
    assert!(found[0].message.contains("receives only items of the service"));
    assert_eq!(problems(&plan(&irrelevant("PK =")))[0].line, 11);
}

#[test]
fn what_does_not_go_with_it_is_refused_at_its_line() {
    let keys = "    transform:
      keys:
        from: { PK: 'ORDER#{order}', SK: '{part}' }
        to: { PK: '{order}', SK: '{part}' }
";
    refused(
        &format!("{ORDERS}{keys}"),
        &[(
            13,
            "services[0].transform.keys.from.PK",
            "`copy: everything` copies items with every key, and this pattern matches only some of them",
        )],
    );
    let unread = "    where: begins_with(PK, 'ORDER#') AND SK = 'x'
    transform:
      keys:
        from: { PK: '{order}' }
        to: { PK: '{order}', SK: '{order}' }
";
    refused(
        unread,
        &[(
            13,
            "services[0].transform.keys.from",
            "two items could share a target key, because the target key does not use `SK` of the source's key",
        )],
    );
    refused(
        &format!("{ORDERS}    transform: {{ drop: [kind] }}\n"),
        &[(
            10,
            "services[0].where",
            "with `copy: everything`, the table has to show which of its items are meant, and `kind` is not copied",
        )],
    );
    refused(
        &format!("{ORDERS}    owns: {{ attributes: [name] }}\n"),
        &[(
            9,
            "services[0].copy",
            "a service that copies everything owns whole items, or nothing",
        )],
    );
    refused(
        "    shapes:\n      - where: begins_with(PK, 'ORDER#')\n",
        &[(
            9,
            "services[0].copy",
            "a service with `shapes` must not have `copy` beside them",
        )],
    );
    let unknown = problems(&plan(ORDERS).replace("copy: everything", "copy: all"));
    assert_eq!(unknown[0].line, 9, "{unknown:?}");
}
