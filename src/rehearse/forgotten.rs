//! Writers of a service that were forgotten at its cutover: they ignore the fence and write the source.

use super::application::{Application, own};
use super::error::RehearseError;
use super::ledger::carried_back;
use super::mutate::Request;
use super::population::NOTE_ATTRIBUTE;
use crate::model::{Item, ItemExt, Key, Value};
use crate::plan::Service;
use crate::state::SplitRecord;
use crate::status::{ReverseState, reverse_state};
use crate::tail::settle_strays;
use crate::worker::{RunError, Split};
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How many items they write.
const ITEMS: usize = 3;
/// Within this, the lanes must have done what is waited for.
const LONGEST: Duration = Duration::from_secs(120);

/// Forgotten writers of one service.
pub(super) struct Forgotten<'a> {
    pub split: &'a Split,
    pub application: &'a Application,
    pub service: &'a str,
    pub stop: &'a CancellationToken,
}

impl Forgotten<'_> {
    /// Deletes one item in the source and changes others there, and waits until the watcher has found all these writes. The
    /// live writers leave these items alone. Returns how many there are.
    pub async fn write(&self) -> Result<u64, RehearseError> {
        let Some(service) = self.split.plan.service(self.service) else {
            return Ok(0);
        };
        let chosen = self.chosen(service);
        let keys: HashSet<Key> = chosen.keys().cloned().collect();
        self.application.hold(self.service, keys.clone()).await;
        // A live writer may have written some of them a moment before.
        self.until("what the service wrote was carried back", || async {
            let source = self.application.read_source().await?;
            let encoded = |item: Option<&Item>| item.map(ItemExt::encode);
            let is_there =
                |key: &Key| encoded(source.get(key)) == encoded(self.application.item(key).as_ref());
            Ok(keys.iter().all(is_there))
        })
        .await?;
        let mut made = 0;
        for key in keys {
            let Some(item) = self.application.item(&key) else {
                continue;
            };
            let note = Item::from([(NOTE_ATTRIBUTE.to_owned(), Value::s("of a forgotten writer"))]);
            let mut changed = item.clone();
            changed.extend(note.clone());
            let held = |item: &Item| own(service, &self.split.plan.versions, item);
            let is_seen = held(&changed).is_some_and(|after| Some(after) != held(&item));
            let request = if made > 0 && is_seen {
                Request::Set(note)
            } else {
                // When the delete is undone, the source gets a new item.
                let created = carried_back(&self.split.plan, service, None, &item);
                self.application.correct(&key, Some(created));
                Request::Delete
            };
            self.application.write_as_forgotten(&key, request).await?;
            made += 1;
        }
        self.until("the watcher has found every stray write", || async {
            Ok(self.state().await?.strays.len() as u64 >= made)
        })
        .await?;
        Ok(made)
    }

    /// Writes what the service's own table holds over the stray writes, and waits until none is listed.
    pub async fn settle(&self) -> Result<(), RehearseError> {
        Box::pin(settle_strays(self.split, self.service, &[], true, self.stop)).await?;
        self.until("every stray write is settled", || async {
            Ok(self.state().await?.strays.is_empty())
        })
        .await?;
        self.application.hold(self.service, HashSet::new()).await;
        Ok(())
    }

    /// Some items of the service.
    fn chosen(&self, service: &Service) -> HashMap<Key, Item> {
        let items = self.application.items().into_iter();
        let of_service = items.filter(|(_, item)| own(service, &self.split.plan.versions, item).is_some());
        of_service.take(ITEMS).collect()
    }

    async fn state(&self) -> Result<ReverseState, RehearseError> {
        let record = SplitRecord::read(&self.split.store)
            .await
            .map_err(RunError::from)?;
        let epoch = record
            .value
            .cutovers
            .get(self.service)
            .map_or(0, |state| state.epoch);
        Ok(reverse_state(self.split, self.service, epoch).await?)
    }

    async fn until<F>(&self, what: &str, mut is: impl FnMut() -> F) -> Result<(), RehearseError>
    where
        F: Future<Output = Result<bool, RehearseError>>,
    {
        let began = Instant::now();
        while !is().await? {
            if began.elapsed() > LONGEST {
                let failed = format!("{} s have passed before {what}", LONGEST.as_secs());
                return Err(RunError::Failed(failed).into());
            }
            tokio::select! {
                () = self.stop.cancelled() => return Err(interrupted().into()),
                () = tokio::time::sleep(Duration::from_millis(200)) => {}
            }
        }
        Ok(())
    }
}

/// The rehearsal was stopped.
pub(super) fn interrupted() -> RunError {
    RunError::Stopped("the rehearsal was interrupted".into())
}
