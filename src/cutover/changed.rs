//! The check of a cutover: the keys that changed since the last verify, compared by this process, which did not copy them. And
//! the check of a rollback: the keys that changed since the switch, compared by this process, which did not carry them back.
//!
//! Before the fence, the changed keys are read from the streams and compared while the application writes; those that agree are
//! forgotten. So the pause pays only for the keys of its last moments, however large the table is.

use super::journal::Journal;
use crate::model::{Key, count};
use crate::plan::Service;
use crate::source::lineage::age_gap;
use crate::state::{StreamPin, StreamPlaces};
use crate::status::{compared_changes, proof};
use crate::tail::{ChangedKeys, Keys, TipReader};
use crate::verify::KeyCheck;
use crate::worker::{RunError, Split, pause};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Keys in memory at most before they are compared. One needs about 100 bytes.
const FULL: usize = 100_000;
/// The fence is raised when no more keys than this are left to compare: that takes well under a second.
const FEW: usize = 500;
/// Rounds before the fence at most. Keys that are written all the time are never few.
const ROUNDS: u32 = 4;
/// The clock of a machine may differ from DynamoDB's by this much. (Only for changes of the target, which nobody but the lane
/// should have made.)
const CLOCKS_MS: u64 = 10 * 60 * 1000;
/// Looks at a key that differs, although its lane is drained.
const LOOKS: u32 = 3;
const BETWEEN_LOOKS: Duration = Duration::from_millis(300);
/// Keys that an error names.
const NAMED: usize = 5;

/// What is compared, and by which command.
pub(super) struct Compared<'a> {
    pub split: &'a Split,
    pub service: &'a Service,
    pub journal: &'a Journal,
    pub stop: &'a CancellationToken,
}

/// Since when the changes are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Since {
    Verify,
    Switch,
}

/// The changes since the last verify, on both sides; or those of the service's own table since its switch.
pub(super) struct Changed {
    since: Since,
    check: KeyCheck,
    source: ChangedKeys,
    /// Compared before: they differed then, because the lane was behind.
    kept: Keys,
    /// How many looks there were.
    looked: u64,
}

impl Changed {
    /// Reads nothing yet.
    pub async fn since_verify(on: &Compared<'_>) -> Result<Self, RunError> {
        let places = verified(on).await?.1;
        Ok(Self {
            since: Since::Verify,
            check: KeyCheck::new(on.split, &on.service.name, on.stop).await?,
            source: ChangedKeys::since(on.split, &on.service.name, places).await?,
            kept: Keys::default(),
            looked: 0,
        })
    }

    /// Reads nothing yet. `None` as long as the cutover has no pin.
    pub async fn since_switch(on: &Compared<'_>, epoch: u64) -> Result<Option<Self>, RunError> {
        let name = &on.service.name;
        let Some(pin) = StreamPin::read(&on.split.store, name, epoch).await? else {
            return Ok(None);
        };
        Ok(Some(Self {
            since: Since::Switch,
            check: KeyCheck::new(on.split, name, on.stop).await?,
            source: ChangedKeys::since_switch(on.split, name, pin)?,
            kept: Keys::default(),
            looked: 0,
        }))
    }

    /// Reads the changes since the switch up to where the reverse lane stands, and compares their keys while the service writes.
    pub async fn follow_back(&mut self, on: &Compared<'_>) -> Result<(), RunError> {
        for _ in 0..ROUNDS {
            while !self.source.follow(FULL, on.stop).await? {
                self.compare().await?;
            }
            self.compare().await?;
            if self.kept.len() <= FEW {
                break;
            }
        }
        Ok(())
    }

    /// Reads the changes up to now and compares their keys while the application writes, until few are left.
    pub async fn follow(&mut self, on: &Compared<'_>, tip: &mut TipReader) -> Result<(), RunError> {
        for _ in 0..ROUNDS {
            while !self.source.follow(FULL, on.stop).await? {
                self.compare().await?;
            }
            while !tip.follow(FULL, on.stop).await? {
                self.kept.extend(tip.keys.take());
                self.compare().await?;
            }
            self.kept.extend(tip.keys.take());
            if self.kept.len() + self.source.keys.len() <= FEW {
                break;
            }
            self.compare().await?;
        }
        Ok(())
    }

    /// Reads on and compares, beside the steps that wait until the writers have stopped. Nobody waits for a stream that shows a
    /// record late: when the step has ended, the rest is left to the check.
    pub async fn follow_on(
        &mut self,
        on: &Compared<'_>,
        tip: Option<&mut TipReader>,
        ended: &CancellationToken,
    ) -> Result<(), RunError> {
        loop {
            let is_read = tokio::select! {
                biased;
                () = ended.cancelled() => return Ok(()),
                followed = self.source.follow(FULL, on.stop) => followed?,
            };
            if is_read {
                break;
            }
            self.compare().await?;
        }
        if let Some(tip) = tip {
            tip.read_on().await?;
            self.kept.extend(tip.keys.take());
        }
        self.compare().await
    }

    /// One look at each key; those that agree are forgotten. A later change of theirs is read from the streams again.
    async fn compare(&mut self) -> Result<(), RunError> {
        self.kept.extend(self.source.keys.take());
        let keys = self.kept.take();
        self.looked += keys.len() as u64;
        self.kept.extend(self.check.differing(keys).await?);
        Ok(())
    }

    /// The verdict on everything that was written to the source before the fence. The lane is drained.
    pub async fn settle(&mut self, on: &Compared<'_>) -> Result<(), RunError> {
        while !self.source.follow(FULL, on.stop).await? {
            self.compare().await?;
        }
        self.verdict(on).await
    }

    /// The verdict on keys of the target that changed. Nobody writes it.
    pub async fn settle_target(&mut self, on: &Compared<'_>, keys: Vec<Key>) -> Result<(), RunError> {
        self.kept.extend(keys);
        self.verdict(on).await
    }

    async fn verdict(&mut self, on: &Compared<'_>) -> Result<(), RunError> {
        for look in 0..LOOKS {
            if look > 0 {
                pause(BETWEEN_LOOKS, on.stop).await?;
            }
            self.compare().await?;
            if self.kept.is_empty() {
                let looked = std::mem::take(&mut self.looked);
                let since = match self.since {
                    Since::Verify => "the last verify",
                    Since::Switch => "the switch, as far as the stream shows them,",
                };
                let what = format!("{} that changed since {since} agree", counted_keys(looked));
                return on.journal.event(&what, None).await;
            }
        }
        let keys = self.kept.take();
        let mut named: Vec<String> = keys.iter().take(NAMED).map(ToString::to_string).collect();
        if keys.len() > NAMED {
            named.push("...".into());
        }
        let (count, table, named) = (
            counted_keys(keys.len() as u64),
            &on.service.table.name,
            named.join(", "),
        );
        Err(RunError::Failed(match self.since {
            Since::Verify => format!(
                "{count} of {table} {} not hold what the source says: {named}. Run `dynasplit verify` to see how they differ",
                if keys.len() == 1 { "does" } else { "do" },
            ),
            Since::Switch => format!(
                "{count} of {table} {} not in the source as {service} wrote {}: {named}. Run `dynasplit verify --service \
                 {service}` to see how they differ, and what to do",
                if keys.len() == 1 { "is" } else { "are" },
                if keys.len() == 1 { "it" } else { "them" },
                service = on.service.name,
            ),
        }))
    }
}

fn counted_keys(keys: u64) -> String {
    if keys == 1 {
        "1 key".to_owned()
    } else {
        format!("{} keys", count(keys))
    }
}

/// The reader of the target's stream that keeps the keys that changed since the last verify.
pub(super) async fn tip(on: &Compared<'_>) -> Result<TipReader, RunError> {
    let began_ms = verified(on).await?.0;
    let reader = TipReader::open(on.split, &on.service.name).await?;
    reader.keeping_keys(began_ms.saturating_sub(CLOCKS_MS)).await
}

const NO_PLACES: &str = "the last verify does not show from where on changes have to be compared";

/// When the last verify of the whole table began, and from where on the changes of the source were not compared.
async fn verified(on: &Compared<'_>) -> Result<(u64, StreamPlaces), RunError> {
    let proof = proof(on.split, on.service).await?;
    let changes = match &proof {
        Some(proof) => compared_changes(on.split, on.service, proof).await?,
        None => None,
    };
    let places = proof.and_then(|proof| Some((proof.started_ms, proof.read_from(changes.as_ref())?)));
    places.ok_or_else(|| RunError::NotYet {
        what: NO_PLACES.into(),
        next: format!(
            "run `dynasplit verify --service {}`, then run this command again",
            on.service.name
        ),
    })
}

/// Why the changes since the last verify of a service cannot be compared, if that was clean.
pub(super) async fn unknown(split: &Split, service: &Service) -> Result<Option<String>, RunError> {
    let Some(proof) = proof(split, service).await? else {
        return Ok(None);
    };
    let reason = match &proof.places {
        None => Some(NO_PLACES.to_owned()),
        Some(places) => age_gap(places.complete_to_ms, split.now_ms())
            .map(|reason| format!("the last verify is too old to know what changed since: {reason}")),
    };
    Ok(reason.map(|reason| format!("{reason}. Run `dynasplit verify --service {}`", service.name)))
}
