//! The entry of a service in the plan.

use super::cluster::Cluster;
use super::indexes::{keys as keys_text, settings, ttl_of};
use super::own_keys::OwnKeys;
use super::sample::Sample;
use super::yaml::{condition, scalar};
use crate::model::{IndexFacts, Item};

/// A service, as the plan has it.
pub(super) struct Entry<'a> {
    pub sample: &'a Sample,
    pub name: &'a str,
    pub table: &'a str,
    pub cluster: &'a Cluster,
    pub items: &'a [&'a Item],
    pub indexes: Vec<&'a IndexFacts>,
}

impl Entry<'_> {
    /// Its text, with the keys of the source, or with its own.
    pub fn text(&self, own: Option<&OwnKeys>) -> String {
        let mut terms = vec![self.cluster.condition.clone()];
        if let Some(more) = own.and_then(|own| own.condition.as_ref()) {
            terms[0].push_str(" AND");
            terms.push(more.clone());
        }
        let keys = own.map_or_else(|| keys_text(&self.sample.keys), |own| own.keys.clone());
        let mut out = format!("  - name: {}\n", scalar(self.name));
        out.push_str(&condition(4, "where", &terms));
        out.push_str(&format!(
            "    table:\n      name: {}\n      keys: {keys}\n",
            scalar(self.table)
        ));
        let ttl = self.sample.ttl_attribute.as_ref();
        if let Some(ttl) = ttl_of(ttl, &self.sample.keys, &self.indexes, self.items) {
            out.push_str(&format!("      ttl: {}\n", scalar(ttl)));
        }
        out.push_str(&settings(&self.indexes));
        out.push_str(own.map_or("", |own| own.transform.as_str()));
        out
    }
}
