//! The policy that fences one table for one service: what the plan says of it, with the clients that it needs.

use super::error::FenceError;
use super::policy::Denied;
use super::policy_fence::{Lifted, PolicyFence, PolicyTimes};
use super::principals::principal;
use super::probes::{ProbeRole, Probes, Proof, ProofTimes, prepare_probes, prove};
use crate::dynamo::{Clients, ProbePlace, Tables, chance};
use crate::model::{AttributeKind, Key, KeyAttribute, KeySchema, Number, Value};
use crate::plan::{Plan, Service};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A policy takes effect with a delay. One that does not hold after this time is taken back.
const TAKES_EFFECT: Duration = Duration::from_secs(60);

/// Which table is fenced.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FencedTable {
    /// The live table, before the switch.
    Source,
    /// The table of the service, for a rollback.
    Target,
}

/// A fence by a policy, as a journal keeps it: before it is raised, and after.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RaisedPolicy {
    fence: PolicyFence,
    probes: Vec<Probes>,
}

/// The policy of a table, as the plan asks for it.
#[derive(Debug)]
pub struct TablePolicy<'a> {
    plan: &'a Plan,
    service: &'a Service,
    table: &'a str,
    arn: &'a str,
    keys: &'a KeySchema,
    key: Key,
    tables: Tables,
    roles: Vec<ProbeRole>,
    exempt: Vec<String>,
    leading_keys: Option<Vec<String>>,
    times: PolicyTimes,
}

impl<'a> TablePolicy<'a> {
    /// What the plan asks for; `None` if the fence of the service has no policy. `arn` is that of the table.
    ///
    /// # Errors
    /// If the keys of the service cannot be told from others, or if it is not known who runs this command.
    pub async fn of(
        clients: &Clients,
        plan: &'a Plan,
        service: &'a Service,
        fenced: FencedTable,
        arn: &'a str,
    ) -> Result<Option<Self>, FenceError> {
        let Some(policy) = plan.fence_of(service).policy else {
            return Ok(None);
        };
        let (place, table, keys, roles, leading_keys) = match fenced {
            FencedTable::Source => {
                let leading = plan.leading_keys(service).map_err(|remark| FenceError::Plan {
                    message: remark.message,
                })?;
                let source = &plan.source;
                (
                    &source.place,
                    source.table.as_str(),
                    &source.keys,
                    policy.probe_roles,
                    leading,
                )
            }
            FencedTable::Target => {
                let table = service.table.name.as_str();
                (
                    &service.place,
                    table,
                    &service.keys,
                    policy.target_probe_roles,
                    None,
                )
            }
        };
        let region = place.region.as_deref();
        let tables = clients.at(region, place.role.as_deref()).await;
        let mut exempt = match &place.role {
            Some(role) => vec![role.clone()],
            None => caller(clients, &tables, arn).await?,
        };
        exempt.extend(policy.exempt);
        let mut probes = Vec::with_capacity(roles.len());
        for role in roles {
            let tables = clients.at(region, Some(&role)).await;
            probes.push(ProbeRole { arn: role, tables });
        }
        Ok(Some(Self {
            plan,
            service,
            table,
            arn,
            keys,
            key: probe_key(keys, leading_keys.as_deref()),
            tables,
            roles: probes,
            exempt,
            leading_keys,
            times: if clients.endpoints().is_aws() {
                PolicyTimes::default()
            } else {
                PolicyTimes::near(clients.timing())
            },
        }))
    }

    /// Checks that the policy can be put and that it can be proven. Changes nothing. Save the result, then raise it.
    ///
    /// # Errors
    /// If the policy of the table cannot be added to, or a probe role proves nothing.
    pub async fn prepare(&self) -> Result<RaisedPolicy, FenceError> {
        let denied = Denied {
            table_arn: self.arn,
            split: &self.plan.split,
            service: &self.service.name,
            exempt: &self.exempt,
            leading_keys: self.leading_keys.as_deref(),
        };
        Ok(RaisedPolicy {
            fence: PolicyFence::prepare(&self.tables, &denied).await?,
            probes: prepare_probes(&self.roles, &self.place()).await?,
        })
    }

    /// Puts the policy. Save the result: it is what [`TablePolicy::lift`] needs.
    ///
    /// # Errors
    /// [`FenceError::Changed`] if the table has another policy by now: prepare again.
    pub async fn raise(&self, prepared: RaisedPolicy) -> Result<RaisedPolicy, FenceError> {
        let RaisedPolicy { fence, probes } = prepared;
        let fence = fence.raise(&self.tables, self.times).await?;
        Ok(RaisedPolicy { fence, probes })
    }

    /// Shows that the probe roles are refused; `None` if the plan names none for this table.
    ///
    /// # Errors
    /// If they are not refused.
    pub async fn prove(
        &self,
        raised: &RaisedPolicy,
        refused_for: Duration,
    ) -> Result<Option<Proof>, FenceError> {
        if raised.probes.is_empty() {
            return Ok(None);
        }
        let times = ProofTimes {
            refused_for,
            limit: TAKES_EFFECT + refused_for,
        };
        prove(&self.roles, &raised.probes, &self.place(), times)
            .await
            .map(Some)
    }

    /// Takes the policy back, also one that was only prepared.
    ///
    /// # Errors
    /// If the policy cannot be changed. It is then still up.
    pub async fn lift(&self, raised: &RaisedPolicy) -> Result<Lifted, FenceError> {
        raised.fence.lift(&self.tables, self.times).await
    }

    fn place(&self) -> ProbePlace<'_> {
        ProbePlace {
            table: self.table,
            keys: self.keys,
            key: &self.key,
        }
    }
}

/// Who runs this command: the policy must not stop it.
async fn caller(clients: &Clients, tables: &Tables, arn: &str) -> Result<Vec<String>, FenceError> {
    match clients.caller().await {
        Some(Ok(caller)) => principal(&caller.arn).ok_or(FenceError::UnknownCaller { caller: caller.arn }),
        Some(Err(failure)) => Err(failure.into()),
        None => {
            // Local engines know no callers, and no policies either: this tells it.
            tables.resource_policy(arn).await?;
            Err(FenceError::UnknownCaller {
                caller: "nobody".to_owned(),
            })
        }
    }
}

/// A key that no item has, and that the policy covers.
#[must_use]
pub(crate) fn probe_key(keys: &KeySchema, leading_keys: Option<&[String]>) -> Key {
    let unique: u64 = chance::any();
    let value = |attribute: &KeyAttribute, begin: &str| match attribute.kind {
        AttributeKind::S => Value::S(format!("{begin}dynasplit:probe#{unique:016x}")),
        AttributeKind::B => Value::B(unique.to_be_bytes().to_vec()),
        AttributeKind::N => Value::N(Number::from(i64::try_from(unique >> 1).unwrap_or(i64::MAX))),
    };
    let pattern = leading_keys.and_then(|patterns| patterns.first());
    let partition = match pattern.map(|pattern| (plain(pattern), pattern.ends_with('*'))) {
        // The service has this one partition: its sort key is the one that no item has.
        Some((text, false)) => Value::S(text),
        Some((text, true)) => value(&keys.partition, &text),
        None => value(&keys.partition, ""),
    };
    Key {
        partition,
        sort: keys.sort.as_ref().map(|sort| value(sort, "")),
    }
}

/// The text of a pattern, without its wildcard.
fn plain(pattern: &str) -> String {
    let text = pattern.strip_suffix('*').unwrap_or(pattern);
    text.replace("${*}", "*")
        .replace("${?}", "?")
        .replace("${$}", "$")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(partition: AttributeKind, sort: Option<AttributeKind>) -> KeySchema {
        let attribute = |name: &str, kind| KeyAttribute {
            name: name.to_owned(),
            kind,
        };
        KeySchema {
            partition: attribute("p", partition),
            sort: sort.map(|kind| attribute("s", kind)),
        }
    }

    #[test]
    fn a_probe_is_within_the_keys_that_the_policy_denies() {
        let text = |key: &Key| match &key.partition {
            Value::S(text) => text.clone(),
            other => panic!("{other:?}"),
        };
        let keys = schema(AttributeKind::S, Some(AttributeKind::N));
        let begins = probe_key(&keys, Some(&["ORDER${*}#*".to_owned()]));
        assert!(text(&begins).starts_with("ORDER*#dynasplit:probe#"), "{begins:?}");
        assert!(matches!(begins.sort, Some(Value::N(_))));
        let exact = probe_key(&keys, Some(&["A${$}".to_owned()]));
        assert_eq!(text(&exact), "A$");
        assert!(text(&probe_key(&keys, None)).starts_with("dynasplit:probe#"));
        for kind in [AttributeKind::N, AttributeKind::B] {
            let keys = schema(kind, None);
            assert!(keys.key_of(&keys.item_of(&probe_key(&keys, None))).is_some());
        }
    }
}
