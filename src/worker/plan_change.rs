//! How a plan differs from the one that a split recorded, pure: which edits stop a command, and which one `apply` takes.

use crate::plan::{Condition, LEFT_BEHIND, Plan, Settings};
use crate::state::{ServiceRecord, SplitRecord};
use serde::Serialize;
use std::fmt;

/// A setting that differs from the one that the split recorded.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SettingChange {
    /// The service; `None` for a setting of the whole plan.
    pub service: Option<String>,
    /// The setting: `where`, or `unrouted.left-behind`.
    pub setting: String,
    /// Where it stands in the plan, or would stand: `plan.yaml:12`.
    pub place: String,
    /// Its recorded value; `None`: it was left out.
    pub was: Option<String>,
    /// Its value in the plan; `None`: it is left out.
    pub is: Option<String>,
}

impl fmt::Display for SettingChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if let Some(service) = &self.service {
            write!(f, "service '{service}', ")?;
        }
        let value = |value: &Option<String>| {
            value
                .as_ref()
                .map_or("left out".to_owned(), |text| format!("`{text}`"))
        };
        write!(
            f,
            "{}: was {}, is now {}",
            self.setting,
            value(&self.was),
            value(&self.is)
        )
    }
}

/// How a plan differs from the recorded one. Services that only one of both has are ignored.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct PlanChange {
    /// Settings that must be as they were while the split runs, and are not.
    pub edited: Vec<SettingChange>,
    /// Parts that were edited, by name, of which the state does not know the settings: a version of dynasplit that recorded
    /// only fingerprints began the split.
    pub unnamed: Vec<String>,
    /// `left-behind` covers more than the split recorded, which `apply` records.
    pub widened: Option<SettingChange>,
    /// The plan is an earlier one, because `left-behind` was widened since. It may be used: items that it does not
    /// cover become dead letters, which the newer plan resolves.
    pub outdated: Option<SettingChange>,
}

impl PlanChange {
    /// Whether no command may run with the plan.
    #[must_use]
    pub fn is_edited(&self) -> bool {
        !self.edited.is_empty() || !self.unnamed.is_empty()
    }

    /// Whether `left-behind` was changed in a way that is not proven to widen it.
    fn narrows(&self) -> bool {
        self.edited.iter().any(|change| change.setting == LEFT_BEHIND)
    }
}

/// Compares a plan with the records of its split.
#[must_use]
pub fn plan_change(plan: &Plan, record: &SplitRecord, services: &[ServiceRecord]) -> PlanChange {
    let mut found = PlanChange::default();
    let fingerprint = plan.fingerprint();
    if record.fingerprint != fingerprint {
        let changes = changes(plan, None, &record.settings, &plan.settings());
        match changes {
            None => found.unnamed.push("the source".to_owned()),
            Some(changes) => found.take(changes, record.earlier.contains(&fingerprint)),
        }
    }
    for service in &plan.services {
        let record = services.iter().find(|record| record.name == service.name);
        let Some(record) = record.filter(|record| record.fingerprint != service.fingerprint) else {
            continue;
        };
        match changes(plan, Some(&service.name), &record.settings, &service.settings()) {
            None => found.unnamed.push(format!("the service '{}'", service.name)),
            Some(changes) => found.edited.extend(changes),
        }
    }
    found
}

impl PlanChange {
    fn take(&mut self, mut changes: Vec<SettingChange>, is_earlier: bool) {
        let only = changes.len() == 1;
        let at = changes.iter().position(|change| change.setting == LEFT_BEHIND);
        match at {
            Some(at) if only && is_earlier => self.outdated = Some(changes.remove(at)),
            Some(at) if widens(&changes[at]) => self.widened = Some(changes.remove(at)),
            _ => {}
        }
        self.edited.extend(changes);
    }
}

/// Whether everything that was left behind is left behind still.
fn widens(change: &SettingChange) -> bool {
    let parse = |text: &String| Condition::parse(text).ok();
    match (&change.was, &change.is) {
        // Nothing was left behind.
        (None, Some(_)) => true,
        (Some(was), Some(is)) => parse(was).zip(parse(is)).is_some_and(|(was, is)| is.covers(&was)),
        (_, None) => false,
    }
}

/// The settings that differ; `None` if the record does not contain settings.
fn changes(plan: &Plan, service: Option<&str>, was: &Settings, is: &Settings) -> Option<Vec<SettingChange>> {
    if was.is_empty() {
        return None;
    }
    let names = was
        .keys()
        .chain(is.keys().filter(|name| !was.contains_key(*name)));
    let mut changes: Vec<SettingChange> = names
        .filter(|name| was.get(*name) != is.get(*name))
        .map(|name| SettingChange {
            service: service.map(str::to_owned),
            setting: name.clone(),
            place: plan.setting_place(service, name),
            was: was.get(name).cloned(),
            is: is.get(name).cloned(),
        })
        .collect();
    changes.sort_by(|a, b| a.setting.cmp(&b.setting));
    (!changes.is_empty()).then_some(changes)
}

impl fmt::Display for PlanChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.edited {
            write!(f, "\n  {change}")?;
        }
        for part in &self.unnamed {
            write!(
                f,
                "\n  {part}: an older version of dynasplit began the split and recorded no settings, so the details are not known"
            )?;
        }
        if self.narrows() {
            write!(
                f,
                "\n  `left-behind` may only be widened: what was left behind so far would be neither written nor reported. \
                 Keep the recorded expression and add to it: `... OR ...`"
            )?;
        }
        Ok(())
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
unrouted: { left-behind: \"PK = 'x'\" }
services:
  - name: users
    where: begins_with(PK, 'USER#')
    table: { name: Users, keys: { partition: PK, sort: SK } }
  - name: orders
    where: begins_with(PK, 'ORDER#')
    table: { name: Orders, keys: { partition: PK, sort: SK } }
";

    fn parse(text: &str) -> Plan {
        Plan::parse(text, "shop.yaml").unwrap()
    }

    fn recorded(text: &str) -> (SplitRecord, Vec<ServiceRecord>) {
        let plan = parse(text);
        let services = plan.services.iter().map(ServiceRecord::beginning).collect();
        (SplitRecord::beginning(&plan, "arn", 0), services)
    }

    fn edit(edits: &[(&str, &str)]) -> Plan {
        let text = edits.iter().fold(PLAN.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        });
        parse(&text)
    }

    #[test]
    fn each_edit_is_named_with_its_line_and_both_values() {
        let (record, services) = recorded(PLAN);
        assert_eq!(
            plan_change(&parse(PLAN), &record, &services),
            PlanChange::default()
        );
        let edited = edit(&[
            ("timestamp: none", "timestamp: { attribute: at, type: N }"),
            ("'USER#'", "'USERS#'"),
            (
                "Orders, keys: { partition: PK, sort: SK } }\n",
                "Orders, keys: { partition: PK, sort: SK }, region: eu-west-1 }\n    transform:\n      drop: [junk]\n",
            ),
        ]);
        let change = plan_change(&edited, &record, &services);
        assert!(change.is_edited());
        assert_eq!(
            change.to_string(),
            "
  shop.yaml:4: timestamp: was `none`, is now `at (number)`
  shop.yaml:8: service 'users', where: was `begins_with(PK, 'USER#')`, is now `begins_with(PK, 'USERS#')`
  shop.yaml:12: service 'orders', table.region: was left out, is now `eu-west-1`
  shop.yaml:14: service 'orders', transform.drop: was `[]`, is now `[junk]`"
        );
    }

    #[test]
    fn left_behind_may_be_widened_and_not_narrowed() {
        let (mut record, services) = recorded(PLAN);
        let wider = edit(&[("PK = 'x'", "PK = 'x' OR kind = 'log'")]);
        let change = plan_change(&wider, &record, &services);
        assert!(change.widened.is_some() && !change.is_edited(), "{change:?}");
        for other in ["PK = 'y'", "PK = 'x' AND kind = 'log'", "kind = 'log'"] {
            let change = plan_change(&edit(&[("PK = 'x'", other)]), &record, &services);
            assert!(
                change.is_edited() && change.to_string().contains("may only be widened"),
                "{other}"
            );
        }
        let fail = edit(&[("{ left-behind: \"PK = 'x'\" }", "fail")]);
        assert!(
            plan_change(&fail, &record, &services)
                .to_string()
                .contains("is now left out")
        );
        // With another edit, neither is taken.
        let both = edit(&[("PK = 'x'", "PK = 'x' OR kind = 'log'"), ("'USER#'", "'USERS#'")]);
        assert!(plan_change(&both, &record, &services).is_edited());

        // After it was widened, the former plan is an earlier one, and narrowing is still refused.
        record.widen(&wider.fingerprint(), wider.settings());
        let change = plan_change(&parse(PLAN), &record, &services);
        assert!(change.outdated.is_some() && !change.is_edited(), "{change:?}");
        let other = edit(&[("PK = 'x'", "kind = 'log'")]);
        assert!(plan_change(&other, &record, &services).is_edited());
    }

    #[test]
    fn a_split_that_left_nothing_behind_may_begin_to() {
        let (record, services) = recorded(&PLAN.replace("{ left-behind: \"PK = 'x'\" }", "fail"));
        let change = plan_change(&parse(PLAN), &record, &services);
        assert!(change.widened.is_some() && !change.is_edited(), "{change:?}");
    }

    #[test]
    fn records_of_an_older_version_say_that_the_details_are_not_known() {
        let (mut record, mut services) = recorded(PLAN);
        record.settings.clear();
        services.iter_mut().for_each(|service| service.settings.clear());
        assert_eq!(
            plan_change(&parse(PLAN), &record, &services),
            PlanChange::default()
        );
        let edited = edit(&[("PK = 'x'", "PK = 'x' OR PK = 'y'"), ("'USER#'", "'USERS#'")]);
        let change = plan_change(&edited, &record, &services);
        assert_eq!(change.unnamed, ["the source", "the service 'users'"]);
        assert!(change.to_string().contains("the details are not known"));
    }
}
