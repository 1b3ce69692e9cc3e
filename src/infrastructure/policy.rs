//! An IAM policy document.

use serde::Serialize;
use std::collections::BTreeMap;

/// Most characters of a customer managed policy, without white space
/// ([quotas of IAM](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html)).
pub const MANAGED_POLICY_CHARACTERS: usize = 6144;

/// A policy document.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
    /// Version of the policy language.
    pub version: &'static str,
    /// What is allowed.
    pub statement: Vec<Statement>,
}

/// A statement that allows actions on resources.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statement {
    /// Its name within the policy.
    pub sid: String,
    /// `Allow`: no generated policy denies anything.
    pub effect: &'static str,
    /// Actions.
    pub action: Vec<String>,
    /// ARNs.
    pub resource: Vec<String>,
    /// Operator, key, and the values of which one must match.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub condition: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

impl Policy {
    pub(super) fn of(statements: impl IntoIterator<Item = Statement>) -> Self {
        let statement = statements
            .into_iter()
            .filter(|statement| !statement.resource.is_empty())
            .collect();
        Self {
            version: "2012-10-17",
            statement,
        }
    }

    /// Characters, without white space, as IAM counts them.
    #[must_use]
    pub fn characters(&self) -> usize {
        serde_json::to_string(self).map_or(0, |text| text.chars().count())
    }
}

impl Statement {
    pub(super) fn new(sid: &str, actions: &[&str], resources: Vec<String>) -> Self {
        Self {
            sid: sid.to_owned(),
            effect: "Allow",
            action: actions.iter().map(|&action| action.to_owned()).collect(),
            resource: resources,
            condition: BTreeMap::new(),
        }
    }

    /// Only if a key has one of these values.
    pub(super) fn only_if(mut self, key: &str, values: Vec<String>) -> Self {
        self.condition.insert(
            "StringEquals".to_owned(),
            BTreeMap::from([(key.to_owned(), values)]),
        );
        self
    }
}
