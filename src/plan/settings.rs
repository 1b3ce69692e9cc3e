//! The settings that are fixed while a split runs, one by one, with their lines in the file, so that an edit of the
//! plan can be named.

use super::path::{Path, Step};
use super::{Plan, Service, TimestampFormat, Versions};
use crate::model::{KeyAttribute, KeySchema};
use serde_json::Value;
use std::collections::BTreeMap;

/// Settings by their paths, like `transform.drop`, and their values as canonical text. A setting that is left out is
/// missing here. Part of the state's format.
pub type Settings = BTreeMap<String, String>;

/// The setting that may be widened while a split runs.
pub const LEFT_BEHIND: &str = "unrouted.left-behind";

impl Plan {
    /// The settings that all services share and that are fixed while a split runs: what [`Plan::fingerprint`] is of.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let mut settings = Settings::from([("source.table".to_owned(), self.source.table.clone())]);
        settings.extend(
            self.source
                .place
                .region
                .clone()
                .map(|region| ("source.region".to_owned(), region)),
        );
        keys("source.keys", &self.source.keys, &mut settings);
        let versions = match &self.versions {
            Versions::Sequence => "none".to_owned(),
            Versions::Timestamp(timestamp) => {
                format!("{} ({})", timestamp.attribute, format(&timestamp.format))
            }
        };
        settings.insert("timestamp".to_owned(), versions);
        let left_behind = self.left_behind.as_ref();
        settings.extend(left_behind.map(|condition| (LEFT_BEHIND.to_owned(), condition.to_string())));
        settings
    }

    /// Where a setting of the plan stands, or would stand: `plan.yaml:12`. `service` is a service's name, for a setting of
    /// [`Service::settings`].
    #[must_use]
    pub fn setting_place(&self, service: Option<&str>, setting: &str) -> String {
        let at = service.and_then(|name| self.services.iter().position(|each| each.name == name));
        let path = at.map_or_else(Path::root, |n| Path::root().field("services").index(n));
        let steps = setting.split('.').flat_map(steps);
        let path = Path(path.0.into_iter().chain(steps).collect());
        match self.lines.line(&path) {
            Some(line) => format!("{}:{line}", self.lines.file),
            None => self.lines.file.clone(),
        }
    }
}

impl Service {
    /// The settings of the service that are fixed while a split runs: those that its fingerprint covers.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let mut settings = Settings::from([("table.name".to_owned(), self.table.name.clone())]);
        settings.extend(
            self.table
                .region
                .clone()
                .map(|region| ("table.region".to_owned(), region)),
        );
        keys("table.keys", &self.keys, &mut settings);
        if self.copies_everything() {
            settings.insert("copy".to_owned(), "everything".to_owned());
        }
        for (n, shape) in self.shapes.iter().enumerate() {
            // A list of one is the same as none, for the fingerprint, too.
            let prefix = match self.shapes.len() {
                1 => String::new(),
                _ => format!("shapes[{n}]."),
            };
            settings.insert(format!("{prefix}where"), shape.own_condition().to_string());
            let transform = format!("{prefix}transform");
            flatten(&transform, &shape.canonical(), &mut settings);
            // The source's keys are settings of the plan.
            let of_source = format!("{transform}.keys.source.");
            settings.retain(|name, _| !name.starts_with(&of_source));
        }
        settings
    }
}

/// A setting's name, and its place in a list if it has one: `shapes[1]`.
fn steps(written: &str) -> Vec<Step> {
    let place = written
        .strip_suffix(']')
        .and_then(|rest| rest.rsplit_once('['))
        .and_then(|(name, place)| Some((name, place.parse().ok()?)));
    match place {
        Some((name, place)) => vec![Step::Field(name.to_owned()), Step::Index(place)],
        None => vec![Step::Field(written.to_owned())],
    }
}

fn format(format: &TimestampFormat) -> &str {
    match format {
        TimestampFormat::EpochSeconds => "epoch-seconds",
        TimestampFormat::EpochMillis => "epoch-millis",
        TimestampFormat::Number => "number",
        TimestampFormat::Pattern(pattern) => pattern,
    }
}

fn keys(name: &str, keys: &KeySchema, settings: &mut Settings) {
    let text = |key: &KeyAttribute| format!("{} ({})", key.name, key.kind);
    settings.insert(format!("{name}.partition"), text(&keys.partition));
    let sort = keys
        .sort
        .as_ref()
        .map(|sort| (format!("{name}.sort"), text(sort)));
    settings.extend(sort);
}

/// All parts of a canonical value, also nested ones, so that new parts are compared, too.
fn flatten(name: &str, value: &Value, settings: &mut Settings) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (field, value) in fields {
                flatten(&format!("{name}.{field}"), value, settings);
            }
        }
        Value::Array(list) => {
            let texts: Vec<String> = list.iter().map(text).collect();
            settings.insert(name.to_owned(), format!("[{}]", texts.join(", ")));
        }
        other => {
            settings.insert(name.to_owned(), text(other));
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = "\
version: 1
split: shop
source: { table: Shop, keys: { partition: PK, sort: SK } }
timestamp: none
unrouted: fail
services:
  - name: users
    where: begins_with(PK, 'USER#')
    table: { name: Users, keys: { partition: PK, sort: SK } }
  - name: orders
    where: begins_with(PK, 'ORDER#')
    table:
      name: Orders
      keys: { partition: order, sort: line }
    transform:
      keys:
        from: { PK: 'ORDER#{order}', SK: 'LINE#{line}' }
        to: { order: '{order}', line: '{line}' }
      rename: { a.b: c }
";

    #[test]
    fn settings_are_named_as_in_the_file_and_have_lines() {
        let plan = Plan::parse(PLAN, "shop.yaml").unwrap();
        let settings = plan.settings();
        assert_eq!(settings["source.keys.sort"], "SK (S)");
        assert_eq!(settings["timestamp"], "none");
        assert!(!settings.contains_key(LEFT_BEHIND));
        let orders = plan.services[1].settings();
        assert_eq!(orders["transform.keys.from.PK"], "ORDER#{order}");
        assert_eq!(orders["transform.rename.a.b"], "c");
        assert_eq!(orders["transform.drop"], "[]");
        assert!(!orders.keys().any(|name| name.contains("source")), "{orders:#?}");
        let place = |service, setting| plan.setting_place(service, setting);
        assert_eq!(place(None, "source.keys.sort"), "shop.yaml:3");
        assert_eq!(place(None, LEFT_BEHIND), "shop.yaml:5", "where it would stand");
        assert_eq!(place(Some("users"), "where"), "shop.yaml:8");
        assert_eq!(place(Some("orders"), "transform.keys.to.line"), "shop.yaml:18");
        assert_eq!(place(Some("orders"), "transform.keep"), "shop.yaml:15");
        assert_eq!(place(Some("users"), "transform.drop"), "shop.yaml:7");
    }
}
