//! Dead letters: brought in order by their source keys, never by their images.

use super::acknowledgement::Holder;
use super::reconcile::{Reconciled, Reconciler, settled_with};
use super::repair_lease::RepairLease;
use super::tombstone_switch::{switch_off, switch_on};
use crate::dynamo::retry_transient;
use crate::fault::{Rule, Writer, broken};
use crate::flow::{Watched, watch};
use crate::model::{Item, Key, json};
use crate::state::{Attempt, DeadLetterHead, RepairScope, ShardRecord, SplitRecord};
use crate::worker::{Budgets, RunError, Split, unless_stopped};
use serde::Serialize;
use std::collections::BTreeSet;
use tokio_util::sync::CancellationToken;

/// The result for a dead letter.
#[derive(Clone, Debug, Serialize)]
pub struct SettledDeadLetter {
    /// Its id.
    pub id: String,
    /// The service.
    pub service: String,
    /// It is settled: the target holds the item that follows from the source.
    pub settled: bool,
    /// In words.
    pub outcome: String,
}

/// Reconciles letters: reads each source key again, consistently, and brings the target in order. Tombstones are on
/// meanwhile, and swept after.
///
/// # Errors
/// When the state, the source or a target can't be reached; the letters that are left stay.
pub async fn reconcile_dead_letters(
    split: &Split,
    letters: &[DeadLetterHead],
    stop: &CancellationToken,
) -> Result<Vec<SettledDeadLetter>, RunError> {
    let record = unless_stopped(stop, Box::pin(crate::worker::check_split(split))).await?;
    let split = &split.without_switched(&record);
    if letters.is_empty() && !record.switch.has_holder(Holder::RECONCILE.name()) {
        return Ok(Vec::new());
    }
    // One at a time, repairs included: the one that ends releases the tombstones.
    let lease = RepairLease::take(split, stop).await?;
    let budgets = Budgets::new(split, None, None);
    let command = ("dead-letters reconcile", || "reading keys again".to_owned());
    let work = Box::pin(under_lease(split, letters, &lease, &budgets, stop));
    let result = lease.during_command(split, command, &budgets, work).await;
    lease.release().await;
    result
}

/// Removes the dead letters of a service that has switched: dynasplit does not write its table any more, so nothing can
/// settle them.
///
/// # Errors
/// If the service has not switched, or the state can't be reached.
pub async fn discard_dead_letters(
    split: &Split,
    service: &str,
    letters: &[DeadLetterHead],
) -> Result<Vec<SettledDeadLetter>, RunError> {
    let record = crate::worker::check_split(split).await?;
    if !record.switched.contains_key(service) {
        return Err(RunError::NotYet {
            what: format!(
                "{service} has not switched, so its dead letters are of items that its table still lacks"
            ),
            next: "correct each item in the source, then run `dynasplit dead-letters reconcile`".into(),
        });
    }
    let mut discarded = Vec::new();
    for head in letters {
        let removed = if head.damage.is_some() {
            split.dead_letters.discard(head).await?;
            true
        } else {
            split.dead_letters.settle(head).await?
        };
        discarded.push(SettledDeadLetter {
            id: head.id.clone(),
            service: head.service.clone(),
            settled: removed,
            outcome: match removed {
                true => "discarded: the service corrects the item in its own table".into(),
                false => "the dead letter was recorded again meanwhile".into(),
            },
        });
    }
    Ok(discarded)
}

async fn under_lease(
    split: &Split,
    letters: &[DeadLetterHead],
    lease: &RepairLease,
    budgets: &Budgets,
    stop: &CancellationToken,
) -> Result<Vec<SettledDeadLetter>, RunError> {
    let services: BTreeSet<&str> = letters.iter().map(|head| head.service.as_str()).collect();
    let active = split.active().map(|(service, _)| service.name.as_str());
    let services: Vec<&str> = active.filter(|service| services.contains(service)).collect();
    let epoch = switch_on(split, &Holder::RECONCILE, &services, stop).await?;
    let mut results = Vec::new();
    for head in letters {
        if stop.is_cancelled() {
            break;
        }
        if head.damage.is_some() {
            results.push(removed(split, head).await?);
            continue;
        }
        let (settled, outcome) = one(split, head, (epoch, lease), budgets, stop).await?;
        let settled = if settled {
            split.dead_letters.settle(head).await?
        } else {
            let attempt = Attempt {
                at_ms: split.now_ms(),
                origin: Attempt::RECONCILE.to_owned(),
                reason: outcome.clone(),
            };
            split.dead_letters.attempted(head, &attempt).await?;
            false
        };
        results.push(SettledDeadLetter {
            id: head.id.clone(),
            service: head.service.clone(),
            settled,
            outcome,
        });
    }
    switch_off(split, &Holder::RECONCILE, lease, budgets, stop).await?;
    Ok(results)
}

/// A damaged dead letter does not show its key. A mandatory repair reads every key, and records a new dead letter for
/// an item that is still invalid. This duty is on record before the dead letter is removed.
async fn removed(split: &Split, head: &DeadLetterHead) -> Result<SettledDeadLetter, RunError> {
    SplitRecord::change(&split.store, |record| {
        let concerned = split
            .plan
            .service(&head.service)
            .map(|service| service.name.as_str());
        let all = split.plan.services.iter().map(|service| service.name.as_str());
        // A letter of an item that no service took may belong to any of them since.
        let services: Vec<&str> = concerned.map_or_else(|| all.collect(), |service| vec![service]);
        record.require_repair("a dead letter was damaged", services, RepairScope::LostChanges);
    })
    .await?;
    split.dead_letters.discard(head).await?;
    Ok(SettledDeadLetter {
        id: head.id.clone(),
        service: head.service.clone(),
        settled: true,
        outcome: "it was damaged and is removed: run `dynasplit verify --repair`, which repairs its item"
            .into(),
    })
}

async fn one(
    split: &Split,
    head: &DeadLetterHead,
    (epoch, lease): (u64, &RepairLease),
    budgets: &Budgets,
    stop: &CancellationToken,
) -> Result<(bool, String), RunError> {
    let Some(key) = split.key_from_json(&head.key) else {
        return Ok((false, "its key does not match the source keys of the plan".into()));
    };
    if head.service == ShardRecord::WATCH {
        let scan = split.scan_source(true);
        let item = match retry_transient(|| scan.get(&key)).await {
            Err(failure) if failure.is_of_key_range() => return Ok((false, failure.to_string())),
            read => read?,
        };
        return Ok(match item.map(|item| watch(&split.plan, &item)) {
            None => (true, "the item is gone".into()),
            Some(Watched::Routed) => (true, "a service takes the item now".into()),
            Some(Watched::LeftBehind) => (true, "`left-behind` covers the item now".into()),
            Some(Watched::Unrouted) => (false, "no service takes the item".into()),
        });
    }
    if split.has_switched(&head.service) {
        return Ok((
            false,
            format!(
                "{service} has switched to its own table, which dynasplit does not write any more: correct the item there, \
                 with the service, then run `dynasplit dead-letters discard --service {service}`",
                service = head.service
            ),
        ));
    }
    let Some((service, _)) = split.target(&head.service) else {
        return Ok((false, format!("the plan has no service '{}'", head.service)));
    };
    let Some(reconciler) = Reconciler::new(
        split,
        service,
        Writer::DeadLetters,
        epoch,
        lease.validity(),
        budgets,
        stop,
    ) else {
        return Ok((false, "its table has no client".into()));
    };
    let images = images(split, head).await?;
    let suspects: Vec<Key> = images
        .iter()
        .flat_map(|image| service.target_keys_of(image, &split.plan.source.keys))
        .collect();
    let last = images.first().filter(|_| broken(Rule::Reconciled));
    let settled = match last {
        Some(image) => reconciler.replay(image).await,
        None => settled_with(&reconciler, &key, &suspects, stop).await,
    };
    let settled = match settled {
        Err(error @ RunError::HotRange { .. }) => return Ok((false, error.to_string())),
        settled => settled?,
    };
    Ok(match settled {
        Reconciled::Agreed => (true, "the target is correct".into()),
        Reconciled::Repaired => (true, "repaired".into()),
        Reconciled::Busy => (
            false,
            "the tail is writing it; run `dynasplit dead-letters reconcile` again".into(),
        ),
        Reconciled::Newer => (false, "its table holds a newer item than the source".into()),
        Reconciled::Invalid(reason) => (false, reason),
    })
}

/// The letter's images, the last one first. They tell target keys that the item may have had.
async fn images(split: &Split, head: &DeadLetterHead) -> Result<Vec<Item>, RunError> {
    let Some(shown) = split.dead_letters.show(&head.id).await? else {
        return Ok(Vec::new());
    };
    if let Some(damage) = &shown.damage {
        tracing::warn!(
            letter = head.id,
            damage,
            "the images are lost, so former keys in the service's table are unknown: run `dynasplit \
             verify`, which finds items that are left there"
        );
    }
    let images = [shown.letter.image, shown.letter.old_image];
    let items = images
        .into_iter()
        .flatten()
        .filter_map(|image| json::item_from_json(image).ok());
    Ok(items.collect())
}
