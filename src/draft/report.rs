//! What was found, and the plan that was made of it.

use super::cluster::Axis;
use super::indexes::keys as keys_text;
use super::kind::Kind;
use super::suspect::Suspect;
use super::time::TimeCandidate;
use super::type_attribute::TypeAttribute;
use crate::model::KeySchema;
use serde::Serialize;

/// A draft.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Draft {
    /// What was found.
    #[serde(flatten)]
    pub findings: Findings,
    /// The text of the plan.
    pub plan: String,
}

/// What was found in a sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// Name of the table.
    pub table: String,
    /// Its primary key, as the plan writes it.
    #[serde(serialize_with = "as_text")]
    pub keys: KeySchema,
    /// Items of the sample.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The attribute that names the kind of an item.
    pub type_attribute: Option<TypeAttribute>,
    /// What tells the services apart.
    pub divided_by: Axis,
    /// The services of the draft.
    pub services: Vec<ServiceDraft>,
    /// Items that no service takes.
    pub left_behind: Option<LeftBehind>,
    /// Attributes that could order the versions of an item.
    pub timestamps: Vec<TimeCandidate>,
    /// What looks wrong.
    pub suspects: Vec<Suspect>,
    /// What a person must decide. Each of these is also a comment in the plan.
    pub questions: Vec<String>,
}

/// A service of the draft.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceDraft {
    /// Its name.
    pub name: String,
    /// The name of its table.
    pub table: String,
    /// The condition that takes its items.
    #[serde(rename = "where")]
    pub condition: String,
    /// Its items in the sample.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The kinds of its items.
    pub kinds: Vec<Kind>,
}

/// Items that no service takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftBehind {
    /// The condition that takes them.
    #[serde(rename = "where")]
    pub condition: String,
    /// Items of the sample.
    pub items: u64,
    /// Whether the condition takes everything that belongs to no service.
    pub takes_everything_else: bool,
}

fn as_text<S: serde::Serializer>(keys: &KeySchema, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&keys_text(keys))
}
