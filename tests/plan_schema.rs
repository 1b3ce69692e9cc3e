//! The checked-in JSON Schema is the code's, and the example plans satisfy it.

use dynasplit::plan::{Plan, json_schema, to_json};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_schema_is_up_to_date() {
    let path = root().join("docs/plan.schema.json");
    let current = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    assert!(
        read(&path) == current,
        "docs/plan.schema.json is not the code's schema. Rewrite it: dynasplit schema > docs/plan.schema.json \
         (or run this test with UPDATE_SCHEMA=1)"
    );
}

#[test]
fn the_example_plans_load_and_satisfy_the_schema() {
    let schema = json_schema();
    let mut count = 0;
    for entry in std::fs::read_dir(root().join("plans")).unwrap() {
        let path = entry.unwrap().path();
        // The hooks of the plans have a folder of their own.
        if path.is_dir() {
            continue;
        }
        let text = read(&path);
        assert!(
            text.starts_with("# yaml-language-server: $schema=../docs/plan.schema.json\n"),
            "{}",
            path.display()
        );
        Plan::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let plan = to_json(&text, "plan").unwrap();
        assert_eq!(
            violations(&schema, &schema, &plan, "plan"),
            Vec::<String>::new(),
            "{}",
            path.display()
        );
        count += 1;
    }
    assert!(count >= 2);
}

#[test]
fn the_schema_refuses_what_the_code_refuses() {
    let schema = json_schema();
    let good = to_json(&read(&root().join("plans/online-learning.yaml")), "plan").unwrap();
    for (pointer, name, value) in [
        ("", "version", json!(2)),
        ("", "unknown", json!(1)),
        ("", "timestamp", json!("sometimes")),
        ("", "unrouted", json!("ignore")),
        ("/services/0", "where", json!(5)),
        ("/services/0/table", "keys", json!({ "sort": "x" })),
        ("/services/0/table", "billing", json!("cheap")),
        ("/services/0/table", "ttl", json!(null)),
        ("/services/0/table", "billing", json!(null)),
        ("/services/1/transform", "drop", json!("PK")),
        ("/services/1", "transform", json!(null)),
        ("/rehearse/items/0", "weight", json!(-1)),
        ("", "fence", json!("manual")),
        ("", "drain", json!("loud")),
        ("", "drain", json!({ "by": "loud" })),
        ("", "hooks", json!({ "swich": "./x" })),
        ("/hooks", "switch", json!({ "timeout": 3 })),
        ("/hooks", "switch", json!(null)),
        (
            "/services/0",
            "fence",
            json!({ "policy": { "scope": "item", "probe-roles": [] } }),
        ),
        ("/services/1", "shapes", json!([{ "where": "PK = 'x'" }])),
        ("/services/1", "shapes", json!([])),
        ("/services/1", "shapes", json!(null)),
    ] {
        let mut bad = good.clone();
        bad.pointer_mut(pointer).unwrap()[name] = value;
        assert!(
            !violations(&schema, &schema, &bad, "plan").is_empty(),
            "{pointer}/{name}"
        );
        assert!(Plan::parse(&bad.to_string(), "plan").is_err(), "{pointer}/{name}");
    }
}

#[test]
fn a_service_has_a_condition_or_shapes() {
    let schema = json_schema();
    let mut plan = to_json(&read(&root().join("plans/online-learning.yaml")), "plan").unwrap();
    let service = plan["services"][1].as_object_mut().unwrap();
    let condition = service.shift_remove("where").unwrap();
    let transform = service.shift_remove("transform").unwrap();
    let fine = |plan: &Value| {
        let (schema, code) = (
            violations(&schema, &schema, plan, "plan"),
            Plan::parse(&plan.to_string(), "plan"),
        );
        assert_eq!(schema.is_empty(), code.is_ok(), "{schema:?} {code:?}");
        code.is_ok()
    };
    assert!(!fine(&plan), "it has neither");
    plan["services"][1]["shapes"] = json!([{ "where": condition, "transform": transform }]);
    assert!(fine(&plan));
    let mut beside = plan.clone();
    beside["services"][1]["transform"] = json!({ "drop": ["x"] });
    assert!(!fine(&beside));
    let mut beside = plan.clone();
    beside["services"][1]["copy"] = json!("everything");
    assert!(!fine(&beside));
    plan["services"][1]["shapes"][0]["name"] = json!("x");
    assert!(!fine(&plan));
}

#[test]
fn only_a_copy_of_everything_has_irrelevant_items() {
    let schema = json_schema();
    let mut plan = to_json(&read(&root().join("plans/online-learning.yaml")), "plan").unwrap();
    let service = plan["services"][1].as_object_mut().unwrap();
    for setting in ["transform", "table"] {
        service.shift_remove(setting);
    }
    service.insert(
        "table".into(),
        json!({ "name": "All", "keys": { "partition": "PK", "sort": "SK" } }),
    );
    service.insert("irrelevant".into(), json!("begins_with(PK, 'USER#')"));
    let is_fine = |plan: &Value| {
        let by_code = Plan::parse(&plan.to_string(), "plan");
        let by_schema = violations(&schema, &schema, plan, "plan");
        assert_eq!(by_schema.is_empty(), by_code.is_ok(), "{by_schema:?} {by_code:?}");
        by_code.is_ok()
    };
    assert!(!is_fine(&plan));
    plan["services"][1]["copy"] = json!("everything");
    assert!(is_fine(&plan));
}

/// The part of JSON Schema that the plan's schema uses.
fn violations(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut found = vec![];
    let Some(rules) = schema.as_object() else {
        return if schema == &json!(false) {
            vec![format!("{at}: nothing is allowed")]
        } else {
            found
        };
    };
    for (rule, content) in rules {
        let fine = match rule.as_str() {
            "$ref" => {
                let target = root
                    .pointer(text(content).trim_start_matches('#'))
                    .unwrap_or_else(|| panic!("no {content}"));
                found.extend(violations(root, target, value, at));
                true
            }
            "anyOf" => list(content).any(|form| violations(root, form, value, at).is_empty()),
            "oneOf" => {
                list(content)
                    .filter(|form| violations(root, form, value, at).is_empty())
                    .count()
                    == 1
            }
            "not" => !violations(root, content, value, at).is_empty(),
            "const" => content == value,
            "enum" => list(content).any(|one| one == value),
            "minimum" => value
                .as_f64()
                .is_none_or(|number| number >= content.as_f64().unwrap_or_default()),
            "type" => match content {
                Value::Array(types) => types.iter().any(|name| is(text(name), value)),
                name => is(text(name), value),
            },
            "required" => list(content).all(|name| value.get(text(name)).is_some()),
            "dependentRequired" => {
                let mut needs = content.as_object().into_iter().flatten();
                needs.all(|(name, others)| {
                    value.get(name).is_none() || list(others).all(|other| value.get(text(other)).is_some())
                })
            }
            "items" => {
                for (n, element) in value.as_array().into_iter().flatten().enumerate() {
                    found.extend(violations(root, content, element, &format!("{at}[{n}]")));
                }
                true
            }
            "properties" => {
                for (name, rule) in content.as_object().into_iter().flatten() {
                    let part = value
                        .get(name)
                        .map(|part| violations(root, rule, part, &format!("{at}.{name}")));
                    found.extend(part.into_iter().flatten());
                }
                true
            }
            "additionalProperties" => {
                let known = |name: &str| {
                    rules
                        .get("properties")
                        .is_some_and(|known| known.get(name).is_some())
                };
                for (name, part) in value
                    .as_object()
                    .into_iter()
                    .flatten()
                    .filter(|(name, _)| !known(name))
                {
                    found.extend(violations(root, content, part, &format!("{at}.{name}")));
                }
                true
            }
            "$schema" | "$defs" | "title" | "description" | "default" | "format" => true,
            other => panic!("this test does not know the rule `{other}`"),
        };
        if !fine {
            found.push(format!("{at}: {rule}"));
        }
    }
    found
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("this test does not know the type `{other}`"),
    }
}

fn list(rule: &Value) -> impl Iterator<Item = &Value> {
    rule.as_array().into_iter().flatten()
}

fn text(rule: &Value) -> &str {
    rule.as_str().unwrap_or_default()
}
