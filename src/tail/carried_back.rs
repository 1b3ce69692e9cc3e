//! The work of a reverse lane: it carries changes of a service's own table back to the source, keeps those that it can't,
//! and looks at them again when it is drained.

use super::at_once::at_once;
use crate::fault::{Rule, broken};
use crate::flow::{BackLane, BackLedger, Group, Stop, WayBack, carry_back, is_tombstone};
use crate::model::{Change, Counters, Images, Item, Key, Origin, SequenceNumber, json};
use crate::source::Scan;
use crate::state::{DeadLetter, DeadLetters, ShownDeadLetter, StateError};
use crate::target::{SourceWriter, TargetWriter};
use crate::worker::{Split, key_json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks at what could not be carried back.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Carries changes of one service back.
pub(super) struct CarriedBack {
    split: Split,
    service: String,
    epoch: u64,
    writer: SourceWriter,
    target: Scan,
    letters: DeadLetters,
    /// There may be changes that could not be carried back.
    may_have_letters: AtomicBool,
    looked: Mutex<Option<Instant>>,
}

impl CarriedBack {
    pub fn new(split: &Split, service: &str, way: TargetWriter) -> Self {
        let epoch = split.back_side().map_or(0, |back| back.pin.epoch);
        let (table, keys, client) = match split.target(service) {
            Some((service, tables)) => (
                service.table.name.clone(),
                service.keys.clone(),
                tables.items.clone(),
            ),
            None => (String::new(), way.keys.clone(), way.client.clone()),
        };
        Self {
            service: service.to_owned(),
            epoch,
            writer: SourceWriter {
                way,
                reads: split.scan_source(true).keeping_marks(),
            },
            target: Scan::new(client, &table, keys, true),
            letters: DeadLetters::back(split.store.clone()),
            split: split.clone(),
            may_have_letters: AtomicBool::new(true),
            looked: Mutex::default(),
        }
    }

    fn lane(&self) -> Result<BackLane<'_>, Stop> {
        let plan = &self.split.plan;
        let service = plan.service(&self.service).ok_or_else(|| Stop {
            reason: format!("the plan has no service {}", self.service),
        })?;
        Ok(BackLane {
            way: WayBack {
                service,
                source: &plan.source.keys,
                versions: &plan.versions,
                mark_bytes: BackLane::mark_bytes(&plan.split, &self.service),
            },
            split: &plan.split,
            epoch: self.epoch,
        })
    }

    /// Carries a batch back.
    pub async fn carry_all(&self, groups: &[Group]) -> Result<Counters, Stop> {
        let lane = self.lane()?;
        at_once(
            groups
                .iter()
                .map(|group| carry_back(&lane, group, &self.writer, self)),
        )
        .await
    }

    /// Looks again at what could not be carried back, because the lane has read everything: a later change may have settled
    /// it, or it was only repeated after a delete.
    pub async fn look_again(&self) -> Result<(), Stop> {
        if broken(Rule::LooksAgain) || !self.may_have_letters.load(Ordering::Relaxed) || !self.is_due() {
            return Ok(());
        }
        let lane = self.lane()?;
        self.may_have_letters.store(false, Ordering::Relaxed);
        for head in self.letters.list(Some(&self.service)).await.map_err(stop)? {
            self.may_have_letters.store(true, Ordering::Relaxed);
            if let Some(letter) = self.letters.show(&head.id).await.map_err(stop)?
                && self.is_settled(&lane, &letter).await?
            {
                self.letters.settle(&head).await.map_err(stop)?;
            }
        }
        Ok(())
    }

    fn is_due(&self) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = looked.is_none_or(|at| at.elapsed() >= LOOK_AGAIN);
        if is_due {
            *looked = Some(Instant::now());
        }
        is_due
    }

    /// Whether the source says by now what the target says, or could be made to: only if it still stands for what the target
    /// was before the change.
    async fn is_settled(&self, lane: &BackLane<'_>, shown: &ShownDeadLetter) -> Result<bool, Stop> {
        let letter = &shown.letter;
        let Some((key, origin)) = self.place(letter).filter(|_| shown.damage.is_none()) else {
            return Ok(false);
        };
        let held = self.read_target(&key).await?;
        let old = letter
            .old_image
            .clone()
            .and_then(|old| json::item_from_json(old).ok());
        let run = Group {
            key: key.clone(),
            changes: vec![Arc::new(Change {
                key,
                images: Images { old, new: held },
                origin,
            })],
        };
        let again = Again::default();
        carry_back(lane, &run, &self.writer, &again).await?;
        Ok(!again.failed.load(Ordering::Relaxed))
    }

    /// The target key of a letter, and its record. `None`: it is of another cutover.
    fn place(&self, letter: &DeadLetter) -> Option<(Key, Origin)> {
        let mut parts = letter.origin.split('/');
        let epoch: u64 = parts.next()?.parse().ok()?;
        let generation = parts.next()?.parse().ok()?;
        let sequence = SequenceNumber::new(parts.next()?);
        let key: Item = json::item_from_json(letter.key.clone()).ok()?;
        let key = self.target.keys().key_of(&key)?;
        (epoch == self.epoch).then_some((key, Origin::Tail { generation, sequence }))
    }

    async fn read_target(&self, key: &Key) -> Result<Option<Item>, Stop> {
        let read = self.target.get(key).await.map_err(|failure| Stop {
            reason: failure.to_string(),
        })?;
        Ok(read.filter(|item| !is_tombstone(item)))
    }
}

/// A second attempt: the letter stays if it fails.
#[derive(Default)]
struct Again {
    failed: AtomicBool,
}

impl BackLedger for Again {
    async fn not_carried_back(&self, _: &Group, _: &str, _: bool) -> Result<(), Stop> {
        self.failed.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl BackLedger for CarriedBack {
    async fn not_carried_back(&self, run: &Group, reason: &str, is_suspected: bool) -> Result<(), Stop> {
        let (Some(first), Some(last)) = (run.changes.first(), run.changes.last()) else {
            return Ok(());
        };
        let key = key_json(self.target.keys(), &run.key);
        let origin = match &last.origin {
            Origin::Tail { generation, sequence } => format!("{}/{generation}/{sequence}", self.epoch),
            Origin::Backfill | Origin::Bulk => String::new(),
        };
        let mut letter = DeadLetter {
            service: self.service.clone(),
            reason: reason.to_owned(),
            origin,
            at_ms: self.split.now_ms(),
            image: last.images.new.as_ref().map(json::item_to_json),
            old_image: first.images.old.as_ref().map(json::item_to_json),
            key,
        };
        // The source still stands for what the target was before the *first* change that could not be carried back.
        let id = DeadLetters::id(&self.service, &letter.key);
        let earlier = self.letters.show(&id).await.map_err(stop)?;
        if let Some(earlier) = earlier.filter(|earlier| earlier.damage.is_none())
            && self.place(&earlier.letter).is_some()
        {
            letter.old_image = earlier.letter.old_image;
            if is_suspected {
                letter.reason = earlier.letter.reason;
            }
        }
        self.letters.keep(&letter).await.map_err(stop)?;
        self.may_have_letters.store(true, Ordering::Relaxed);
        tracing::warn!(
            service = self.service,
            reason,
            "a change can't be carried back: a reverse dead letter"
        );
        Ok(())
    }
}

fn stop(error: StateError) -> Stop {
    Stop {
        reason: error.to_string(),
    }
}
