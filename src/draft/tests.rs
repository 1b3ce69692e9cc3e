//! Drafts of any table are valid plans, and take each item of the sample once.

use super::{Draft, Loaded, Role, Sample, draft, guess_keys};
use crate::model::cases::cases;
use crate::model::{AttributeKind, IndexFacts, Item, KeyAttribute, KeySchema, Projected, Value, json};
use crate::plan::{Plan, Versions};
use proptest::prelude::*;

fn sample(keys: KeySchema, items: Vec<Item>) -> Sample {
    let Loaded { items, refused } = Loaded::of(items, &keys);
    Sample {
        table: "Shop".into(),
        keys,
        keys_guessed: true,
        indexes: Vec::new(),
        settings_known: false,
        ttl_attribute: None,
        items,
        origin: "the file items.jsonl".into(),
        refused,
        notes: vec!["A note.".into()],
    }
}

fn key(name: &str, kind: AttributeKind) -> KeyAttribute {
    KeyAttribute {
        name: name.into(),
        kind,
    }
}

/// The plan of a draft, which takes each item exactly once.
fn checked(sample: &Sample, made: &Draft) -> Plan {
    let plan = Plan::parse(&made.plan, "plan.yaml").unwrap_or_else(|error| panic!("{error}\n{}", made.plan));
    assert_eq!(plan.warnings.list(), [], "{}", made.plan);
    let mut counts = vec![0; plan.services.len()];
    let mut left = 0;
    for item in &sample.items {
        let takes =
            |service: &crate::plan::Service| service.shapes.iter().any(|shape| shape.condition.matches(item));
        let takers: Vec<usize> = (0..plan.services.len())
            .filter(|n| takes(&plan.services[*n]))
            .collect();
        let stays = plan
            .left_behind
            .as_ref()
            .is_some_and(|condition| condition.matches(item));
        assert_eq!(takers.len() + usize::from(stays), 1, "{item:?} in\n{}", made.plan);
        takers.iter().for_each(|n| counts[*n] += 1);
        left += u64::from(stays);
    }
    for (service, count) in made.findings.services.iter().zip(&counts) {
        assert_eq!(service.items, *count, "{}", service.name);
    }
    assert_eq!(
        made.findings.left_behind.as_ref().map_or(0, |left| left.items),
        left
    );
    plan
}

/// The draft with the timestamp that it offers, if it offers one.
fn with_timestamp(made: &Draft) -> Option<String> {
    let offered = made
        .plan
        .lines()
        .find_map(|line| line.strip_prefix("#     timestamp: "))?;
    Some(
        made.plan
            .replace("\ntimestamp: none\n", &format!("\ntimestamp: {offered}\n")),
    )
}

/// The draft with the keys of its own that it offers, and the number of services that have some.
fn with_own_keys(made: &Draft) -> (String, usize) {
    let (head, services) = made.plan.split_once("\nservices:\n").unwrap();
    let mut offered = 0;
    let chosen = services
        .split_inclusive('\n')
        .fold(Vec::<String>::new(), |mut entries, line| {
            if line.starts_with("  - name: ") {
                entries.push(line.to_owned());
            } else if line.starts_with("  # - name: ") {
                offered += 1;
                let last = entries.last_mut().unwrap();
                *last = line.replacen("# ", "", 1);
            } else if let Some(last) = entries.last_mut() {
                match line.strip_prefix("  #   ") {
                    Some(rest) if !last.contains("\n\n") => last.push_str(&format!("    {rest}")),
                    _ => last.push_str(line),
                }
            }
            entries
        });
    (format!("{head}\nservices:\n{}", chosen.concat()), offered)
}

fn text_key() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => ("(USER|ORDER|user|P|T|CONFIG|USERS)", "[#|:]", "[a-z0-9#_]{1,6}").prop_map(|(a, b, c)| a + &b + &c),
        2 => "(METADATA|PROFILE|profile|A|B)",
        2 => "\\$(app|tasks_1|users_12)#?(id_|team_|)[0-9a]{0,3}",
        1 => "[a-z]{1,4}_[0-9]{1,3}",
        1 => "\\PC{1,8}",
        1 => "[ '\"\\\\#:{}%\n\t]{1,5}",
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "(type|_type|entity|__edb_e__|updatedAt|createdAt|ttl|version|status|name)",
        1 => "[a-c]",
        1 => "\\PC{1,6}",
        1 => "[ '\"\\\\#:{}\n-]{1,4}",
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => "(User|Order|a b|it's|x: #)".prop_map(Value::S),
        1 => (1_600_000_000i64..1_800_000_000).prop_map(|n| Value::N(n.into())),
        1 => (1_600_000_000_000i64..1_800_000_000_000).prop_map(|n| Value::N(n.into())),
        1 => "202[0-9]-0[1-9]-0[1-9]T1[0-9]:00:00(\\.[0-9]{3})?Z".prop_map(Value::S),
        2 => json::tests::any_value(),
    ]
}

fn key_value(kind: AttributeKind) -> BoxedStrategy<Value> {
    match kind {
        AttributeKind::S => text_key().prop_map(Value::S).boxed(),
        AttributeKind::N => (0i64..50).prop_map(|n| Value::N(n.into())).boxed(),
        AttributeKind::B => prop::collection::vec(any::<u8>(), 1..4)
            .prop_map(Value::B)
            .boxed(),
    }
}

fn kind() -> impl Strategy<Value = AttributeKind> {
    prop_oneof![8 => Just(AttributeKind::S), 1 => Just(AttributeKind::N), 1 => Just(AttributeKind::B)]
}

fn schema() -> impl Strategy<Value = KeySchema> {
    let names =
        prop_oneof![4 => Just(("PK".to_owned(), "SK".to_owned())), 1 => ("\\PC{1,200}", "[a-z #'\"]{1,255}")];
    (names, kind(), prop::option::weighted(0.8, kind())).prop_filter_map(
        "two names",
        |((a, b), first, second)| {
            let sort = second.map(|kind| key(&b, kind));
            let usable = a != b && !a.starts_with("dynasplit:") && !b.starts_with("dynasplit:");
            (usable && a.len() <= 255).then(|| KeySchema {
                partition: key(&a, first),
                sort,
            })
        },
    )
}

fn table() -> impl Strategy<Value = Sample> {
    let with_items = schema().prop_flat_map(|keys| {
        let sort = keys.sort.clone().map_or(AttributeKind::S, |sort| sort.kind);
        let item = (
            key_value(keys.partition.kind),
            key_value(sort),
            prop::collection::btree_map(name(), value(), 0..5),
        )
            .boxed();
        let items = prop_oneof![
            4 => prop::collection::vec(item.clone(), 1..40),
            1 => prop::collection::vec(item, 200..400),
        ];
        (Just(keys), items)
    });
    (with_items, prop::option::of(name())).prop_map(|((keys, items), ttl)| {
        let items = items.into_iter().map(|(partition, sort, mut item)| {
            item.insert(keys.partition.name.clone(), partition);
            if let Some(key) = &keys.sort {
                item.insert(key.name.clone(), sort);
            }
            item
        });
        let mut sample = sample(keys.clone(), items.collect());
        sample.ttl_attribute = ttl.filter(|ttl| keys.attributes().all(|key| key.name != *ttl));
        sample.indexes = vec![IndexFacts {
            name: "by-name".into(),
            keys: KeySchema {
                partition: key("name", AttributeKind::S),
                sort: Some(key("status", AttributeKind::N)),
            },
            projected: Projected::These(vec!["a b: #".into()]),
            local: false,
        }];
        sample
    })
}

proptest! {
    #![proptest_config(cases(25))]

    #[test]
    fn a_draft_of_any_table_is_valid_and_takes_each_item_once(sample in table()) {
        let made = draft(&sample, "plan.yaml");
        checked(&sample, &made);
        prop_assert_eq!(&made, &draft(&sample, "plan.yaml"));
        let (own, _) = with_own_keys(&made);
        Plan::parse(&own, "plan.yaml").unwrap_or_else(|error| panic!("{error}\n{own}"));
        prop_assert_eq!(
            made.plan.matches("QUESTION:").count(), made.findings.questions.len(), "each question stands in the plan"
        );
        if let Some(text) = with_timestamp(&made) {
            let plan = Plan::parse(&text, "plan.yaml").unwrap_or_else(|error| panic!("{error}\n{text}"));
            let Versions::Timestamp(timestamp) = &plan.versions else { panic!("{text}") };
            for item in &sample.items {
                let taken = plan.services.iter().any(|service| service.shapes[0].condition.matches(item));
                prop_assert!(!taken || timestamp.version_of(item).is_some(), "{:?}\n{}", item, text);
            }
        } else {
            let good = |time: &&super::TimeCandidate| time.role == Role::Updated && time.flaw.is_none();
            prop_assert_eq!(made.findings.timestamps.iter().find(good), None);
        }
    }

    #[test]
    fn the_order_of_the_sample_does_not_matter(sample in table(), seed in any::<u64>()) {
        let mut other = sample.clone();
        let turn = usize::try_from(seed % sample.items.len() as u64).unwrap();
        other.items.rotate_left(turn);
        let (one, two) = (draft(&sample, "p"), draft(&other, "p"));
        prop_assert_eq!(one.plan, two.plan);
    }
}

fn text(value: &str) -> Value {
    Value::s(value)
}

fn item(entries: &[(&str, Value)]) -> Item {
    entries
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

fn shop() -> Vec<Item> {
    let mut items = Vec::new();
    for n in 0..100 {
        let user = format!("USER#{n}");
        let at = format!("2026-11-28T10:00:{:02}.000Z", n % 60);
        items.push(item(&[
            ("PK", text(&user)),
            ("SK", text("PROFILE")),
            ("updatedAt", text(&at)),
        ]));
        items.push(item(&[
            ("PK", text(&user)),
            ("SK", text(&format!("ORDER#{n}"))),
            ("updatedAt", text(&at)),
            ("total", Value::N(n.into())),
        ]));
        items.push(item(&[
            ("PK", text(&format!("PRODUCT#{n}"))),
            ("SK", text("INFO")),
            ("updatedAt", text(&at)),
        ]));
    }
    items
}

fn keys() -> KeySchema {
    KeySchema {
        partition: key("PK", AttributeKind::S),
        sort: Some(key("SK", AttributeKind::S)),
    }
}

#[test]
fn items_of_one_partition_stay_together() {
    let sample = sample(keys(), shop());
    let made = draft(&sample, "plan.yaml");
    let plan = checked(&sample, &made);
    assert_eq!(plan.service_names(), ["user", "product"]);
    let shown: Vec<&str> = made.findings.services[0]
        .kinds
        .iter()
        .map(|kind| kind.keys.as_str())
        .collect();
    assert_eq!(shown, ["USER#… / ORDER#…", "USER#… / PROFILE"]);
    assert!(plan.left_behind.is_none() && made.findings.suspects.is_empty());
    assert!(
        with_timestamp(&made)
            .unwrap()
            .contains("timestamp: { attribute: updatedAt, type: S, format: iso-8601-millis }")
    );
    let own = |service: &crate::plan::Service| {
        service
            .keys
            .attributes()
            .map(|key| key.name.clone())
            .collect::<Vec<_>>()
    };
    assert!(
        plan.services.iter().all(|service| own(service) == ["PK", "SK"]),
        "a draft copies items as they are"
    );
    let (text, offered) = with_own_keys(&made);
    let plan = Plan::parse(&text, "plan.yaml").unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(
        (offered, own(&plan.services[1])),
        (1, vec!["productId".to_owned()]),
        "{text}"
    );
    assert!(
        plan.services[1].is_injective()
            && text.contains("where: begins_with(PK, 'PRODUCT#') AND SK = 'INFO'")
    );
}

#[test]
fn dirty_items_are_named_and_stay_behind() {
    let mut items = shop();
    items.push(item(&[("PK", text("user#7")), ("SK", text("PROFILE"))]));
    items.push(item(&[
        ("PK", text("7f3a-11")),
        ("SK", text("PROFILE")),
        ("updatedAt", text("yesterday")),
    ]));
    items.push(item(&[
        ("PK", text("USER#x")),
        ("SK", text("PROFILE")),
        ("updatedAt", Value::N(5.into())),
        ("ttl", Value::N(1_764_337_427_123i64.into())),
    ]));
    items.push(item(&[("SK", text("PROFILE"))]));
    items.push(items[0].clone());
    let sample = sample(keys(), items);
    let made = draft(&sample, "plan.yaml");
    checked(&sample, &made);
    let problems: Vec<&str> = made
        .findings
        .suspects
        .iter()
        .map(|suspect| suspect.problem)
        .collect();
    assert_eq!(
        problems,
        [
            "no-key",
            "repeated-key",
            "mixed-types",
            "no-pattern",
            "rare",
            "timestamp-format",
            "ttl-milliseconds"
        ]
    );
    assert!(
        made.plan.contains("`user#` may be a misspelt `USER#`"),
        "{}",
        made.plan
    );
    assert!(made.findings.left_behind.as_ref().unwrap().takes_everything_else);
    assert_eq!(
        with_timestamp(&made),
        None,
        "a value of another type is no version"
    );
    assert!(!made.plan.contains("7f3a"), "no value of an item is in the plan");
}

#[test]
fn an_attribute_divides_a_table_whose_keys_do_not() {
    let kinds = ["User", "Order", "Invoice"];
    let items = (0..60).map(|n: i64| {
        let kind = kinds[usize::try_from(n).unwrap() % 3];
        item(&[
            ("id", text(&format!("{n:08x}-77"))),
            ("_type", text(kind)),
            ("n", Value::N(n.into())),
        ])
    });
    let items: Vec<Item> = items.collect();
    let keys = guess_keys(&items).unwrap();
    assert_eq!((keys.partition.name.as_str(), keys.sort.is_none()), ("id", true));
    let sample = sample(keys, items);
    let made = draft(&sample, "plan.yaml");
    let plan = checked(&sample, &made);
    assert_eq!(plan.service_names(), ["invoice", "order", "user"]);
    assert_eq!(
        made.findings.type_attribute.as_ref().unwrap().library,
        Some("OneTable")
    );
    assert!(made.plan.contains("where: _type = 'Order'"), "{}", made.plan);
}

#[test]
fn a_table_with_more_kinds_than_a_person_reads_is_cut() {
    let items: Vec<Item> = (0..60u32)
        .flat_map(|kind| {
            let word: String = [kind / 26, kind % 26]
                .iter()
                .filter_map(|n| char::from_u32('A' as u32 + n))
                .collect();
            (0..5 + kind).map(move |n| item(&[("PK", text(&format!("{word}#{n}"))), ("SK", text("X"))]))
        })
        .collect();
    let sample = sample(keys(), items);
    let made = draft(&sample, "plan.yaml");
    checked(&sample, &made);
    assert!(made.findings.services.len() <= super::limits::SERVICES);
}
