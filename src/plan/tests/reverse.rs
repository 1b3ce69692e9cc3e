//! `owns` and `reverse`: what is read, and what is refused.

use super::*;

/// The good plan with more lines in its first service.
fn with(lines: &str) -> String {
    GOOD.replacen(
        "    where: begins_with(PK, 'ORDER#')\n",
        &format!("    where: begins_with(PK, 'ORDER#') AND kind = 'order'\n{lines}"),
        1,
    )
    .replace("drop: [junk]", "drop: [junk, kind, origin]")
}

#[track_caller]
fn orders(lines: &str) -> Service {
    let text = with(lines);
    Plan::parse(&text, "p")
        .unwrap_or_else(|error| panic!("{error}"))
        .services
        .remove(0)
}

#[test]
fn what_is_owned_and_given_is_read() {
    let silent = orders("");
    assert_eq!((silent.owns.clone(), silent.owns()), (None, &Owns::Items));
    assert_eq!(
        silent.shapes[0].given,
        Item::from([("kind".to_owned(), Value::s("order"))])
    );
    assert_eq!(orders("    owns: nothing\n").owns(), &Owns::Nothing);
    let some = orders("    owns: { attributes: [st, at] }\n");
    let names = ["at", "st"].map(str::to_owned);
    assert_eq!(some.owns(), &Owns::Attributes(names.into()));
    assert!(
        some.owns().has("st") && !some.owns().has("state") && Owns::Items.has("x") && !Owns::Nothing.has("x")
    );
    let given = orders(
        "    owns: items\n    reverse:\n      set: { origin: shop, junk: { SS: [b, a] }, kind: order }\n",
    );
    let expected = Item::from([
        ("kind".to_owned(), Value::s("order")),
        ("origin".to_owned(), Value::s("shop")),
        ("junk".to_owned(), Value::string_set(vec!["a".into(), "b".into()])),
    ]);
    assert_eq!(given.shapes[0].given, expected);
}

#[test]
fn what_is_written_back_changes_no_split_that_runs() {
    let silent = orders("");
    for lines in [
        "    owns: nothing\n",
        "    owns: items\n    reverse: { set: { origin: x } }\n",
    ] {
        let told = orders(lines);
        assert_eq!(
            (&told.fingerprint, told.settings()),
            (&silent.fingerprint, silent.settings())
        );
    }
}

#[test]
fn each_shape_has_its_own_constants() {
    let text = "version: 1\nsplit: s\nsource: { table: Old, keys: { partition: PK } }\ntimestamp: none\nunrouted: fail\n\
        services:\n  - name: a\n    owns: items\n    table: { name: New, keys: { partition: id } }\n    shapes:\n      \
        - where: begins_with(PK, 'A#')\n        transform: { keys: { from: { PK: 'A#{i}' }, to: { id: 'a{i}' } }, drop: [PK, t] }\n        \
        reverse: { set: { t: one } }\n      - where: begins_with(PK, 'B#')\n        \
        transform: { keys: { from: { PK: 'B#{i}' }, to: { id: 'b{i}' } }, drop: [PK, t] }\n        reverse: { set: { t: two } }\n";
    let plan = Plan::parse(text, "p").unwrap_or_else(|error| panic!("{error}"));
    let given: Vec<&Value> = plan.services[0]
        .shapes
        .iter()
        .map(|shape| &shape.given["t"])
        .collect();
    assert_eq!(given, [&Value::s("one"), &Value::s("two")]);
    let above = text.replace(
        "    owns: items\n",
        "    owns: items\n    reverse: { set: { t: x } }\n",
    );
    let list = problems(&above);
    assert_eq!(list.len(), 1, "{list:#?}");
    assert_eq!(
        (list[0].line, list[0].path.as_str(), list[0].message.as_str()),
        (
            9,
            "services[0].reverse",
            "a service with `shapes` must not have `reverse` beside them"
        )
    );
}

#[test]
fn every_mistake_is_told_at_its_line() {
    for (lines, line, path, message, hint) in [
        (
            "    owns: all\n",
            9,
            "services[0].owns",
            "`all` is not a known value here",
            "known here: `items`, `nothing`, or a list: { attributes: [name] }",
        ),
        (
            "    owns: item\n",
            9,
            "services[0].owns",
            "`item` is not a known value here",
            "did you mean `items`?",
        ),
        (
            "    own: items\n",
            9,
            "services[0].own",
            "dynasplit has no such setting",
            "did you mean `owns`?",
        ),
        (
            "    revers: { set: { origin: x } }\n",
            9,
            "services[0].revers",
            "dynasplit has no such setting",
            "did you mean `reverse`?",
        ),
        (
            "    owns: [st]\n",
            9,
            "services[0].owns",
            "expected a word or a mapping, found a list",
            "",
        ),
        (
            "    owns: { attribute: [st] }\n",
            9,
            "services[0].owns.attribute",
            "dynasplit has no such setting",
            "did you mean `attributes`?",
        ),
        (
            "    owns: {}\n",
            9,
            "services[0].owns",
            "`attributes` is missing",
            "list their names in the source: attributes: [name]",
        ),
        (
            "    owns: { attributes: [] }\n",
            9,
            "services[0].owns.attributes",
            "no attribute is listed",
            "list what the service owns, or write `owns: nothing`",
        ),
        (
            "    owns:\n      attributes:\n        - st\n        - st\n",
            12,
            "services[0].owns.attributes[1]",
            "`st` is listed twice",
            "remove one",
        ),
        (
            "    owns: { attributes: [SK] }\n",
            9,
            "services[0].owns.attributes[0]",
            "`SK` is a key of the source, which belongs to the item itself",
            "remove it; if the service owns the items, write `owns: items`",
        ),
        (
            "    owns: { attributes: [junk] }\n",
            9,
            "services[0].owns.attributes[0]",
            "`junk` is not copied to the service, so the service cannot change it",
            "remove it, or copy the attribute",
        ),
        (
            "    owns: { attributes: ['dynasplit:x'] }\n",
            9,
            "services[0].owns.attributes[0]",
            "names that begin with `dynasplit:` are reserved for dynasplit",
            "choose another name; items with such an attribute cannot be copied",
        ),
        (
            "    owns: nothing\n    reverse: { set: { origin: x } }\n",
            10,
            "services[0].reverse",
            "only a service that owns its items makes new items in the source",
            "remove `reverse`, or write `owns: items`",
        ),
        (
            "    reverse: {}\n",
            9,
            "services[0].reverse",
            "`set` is missing",
            "give the attributes that new items get: set: { type: Course }",
        ),
        (
            "    reverse: { set: {} }\n",
            9,
            "services[0].reverse.set",
            "no attribute is set",
            "name attributes and their values, as in set: { type: Course }, or remove `reverse`",
        ),
        (
            "    reverse: { sets: { origin: x } }\n",
            9,
            "services[0].reverse.sets",
            "dynasplit has no such setting",
            "did you mean `set`?",
        ),
        (
            "    reverse:\n      set:\n        PK: x\n",
            11,
            "services[0].reverse.set.PK",
            "`PK` is a key of the source, which is made from the target's key",
            "remove it",
        ),
        (
            "    reverse: { set: { st: x } }\n",
            9,
            "services[0].reverse.set.st",
            "`st` is copied, so a new item has the value of `state` in the target",
            "remove it here, or drop the attribute in the transform",
        ),
        (
            "    reverse: { set: { origin: { N: ten } } }\n",
            9,
            "services[0].reverse.set.origin",
            "the value: the number is not decimal notation",
            "write the value as it is, or as DynamoDB JSON with its type: { N: '10' }",
        ),
        (
            "    reverse:\n      set:\n        origin: x\n        kind: x\n",
            12,
            "services[0].reverse.set.kind",
            "`where` takes only items with another value of `kind`, so no new item would belong to the service",
            "write the value of `where`, or remove it: new items get the value of `where` anyhow",
        ),
    ] {
        let list = problems(&with(lines));
        let said: Vec<_> = list
            .iter()
            .map(|p| {
                (
                    p.line,
                    p.path.as_str(),
                    p.message.as_str(),
                    p.hint.as_deref().unwrap_or_default(),
                )
            })
            .collect();
        assert_eq!(said, [(line, path, message, hint)], "{lines}");
    }
}

#[test]
fn all_mistakes_come_at_once() {
    let text = with(
        "    owns: { attributes: [SK, st, st] }\n    reverse: { set: { PK: x, st: y, origin: { N: z } } }\n",
    )
    .replace("begins_with(PK, 'USER#')", "begins_with(PK 'USER#')");
    let list = problems(&text);
    let paths: Vec<&str> = list.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "services[0].owns.attributes[0]",
            "services[0].owns.attributes[2]",
            "services[0].reverse",
            "services[0].reverse.set.PK",
            "services[0].reverse.set.st",
            "services[0].reverse.set.origin",
            "services[1].where",
        ],
        "{list:#?}"
    );
    // What follows from something else that is wrong is not told.
    let text = with("    owns: { attributes: [junk] }\n").replace("    transform:\n", "    mapping:\n");
    let list = problems(&text);
    assert_eq!(list.len(), 1, "{list:#?}");
}
