//! Opens the journal, and refuses a split that could not end.

use super::journal::{Journal, run_name};
use super::record::{ExportRecord, FORMAT, OfflineRecord};
use super::task::{OfflineOptions, OfflineSplit, Step};
use crate::dynamo::point_in_time_recovery;
use crate::import::{refuse_existing, refuse_plan};
use crate::model::moment;
use crate::s3::Bucket;
use crate::source::{Present, check_keys, describe_source, present};
use crate::state::{SplitRecord, StateError};
use crate::target::{TtlState, ttl_state};
use crate::worker::{RunError, Split, refuse_abandoned, unless_stopped};
use tokio_util::sync::CancellationToken;

/// No AWS account has this number, which emulators show.
const EMULATED: &str = "000000000000";

/// The beginning of a command.
pub struct Begin<'a> {
    pub split: &'a Split,
    pub options: &'a OfflineOptions,
    pub stop: &'a CancellationToken,
    pub tell: &'a (dyn Fn(&str) + Sync),
}

impl<'a> Begin<'a> {
    /// Opens the journal to continue the split; the first step begins one.
    pub async fn open(self, first: Step) -> Result<OfflineSplit<'a>, RunError> {
        let instead = "split this table live";
        refuse_plan(&self.split.plan, "the plan cannot be split offline", instead)?;
        let source = unless_stopped(self.stop, self.present()).await?;
        let bucket = self.bucket(&source);
        let found = unless_stopped(self.stop, Journal::read(&bucket, &self.options.to)).await?;
        let journal = match found {
            Some(journal) => unless_stopped(self.stop, self.go_on(journal, &source)).await?,
            None if first > Step::Export => return Err(self.no_journal()),
            None => unless_stopped(self.stop, Box::pin(self.begin(&bucket, &source))).await?,
        };
        Ok(self.with(bucket, journal))
    }

    /// Opens the journal to show it.
    pub async fn look(self) -> Result<OfflineSplit<'a>, RunError> {
        let source = unless_stopped(self.stop, self.present()).await?;
        let bucket = self.bucket(&source);
        let found = unless_stopped(self.stop, Journal::read(&bucket, &self.options.to)).await?;
        let journal = found.ok_or_else(|| self.no_journal())?;
        self.check(&journal.record, &source)?;
        Ok(self.with(bucket, journal))
    }

    fn with(self, bucket: Bucket, journal: Journal) -> OfflineSplit<'a> {
        OfflineSplit {
            split: self.split,
            options: self.options,
            bucket,
            journal,
            stop: self.stop,
            tell: self.tell,
            comparison: None,
        }
    }

    async fn present(&self) -> Result<Present, RunError> {
        Ok(present(&self.split.source.control, &self.split.plan.source.table).await?)
    }

    /// The bucket belongs to the account of the source, unless an option names another one, so that nobody else's bucket gets the items.
    fn bucket(&self, source: &Present) -> Bucket {
        let account = source
            .arn
            .split(':')
            .nth(4)
            .filter(|account| *account != EMULATED);
        let owner = self.options.owner.clone().or_else(|| account.map(str::to_owned));
        let region = self.options.region.as_deref();
        Bucket::new(&self.split.source, region, &self.options.to.bucket, owner)
    }

    fn no_journal(&self) -> RunError {
        RunError::NotYet {
            what: format!("no split was begun in {}", self.options.to),
            next: "check --to, or begin one with `offline run` and --writers-stopped".into(),
        }
    }

    /// Checks everything that can be known now, and begins the journal.
    async fn begin(&self, bucket: &Bucket, source: &Present) -> Result<Journal, RunError> {
        let stopped_ms = self.options.writers_stopped_ms.ok_or_else(|| RunError::NotYet {
            what: "nothing says since when the writers of the source are stopped".into(),
            next: "stop them, wait until their last requests have ended, and give the time with --writers-stopped".into(),
        })?;
        refuse_future(stopped_ms, source)?;
        self.refuse_source().await?;
        self.refuse_live_split().await?;
        refuse_existing(self.split, |_| true).await?;
        let record = OfflineRecord {
            format: FORMAT,
            split: self.split.plan.split.clone(),
            source: source.arn.clone(),
            source_id: source.id.clone(),
            writers_stopped_ms: stopped_ms,
            run: run_name(),
            export: ExportRecord::default(),
            shaping: None,
            imports: std::collections::BTreeMap::new(),
            verified: None,
            finished_ms: None,
        };
        let journal = Journal::begin(bucket, &self.options.to, record).await?;
        (self.tell)(&format!("began the journal {}journal.json", self.options.to));
        Ok(journal)
    }

    /// Refuses a source that still changes, or that cannot be exported.
    async fn refuse_source(&self) -> Result<(), RunError> {
        let (client, source) = (&self.split.source.control, &self.split.plan.source);
        check_keys(&source.keys, &describe_source(client, &source.table).await?)?;
        let ttl = match ttl_state(client, &source.table).await? {
            TtlState::Off | TtlState::Unknown => None,
            TtlState::On { attribute } => Some(format!("TTL of {} is on ({attribute})", source.table)),
            TtlState::TurningOff { .. } => {
                Some(format!("TTL of {} is still being switched off", source.table))
            }
        };
        if let Some(what) = ttl {
            return Err(RunError::NotYet {
                what: format!("{what}, so DynamoDB deletes items although the writers are stopped"),
                next: "switch it off (aws dynamodb update-time-to-live), wait for an hour, and run the command again".into(),
            });
        }
        if self.options.export.is_none()
            && point_in_time_recovery(client, &source.table).await? == Some(false)
        {
            return Err(RunError::NotYet {
                what: format!(
                    "point-in-time recovery of {} is off, and an export needs it",
                    source.table
                ),
                next: format!(
                    "enable it (aws dynamodb update-continuous-backups --table-name {} --point-in-time-recovery-specification \
                     PointInTimeRecoveryEnabled=true), or name an export with --export",
                    source.table
                ),
            });
        }
        Ok(())
    }

    /// A live split of the same plan has tables and a stream of its own.
    async fn refuse_live_split(&self) -> Result<(), RunError> {
        let split = self.split;
        if !split.store.exists(&split.source.control).await? {
            return Ok(());
        }
        let record = match SplitRecord::read(&split.store).await {
            Ok(stored) => stored.value,
            Err(StateError::NotApplied { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if record.completed_ms.is_some() || refuse_abandoned(&split.plan, &record).is_err() {
            return Ok(());
        }
        Err(RunError::NotYet {
            what: format!(
                "a live split of this plan has begun (state table {})",
                split.plan.state_table
            ),
            next: "continue it (`dynasplit status` names the next command), or give it up with `dynasplit abandon`".into(),
        })
    }

    /// Takes a split over that was begun.
    async fn go_on(&self, mut journal: Journal, source: &Present) -> Result<Journal, RunError> {
        self.check(&journal.record, source)?;
        if journal.record.finished_ms.is_some() {
            return Ok(journal);
        }
        let stopped_ms = self.options.writers_stopped_ms;
        if let Some(stopped_ms) = stopped_ms {
            refuse_future(stopped_ms, source)?;
            if journal.record.has_imports() && stopped_ms > journal.record.writers_stopped_ms {
                return Err(RunError::NotYet {
                    what: format!(
                        "the tables are made of an export for which the writers had stopped by {}, and --writers-stopped is later",
                        moment(journal.record.writers_stopped_ms)
                    ),
                    next: "delete the imported tables, and begin anew with another folder (--to)".into(),
                });
            }
        }
        journal
            .change(|record| {
                record.run = run_name();
                // The later time is the safe one.
                record.writers_stopped_ms = record.writers_stopped_ms.max(stopped_ms.unwrap_or(0));
            })
            .await?;
        Ok(journal)
    }

    fn check(&self, record: &OfflineRecord, source: &Present) -> Result<(), RunError> {
        let other = |what: String| {
            Err(RunError::NotYet {
                what: format!("the folder {} holds {what}", self.options.to),
                next: "name another folder with --to".into(),
            })
        };
        if record.split != self.split.plan.split {
            return other(format!("the split '{}'", record.split));
        }
        if record.source != source.arn || record.source_id != source.id {
            return other(format!(
                "a split of {} (table id {})",
                record.source,
                record.source_id.as_deref().unwrap_or("unknown")
            ));
        }
        Ok(())
    }
}

fn refuse_future(stopped_ms: u64, source: &Present) -> Result<(), RunError> {
    // The clock of AWS is read in whole seconds.
    if stopped_ms < source.at_ms + 1000 {
        return Ok(());
    }
    Err(RunError::NotYet {
        what: format!(
            "--writers-stopped is {}, and by the clock of AWS it is {}",
            moment(stopped_ms),
            moment(source.at_ms)
        ),
        next: "give the time at which the writers had stopped".into(),
    })
}
