//! Every mistake is found at its line.

use super::*;

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
    // Not every mistake in an expression has an obvious remedy.
    let in_expression = ["where", "left-behind"]
        .iter()
        .any(|end| list[0].path.ends_with(end));
    assert!(list[0].hint.is_some() || in_expression, "{said:?}");
    said.into_iter().next().unwrap()
}

/// What is replaced in the good plan, by what, and the only problem that there is then.
pub(super) const MISTAKES: &[(&str, &str, &str)] = &[
    ("version: 1", "version: 2", "1 version: version 2"),
    (
        "split: shop",
        "split: 'my shop'",
        "2 split: `my shop` is not a valid name of a split",
    ),
    (
        "split: shop",
        "split: shop\nledger: { bucket: 's3://mine' }",
        "3 ledger.bucket: S3 accepts no bucket with the name `s3://mine`",
    ),
    (
        "split: shop",
        "split: shop\nledger: { bucket: mine, prefix: /x }",
        "3 ledger.prefix: `/x` is no usable beginning",
    ),
    (
        "table: Shop",
        "table: S!",
        "3 source.table: DynamoDB accepts no table",
    ),
    (
        "{ table: Shop",
        "{ region: EU West, table: Shop",
        "3 source.region: `EU West` is not a region",
    ),
    (
        "{ table: Shop",
        "{ role: admin, table: Shop",
        "3 source.role: `admin` is not the ARN",
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
        "4 timestamp.type: a timestamp cannot have type B",
    ),
    (
        "type: N }",
        "type: S, format: rfc3339 }",
        "4 timestamp.format: this format has no fixed width",
    ),
    ("\"PK = 'x'\"", "\"PK = \"", "5 unrouted.left-behind: "),
    (
        "rehearse:\n",
        "s3: { bucket: 's3://mine' }\nrehearse:\n",
        "23 s3.bucket: `s3://mine` is not the name of a bucket",
    ),
    (
        "rehearse:\n",
        "s3: { bucket: mine, prefix: a//b }\nrehearse:\n",
        "23 s3.prefix: `a//b` is not a prefix",
    ),
    (
        "rehearse:\n",
        "s3: { bucket: mine, region: EU West }\nrehearse:\n",
        "23 s3.region: `EU West` is not a region",
    ),
    (
        "rehearse:\n",
        "s3: { bucket: mine, owner: '12' }\nrehearse:\n",
        "23 s3.owner: `12` is not the number of an account",
    ),
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
        "21 services[1].where: `PK` has type S in the source's key",
    ),
    (
        "name: by-state",
        "name: b",
        "13 services[0].table.global-indexes[0].name: DynamoDB accepts no table or index",
    ),
    (
        "partition: state, sort: at",
        "partition: state, sort: st",
        "13 services[0].table.global-indexes[0]: no item can be in this index, because no item has `st`",
    ),
    (
        "partition: state, sort: at",
        "partition: junk, sort: at",
        "13 services[0].table.global-indexes[0]: no item can be in this index, because no item has `junk`",
    ),
    (
        "sort: at } }",
        "sort: { name: line, type: N } } }",
        "13 services[0].table.global-indexes[0]: `line` has type N here and type S in the table's key",
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
        "14 services[0].table.max-on-demand.read: 0 units",
    ),
    (
        "    transform:\n",
        "      encryption: { kms-key: '' }\n    transform:\n",
        "14 services[0].table.encryption.kms-key: this is not the name",
    ),
    (
        "    transform:\n",
        "      tags: { 'aws:x': y }\n    transform:\n",
        "14 services[0].table.tags.aws:x: AWS accepts no tag",
    ),
    (
        "'ORDER#{order}'",
        "'ORDERS#{order}'",
        "16 services[0].transform.keys.from.PK: `where` selects only keys that begin with 'ORDER#'",
    ),
    (
        "'ORDER#{order}'",
        "'ORDER#{order'",
        "16 services[0].transform.keys.from.PK: a `{` has no",
    ),
    (
        "'ORDER#{order}'",
        "'ORDER#{order}{x}'",
        "16 services[0].transform.keys.from.PK: no text separates",
    ),
    (
        "SK: 'LINE#{line}'",
        "SK: 'LINE#{order}'",
        "16 services[0].transform.keys.from.SK: `{order}` is already captured from `PK`",
    ),
    (
        "SK: 'LINE#{line}'",
        "SK: 'LINE#{line}', x: a",
        "16 services[0].transform.keys.from.x: `x` is not a key of the source",
    ),
    (
        "line: '{line}' }",
        "line: '{lime}' }",
        "17 services[0].transform.keys.to.line: no pattern under `from` captures `{lime}`",
    ),
    (
        "orderId: '{order}', ",
        "",
        "17 services[0].transform.keys.to: the target's key `orderId` has no template",
    ),
    (
        "line: '{line}' }",
        "line: '{line}', x: a }",
        "17 services[0].transform.keys.to.x: `x` is not a key of the target",
    ),
    (
        "line: '{line}' }",
        "line: 'all' }",
        "16 services[0].transform.keys.from.SK: two items could share a target key, because the target key does not use `{line}`",
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
        "19 services[0].transform.rename.x: `at` is the name of the timestamp",
    ),
    (
        "{ st: state }",
        "{ st: state, junk: j }",
        "19 services[0].transform.rename.junk: `junk` is both renamed and dropped",
    ),
    (
        "{ partition: PK, sort: SK } }\nrehearse",
        "{ partition: id } }\nrehearse",
        "22 services[1].table.keys.partition: `id` is not a key of the source",
    ),
    (
        "{ partition: PK, sort: SK } }\nrehearse",
        "{ partition: PK } }\nrehearse",
        "22 services[1].table.keys: two items could share a target key, because the target key does not use `SK`",
    ),
    (
        ", SK: x }",
        " }",
        "25 rehearse.items[0].item: the item lacks `SK`",
    ),
    (
        "SK: x }",
        "SK: 5 }",
        "25 rehearse.items[0].item.SK: `SK` has type S",
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
        "20 services[1].nmae: dynasplit has no such setting",
    ),
    (
        "split: shop",
        "split: shop\nsplit: shop",
        "3 : `split` is given twice, first on line 2",
    ),
];

#[test]
fn each_mistake_is_found_at_its_line() {
    for (from, to, expected) in MISTAKES {
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
            "`st` is renamed, but it is not listed under `keep`",
        ),
        (
            "keep: [st]",
            "no item can be in this index, because no item has `at`",
        ),
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
    for (count, local, expected) in [(21, 0, "21 entries"), (0, 6, "6 entries"), (20, 5, "")] {
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
            "upper bound for on-demand",
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
            "is already the table's partition key",
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
            .contains("the index has provisioned units")
    );
}
