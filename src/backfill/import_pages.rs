//! The pages of a segment in the import order: each item is shaped by the write path, and goes into an object of its service in S3
//! instead of its table.
//!
//! An object counts as soon as the segment's record names it, together with the cursor behind its items. Its name is new for each
//! claim of a segment, so a process that lost its lease can neither overwrite an object nor add one.

use super::import_target::ImportTarget;
use super::kept_pages::Page;
use super::segment::{PageRead, SegmentTask};
use crate::dynamo::chance;
use crate::fault;
use crate::flow::{Again, Guard, Landed, Outcome, Sink, SinkError, Stop, Write, WriteKind, WriteUse, apply};
use crate::model::json::{item_line, raw_line};
use crate::model::raw::RawPut;
use crate::model::{Compression, Counters, Item, Packer};
use crate::s3::Bucket;
use crate::state::{CommittedObject, ShardRecord};
use crate::tail::watch_item;
use crate::worker::StateLedger;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// The items of one service that are not in an object yet.
struct Gathered {
    packed: Packer<Vec<u8>>,
    items: u64,
    bytes: u64,
    line: Vec<u8>,
}

impl Gathered {
    fn new(compression: Compression) -> std::io::Result<Self> {
        Ok(Self {
            packed: Packer::new(compression, Vec::new())?,
            items: 0,
            bytes: 0,
            line: Vec::new(),
        })
    }

    fn add(&mut self, item: &Item) -> std::io::Result<()> {
        item_line(item, &mut self.line);
        self.add_line()
    }

    fn add_raw(&mut self, item: &RawPut) -> std::io::Result<()> {
        raw_line(item, &mut self.line);
        self.add_line()
    }

    fn add_line(&mut self) -> std::io::Result<()> {
        self.packed.write_all(&self.line)?;
        self.items += 1;
        self.bytes += self.line.len() as u64;
        Ok(())
    }
}

/// Takes the writes of a page for one service, in place of its table.
struct Gathering(Mutex<Gathered>);

impl Sink for Gathering {
    async fn write(&self, write: Write, _: &Again<'_>) -> Result<Landed, SinkError> {
        let unusable = |reason: String| SinkError::Stop(Stop { reason });
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let added = match (write.kind, write.guard) {
            (WriteKind::Put(item), Guard::Any) => gathered.add(&item),
            (WriteKind::PutRaw(item), Guard::Any) => gathered.add_raw(&item),
            _ => {
                return Err(unusable(
                    "a page of an import makes a write that an object cannot hold".into(),
                ));
            }
        };
        added.map_err(|error| unusable(format!("an item cannot be packed: {error}")))?;
        Ok(Landed {
            outcome: Outcome::Written,
            used: WriteUse::default(),
        })
    }
}

/// What was gathered of a segment since its last commit.
struct Batch {
    lanes: BTreeMap<String, (Gathering, Counters)>,
    scanned: u64,
    read_milliunits: u64,
}

impl Batch {
    fn of(lanes: &[String], compression: Compression) -> Result<Self, Stop> {
        let empty = || Gathered::new(compression).map(|gathered| Gathering(Mutex::new(gathered)));
        let of_lane = |lane: &String| Ok((lane.clone(), (empty()?, Counters::default())));
        let lanes: std::io::Result<_> = lanes.iter().map(of_lane).collect();
        Ok(Self {
            lanes: lanes.map_err(|error| Stop {
                reason: format!("items cannot be packed: {error}"),
            })?,
            scanned: 0,
            read_milliunits: 0,
        })
    }

    fn bytes(&self) -> u64 {
        let gathered = self.lanes.values().map(|(gathering, _)| {
            let gathered = gathering.0.lock().unwrap_or_else(PoisonError::into_inner);
            gathered.bytes
        });
        gathered.sum()
    }
}

impl SegmentTask {
    /// Runs until the segment is in S3, or the worker stops.
    pub(super) async fn gather(
        &self,
        target: &ImportTarget,
        ledger: &StateLedger,
        work: &CancellationToken,
    ) -> Result<(), Stop> {
        let claim = format!("{:032x}", chance::any::<u128>());
        let mut written = 0;
        // All lanes of a segment have one cursor, because they are committed together.
        while let Some((mut cursor, lanes)) = self.next_pass(&std::collections::BTreeSet::new()) {
            let mut batch = Batch::of(&lanes, target.folder.compression)?;
            let mut is_left = false;
            loop {
                if work.is_cancelled() {
                    return Ok(());
                }
                let page = match self.next_page(cursor.as_deref(), work).await? {
                    PageRead::Page(page) => page,
                    PageRead::Left => {
                        is_left = true;
                        break;
                    }
                    PageRead::Stopped => return Ok(()),
                };
                fault::moment("backfill.page-read").await;
                cursor = page.next.clone();
                self.gather_page(&page, &mut batch, ledger).await?;
                if cursor.is_none() || batch.bytes() >= target.folder.object_bytes {
                    break;
                }
                if self.enough.is_cancelled() {
                    is_left = true;
                    break;
                }
            }
            if batch.scanned > 0 || !is_left {
                self.commit(target, (&claim, &mut written), batch, cursor).await?;
            }
            if is_left {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn gather_page(&self, page: &Page, batch: &mut Batch, ledger: &StateLedger) -> Result<(), Stop> {
        let share = &self.share;
        for (lane, (gathering, sum)) in &mut batch.lanes {
            let mut counters = Counters::default();
            for group in page.items.iter() {
                counters.add(&match share.split.target(lane) {
                    Some((service, _)) => {
                        apply(service, &share.split.plan.versions, group, gathering, ledger).await?
                    }
                    None if lane == ShardRecord::WATCH => watch_item(&share.split, ledger, group).await?,
                    None => {
                        let reason = format!("the plan of this process does not know the service '{lane}'");
                        return Err(Stop { reason });
                    }
                });
            }
            counters.seen += (page.items.len() as u64).saturating_sub(counters.seen);
            sum.add(&counters);
        }
        batch.scanned += page.items.len() as u64;
        batch.read_milliunits += page.read_milliunits;
        Ok(())
    }

    /// Writes the objects, and then moves the cursors behind their items, in the same change that names the objects.
    async fn commit(
        &self,
        target: &ImportTarget,
        (claim, written): (&str, &mut u32),
        batch: Batch,
        cursor: Option<String>,
    ) -> Result<(), Stop> {
        let segment = self.leased.snapshot().segment;
        let _writing = self.share.writing.enter();
        let mut done = Vec::new();
        for (lane, (gathering, counters)) in batch.lanes {
            let gathered = gathering.0.into_inner().unwrap_or_else(PoisonError::into_inner);
            let object = match gathered.items {
                0 => None,
                _ => {
                    *written += 1;
                    let (prefix, ending) = (&target.folder.prefix, target.folder.compression.ending());
                    let key = format!("{prefix}shaped/{lane}/{segment:07}-{claim}-{written:05}{ending}");
                    Some(put(&target.bucket, key, gathered).await?)
                }
            };
            done.push((lane, counters, object));
        }
        fault::moment("backfill.checkpoint.before").await;
        self.leased.update(|record| {
            record.scanned += batch.scanned;
            record.read_milliunits += batch.read_milliunits;
            for (lane, counters, object) in done {
                let Some(progress) = record.services.get_mut(&lane) else {
                    continue;
                };
                progress.done = cursor.is_none();
                progress.cursor.clone_from(&cursor);
                progress.counters.add(&counters);
                progress.objects.extend(object);
            }
        });
        fault::moment("backfill.checkpoint.after").await;
        Ok(())
    }
}

async fn put(bucket: &Bucket, key: String, gathered: Gathered) -> Result<CommittedObject, Stop> {
    let stop = |error: &dyn std::fmt::Display| Stop {
        reason: format!(
            "the object s3://{}/{key} cannot be written: {error}",
            bucket.name()
        ),
    };
    let packed = gathered.packed.finish().map_err(|error| stop(&error))?;
    let etag = bucket
        .put_new(&key, &packed)
        .await
        .map_err(|error| stop(&error))?;
    Ok(CommittedObject {
        etag,
        items: gathered.items,
        bytes: gathered.bytes,
        size: packed.len() as u64,
        key,
    })
}
