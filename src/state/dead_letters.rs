//! Dead letters in the state table.

use super::attempts::{Attempt, Attempts};
use super::damage::Damaged;
use super::error::StateError;
use super::store::Store;
use crate::dynamo::chance;
use serde::{Deserialize, Serialize};

/// A change that can never land, with the reason. It is kept until its source key is reconciled.
///
/// There is one dead letter for each service and source key. A later one replaces an earlier one, because a dead
/// letter is never replayed as an image: its key is read again from the source. It keeps the [`Attempts`] of both.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The service, or the watch lane for an item that no service takes.
    pub service: String,
    /// Source key, as DynamoDB JSON.
    pub key: serde_json::Value,
    /// Why it can't land.
    pub reason: String,
    /// Where it was read: [`DeadLetter::BACKFILL`], or the sequence number of the record.
    pub origin: String,
    /// When it was written, in milliseconds since 1970.
    pub at_ms: u64,
    /// The image that could not be written, as DynamoDB JSON. No other record keeps item values.
    pub image: Option<serde_json::Value>,
    /// The image before, as DynamoDB JSON.
    pub old_image: Option<serde_json::Value>,
}

/// A letter without its images.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeadLetterHead {
    /// Identifies it: service and a hash of the key.
    pub id: String,
    /// The service.
    pub service: String,
    /// Source key, as DynamoDB JSON.
    pub key: serde_json::Value,
    /// Why it can't land.
    pub reason: String,
    /// Where it was read.
    pub origin: String,
    /// When it was written, in milliseconds since 1970.
    pub at_ms: u64,
    /// Number of parts that hold the images, since one state item can't hold two items of 400 KB.
    pub parts: u32,
    /// Marks one writing of the letter, so that parts of two writings are never mixed.
    pub writing: u64,
    /// How often it was written, and why the last times.
    #[serde(flatten)]
    pub attempts: Attempts,
    /// Why it can't be read, if it is damaged. A damaged dead letter has neither its key nor its reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
}

/// A dead letter as it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ShownDeadLetter {
    /// The letter; without images, if they are damaged.
    #[serde(flatten)]
    pub letter: DeadLetter,
    /// How often it was written, and why the last times.
    #[serde(flatten)]
    pub attempts: Attempts,
    /// Why its images can't be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
}

/// Bytes of letter text in one state item: well below 400 KB.
const PART_BYTES: usize = 256 * 1024;
const LETTER: &str = "LETTER#";
const PART: &str = "LETTERPART#";
const EVENT_LETTER: &str = "EVENTLETTER#";

/// The dead letters and the recheck list, as kept in the state table.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    pub(super) store: Store,
    /// Prefixes of the names of heads and of parts.
    letter: &'static str,
    part: &'static str,
}

#[derive(Default, Serialize, Deserialize)]
struct Images {
    image: Option<serde_json::Value>,
    old_image: Option<serde_json::Value>,
}

impl DeadLetter {
    /// The origin of dead letters of a backfill.
    pub const BACKFILL: &'static str = "backfill";
}

impl DeadLetters {
    /// In a state table.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            letter: LETTER,
            part: PART,
        }
    }

    /// Changes of services' own tables that could not be carried back to the source: reverse dead letters. Their keys are
    /// target keys.
    #[must_use]
    pub fn back(store: Store) -> Self {
        Self {
            store,
            letter: "BACKLETTER#",
            part: "BACKLETTERPART#",
        }
    }

    /// Events that their destination refused. Their keys contain the id of the event, because each of them is sent again.
    #[must_use]
    pub fn events(store: Store) -> Self {
        Self {
            store,
            letter: EVENT_LETTER,
            part: "EVENTLETTERPART#",
        }
    }

    /// Stray writes: writes of others to the source's items of services that have switched.
    #[must_use]
    pub fn strays(store: Store) -> Self {
        Self {
            store,
            letter: "STRAY#",
            part: "STRAYPART#",
        }
    }

    /// Identifies the letter of a service and a source key.
    #[must_use]
    pub fn id(service: &str, key: &serde_json::Value) -> String {
        let digest = blake3::hash(key.to_string().as_bytes()).to_hex();
        format!("{service}#{}", &digest.as_str()[..32])
    }

    /// Keeps a letter. When this returns, it is durable.
    ///
    /// # Errors
    /// When the state table can't be written.
    pub async fn keep(&self, letter: &DeadLetter) -> Result<(), StateError> {
        let id = Self::id(&letter.service, &letter.key);
        let images = Images {
            image: letter.image.clone(),
            old_image: letter.old_image.clone(),
        };
        let text = serde_json::to_string(&images).map_err(|cause| StateError::Unreadable {
            table: self.store.table().to_owned(),
            record: id.clone(),
            cause: cause.to_string(),
        })?;
        let parts = pieces(&text, PART_BYTES);
        // Parts of another writing of the letter are never touched: its head may be the one that stays.
        let writing = chance::any();
        for (number, part) in parts.iter().enumerate() {
            self.store
                .set(&self.part_name(&id, writing, number), part)
                .await?;
        }
        let head = DeadLetterHead {
            id: id.clone(),
            service: letter.service.clone(),
            key: letter.key.clone(),
            reason: letter.reason.clone(),
            origin: letter.origin.clone(),
            at_ms: letter.at_ms,
            parts: u32::try_from(parts.len()).unwrap_or(u32::MAX),
            writing,
            attempts: Attempts::default(),
            damage: None,
        };
        match self.replace(head).await? {
            Some(earlier) => self.forget_parts(&id, earlier.writing).await,
            None => Ok(()),
        }
    }

    /// Writes the head of a letter in the place of an earlier one, which it answers, and whose attempts it continues.
    async fn replace(&self, head: DeadLetterHead) -> Result<Option<DeadLetterHead>, StateError> {
        let name = format!("{}{}", self.letter, head.id);
        loop {
            let mut damaged = Vec::new();
            let earlier = self
                .store
                .get_readable::<DeadLetterHead>(&name, &mut damaged)
                .await?;
            let (earlier, revision) = match earlier {
                Some(stored) => (Some(stored.value), stored.revision),
                None => (None, 0),
            };
            let mut next = head.clone();
            next.attempts = earlier
                .as_ref()
                .map_or_else(Attempts::default, DeadLetterHead::known_attempts);
            next.attempts = next.attempts.and(head.attempt());
            // A damaged dead letter is replaced. Its parts belong to no dead letter then, and are removed when the
            // split is completed.
            if !damaged.is_empty() {
                self.store.set(&name, &next).await?;
                return Ok(None);
            }
            match self.store.put(&name, &next, revision).await {
                Err(StateError::Conflict { .. }) => {}
                Err(error) => return Err(error),
                Ok(_) => return Ok(earlier),
            }
        }
    }

    /// Adds an attempt to reconcile a letter, which did not settle it. A letter that was written again, or settled,
    /// meanwhile stays as it is.
    ///
    /// # Errors
    /// When the state table can't be reached.
    pub async fn attempted(&self, head: &DeadLetterHead, attempt: &Attempt) -> Result<(), StateError> {
        let name = format!("{}{}", self.letter, head.id);
        let Some(stored) = self.store.get::<DeadLetterHead>(&name).await? else {
            return Ok(());
        };
        if stored.value.writing != head.writing {
            return Ok(());
        }
        let attempts = stored.value.known_attempts().and(attempt.clone());
        let next = DeadLetterHead {
            attempts,
            ..stored.value
        };
        match self.store.put(&name, &next, stored.revision).await {
            Ok(_) | Err(StateError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// All dead letters, without images, or those of the named service.
    ///
    /// # Errors
    /// If the state table can't be read.
    pub async fn list(&self, service: Option<&str>) -> Result<Vec<DeadLetterHead>, StateError> {
        let prefix = service.map_or(self.letter.to_owned(), |name| format!("{}{name}#", self.letter));
        let mut damaged = Vec::new();
        let found = self
            .store
            .list_readable::<DeadLetterHead>(&prefix, &mut damaged)
            .await?;
        let damaged = damaged.into_iter().map(|damaged| self.damaged_head(damaged));
        Ok(found
            .into_iter()
            .map(|(_, stored)| stored.value)
            .chain(damaged)
            .collect())
    }

    /// Removes a damaged dead letter, unless it was recorded again since it was listed. The caller has made a repair
    /// mandatory, which finds the item of the dead letter.
    ///
    /// # Errors
    /// If the state table can't be reached.
    pub async fn discard(&self, head: &DeadLetterHead) -> Result<(), StateError> {
        let mut damaged = Vec::new();
        let name = format!("{}{}", self.letter, head.id);
        self.store
            .get_readable::<DeadLetterHead>(&name, &mut damaged)
            .await?;
        for broken in &damaged {
            self.store.discard(broken).await?;
        }
        if !damaged.is_empty() {
            self.forget(&format!("{}{}#", self.part, head.id)).await?;
        }
        Ok(())
    }

    /// One letter with its images.
    ///
    /// # Errors
    /// When the state table can't be read.
    pub async fn show(&self, id: &str) -> Result<Option<ShownDeadLetter>, StateError> {
        let name = format!("{}{id}", self.letter);
        let mut shown = None;
        // Twice, because a dead letter that is recorded again or settled meanwhile seems to lack its parts.
        for _ in 0..2 {
            let mut damaged = Vec::new();
            let found = self
                .store
                .get_readable::<DeadLetterHead>(&name, &mut damaged)
                .await?;
            let head = match (found, damaged.pop()) {
                (Some(stored), _) => stored.value,
                (None, Some(damaged)) => self.damaged_head(damaged),
                (None, None) => return Ok(None),
            };
            let images = match &head.damage {
                None => self.images(&head).await?,
                Some(damage) => Err(damage.clone()),
            };
            let is_whole = images.is_ok();
            shown = Some(ShownDeadLetter::of(head, images));
            if is_whole {
                break;
            }
        }
        Ok(shown)
    }

    /// The images of a dead letter, or the reason why they can't be read.
    async fn images(&self, head: &DeadLetterHead) -> Result<Result<Images, String>, StateError> {
        let mut text = String::new();
        for number in 0..head.parts as usize {
            let name = self.part_name(&head.id, head.writing, number);
            let mut damaged = Vec::new();
            let part = self.store.get_readable::<String>(&name, &mut damaged).await?;
            match (part, damaged.pop()) {
                (Some(part), _) => text.push_str(&part.value),
                (None, Some(damaged)) => {
                    return Ok(Err(format!(
                        "the state record '{name}' is damaged: {}",
                        damaged.cause
                    )));
                }
                (None, None) => return Ok(Err(format!("the state record '{name}' is missing"))),
            }
        }
        Ok(serde_json::from_str(&text).map_err(|cause| format!("its images can't be read: {cause}")))
    }

    /// Removes a letter that was reconciled, unless a newer one took its place since it was listed.
    /// Says whether it was removed.
    ///
    /// # Errors
    /// When the state table can't be written.
    pub async fn settle(&self, head: &DeadLetterHead) -> Result<bool, StateError> {
        let name = format!("{}{}", self.letter, head.id);
        match self.store.get::<DeadLetterHead>(&name).await? {
            Some(stored) if stored.value.writing == head.writing => {
                match self.store.delete(&name, stored.revision).await {
                    Ok(()) => {}
                    Err(StateError::Conflict { .. }) => return Ok(false),
                    Err(error) => return Err(error),
                }
            }
            Some(_) => return Ok(false),
            None => {}
        }
        self.forget_parts(&head.id, head.writing).await?;
        Ok(true)
    }

    /// Removes parts of dead letters that were settled or recorded again by a process that died in between. The parts
    /// are images of source items, and no record refers to them any more. Call it only when no process keeps dead
    /// letters.
    ///
    /// # Errors
    /// If the state table can't be reached.
    pub async fn forget_orphans(&self) -> Result<(), StateError> {
        self.forget(self.part).await
    }

    /// Name of a part of a letter's images.
    fn part_name(&self, id: &str, writing: u64, number: usize) -> String {
        format!("{}{id}#{writing:016x}#{number:04}", self.part)
    }

    /// A letter whose head can't be read, by its name.
    fn damaged_head(&self, damaged: Damaged) -> DeadLetterHead {
        let id = damaged
            .record
            .strip_prefix(self.letter)
            .unwrap_or(&damaged.record);
        DeadLetterHead {
            service: id.rsplit_once('#').map_or(id, |(service, _)| service).to_owned(),
            id: id.to_owned(),
            key: serde_json::Value::Null,
            reason: if self.letter == EVENT_LETTER {
                "the dead letter is damaged; `dynasplit dead-letters discard --events --service NAME` removes it, and its event is lost"
            } else {
                "the dead letter is damaged; `dynasplit dead-letters reconcile` removes it and makes a repair mandatory"
            }
            .into(),
            origin: String::new(),
            at_ms: 0,
            parts: 0,
            writing: 0,
            attempts: Attempts::default(),
            damage: Some(damaged.cause),
        }
    }

    async fn forget_parts(&self, id: &str, writing: u64) -> Result<(), StateError> {
        self.forget(&format!("{}{id}#{writing:016x}#", self.part)).await
    }

    async fn forget(&self, prefix: &str) -> Result<(), StateError> {
        let mut damaged = Vec::new();
        for (part, stored) in self.store.list_readable::<String>(prefix, &mut damaged).await? {
            match self.store.delete(&part, stored.revision).await {
                Ok(()) | Err(StateError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        for part in &damaged {
            self.store.discard(part).await?;
        }
        Ok(())
    }
}

impl DeadLetterHead {
    /// Its attempts, also if an earlier version wrote it.
    #[must_use]
    pub fn known_attempts(&self) -> Attempts {
        let attempts = self.attempts.clone();
        match self.damage {
            None => attempts.or(|| self.attempt()),
            Some(_) => attempts,
        }
    }

    /// The attempt that wrote it.
    fn attempt(&self) -> Attempt {
        Attempt {
            at_ms: self.at_ms,
            origin: self.origin.clone(),
            reason: self.reason.clone(),
        }
    }
}

impl ShownDeadLetter {
    fn of(head: DeadLetterHead, images: Result<Images, String>) -> Self {
        let attempts = head.known_attempts();
        let (images, damage) = match images {
            Ok(images) => (images, None),
            Err(damage) => (Images::default(), Some(damage)),
        };
        Self {
            letter: DeadLetter {
                service: head.service,
                key: head.key,
                reason: head.reason,
                origin: head.origin,
                at_ms: head.at_ms,
                image: images.image,
                old_image: images.old_image,
            },
            attempts,
            damage,
        }
    }
}

/// Cuts a text into pieces of at most `bytes`, between characters; at least one piece.
fn pieces(text: &str, bytes: usize) -> Vec<&str> {
    let mut rest = text;
    let mut found = Vec::new();
    while rest.len() > bytes {
        let mut at = bytes;
        while !rest.is_char_boundary(at) {
            at -= 1;
        }
        let (piece, tail) = rest.split_at(at);
        found.push(piece);
        rest = tail;
    }
    found.push(rest);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_cut_between_characters() {
        assert_eq!(pieces("", 4), [""]);
        assert_eq!(pieces("abcdef", 4), ["abcd", "ef"]);
        assert_eq!(pieces("aéééb", 4), ["aé", "éé", "b"]);
        let long = "ü".repeat(1000);
        assert_eq!(pieces(&long, 7).concat(), long);
    }
}
