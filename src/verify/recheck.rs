//! Reads candidates again until each has a verdict.

use super::chunks::{Chunks, push_all};
use super::delivery::Deliveries;
use super::key_search::{KEYS_PER_SEARCH, search_keys};
use super::mismatch_list::MismatchList;
use super::point_reader::{PointRead, PointReader};
use super::reads::interrupted;
use super::scan::Scanning;
use super::sorting::blocking;
use super::view::{ServiceProgress, add};
use crate::model::{Key, count};
use crate::verify::compare::{
    Candidate, CandidateFile, Delivery, Digest, Mismatch, MismatchClass, Observation, Outcome, Pending,
    ServiceReport, SettleRules, SpillDir, Written,
};
use crate::worker::RunError;
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Looks of one service that are under way at once, in all comparisons of a process together.
pub(super) const LOOKS_AT_ONCE: usize = 32;
/// Candidates that are in memory at once.
const CHUNK: usize = 256;
/// Candidates that are due within this part of the rest are looked at in one round.
const SLACK_PART: u32 = 32;

/// Settles the candidates of one service.
pub(super) struct Recheck {
    pub reader: PointReader,
    pub rules: SettleRules,
    pub deliveries: Arc<Deliveries>,
    pub dir: SpillDir,
    pub scanning: Scanning,
    pub list: MismatchList,
    /// Looks that are under way at once.
    pub looks: usize,
    pub progress: Arc<ServiceProgress>,
    pub stop: CancellationToken,
}

/// The result of the rechecks of one service.
pub(super) struct Settled {
    pub report: ServiceReport,
    /// Confirmed mismatches that a repair can write.
    pub repairable: CandidateFile,
    /// Differences that a repair can write, and that the lane did not deliver in time: each may only be late.
    pub undelivered: CandidateFile,
    /// How many differences the lane did not deliver in time.
    pub undelivered_keys: u64,
    /// Confirmed mismatches in which several source keys are involved.
    pub collisions: u64,
    /// Keys that could not be read.
    pub hot: HotKeys,
}

/// Keys whose range was throttled all the time: there is no verdict on them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct HotKeys {
    count: u64,
    /// The description of the first ones.
    first: Vec<String>,
}

/// Keys that are named.
const NAMED: usize = 5;

impl HotKeys {
    /// One more, which this error is about.
    pub fn add(&mut self, error: &RunError) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(error.to_string());
        }
    }

    /// Those of another service.
    pub fn extend(&mut self, other: Self) {
        self.count += other.count;
        self.first.extend(other.first);
        self.first.truncate(NAMED);
    }

    /// For a person: the first ones, and how many more there are.
    pub fn notes(self) -> Vec<String> {
        let more = self.count.saturating_sub(self.first.len() as u64);
        let mut notes = self.first;
        if more > 0 {
            notes.push(format!(
                "{} more keys could not be read for the same reason",
                count(more)
            ));
        }
        notes
    }
}

/// The digests of extra items with an unknown source, from before the source was searched for them.
type Before = HashMap<Key, Option<Digest>>;

/// Where verdicts go.
#[derive(Default)]
struct Verdicts {
    mismatches: Vec<Mismatch>,
    repairable: Vec<Pending>,
    undelivered: Vec<Pending>,
    unknown: Vec<Pending>,
}

/// The rules for a verdict.
pub(super) fn settle_rules(written: Written, deliveries: &Deliveries) -> SettleRules {
    SettleRules {
        written,
        ..SettleRules::new(deliveries.rest())
    }
}

impl Settled {
    /// Nothing is settled yet.
    pub fn new(report: ServiceReport, dir: &SpillDir) -> Self {
        Self {
            report,
            repairable: CandidateFile::new(dir.clone()),
            undelivered: CandidateFile::new(dir.clone()),
            undelivered_keys: 0,
            collisions: 0,
            hot: HotKeys::default(),
        }
    }
}

impl Recheck {
    /// Looks at every candidate until it has a verdict.
    pub async fn run(self, candidates: CandidateFile, report: ServiceReport) -> Result<Settled, RunError> {
        let mut settled = Settled::new(report, &self.dir);
        let unknown = self.settle(candidates, None, &mut settled).await?;
        let mut chunks = Chunks::of(unknown, KEYS_PER_SEARCH);
        loop {
            let chunk = chunks.next().await?;
            if chunk.is_empty() {
                return Ok(settled);
            }
            let (known, before) = self.search(chunk).await?;
            self.settle(known, Some(&before), &mut settled).await?;
        }
    }

    /// Searches for the sources of extra items whose target key does not show them. These items then start again,
    /// with the sources that were found, because a seeming extra may have had one all along.
    async fn search(&self, chunk: Vec<Pending>) -> Result<(CandidateFile, Before), RunError> {
        let keys: Vec<Key> = chunk
            .iter()
            .map(|pending| pending.candidate.target_key().clone())
            .collect();
        let reads: Vec<_> = keys.iter().map(|key| self.reader.held(key)).collect();
        let held: Vec<_> = futures::stream::iter(reads)
            .buffered(self.looks)
            .try_collect()
            .await?;
        let before: Before = keys.iter().cloned().zip(held).collect();
        let found = search_keys(&self.reader, &self.scanning, keys).await?;
        let known = found
            .into_iter()
            .map(|(target_key, mut source_keys)| {
                Pending::new(match source_keys.len() {
                    0 => Candidate::Extra { target_key },
                    1 => Candidate::Different {
                        target_key,
                        source_key: source_keys.remove(0),
                    },
                    several => Candidate::Collision {
                        target_key,
                        source_keys,
                        sources: several as u64,
                    },
                })
            })
            .collect();
        let file = push_all(CandidateFile::new(self.dir.clone()), known).await?;
        Ok((file, before))
    }

    /// Round after round, until none is left. Answers those whose source must be searched for (none after that
    /// was done, which `before` says).
    async fn settle(
        &self,
        mut waiting: CandidateFile,
        before: Option<&Before>,
        settled: &mut Settled,
    ) -> Result<CandidateFile, RunError> {
        let mut unknown = CandidateFile::new(self.dir.clone());
        while let Some(due) = waiting.earliest_due() {
            self.progress
                .candidates
                .store(waiting.len() + unknown.len(), Ordering::Relaxed);
            let delivery = self.wait_until(due).await?;
            let mut next = CandidateFile::new(self.dir.clone());
            let mut chunks = Chunks::of(waiting, CHUNK);
            loop {
                let chunk = chunks.next().await?;
                if chunk.is_empty() {
                    break;
                }
                let (later, verdicts) = self.round(chunk, delivery, before, settled).await?;
                next = push_all(next, later).await?;
                unknown = push_all(unknown, verdicts.unknown).await?;
                self.keep(&mut settled.repairable, verdicts.repairable).await?;
                self.keep(&mut settled.undelivered, verdicts.undelivered).await?;
                self.tell(verdicts.mismatches).await?;
            }
            waiting = next;
        }
        self.progress.candidates.store(unknown.len(), Ordering::Relaxed);
        Ok(unknown)
    }

    async fn keep(&self, file: &mut CandidateFile, more: Vec<Pending>) -> Result<(), RunError> {
        let kept = std::mem::replace(file, CandidateFile::new(self.dir.clone()));
        *file = push_all(kept, more).await?;
        Ok(())
    }

    /// Reads each candidate that is due once. Returns those that have no verdict yet.
    async fn round(
        &self,
        chunk: Vec<Pending>,
        delivery: Delivery,
        before: Option<&Before>,
        settled: &mut Settled,
    ) -> Result<(Vec<Pending>, Verdicts), RunError> {
        let horizon = delivery.clock(self.reader.now(), self.rules.rest) + self.rules.rest / SLACK_PART;
        let (due, mut later): (Vec<_>, Vec<_>) =
            chunk.into_iter().partition(|pending| pending.due <= horizon);
        let looks: Vec<_> = due
            .iter()
            .map(|pending| self.reader.look(&pending.candidate, delivery))
            .collect();
        let seen: Vec<Result<PointRead, RunError>> = futures::stream::iter(looks)
            .buffered(self.looks)
            .map(|seen| match seen {
                Err(hot @ RunError::HotRange { .. }) => Ok(Err(hot)),
                seen => seen.map(Ok),
            })
            .try_collect()
            .await?;
        let mut verdicts = Verdicts::default();
        for (mut pending, seen) in due.into_iter().zip(seen) {
            let seen = match seen {
                Ok(seen) => seen,
                Err(error) => {
                    settled.report.rechecked(Outcome::Unsettled);
                    settled.hot.add(&error);
                    continue;
                }
            };
            let PointRead {
                observation,
                target_is_newer,
                is_own,
            } = seen;
            // What a table that receives everything holds of others stays as it was at the switch.
            let outcome = match self.rules.written {
                Written::Target if !is_own => Outcome::Agreed,
                _ => pending.observe(&self.rules, &observation),
            };
            match self.judge(&pending.candidate, outcome, &observation, before) {
                Judged::Search => {
                    settled.report.rechecked += 1;
                    verdicts.unknown.push(Pending::new(pending.candidate));
                }
                Judged::Settled(outcome) => {
                    settled.report.rechecked(outcome);
                    match outcome {
                        Outcome::Wait { .. } => later.push(pending),
                        Outcome::Agreed | Outcome::Unsettled => {}
                        Outcome::Undelivered => {
                            settled.undelivered_keys += 1;
                            if pending.candidate.source_keys().len() <= 1 {
                                verdicts.undelivered.push(Pending::new(pending.candidate));
                            }
                        }
                        Outcome::Mismatch(class) => {
                            settled.report.newer += u64::from(target_is_newer);
                            self.confirm(pending, class, &mut verdicts, settled);
                        }
                    }
                }
            }
        }
        Ok((later, verdicts))
    }

    fn judge(
        &self,
        candidate: &Candidate,
        outcome: Outcome,
        seen: &Observation,
        before: Option<&Before>,
    ) -> Judged {
        let Outcome::Mismatch(MismatchClass::Extra | MismatchClass::Misrouted) = outcome else {
            return Judged::Settled(outcome);
        };
        match before {
            _ if self.reader.can_invert() => Judged::Settled(outcome),
            None => Judged::Search,
            // The search found no source of the item of that time. If another item is there now, a source item may
            // have been written behind the scan.
            Some(before)
                if matches!(candidate, Candidate::Extra { .. })
                    && before.get(candidate.target_key()) != Some(&seen.held) =>
            {
                Judged::Settled(Outcome::Unsettled)
            }
            Some(_) => Judged::Settled(outcome),
        }
    }

    fn confirm(
        &self,
        pending: Pending,
        class: MismatchClass,
        verdicts: &mut Verdicts,
        settled: &mut Settled,
    ) {
        let candidate = pending.candidate;
        let mut mismatch = Mismatch::of(&self.reader.service().name, class, &candidate);
        if class == MismatchClass::Misrouted {
            mismatch.source_keys = self.reader.source_keys(&candidate);
        }
        verdicts.mismatches.push(mismatch);
        if !class.is_fault() {
            return;
        }
        add(&self.progress.mismatches, 1);
        // Where several source keys were involved, a repair by any one of them could remove the other's item.
        if class == MismatchClass::Collision || candidate.source_keys().len() > 1 {
            settled.collisions += 1;
        } else {
            verdicts.repairable.push(Pending::new(candidate));
        }
    }

    async fn tell(&self, mismatches: Vec<Mismatch>) -> Result<(), RunError> {
        if mismatches.is_empty() {
            return Ok(());
        }
        let list = self.list.clone();
        blocking(move || mismatches.into_iter().try_for_each(|mismatch| list.add(mismatch))).await
    }

    /// Waits until a look is worthwhile. Answers what the lane had delivered by then.
    async fn wait_until(&self, due: Duration) -> Result<Delivery, RunError> {
        loop {
            let now = self.reader.now();
            let delivery = self.deliveries.of(&self.reader.service().name, now).await?;
            if delivery.clock(now, self.rules.rest) >= due {
                return Ok(delivery);
            }
            let pause = self.deliveries.next_look(due.saturating_sub(now));
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(interrupted()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

enum Judged {
    Search,
    Settled(Outcome),
}
