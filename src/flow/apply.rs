//! The write path: every change from the source to a service's table takes the steps of [`apply`].

use super::changes::Changes;
use super::coalesce::Group;
use super::effects::{Effects, Write, WriteKind, effects};
use super::guard::Guard;
use super::stop::Stop;
use crate::fault::{Rule, broken};
use crate::model::{Counters, Origin};
use crate::plan::{Service, Versions};

/// Makes a write a second time. Its item is a new copy of the item of the change.
pub type Again<'a> = dyn Fn() -> Result<Write, Stop> + Send + Sync + 'a;

/// The destination of writes: one service's table. An implementation retries temporary failures without end.
pub trait Sink: Send + Sync {
    /// Makes one write, under its guard. When this answers `Ok`, the write is durable.
    ///
    /// The write is given away, so that its item is moved into the request that carries it. For another request, it is
    /// made again by `rebuild`, from the whole item: a [`WriteKind::PutRaw`] becomes a [`WriteKind::Put`].
    fn write(
        &self,
        write: Write,
        rebuild: &Again<'_>,
    ) -> impl Future<Output = Result<Landed, SinkError>> + Send;

    /// As [`Sink::write`], of a write that was not made from a change.
    fn write_copied(&self, write: &Write) -> impl Future<Output = Result<Landed, SinkError>> + Send {
        async move { self.write(write.clone(), &|| Ok(write.clone())).await }
    }
}

/// Where complaints are kept. When these answer `Ok`, the entry is durable.
pub trait Ledger: Send + Sync {
    /// Keeps a dead letter: the change, and why it can't land.
    fn dead_letter(
        &self,
        service: &str,
        group: &Group,
        reason: &str,
    ) -> impl Future<Output = Result<(), Stop>> + Send;
    /// Puts a source key on the recheck list.
    fn recheck(&self, service: &str, group: &Group) -> impl Future<Output = Result<(), Stop>> + Send;
}

/// The result of a write that was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Landed {
    /// The outcome.
    pub outcome: Outcome,
    /// Write units used.
    pub used: WriteUse,
}

/// Write units that a request used, in thousandths.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WriteUse {
    /// All of them.
    pub milliunits: u64,
    /// The part that was estimated from item sizes, because the engine did not report it.
    pub estimated_milliunits: u64,
}

impl WriteUse {
    /// Units as the engine reports them.
    #[must_use]
    pub fn told(milliunits: u64) -> Self {
        Self {
            milliunits,
            estimated_milliunits: 0,
        }
    }

    /// Estimated.
    #[must_use]
    pub fn estimated(milliunits: u64) -> Self {
        Self {
            milliunits,
            estimated_milliunits: milliunits,
        }
    }
}

impl std::ops::AddAssign for WriteUse {
    fn add_assign(&mut self, other: Self) {
        self.milliunits += other.milliunits;
        self.estimated_milliunits += other.estimated_milliunits;
    }
}

impl std::iter::Sum for WriteUse {
    fn sum<I: Iterator<Item = Self>>(uses: I) -> Self {
        let mut sum = Self::default();
        uses.for_each(|each| sum += each);
        sum
    }
}

/// The outcome of a write under its guard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It landed.
    Written,
    /// It landed as a tombstone.
    TombstoneWritten,
    /// The guard refused it, because the target holds something newer.
    Superseded,
    /// The guard refused it, because the target holds a tombstone.
    SupersededByTombstone,
}

/// Why a write was not answered by an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkError {
    /// It can never land: DynamoDB refuses the item itself.
    Rejected(String),
    /// The worker stops, or lost its lease.
    Stop(Stop),
}

impl From<Stop> for SinkError {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

/// The counters of one group of changes.
pub type Applied = Counters;

/// **The write path.** Takes the changes of one source item to one service, in these steps:
///
/// 1. *route* and *transform* both images of each change, and *guard* the writes that follow ([`effects`]);
/// 2. if the timestamp went backwards, put the key on the *recheck list*;
/// 3. *write*, each write under its guard; a refused guard is an outcome, not an error;
/// 4. keep a *dead letter* for a write that can never land.
///
/// The caller saves its checkpoint only after this has returned `Ok` for everything that the checkpoint covers.
///
/// # Errors
/// [`Stop`] if the worker must stop; the change is then not durable.
pub async fn apply<C: Changes, S: Sink, L: Ledger>(
    service: &Service,
    versions: &Versions,
    group: &C,
    sink: &S,
    ledger: &L,
) -> Result<Applied, Stop> {
    let Effects {
        writes,
        complaint,
        backwards,
        unchanged,
    } = group.effects(service, versions);
    let mut applied = Applied {
        seen: group.count(),
        unchanged: u64::from(unchanged),
        ..Applied::default()
    };
    let mut complaint = complaint.map(|complaint| complaint.reason);
    // Before the write, not after: once it has landed, a repetition may find no sign that it went backwards.
    if backwards && !broken(Rule::ListedFirst) {
        applied.backwards = 1;
        ledger.recheck(&service.name, &*group.group()?).await?;
    }
    for (place, write) in writes.into_iter().enumerate() {
        let puts = matches!(write.kind, WriteKind::Put(_) | WriteKind::PutRaw(_));
        let rebuild = || {
            let made = effects(service, versions, &*group.group()?)
                .writes
                .into_iter()
                .nth(place);
            made.ok_or_else(|| Stop {
                reason: "the change of an item makes other writes than before".into(),
            })
        };
        let mut landed = sink.write(write, &rebuild).await;
        if is_backwards(versions, group.origin(), puts, &landed) {
            if applied.backwards == 0 {
                applied.backwards = 1;
                ledger.recheck(&service.name, &*group.group()?).await?;
            }
            // Stream order wins over a tombstone of the item's own: it was created again with an older timestamp.
            let unguarded = || {
                let guard = Guard::Any;
                rebuild().map(|write| Write { guard, ..write })
            };
            landed = sink.write(unguarded()?, &unguarded).await;
        }
        match landed {
            Ok(landed) => count(&mut applied, puts, landed),
            Err(SinkError::Rejected(reason)) => complaint = Some(reason),
            Err(SinkError::Stop(stop)) => return Err(stop),
        }
    }
    if backwards && broken(Rule::ListedFirst) {
        ledger.recheck(&service.name, &*group.group()?).await?;
    }
    if let Some(reason) = complaint {
        applied.dead_letters += 1;
        ledger
            .dead_letter(&service.name, &*group.group()?, &reason)
            .await?;
    }
    Ok(applied)
}

/// A put of the tail that a tombstone refuses, in `timestamp` mode: the timestamp went backwards across a
/// delete. (In `sequence` mode a refusal only ever means that this is a repetition.)
fn is_backwards(
    versions: &Versions,
    origin: Option<&Origin>,
    puts: bool,
    landed: &Result<Landed, SinkError>,
) -> bool {
    matches!(versions, Versions::Timestamp(_))
        && matches!(origin, Some(Origin::Tail { .. }))
        && puts
        && matches!(
            landed,
            Ok(Landed {
                outcome: Outcome::SupersededByTombstone,
                ..
            })
        )
}

fn count(applied: &mut Applied, puts: bool, landed: Landed) {
    applied.write_milliunits += landed.used.milliunits;
    applied.estimated_write_milliunits += landed.used.estimated_milliunits;
    match (landed.outcome, puts) {
        (Outcome::Written, true) => applied.put += 1,
        (Outcome::Written, false) => applied.removed += 1,
        (Outcome::TombstoneWritten, _) => {
            applied.removed += 1;
            applied.tombstones += 1;
        }
        (Outcome::Superseded | Outcome::SupersededByTombstone, _) => applied.superseded += 1,
    }
}
