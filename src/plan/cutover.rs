//! Whether a service can be cut over in such a way that its writes can be carried back to the source: what the plan says of
//! it, and the lines that prevent it.

use super::path::Path;
use super::remark::{Remark, Remarks};
use super::reversal;
use super::{HookName, Owns, Plan, Service, Versions};
use crate::model::REPLICATION_PREFIX;
use serde::Serialize;

/// What the plan says of the cutover of a service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Cutover {
    /// The service.
    pub service: String,
    /// Whether its table can be written back to the source.
    pub reversible: Reversible,
    /// What holds for the items that are written back.
    pub conditions: Vec<Remark>,
    /// What prevents that they are written back.
    pub not_reversible: Vec<Remark>,
    /// Whether the service can be cut over with a way back.
    pub can_be_cut_over: bool,
    /// What prevents the cutover beside that.
    pub refusals: Vec<Remark>,
}

/// Whether the items of a target can be written back to the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reversible {
    /// All of them.
    Yes,
    /// Those for which the conditions hold.
    WithConditions,
    /// None.
    No,
}

impl Plan {
    /// What the plan says of the cutover of each service.
    #[must_use]
    pub fn cutover(&self) -> Vec<Cutover> {
        let services = self.services.iter().enumerate();
        services.map(|(n, service)| self.cutover_of(n, service)).collect()
    }

    /// Whether `cutover` moves a service with a way back: the plan allows it, and says how its writers stop.
    #[must_use]
    pub fn moves_with_way_back(&self, service: &Service) -> bool {
        let services = self.services.iter().enumerate();
        let mut same = services.filter(|(_, each)| each.name == service.name);
        let is_allowed = same.any(|(n, service)| self.cutover_of(n, service).can_be_cut_over);
        is_allowed && self.unfenced(service).is_empty()
    }

    /// The hooks that the plan needs before it says how the writers of a service stop, on the source and on the service's
    /// table.
    #[must_use]
    pub fn unfenced(&self, service: &Service) -> Vec<HookName> {
        let fence = self.fence_of(service);
        if fence.manual.is_some() || fence.policy.is_some() {
            return Vec::new();
        }
        let mut stops = vec![HookName::Fence, HookName::FenceTarget];
        stops.retain(|hook| !self.hooks.contains_key(hook));
        stops
    }

    fn cutover_of(&self, n: usize, service: &Service) -> Cutover {
        let path = Path::root().field("services").index(n);
        let not_reversible = reversal::obstacles(self, service, &path);
        let conditions = if not_reversible.is_empty() {
            reversal::conditions(self, service, &path)
        } else {
            vec![]
        };
        let refusals = if *service.owns() == Owns::Nothing {
            vec![]
        } else {
            self.refusals(service, &path)
        };
        Cutover {
            service: service.name.clone(),
            reversible: match (not_reversible.is_empty(), conditions.is_empty()) {
                (false, _) => Reversible::No,
                (true, false) => Reversible::WithConditions,
                (true, true) => Reversible::Yes,
            },
            can_be_cut_over: not_reversible.is_empty() && refusals.is_empty(),
            conditions,
            not_reversible,
            refusals,
        }
    }

    /// A service can be cut over if nobody else owns anything of its items, and if its own writes move their timestamp.
    fn refusals(&self, service: &Service, path: &Path) -> Vec<Remark> {
        let mut found = Remarks::of(self);
        if let Owns::Attributes(_) = service.owns() {
            found.add(
                &path.field("owns"),
                "the service owns only attributes of its items, and a service is cut over as a whole"
                    .to_owned(),
                Some("write `owns: items`, or leave the writes of this service with the source"),
            );
        }
        for m in self.sharing_with(service) {
            self.shared_with(m, service, &mut found);
        }
        self.timestamp_is_lost(service, path, &mut found);
        found.list.extend(self.leading_keys(service).err());
        found.list
    }

    fn shared_with(&self, m: usize, service: &Service, found: &mut Remarks<'_>) {
        let other = &self.services[m];
        let (name, path) = (&other.name, Path::root().field("services").index(m));
        match (&other.owns, &service.owns) {
            (Some(Owns::Nothing), _) => {}
            (Some(Owns::Attributes(_)), _) => found.add(
                &path.field("owns"),
                format!("`{name}` owns attributes of items that this service may hold"),
                Some("only one service can own an item: write `owns: nothing` there, or begin a source key with another text in each `where`"),
            ),
            (Some(Owns::Items), _) => found.add(
                &path.field("owns"),
                format!("`{name}` owns items, and nothing shows that none of them is an item of this service"),
                Some("begin a source key with another text in each `where`, or write `owns: nothing` in the service that only receives data"),
            ),
            (None, _) => found.add(
                &path,
                format!("`{name}` may hold the same items, and the plan does not say who owns them"),
                Some("write `owns: nothing` in the service that only receives data, or begin a source key with another text in each `where`"),
            ),
        }
    }

    /// Without the timestamp in the target, a write that is carried back would change an item and not its version.
    fn timestamp_is_lost(&self, service: &Service, path: &Path, found: &mut Remarks<'_>) {
        let Versions::Timestamp(timestamp) = &self.versions else {
            return;
        };
        let name = &timestamp.attribute;
        for (n, shape) in service.shapes.iter().enumerate() {
            if shape.attributes.target_name(name).is_some() {
                continue;
            }
            let list = if shape.attributes.keep.is_some() {
                "keep"
            } else {
                "drop"
            };
            let hint = if name.starts_with(REPLICATION_PREFIX) {
                "order the writes by an attribute of the application, or write `timestamp: none`"
            } else {
                "copy it; it may be renamed"
            };
            found.add(
                &self.shape_path(path, n).field("transform").field(list),
                format!("the timestamp `{name}` is not copied, so a write of the service could not move it in the source"),
                Some(hint),
            );
        }
    }
}
