//! The example plans.

use super::*;

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
                    if service.takes(&item) {
                        let target = service.target_keys_of(&item, &plan.source.keys);
                        assert_eq!(target.len(), 1, "{key}");
                        assert_eq!(service.target_keys(&key, &plan.source.keys), target);
                        assert_eq!(service.source_keys(&target[0]), std::slice::from_ref(&key));
                        (*count, routed) = (*count + 1, routed || service.belongs(&item));
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
        assert!(plan.services.iter().all(Service::is_injective));
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
        .filter(|s| s.takes(&client))
        .map(|s| s.name.as_str())
        .collect();
    assert_eq!(takers, ["client", "common", "invoice"]);
    let common = plan.service("common").unwrap();
    assert_eq!(
        common.shapes[0].keys.apply(&client),
        Ok(Key {
            partition: Value::s("7"),
            sort: None
        })
    );
    assert_eq!(common.shapes[0].attributes.target_name("personCount"), None);
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
