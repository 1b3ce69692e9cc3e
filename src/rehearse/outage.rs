//! The ledger part of a rehearsal: a table accepts no writes for days, while live writers write. Its lane falls behind by more than the
//! stream keeps, reads the ledger, and has lost nothing.

use super::error::RehearseError;
use super::forgotten::interrupted;
use super::passing_time::PassingTime;
use super::stand_in::RehearsalStandIn;
use super::writers::LiveWriters;
use crate::ledger::check_ledger;
use crate::model::duration;
use crate::source::lineage::RETENTION_MS;
use crate::status::{LaneStatus, SplitStatus, split_status};
use crate::worker::{RunError, Split};
use serde::Serialize;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// So much time passes at once. A worker judges by records that it has read some seconds before, so that they may be older by a few of these
/// steps: together, they must be less than the 20 hours after which a lane reads the ledger.
const HOP: Duration = Duration::from_secs(4 * 3600);
/// An engine may round the times of its records down by a minute.
const ROUNDED_MS: u64 = 120_000;
/// The lanes and the ledger must have caught up within this.
const CATCH_UP: Duration = Duration::from_secs(300);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// What a rehearsed outage showed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LedgerRehearsal {
    /// The service whose table accepted no writes.
    pub service: String,
    /// For how long, in milliseconds of the rehearsal's clock.
    pub outage_ms: u64,
    /// How far its lane was behind at the end of the outage, in milliseconds.
    pub lag_ms: u64,
    /// Records of the source that the stream did not keep any more at the end of the outage.
    pub forgotten: u64,
    /// After how many milliseconds of real time the lane had caught up.
    pub catch_up_ms: u64,
    /// Records in the ledger at the end.
    pub records: u64,
    /// Its objects.
    pub objects: u64,
    /// What went wrong: a gap, or an object that is missing or damaged.
    pub wrong: Vec<String>,
}

/// Plays the outage.
pub(super) struct Outage<'a> {
    pub split: &'a Split,
    pub stand_in: &'a RehearsalStandIn,
    pub time: &'a PassingTime,
    pub writers: &'a LiveWriters,
    pub lasts: Duration,
    pub say: &'a (dyn Fn(&str) + Sync),
    pub stop: &'a CancellationToken,
}

/// Whose lag must be short.
#[derive(Clone, Copy)]
enum Who<'a> {
    /// Every lane and the ledger.
    All,
    /// The same without this lane.
    AllBut(&'a str),
}

impl Outage<'_> {
    /// Lets the table of a service accept no writes for this long, and then waits until its lane has caught up.
    ///
    /// # Errors
    /// If it was interrupted, or a lane does not catch up. A gap is in the report.
    pub async fn play(&self, service: &str) -> Result<LedgerRehearsal, RehearseError> {
        let mut report = LedgerRehearsal {
            service: service.to_owned(),
            ..LedgerRehearsal::default()
        };
        let table = self
            .split
            .plan
            .service(service)
            .map(|service| &service.table.name);
        self.stand_in.refuse_writes(table.map(String::as_str));
        (self.say)(&format!("the table of {service} accepts no writes"));
        let began_ms = self.split.now_ms();
        let is_blocked =
            |status: &SplitStatus| lane(status, service).is_some_and(|lane| lane.blocked.is_some());
        self.until(&format!("{service} is held up"), is_blocked).await?;
        loop {
            if let Some(gap) = self.until_followed(Who::AllBut(service)).await? {
                report.wrong.push(gap);
                return Ok(report);
            }
            let passed = Duration::from_millis(self.split.now_ms().saturating_sub(began_ms));
            if passed >= self.lasts {
                break;
            }
            self.time.pass(HOP.min(self.lasts.saturating_sub(passed)));
            (self.say)(&format!(
                "{service} has accepted no writes for {}",
                duration(self.split.now_ms().saturating_sub(began_ms))
            ));
        }
        let status = split_status(self.split).await?;
        report.outage_ms = self.split.now_ms().saturating_sub(began_ms);
        report.lag_ms = lane(&status, service).and_then(|lane| lane.lag_ms).unwrap_or(0);
        report.forgotten = self.time.expired();
        let needs_ledger = status
            .ledger
            .is_some_and(|ledger| ledger.lanes.iter().any(|lane| lane == service));
        if self.lasts.as_millis() > u128::from(RETENTION_MS) && !needs_ledger {
            report.wrong.push(format!(
                "{service} was not so far behind that it needed the ledger"
            ));
        }
        self.stand_in.refuse_writes(None);
        (self.say)(&format!("{service} catches up from the ledger"));
        let began = Instant::now();
        report.wrong.extend(self.until_followed(Who::All).await?);
        report.catch_up_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(report)
    }

    /// Waits until everybody is complete up to now, but for a minute or two. Returns the first gap.
    async fn until_followed(&self, who: Who<'_>) -> Result<Option<String>, RehearseError> {
        let since_ms = self.split.now_ms().saturating_sub(ROUNDED_MS);
        let mut gap = None;
        let is_followed = |status: &SplitStatus| {
            let lanes = status.lanes.iter();
            let lanes = lanes.filter(|lane| !matches!(who, Who::AllBut(name) if lane.lane == name));
            let lanes: Vec<&LaneStatus> = lanes.collect();
            gap = gap_of(status);
            let is_complete = |lag_ms: Option<u64>| {
                lag_ms.is_some_and(|lag| status.read_ms.saturating_sub(lag) >= since_ms)
            };
            let ledger = status.ledger.as_ref().and_then(|ledger| ledger.lag_ms);
            gap.is_some() || (lanes.iter().all(|lane| is_complete(lane.lag_ms)) && is_complete(ledger))
        };
        self.until("the lanes and the ledger have caught up", is_followed)
            .await?;
        Ok(gap)
    }

    async fn until(
        &self,
        what: &str,
        mut is_so: impl FnMut(&SplitStatus) -> bool,
    ) -> Result<(), RehearseError> {
        let began = Instant::now();
        loop {
            let status = split_status(self.split).await?;
            if is_so(&status) {
                return Ok(());
            }
            if began.elapsed() > CATCH_UP {
                let told = |lane: &LaneStatus| {
                    format!("{}: {:?} behind, {:?}", lane.lane, lane.lag_ms, lane.blocked)
                };
                let lanes: Vec<String> = status.lanes.iter().map(told).collect();
                let reason = format!(
                    "waited in vain until {what}: {}; ledger: {:?}",
                    lanes.join(", "),
                    status.ledger
                );
                return Err(RunError::Failed(reason).into());
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(interrupted().into()),
                // The writers say why when they are stopped.
                () = self.writers.failed() => return Err(RunError::Failed("a live writer failed".into()).into()),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}

fn lane<'a>(status: &'a SplitStatus, name: &str) -> Option<&'a LaneStatus> {
    status.lanes.iter().find(|lane| lane.lane == name)
}

fn gap_of(status: &SplitStatus) -> Option<String> {
    let of_lane = |lane: &LaneStatus| Some(format!("{} lost records: {}", lane.lane, lane.gap.as_ref()?));
    let ledger = status.ledger.as_ref().and_then(|ledger| ledger.gap.as_ref());
    let ledger = ledger.map(|gap| format!("the ledger lost records: {gap}"));
    status.lanes.iter().find_map(of_lane).or(ledger)
}

impl LedgerRehearsal {
    /// Reads every object of the ledger, as `ledger check` does.
    pub(super) async fn check(&mut self, split: &Split) -> Result<(), RehearseError> {
        let checked = check_ledger(split).await?;
        for chain in checked.chains {
            self.records += chain.records;
            self.objects += chain.objects;
            let holes = chain.holes.iter();
            self.wrong
                .extend(holes.map(|hole| format!("hole in {}: {hole}", chain.chain)));
        }
        if self.records == 0 {
            self.wrong.push("the ledger has no records".into());
        }
        Ok(())
    }
}
