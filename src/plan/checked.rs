//! The checked plan, which everything runs on.

use super::lines::Lines;
use super::service::fingerprint;
use super::{
    BucketPlace, Condition, Drain, Events, Fence, Hooks, LedgerPlace, Notify, Place, RehearseSpec, Service,
    Source, Versions, Warnings,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

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
    /// How the writers of the services are stopped, unless a service says otherwise.
    pub(super) fence: Option<Fence>,
    /// How a lane is shown to be drained.
    pub drain: Drain,
    /// Commands at the steps of a cutover.
    pub hooks: Hooks,
    /// Notifications of what happens to the split.
    pub notify: Option<Notify>,
    /// Where the ledger of all changes is. `None`: there is none.
    pub ledger: Option<LedgerPlace>,
    /// Where an import order keeps the items that DynamoDB imports.
    pub s3: Option<BucketPlace>,
    /// Name of the state table, which lives where the source does.
    pub state_table: String,
    /// Sample data for a rehearsal.
    pub rehearse: Option<RehearseSpec>,
    /// Whether chaos may be switched on.
    pub allows_chaos: bool,
    /// What is probably not meant, and does not stand in the way.
    pub warnings: Warnings,
    pub(super) lines: Lines,
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

    /// The same plan, in which all writers are stopped by one part that is confirmed, and without hooks: a rehearsal has no
    /// flags and no policies.
    #[must_use]
    pub fn with_stand_in_fence(mut self, what: &str, watched: Duration) -> Self {
        self.fence = Some(Fence {
            manual: Some(what.to_owned()),
            policy: None,
            prove_for: watched,
        });
        for service in &mut self.services {
            service.fence = None;
        }
        self.drain.quiet_for = watched;
        self.hooks = Hooks::default();
        self
    }

    /// The same plan without events: a rehearsal sends nothing to anybody.
    #[must_use]
    pub fn without_events(mut self) -> Self {
        self.services.iter_mut().for_each(|service| service.events = None);
        self
    }

    /// The same plan with an S3 of a rehearsal: for imports, and for a ledger.
    #[must_use]
    pub fn with_own_objects(mut self, bucket: &str, imports: bool, ledger: bool) -> Self {
        self.s3 = imports.then(|| BucketPlace {
            bucket: bucket.to_owned(),
            prefix: "imports/".into(),
            region: None,
            owner: None,
        });
        self.ledger = ledger.then(|| LedgerPlace {
            bucket: bucket.to_owned(),
            prefix: "ledger/".into(),
            region: None,
        });
        self
    }

    /// The services that send events, with their settings.
    pub fn with_events(&self) -> impl Iterator<Item = (&Service, &Events)> {
        let services = self.services.iter();
        services.filter_map(|service| Some((service, service.events.as_ref()?)))
    }

    /// The service of this name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }

    /// How the writers of a service are stopped, beside the hooks: the fence of the service, or that of the plan.
    #[must_use]
    pub fn fence_of(&self, service: &Service) -> Fence {
        let fence = service.fence.as_ref().or(self.fence.as_ref());
        fence.cloned().unwrap_or_default()
    }

    /// Whether the plan says how to cut a service over: only then does dynasplit write the source.
    #[must_use]
    pub fn has_cutover(&self) -> bool {
        let has_fence = self.fence.is_some() || self.services.iter().any(|service| service.fence.is_some());
        has_fence || !self.hooks.is_empty()
    }

    /// The folder of the plan file, from which the programs of hooks are found.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        let folder = std::path::Path::new(&self.lines.file).parent();
        match folder {
            Some(folder) if folder != std::path::Path::new("") => folder.to_owned(),
            _ => PathBuf::from("."),
        }
    }

    /// The names of its services, in their order.
    #[must_use]
    pub fn service_names(&self) -> Vec<&str> {
        self.services
            .iter()
            .map(|service| service.name.as_str())
            .collect()
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

    /// The fingerprints of the services, by name.
    #[must_use]
    pub fn routes(&self) -> BTreeMap<String, String> {
        let services = self.services.iter();
        services
            .map(|service| (service.name.clone(), service.fingerprint.clone()))
            .collect()
    }
}
