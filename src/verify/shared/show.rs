//! The result of a shared verify that has ended, for each of its processes; and the removal of what is not needed any more.

use super::begin::{Joined, replaced};
use super::folder::Folder;
use super::outcomes::Ended;
use crate::state::{SharedVerifyRecord, StateError, VerifyTaskRecord};
use crate::verify::compare::Mismatch;
use crate::verify::mismatch_list::MismatchList;
use crate::verify::result::VerifyResult;
use crate::verify::sorting::blocking;
use crate::verify::verification::Verify;
use crate::worker::RunError;
use futures::StreamExt;

/// Records that are removed at the same time.
const REMOVED_AT_ONCE: usize = 16;

impl Verify {
    /// The result, with as many mismatches as this process was told to show.
    pub(super) async fn ended(&self, joined: &Joined) -> Result<VerifyResult, RunError> {
        let name = &joined.verify.name;
        let store = &self.split.store;
        let found = store.get::<SharedVerifyRecord>(SharedVerifyRecord::NAME).await?;
        let verify = found
            .map(|found| found.value)
            .filter(|found| found.id == joined.verify.id)
            .ok_or_else(|| replaced(name))?;
        let Some(end) = &verify.end else {
            return Err(RunError::Failed(format!(
                "the shared verify '{name}' has not ended"
            )));
        };
        let Ended {
            mut result,
            mismatches,
        } = joined.folder.read_json(&end.result).await?;
        let (limit, path) = (self.options.limit, self.options.list.clone());
        let list = blocking(move || MismatchList::open(limit, path.as_deref())).await?;
        for object in mismatches {
            let (bytes, list) = (joined.folder.read(&object).await?, list.clone());
            let listed = blocking(move || {
                for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    match serde_json::from_slice::<Mismatch>(line) {
                        Ok(mismatch) => list.add(mismatch)?,
                        Err(error) => return Ok(Err(error)),
                    }
                }
                Ok(Ok(()))
            });
            listed
                .await?
                .map_err(|error| joined.folder.gone(&object, &error.to_string()))?;
        }
        result.mismatches = blocking(move || list.close()).await?;
        if !end.removed {
            self.remove(&verify, &joined.folder).await?;
        }
        Ok(result)
    }

    /// Removes the tasks, and what the scans wrote; and everything of the verify before this one, of which late processes may have written
    /// something since it ended.
    async fn remove(&self, verify: &SharedVerifyRecord, folder: &Folder) -> Result<(), RunError> {
        let store = &self.split.store;
        for id in verify.former.iter().chain([&verify.id]) {
            let tasks = store.list::<VerifyTaskRecord>(&VerifyTaskRecord::all(id)).await?;
            let removed: Vec<_> = tasks
                .iter()
                .map(|(name, stored)| store.delete(name, stored.revision))
                .collect();
            let mut removed = futures::stream::iter(removed).buffer_unordered(REMOVED_AT_ONCE);
            while let Some(ended) = removed.next().await {
                match ended {
                    // Another process removes them as well, or gives its lease back at this moment.
                    Ok(()) | Err(StateError::Conflict { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        folder
            .remove_all(&format!("{}scans/", folder.of_verify(&verify.id)))
            .await?;
        if let Some(former) = &verify.former {
            folder.remove_all(&folder.of_verify(former)).await?;
        }
        let removed = store.change::<SharedVerifyRecord, RunError>(SharedVerifyRecord::NAME, |found| {
            let mut found = found
                .filter(|found| found.id == verify.id)
                .ok_or_else(|| replaced(&verify.name))?;
            found.end.iter_mut().for_each(|end| end.removed = true);
            Ok(found)
        });
        removed.await?;
        Ok(())
    }
}
