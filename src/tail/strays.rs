//! The work of the lane of a service that has switched with a way back: it applies nothing, and looks for stray writes.
//!
//! The lane keeps its checkpoint, so that after a rollback it continues where it stands. Therefore it moves the checkpoint
//! only while the split's record says that the service is switched, and while the leases of its worker last: otherwise it
//! could move over changes that the application made after a rollback.

use crate::flow::{Stop, is_stray};
use crate::model::{Change, Counters, json};
use crate::source::Record;
use crate::state::{DeadLetter, DeadLetters, StateError};
use crate::target::{Admission, Fence, Gate};
use crate::worker::Split;

/// Why a stray write is listed.
const STRAY: &str = "another writer than dynasplit changed the source item after the service had switched";

/// Why a stray write is still listed while a person settles it: the image is what the source holds afterwards. The watcher
/// recognises that write by the image, and takes the stray write off the list.
pub(super) const SETTLING: &str = "it is being overwritten with what the service's own table holds";

/// Looks for stray writes to the items of one service.
pub(super) struct Strays {
    split: Split,
    service: String,
    epoch: u64,
    gate: Gate,
    fence: Fence,
    strays: DeadLetters,
}

impl Strays {
    pub fn new(split: &Split, service: &str, gate: Gate, fence: Fence) -> Self {
        Self {
            service: service.to_owned(),
            epoch: split.cutover(service).map_or(0, |state| state.epoch),
            gate,
            fence,
            strays: DeadLetters::strays(split.store.clone()),
            split: split.clone(),
        }
    }

    /// Records that were read before may be taken now, and the checkpoint moved. Held until it has moved.
    pub fn admitted(&self) -> Result<Admission, Stop> {
        let admission = self.gate.admit().filter(|_| self.fence.is_open());
        admission.ok_or_else(|| Stop {
            reason: format!("{} is not switched any more", self.service),
        })
    }

    /// Keeps the stray writes among records of the source.
    pub async fn find(&self, records: &[&Record]) -> Result<Counters, Stop> {
        let mut counters = Counters::default();
        let Some(service) = self.split.plan.service(&self.service) else {
            return Ok(counters);
        };
        for record in records {
            let change = &record.change;
            counters.seen += 1;
            if !is_stray(
                service,
                &self.split.plan.split,
                self.epoch,
                &change.images,
                &record.marks,
            ) {
                continue;
            }
            if self.settles(change).await? {
                continue;
            }
            let letter = DeadLetter {
                service: self.service.clone(),
                key: self.split.key_json(&change.key),
                reason: STRAY.to_owned(),
                origin: format!("{}/{}", self.epoch, record.sequence),
                at_ms: record.created_ms.unwrap_or_else(|| self.split.now_ms()),
                image: change.images.new.as_ref().map(json::item_to_json),
                old_image: change.images.old.as_ref().map(json::item_to_json),
            };
            self.strays.keep(&letter).await.map_err(stop)?;
            tracing::error!(service = self.service, "a stray write to the source");
        }
        Ok(counters)
    }
    /// Whether a write is the one that settles a stray write. Then the stray write is taken off the list.
    async fn settles(&self, change: &Change) -> Result<bool, Stop> {
        let id = DeadLetters::id(&self.service, &self.split.key_json(&change.key));
        let listed = self.strays.list(Some(&self.service)).await.map_err(stop)?;
        let Some(head) = listed
            .into_iter()
            .find(|head| head.id == id && head.reason == SETTLING)
        else {
            return Ok(false);
        };
        let image = change.images.new.as_ref().map(json::item_to_json);
        let shown = self.strays.show(&id).await.map_err(stop)?;
        if shown.is_none_or(|shown| shown.damage.is_some() || shown.letter.image != image) {
            return Ok(false);
        }
        self.strays.settle(&head).await.map_err(stop)
    }
}

fn stop(error: StateError) -> Stop {
    Stop {
        reason: error.to_string(),
    }
}
