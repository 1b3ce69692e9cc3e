//! The JSON Schema of the plan file, for editors.

use super::spec::PlanSpec;
use super::{PlanError, Problem, Problems, source_map};
use serde_json::Value;

/// The JSON Schema of the plan file. It is checked in as `docs/plan.schema.json`.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(PlanSpec).to_value();
    forbid_null(&mut schema);
    if let Some(rules) = schema.as_object_mut() {
        // The most important keys come first.
        for (at, name) in ["$schema", "title", "description"].into_iter().enumerate() {
            let value = rules.shift_remove(name).unwrap_or_default();
            rules.shift_insert(at, name.to_owned(), value);
        }
        rules.insert("title".to_owned(), "dynasplit plan".into());
    }
    schema
}

/// A setting that may be left out may not be empty: `ttl:` with nothing behind it was begun and not
/// finished, and is refused when the plan is read.
fn forbid_null(schema: &mut Value) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(forbid_null),
        Value::Object(rules) => {
            if let Some(Value::Array(types)) = rules.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = &types[..] {
                    let only = only.clone();
                    rules.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(forms)) = rules.get_mut("anyOf") {
                forms.retain(|form| form.get("type") != Some(&"null".into()));
                if let [Value::Object(only)] = &forms[..] {
                    let only = only.clone();
                    rules.shift_remove("anyOf");
                    rules.extend(only);
                }
            }
            rules.values_mut().for_each(forbid_null);
        }
        _ => {}
    }
}

/// A plan's text as JSON, as it stands: for tools that hold it against the schema.
///
/// # Errors
/// Where the text is no YAML document that a plan could be.
pub fn to_json(text: &str, file: &str) -> Result<Value, PlanError> {
    match source_map::read(text) {
        (Some(root), flaws) if flaws.is_empty() => Ok(root.to_json()),
        (_, flaws) => {
            let mut problems: Vec<Problem> = flaws.into_iter().map(Problem::from).collect();
            if problems.is_empty() {
                problems.push(super::load::empty_file());
            }
            Err(PlanError::Invalid(Problems::new(file, text, problems)))
        }
    }
}
