//! Begins a heal, or finds the one that was interrupted: what was lost, where the lanes begin anew, and the windows in between.

use super::healing::HealOptions;
use super::journal::Journal;
use super::loss::{Loss, find_loss};
use super::windows::{MARGIN_MS, SHORTEST_MS, windows};
use crate::dynamo::{RestorablePeriod, restorable_period};
use crate::fault;
use crate::lifecycle::restart_tail;
use crate::model::moment;
use crate::repair::{refuse_fenced, refuse_uncopied};
use crate::source::{Present, present};
use crate::state::{HealCounts, HealRecord, HealWindow, SplitRecord};
use crate::tail::pin_lanes;
use crate::worker::{RunError, Split, unless_stopped};
use tokio_util::sync::CancellationToken;

const REPAIR: &str = "run `dynasplit verify --repair`, which compares everything";

/// Where a heal is when the command begins.
pub(super) enum Begun {
    /// Windows are left, or the tombstones are not swept.
    Continues(Box<Journal>),
    /// The last heal has ended, and no lane lost anything since.
    Ended(Box<HealRecord>),
}

/// The services that can be healed, by their names. Refuses a service whose target keys nothing proves: of the source key alone, nobody knows
/// which item of its table is meant.
pub(super) fn services(split: &Split) -> Result<Vec<&str>, RunError> {
    let vouched = split.active().find(|(service, _)| !service.is_injective());
    if let Some((service, _)) = vouched {
        return Err(RunError::NotYet {
            what: format!(
                "the key mapping of {} is not proven (the plan vouches for it), so an export does not say which item of its table \
                 belongs to a key",
                service.name
            ),
            next: REPAIR.into(),
        });
    }
    Ok(split.active().map(|(service, _)| service.name.as_str()).collect())
}

/// What a heal would have to do; it changes nothing.
pub(super) struct Outlook {
    pub last: Option<Journal>,
    pub loss: Option<Loss>,
    pub period: RestorablePeriod,
    pub source: Present,
}

impl Outlook {
    /// Looks at the state and at the source.
    ///
    /// # Errors
    /// If nothing can be healed from exports, with the way out.
    pub async fn of(split: &Split, record: &SplitRecord, options: &HealOptions) -> Result<Self, RunError> {
        let names = services(split)?;
        refuse_fenced(record, names.iter().copied())?;
        refuse_uncopied(split, &names).await?;
        let last = Journal::find(&split.store).await?;
        let since = last.as_ref().map_or(1, |last| last.record().generation);
        let loss = find_loss(split, record, since).await?;
        let source = present(&split.source.control, &split.plan.source.table).await?;
        let table = &split.plan.source.table;
        let period = restorable_period(&split.source.control, table).await?;
        let Some(period) = period else {
            return Err(RunError::NotYet {
                what: format!(
                    "point-in-time recovery of {table} is off, so no export can say what changed during the gap"
                ),
                next: format!(
                    "{REPAIR}. (If you enable it now, later gaps can be healed: aws dynamodb update-continuous-backups)"
                ),
            });
        };
        let found = Self {
            last,
            loss,
            period,
            source,
        };
        found.refuse_other_table()?;
        found.refuse_too_old(split, options)?;
        Ok(found)
    }

    /// The heal that was interrupted.
    pub fn unfinished(&self) -> Option<&HealRecord> {
        let last = self.last.as_ref().map(Journal::record);
        last.filter(|last| last.finished_ms.is_none())
    }

    fn refuse_other_table(&self) -> Result<(), RunError> {
        let Some(last) = self.unfinished() else {
            return Ok(());
        };
        if last.table_arn == self.source.arn && last.table_id == self.source.id {
            return Ok(());
        }
        Err(RunError::NotYet {
            what: format!(
                "the source is another table than when the heal began (it was {} with the id {})",
                last.table_arn,
                last.table_id.as_deref().unwrap_or("unknown")
            ),
            next: REPAIR.into(),
        })
    }

    /// The beginning of what is left to be exported.
    fn unexported_ms(&self) -> Option<u64> {
        if let Some(last) = self.unfinished() {
            let is_left = |window: &&HealWindow| {
                window
                    .request
                    .as_ref()
                    .is_none_or(|request| request.arn.is_none())
            };
            let left = last.windows.iter().filter(|window| !window.done).find(is_left);
            return left.map(|window| window.from_ms);
        }
        self.loss
            .map(|loss| loss.from_ms.saturating_sub(MARGIN_MS) / 1000 * 1000)
    }

    fn refuse_too_old(&self, split: &Split, options: &HealOptions) -> Result<(), RunError> {
        let from_ms = match self.unfinished() {
            // Their exports may be there.
            Some(last) if options.new_exports => {
                let left = last.windows.iter().find(|window| !window.done);
                left.map(|window| window.from_ms)
            }
            _ => self.unexported_ms(),
        };
        match (from_ms, self.period.earliest_ms) {
            (Some(from), Some(earliest)) if from < earliest => Err(RunError::NotYet {
                what: format!(
                    "changes of {} since {} must be exported, and point-in-time recovery keeps them only since {}",
                    split.plan.source.table,
                    moment(from),
                    moment(earliest)
                ),
                next: REPAIR.into(),
            }),
            _ => Ok(()),
        }
    }
}

/// Begins, or continues. The new positions in the stream are pinned before the end of the last window is known.
pub(super) async fn begin(
    split: &Split,
    options: &HealOptions,
    stop: &CancellationToken,
) -> Result<Begun, RunError> {
    let record = SplitRecord::read(&split.store).await?.value;
    let outlook = unless_stopped(stop, Box::pin(Outlook::of(split, &record, options))).await?;
    let is_unfinished = outlook.unfinished().is_some();
    if outlook.loss.is_none() && !is_unfinished {
        return match outlook.last {
            Some(last) if record.repair_required.is_some() => {
                Ok(Begun::Ended(Box::new(last.record().clone())))
            }
            _ => Err(nothing_lost()),
        };
    }
    let folder = folder(&outlook, options)?;
    if outlook.loss.is_some_and(|loss| loss.is_open) {
        let seen = record.stream().map_or(1, |(generation, _)| generation);
        unless_stopped(stop, Box::pin(restart_tail(split, seen))).await?;
    }
    let generation = unless_stopped(stop, Box::pin(pin_lanes(split))).await?;
    fault::moment("heal.pinned").await;
    let record = SplitRecord::read(&split.store).await?.value;
    let is_present = record.stream().filter(|(present, _)| *present == generation);
    let Some(pinned_ms) = is_present.and_then(|(_, stream)| stream.captured_ms) else {
        return Err(RunError::NotYet {
            what: "another command restarted the tail at this moment".into(),
            next: "run the same command again".into(),
        });
    };
    if record.repair_required.is_none() && !is_unfinished {
        return Err(nothing_lost());
    }
    let end_ms = pinned_ms + MARGIN_MS;
    let journal = match (outlook.last, outlook.loss) {
        (Some(mut last), _) if is_unfinished => {
            let more = (generation > last.record().generation).then(|| {
                let lost_ms = outlook.loss.map(|loss| loss.from_ms.saturating_sub(MARGIN_MS));
                let from_ms = lost_ms.unwrap_or(u64::MAX).min(last.record().end_ms());
                windows(from_ms, end_ms.max(from_ms + SHORTEST_MS))
            });
            go_on(&mut last, generation, more, &folder, options).await?;
            last
        }
        (last, Some(loss)) => {
            let record = HealRecord {
                generation,
                table_arn: outlook.source.arn,
                table_id: outlook.source.id,
                to: folder,
                windows: windows(loss.from_ms.saturating_sub(MARGIN_MS), end_ms),
                started_ms: split.now_ms(),
                finished_ms: None,
                counts: HealCounts::default(),
            };
            Journal::begin(&split.store, last, record).await?
        }
        (_, None) => return Err(nothing_lost()),
    };
    fault::moment("heal.begun").await;
    Ok(Begun::Continues(Box::new(journal)))
}

/// Continues an interrupted heal. If a gap came up since then, more windows follow. They may begin before the end of those that are healed: a lane
/// that was behind may have written older states since.
async fn go_on(
    journal: &mut Journal,
    generation: u32,
    more: Option<Vec<HealWindow>>,
    folder: &str,
    options: &HealOptions,
) -> Result<(), RunError> {
    if more.is_none() && journal.record().to == folder && !options.new_exports {
        return Ok(());
    }
    journal
        .change(|record| {
            record.generation = generation;
            folder.clone_into(&mut record.to);
            if options.new_exports {
                let left = record.windows.iter_mut().filter(|window| !window.done);
                left.for_each(HealWindow::forget_export);
            }
            record.windows.extend(more.into_iter().flatten());
        })
        .await?;
    Ok(())
}

fn folder(outlook: &Outlook, options: &HealOptions) -> Result<String, RunError> {
    let named = options.to.as_ref().map(ToString::to_string);
    let known = || outlook.unfinished().map(|last| last.to.clone());
    named.or_else(known).ok_or_else(|| RunError::NotYet {
        what: "no bucket is known for the exports".into(),
        next: "name it with --to s3://BUCKET/PREFIX".into(),
    })
}

pub(super) fn nothing_lost() -> RunError {
    RunError::NotYet {
        what: "no lane of a service lost changes since the last clean verify, so there is nothing to heal"
            .into(),
        next: "run `dynasplit status`, which names the next command".into(),
    }
}
