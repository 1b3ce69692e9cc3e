//! The keys of an export, read again: each is brought in order by what the source holds now.

use super::exports::unusable;
use super::healing::Healing;
use super::journal::Journal;
use crate::fault;
use crate::model::{Item, Key};
use crate::repair::{LeftKey, Reconciled, Reconciler, settled_proven};
use crate::s3::Export;
use crate::state::HealCounts;
use crate::worker::{RunError, unless_stopped};
use futures::StreamExt;
use std::collections::BTreeMap;

/// Keys that are read again at once.
const AT_ONCE: usize = 16;
/// Keys that are named of those that stay as they are.
const MOST_NAMED: usize = 20;

/// The reconcilers of the services, by name.
pub(super) type Reconcilers<'a> = Vec<(String, Reconciler<'a>)>;

impl Healing<'_> {
    /// Reads the keys of a window's export again, from the file and the line on at which the journal stands.
    pub(super) async fn read_again(
        &self,
        journal: &mut Journal,
        at: usize,
        export: &Export,
        reconcilers: &Reconcilers<'_>,
        left: &mut Vec<LeftKey>,
    ) -> Result<(), RunError> {
        self.say(|view| view.phase = "reading changed keys again".into());
        let files = export.files.len() as u64;
        while journal.record().windows[at].file < files {
            let window = &journal.record().windows[at];
            let (file, line) = (window.file, window.line);
            let reader = usize::try_from(file).ok().and_then(|file| export.reader(file));
            let Some(mut reader) = reader else {
                return Err(RunError::Failed(format!(
                    "the export {} has no file {file}",
                    export.summary.arn
                )));
            };
            unless_stopped(self.stop, async { reader.skip_to(line).await.map_err(unusable) }).await?;
            loop {
                let page = unless_stopped(self.stop, async { reader.patient_page().await.map_err(unusable) })
                    .await?;
                let counts = self.reconcile(page.items, reconcilers, left).await?;
                fault::moment("heal.page").await;
                journal
                    .change(|record| {
                        record.counts.add(&counts);
                        let window = &mut record.windows[at];
                        (window.file, window.line) = match page.next {
                            Some(line) => (file, line),
                            None => (file + 1, 0),
                        };
                    })
                    .await?;
                let done = journal.record().counts;
                self.say(|view| (view.keys, view.repaired) = (done.keys, done.repaired));
                if page.next.is_none() {
                    break;
                }
            }
        }
        journal.change(|record| record.windows[at].done = true).await?;
        fault::moment("heal.window-done").await;
        Ok(())
    }

    async fn reconcile(
        &self,
        changed: Vec<Item>,
        reconcilers: &Reconcilers<'_>,
        left: &mut Vec<LeftKey>,
    ) -> Result<HealCounts, RunError> {
        let schema = &self.split.plan.source.keys;
        let mut counts = HealCounts {
            keys: changed.len() as u64,
            ..HealCounts::default()
        };
        // One write of a key at a time. The markers of a cutover are no items.
        let mut keys: BTreeMap<Vec<u8>, Key> = BTreeMap::new();
        for item in changed.iter().filter(|item| !schema.is_marker(item)) {
            let key = schema.key_of(item).ok_or_else(|| RunError::OtherKeys {
                table: self.split.plan.source.table.clone(),
            })?;
            keys.insert(key.encode(), key);
        }
        let work = keys.values().flat_map(|key| {
            reconcilers.iter().map(move |(service, reconciler)| async move {
                let settled = settled_proven(reconciler, key, self.stop).await;
                (service, key, settled)
            })
        });
        let mut ended = futures::stream::iter(work).buffer_unordered(AT_ONCE);
        while let Some((service, key, settled)) = ended.next().await {
            let mut leave = |reason: String| {
                if left.len() < MOST_NAMED {
                    left.push(LeftKey {
                        key: self.split.key_json(key),
                        reason: format!("{service}: {reason}"),
                    });
                }
            };
            match settled {
                Err(error @ RunError::HotRange { .. }) => {
                    counts.busy += 1;
                    leave(error.to_string());
                }
                Err(error) => return Err(error),
                Ok(Reconciled::Agreed) => {}
                Ok(Reconciled::Repaired) => counts.repaired += 1,
                Ok(Reconciled::Busy) => {
                    counts.busy += 1;
                    leave("the tail was writing it all the time".into());
                }
                Ok(Reconciled::Newer) => {
                    counts.newer += 1;
                    leave("the service's table holds a newer item than the source".into());
                }
                Ok(Reconciled::Invalid(reason)) => {
                    counts.invalid += 1;
                    leave(reason);
                }
            }
        }
        Ok(counts)
    }
}
