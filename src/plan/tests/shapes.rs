//! Services with several shapes: what is proven of them, and what is refused.

use super::*;

const IAM: &str = concat!(
    "version: 1
split: iam
source: { table: Iam, keys: { partition: PK, sort: SK } }
timestamp: { attribute: at, type: N }
unrouted: fail
services:
",
    include_str!("../../../tests/support/documents.yaml"),
    "  - name: users
    where: begins_with(PK, 'USER#')
    table: { name: Users, keys: { partition: PK, sort: SK } }
"
);

/// A plan of one service with two shapes, each as `where | from | to`, into a table with the key `id` and `n`.
fn two(first: &str, second: &str) -> String {
    let shape = |text: &str| {
        let parts: Vec<&str> = text.split(" | ").collect();
        let vouch = parts
            .get(3)
            .map_or(String::new(), |vouch| format!(", vouch: {vouch}"));
        format!(
            "      - where: {}\n        transform: {{ keys: {{ from: {{ {} }}, to: {{ {} }}{vouch} }}, drop: [PK, SK] }}\n",
            parts[0], parts[1], parts[2]
        )
    };
    format!(
        "version: 1\nsplit: s\nsource: {{ table: Old, keys: {{ partition: PK, sort: SK }} }}\ntimestamp: none\n\
         unrouted: fail\nservices:\n  - name: a\n    table: {{ name: New, keys: {{ partition: id, sort: n }} }}\n    \
         shapes:\n{}{}",
        shape(first),
        shape(second)
    )
}

fn item(pk: &str, sk: &str) -> Item {
    Item::from([("PK".to_owned(), Value::s(pk)), ("SK".to_owned(), Value::s(sk))])
}

#[test]
fn each_shape_has_a_condition_and_keys_of_its_own() {
    let plan = Plan::parse(IAM, "iam.yaml").unwrap_or_else(|error| panic!("{error}"));
    let service = &plan.services[0];
    assert!(service.is_injective() && service.shapes.len() == 2);
    assert_eq!(service.vouched(), None);
    let schema = &plan.source.keys;
    for (pk, sk, id, version) in [
        ("POLICY#p#1", "V#7", "policy#p#1", 7),
        ("DOC#d", "-12", "doc#d", -12),
    ] {
        let source = schema.key_of(&item(pk, sk)).unwrap();
        let target = Key {
            partition: Value::s(id),
            sort: Some(Value::N(version.into())),
        };
        assert_eq!(
            service.target_keys(&source, schema),
            std::slice::from_ref(&target)
        );
        assert_eq!(service.source_keys(&target), [source]);
    }
    for (pk, sk) in [
        ("POLICY#p", "V#07"),
        ("POLICY#p", "7"),
        ("USER#u", "7"),
        ("DOC#d", "1E3"),
    ] {
        let source = schema.key_of(&item(pk, sk)).unwrap();
        assert_eq!(service.target_keys(&source, schema), [], "{pk} {sk}");
    }
    let doc = Item::from([("PK".to_owned(), Value::s("DOC#d"))]);
    assert!(service.takes(&doc) && !plan.services[1].takes(&doc));
    assert!(!service.takes(&item("POLICY#p", "V#7")), "it has no kind");
}

#[test]
fn fingerprints_of_plans_with_one_shape_are_as_they_were() {
    let of = |text: &str| {
        let plan = Plan::parse(text, "p").unwrap();
        let services: Vec<String> = plan
            .services
            .iter()
            .map(|each| each.fingerprint.clone())
            .collect();
        (plan.fingerprint(), services)
    };
    // Recorded by the version before shapes and numbers in keys: a split that runs goes on with the new one.
    // What is dropped beside counts; what is written back does not.
    let learning = LEARNING
        .replace(
            "(begins_with(SK, 'SESSION#')",
            "(SK = 'PROFILE' OR begins_with(SK, 'SESSION#')",
        )
        .replace("drop: [PK, SK, type, editor]", "drop: [PK, SK, type]")
        .replace("{ editor: course-catalog }", "{ type: Course }");
    for (text, plan, services) in [
        (
            learning.as_str(),
            "2142cc7dde80fbba",
            &["0ef5d08251a1e3d6", "4e6ae18e287487f2", "041e5bba53bd76e9"][..],
        ),
        (
            CLIENTS,
            "8f4bc7111c313761",
            &["a1a0e9c16464bcaa", "7cb13e6b1a7c7419", "eff9e8161165a6a9"],
        ),
        (
            GOOD,
            "f5f8bd1ecc2f082f",
            &["fbeda8cc7b86497d", "eaa5364e348e6f01"],
        ),
    ] {
        let (found, mut recorded) = of(text);
        // A service that is added changes nothing of the others.
        recorded.truncate(services.len());
        assert_eq!(
            (found.as_str(), recorded),
            (plan, services.iter().map(|&one| one.to_owned()).collect())
        );
    }
    let listed = GOOD.replace(
        "  - name: users\n    where: begins_with(PK, 'USER#')\n    table: { name: Users, keys: { partition: PK, sort: SK } }",
        "  - name: users\n    shapes:\n      - where: begins_with(PK, 'USER#')\n    table: { name: Users, keys: { partition: PK, sort: \
         SK } }",
    );
    assert!(listed.contains("shapes:"));
    assert_eq!(of(&listed), of(GOOD), "a list of one is the same");
    let services = of(IAM).1;
    for (from, to, same) in [
        ("kind = 'Policy'", "kind   =  'Policy'", true),
        ("kind = 'Policy'", "kind = 'Other'", false),
        ("'doc#{doc}'", "'document#{doc}'", false),
        (
            "{ id: 'doc#{doc}', version: '{version:N}' }",
            "{ id: 'doc#{doc}#x', version: '{version:N}' }",
            false,
        ),
        ("keep: [kind, at, n]", "keep: [kind, at]", false),
        (
            "      - where: begins_with(PK, 'DOC#')",
            "      # more\n      - where: begins_with(PK, 'DOC#')",
            true,
        ),
    ] {
        assert!(IAM.contains(from), "{from}");
        let edited = of(&IAM.replace(from, to)).1;
        assert_eq!(
            (edited[0] == services[0], edited[1] == services[1]),
            (same, true),
            "{to}"
        );
    }
}

/// The key that `where` pins is not in the target's key: another sort key is another item's, not this one's.
#[test]
fn a_source_key_that_the_condition_excludes_leads_nowhere() {
    let plan = Plan::parse(LEARNING, "p").unwrap();
    let (service, schema) = (plan.service("CourseCatalog").unwrap(), &plan.source.keys);
    let made = |pk: &str, sk: &str| {
        service
            .target_keys(&schema.key_of(&item(pk, sk)).unwrap(), schema)
            .len()
    };
    assert_eq!(made("COURSE#1", "METADATA"), 1);
    assert_eq!(made("COURSE#1", "MODULE#1#CONTENT#2"), 0);
    assert_eq!(
        service.target_keys_of(&item("COURSE#1", "MODULE#1#CONTENT#2"), schema),
        []
    );
}

#[test]
fn settings_of_shapes_are_named_with_their_place() {
    let plan = Plan::parse(IAM, "iam.yaml").unwrap();
    let settings = plan.services[0].settings();
    assert_eq!(settings["shapes[1].where"], "begins_with(PK, 'DOC#')");
    assert_eq!(settings["shapes[0].transform.keys.to.version"], "{version:N}");
    assert!(!settings.contains_key("where"));
    let place = |setting| plan.setting_place(Some("documents"), setting);
    assert_eq!(place("shapes[1].where"), "iam.yaml:18");
    assert_eq!(place("shapes[1].transform.keys.to.id"), "iam.yaml:22");
    assert_eq!(place("shapes[1].transform.drop"), "iam.yaml:19");
    assert_eq!(plan.services[1].settings()["where"], "begins_with(PK, 'USER#')");
}

#[test]
fn shapes_that_do_not_meet_are_proven() {
    for (first, second) in [
        (
            "begins_with(PK, 'A#') | PK: 'A#{a}', SK: '{n}' | id: 'a#{a}', n: '{n}'",
            "begins_with(PK, 'B#') | PK: 'B#{b}', SK: '{n}' | id: 'b#{b}', n: '{n}'",
        ),
        // The sort key tells the shapes apart, on both sides.
        (
            "SK = 'META' | PK: '{a}' | id: '{a}', n: meta",
            "begins_with(SK, 'V#') | PK: '{a}', SK: 'V#{v}' | id: '{a}', n: 'v#{v}'",
        ),
        (
            "SK = 'ONE' | PK: '{a}', SK: '{k}' | id: '{a}', n: '{k}'",
            "SK = 'TWO' | PK: '{a}', SK: '{k}' | id: '{a}', n: 'x{k}'",
        ),
        // The ends of the templates differ.
        (
            "SK = 'A' | PK: '{a}' | id: '{a}#a', n: x",
            "SK = 'B' | PK: '{a}' | id: '{a}#b', n: x",
        ),
        // As they are: one function, and the conditions only divide its source keys.
        (
            "begins_with(PK, 'A#') | PK: '{p}', SK: '{s}' | id: '{p}', n: '{s}'",
            "begins_with(PK, 'B#') | PK: '{p}', SK: '{s}' | id: '{p}', n: '{s}'",
        ),
        // What `where` says of a key that is taken whole.
        (
            "begins_with(PK, 'A#') | PK: '{p}', SK: '{s}' | id: '{p}', n: '{s}'",
            "begins_with(PK, 'B#') | PK: 'B#{b}', SK: '{s}' | id: 'b#{b}', n: '{s}'",
        ),
    ] {
        let plan = Plan::parse(&two(first, second), "p").unwrap_or_else(|error| panic!("{error}"));
        assert!(plan.services[0].is_injective(), "{first}; {second}");
    }
}

#[test]
fn shapes_that_may_meet_are_refused() {
    for (first, second, message) in [
        // One template of two functions: `(x, A)` and `(x, B)` make one key.
        (
            "SK = 'A' | PK: '{a}' | id: '{a}', n: x",
            "SK = 'B' | PK: '{a}' | id: '{a}', n: x",
            "two items could share a target key",
        ),
        (
            "begins_with(PK, 'A#') | PK: 'A#{a}', SK: '{n}' | id: '{a}', n: '{n}'",
            "begins_with(PK, 'B#') | PK: 'B#{a}', SK: '{n}' | id: '{a}', n: '{n}'",
            "two items could share a target key",
        ),
        (
            "begins_with(PK, 'A#') | PK: 'A#{a}', SK: '{n}' | id: 'a{a}', n: '{n}'",
            "begins_with(PK, 'B#') | PK: 'B#{a}', SK: '{n}' | id: 'ab{a}', n: '{n}'",
            "two items could share a target key",
        ),
        // Only other attributes tell the shapes apart, and those may change.
        (
            "kind = 'a' | PK: '{p}', SK: '{s}' | id: 'a#{p}', n: '{s}'",
            "kind = 'b' | PK: '{p}', SK: '{s}' | id: 'b#{p}', n: '{s}'",
            "an item could move from one shape to another",
        ),
        (
            "begins_with(PK, 'A') | PK: 'A{a}', SK: '{n}' | id: 'a#{a}', n: '{n}'",
            "begins_with(PK, 'A#') | PK: 'A#{a}', SK: '{n}' | id: 'b#{a}', n: '{n}'",
            "an item could move from one shape to another",
        ),
    ] {
        let list = problems(&two(first, second));
        assert_eq!(list.len(), 1, "{list:#?}");
        assert!(
            list[0].message.starts_with(message),
            "{first}; {second}: {list:#?}"
        );
        assert_eq!(list[0].path, "services[0].shapes[1].where");
        // Somebody may vouch, in either of them.
        for (one, other) in [
            (format!("{first} | the shop keeps them apart"), second.to_owned()),
            (first.to_owned(), format!("{second} | the shop keeps them apart")),
        ] {
            let plan = Plan::parse(&two(&one, &other), "p").unwrap_or_else(|error| panic!("{error}"));
            assert!(!plan.services[0].is_injective());
            assert_eq!(
                plan.services[0].vouched().as_deref(),
                Some("the shop keeps them apart")
            );
        }
    }
}

#[test]
fn mistakes_in_shapes_are_found_at_their_lines() {
    for (from, to, expected) in [
        (
            "    shapes:\n",
            "    where: PK = 'x'\n    shapes:\n",
            "11 services[0].where: a service with `shapes` must not have `where`",
        ),
        (
            "    shapes:\n",
            "    transform: { drop: [x] }\n    shapes:\n",
            "11 services[0].transform: a service with `shapes` must not have",
        ),
        (
            "    where: begins_with(PK, 'USER#')\n",
            "",
            "24 services[1]: `where` is missing",
        ),
        (
            "    where: begins_with(PK, 'USER#')\n",
            "    shapes: []\n",
            "25 services[1].shapes: the list of shapes is empty",
        ),
        (
            "      - where: begins_with(PK, 'DOC#')\n        transform:",
            "      - transform:",
            "18 services[0].shapes[1]: `where` is missing",
        ),
        (
            "begins_with(PK, 'DOC#')",
            "begins_with(PK 'DOC#')",
            "18 services[0].shapes[1].where: ",
        ),
        (
            "        transform:\n          keys:\n            from: { PK: 'DOC",
            "        transfrom:\n          keys:\n            from: { PK: 'DOC",
            "19 services[0].shapes[1].transfrom: dynasplit has no such",
        ),
        (
            "SK: '{version}' }",
            "SK: '{version:N}' }",
            "21 services[0].shapes[1].transform.keys.from.SK: `{version:N}` makes a number, but a pattern",
        ),
        (
            "id: 'doc#{doc}', version: '{version:N}'",
            "id: 'doc#{doc:N}', version: '{version:N}'",
            "22 services[0].shapes[1].transform.keys.to.id: `{doc:N}` makes a number, which cannot",
        ),
        (
            "id: 'doc#{doc}', version: '{version:N}'",
            "id: 'doc#{doc}', version: '{version}'",
            "22 services[0].shapes[1].transform.keys.to.version: this makes a value of type S",
        ),
        (
            "id: 'doc#{doc}', version: '{version:N}'",
            "id: '{doc:N}', version: '{version:N}'",
            "22 services[0].shapes[1].transform.keys.to.id: this makes a value of type N",
        ),
        (
            "id: 'doc#{doc}', version: '{version:N}'",
            "id: 'doc#{doc}', version: '{version:S}'",
            "22 services[0].shapes[1].transform.keys.to.version: `{version:S}` has an unknown type",
        ),
        (
            "keep: [kind, at, n]",
            "keep: [kind, kind]",
            "23 services[0].shapes[1].transform.keep[1]: `kind` is listed twice",
        ),
    ] {
        assert!(IAM.contains(from), "{from}");
        let list = problems(&IAM.replacen(from, to, 1));
        assert_eq!(list.len(), 1, "`{to}`: {list:#?}");
        let said = format!("{} {}: {}", list[0].line, list[0].path, list[0].message);
        assert!(said.starts_with(expected), "{expected}\n{said}");
    }
    let many: String = (0..101)
        .map(|n| format!("      - where: begins_with(PK, 'S{n}#')\n"))
        .collect();
    let text = GOOD.replace(
        "    where: begins_with(PK, 'USER#')\n",
        &format!("    shapes:\n{many}"),
    );
    let list = problems(&text);
    assert!(
        list.len() == 1 && list[0].message.contains("101 shapes, more than 100"),
        "{list:#?}"
    );
}

#[test]
fn shapes_are_warned_about_and_may_show_what_others_hide() {
    let text = IAM.replace("kind = 'Policy'", "kind = Policy");
    let plan = Plan::parse(&text, "p").unwrap();
    assert_eq!(plan.warnings.list()[0].path, "services[0].shapes[0].where");
    // `n` is there for both, `state` for policies only.
    let indexed = IAM.replace(
        "    shapes:\n",
        "      global-indexes: [{ name: by-n, keys: { partition: n } }, { name: by-state, keys: { partition: state } }]\n    \
         shapes:\n",
    );
    assert_eq!(problems(&indexed), []);
    let hidden = indexed.replace("drop: [PK, SK]", "drop: [PK, SK, state]");
    assert_eq!(problems(&hidden)[0].path, "services[0].table.global-indexes[1]");
}
