//! The JSON Schema of the plan file, for editors.

use super::spec::PlanSpec;
use super::{PlanError, Problem, Problems, source_map};

/// The JSON Schema of the plan file. It is checked in as `docs/plan.schema.json`.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(PlanSpec).to_value();
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".to_owned(), "dynasplit plan".into());
    }
    schema
}

/// A plan's text as JSON, as it stands: for tools that hold it against the schema.
///
/// # Errors
/// Where the text is no YAML document that a plan could be.
pub fn to_json(text: &str, file: &str) -> Result<serde_json::Value, PlanError> {
    match source_map::read(text) {
        (Some(root), flaws) if flaws.is_empty() => Ok(root.to_json()),
        (_, flaws) => {
            let mut problems: Vec<Problem> = flaws.into_iter().map(Problem::from).collect();
            if problems.is_empty() {
                problems.push(super::empty_file());
            }
            Err(PlanError::Invalid(Problems::new(file, text, problems)))
        }
    }
}
