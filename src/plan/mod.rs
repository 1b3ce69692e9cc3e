//! The split plan: the file, its check, and the checked form that everything else runs on.
//!
//! *file -> `source_map` (YAML that knows its lines) -> `decode` ([`spec`], the file's shape) ->
//! `check` -> [`Plan`]*. Each step gathers all the problems it finds, with lines and hints; a [`Plan`]
//! exists only where there was none. All of it is pure but for [`Plan::load`], which reads the file.

mod check;
pub mod cost;
mod cut_off;
mod decode;
pub mod either;
mod encoding;
pub mod expr;
mod extent;
mod key_fault;
mod key_mapping;
mod node_reader;
mod path;
mod prices;
mod problem;
mod recovery;
mod schema;
mod service;
mod settings;
mod shape;
mod source_map;
pub mod spec;
mod template;
mod text_place;
mod throughput;
mod timestamp;

pub use cost::PutCost;
pub use expr::Condition;
pub use key_fault::KeyFault;
pub use key_mapping::KeyMapping;
pub use prices::{Prices, RequestPrices};
pub use problem::{PlanError, Problem, Problems, Warnings};
pub use schema::{json_schema, to_json};
pub use service::Service;
pub use settings::{LEFT_BEHIND, Settings};
pub use shape::{Attributes, Shape};
pub use spec::{RehearseSpec, SampleSpec, TableSpec};
pub use throughput::{TableThroughput, Throughput, Units};
pub use timestamp::{Timestamp, TimestampFormat};

use crate::model::KeySchema;
use check::Report;
use problem::{Finding, MAX_PROBLEMS};
use serde::Serialize;
use std::borrow::Cow;
use std::path::Path;

/// A plan that was checked: what the split does, and nothing that could be wrong without asking AWS.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Name of the split.
    pub split: String,
    /// The live table.
    pub source: Source,
    /// Where an item's version comes from.
    pub versions: Versions,
    /// Items that stay behind on purpose. `None`: every item has to belong to a service.
    pub left_behind: Option<Condition>,
    /// The services. At least one; names and tables differ.
    pub services: Vec<Service>,
    /// Name of the state table, which lives where the source does.
    pub state_table: String,
    /// Sample data for a rehearsal.
    pub rehearse: Option<RehearseSpec>,
    /// What is probably not meant, and does not stand in the way.
    pub warnings: Warnings,
    lines: settings::Lines,
}

/// The live table.
#[derive(Clone, Debug)]
pub struct Source {
    /// Table name.
    pub table: String,
    /// Its primary key.
    pub keys: KeySchema,
    /// Where it is.
    pub place: Place,
}

/// Where a table is, and as whom it is reached; `None` is what the command runs with.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize)]
pub struct Place {
    /// AWS region.
    pub region: Option<String>,
    /// ARN of a role to assume.
    pub role: Option<String>,
}

/// Where an item's version comes from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Versions {
    /// An attribute of the item: `timestamp` mode.
    Timestamp(Timestamp),
    /// The stream's own order: `sequence` mode.
    Sequence,
}

/// Keys of an index.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IndexKeys {
    /// Index name.
    pub name: String,
    /// Its key attributes; a local index has the table's partition key.
    pub keys: KeySchema,
    /// A local secondary index.
    pub local: bool,
}

impl Plan {
    /// The same plan with all tables in one place, as the command runs: a rehearsal's engine has no regions and roles.
    #[must_use]
    pub fn in_one_place(mut self) -> Self {
        self.source.place = Place::default();
        self.services
            .iter_mut()
            .for_each(|service| service.place = Place::default());
        self
    }

    /// The same plan with other table names: a rehearsal on an engine that others use must not meet their tables.
    #[must_use]
    pub fn prefixed(mut self, prefix: &str) -> Self {
        let add = |name: &mut String| name.insert_str(0, prefix);
        add(&mut self.source.table);
        add(&mut self.state_table);
        self.services
            .iter_mut()
            .for_each(|service| add(&mut service.table.name));
        self
    }

    /// Reads and checks a plan file.
    ///
    /// # Errors
    /// Where the file cannot be read, or with all that is wrong in it.
    pub fn load(path: &Path) -> Result<Self, PlanError> {
        let file = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| PlanError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse(&text, &file),
            Err(error) => Err(PlanError::Invalid(encoding::problems(&file, &error))),
        }
    }

    /// Checks a plan's text; `file` is what the problems call it.
    ///
    /// # Errors
    /// With all that is wrong in it. What is only doubtful is in [`Plan::warnings`].
    pub fn parse(text: &str, file: &str) -> Result<Self, PlanError> {
        let text = &*plain_line_breaks(text);
        let (root, flaws) = source_map::read(text);
        // To find the line of each takes time; beyond those that are told, none is looked for.
        let most = MAX_PROBLEMS + 1;
        let mut problems: Vec<Problem> = flaws.into_iter().take(most).map(Problem::from).collect();
        let Some(mut root) = root else {
            if problems.is_empty() {
                problems.push(empty_file());
            }
            return Err(PlanError::Invalid(Problems::new(file, text, problems)));
        };
        let mut decoded = decode::decode(&mut root);
        cut_off::templates(&mut decoded, &root, text);
        let mut report = Report::new(decoded.findings, decoded.faulty);
        let plan = decoded.spec.map(|spec| check::check(spec, &mut report));
        let located =
            |findings: Vec<Finding>| findings.into_iter().take(most).map(|one| one.locate(&root, text));
        problems.extend(located(report.findings));
        match plan {
            Some(Some(plan)) if problems.is_empty() => Ok(Self {
                warnings: Warnings::new(file, text, located(report.warnings).collect()),
                lines: settings::Lines::of(file, &root),
                ..plan
            }),
            _ => Err(PlanError::Invalid(Problems::new(file, text, problems))),
        }
    }

    /// The service of this name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }

    /// Changes with what all services share: the source, its keys, versions, and what stays behind.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(&serde_json::json!({
            "table": self.source.table,
            "region": self.source.place.region,
            "keys": self.source.keys,
            "versions": self.versions,
            "left-behind": self.left_behind.as_ref().map(ToString::to_string),
        }))
    }
}

/// 16 hexadecimal digits: plans are compared with their own earlier forms, not with an attacker's.
fn fingerprint(canonical: &serde_json::Value) -> String {
    blake3::hash(canonical.to_string().as_bytes()).to_hex()[..16].to_owned()
}

/// To YAML a lone carriage return ends a line too; nothing else here would count it as one, and every problem behind
/// it would point at a wrong line.
fn plain_line_breaks(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n").into()
    } else {
        text.into()
    }
}

fn empty_file() -> Problem {
    Problem {
        line: 1,
        column: 1,
        path: String::new(),
        message: "the file holds no plan".to_owned(),
        hint: Some("begin it with `version: 1`; the example plans show the rest".to_owned()),
    }
}

#[cfg(test)]
mod tests;
