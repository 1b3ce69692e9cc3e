//! Reads one shard page by page, with iterators that are renewed.

use super::feed::Batch;
use crate::dynamo::{Failure, FailureKind};
use crate::fault::{Rule, broken};
use crate::model::Position;
use crate::source::{Page, PageSize, StreamSource};

/// A page with this many records shows that there is more to fetch: it may have been cut at 1 MB.
const FULL_PAGE: usize = 500;

/// Reads one shard from any position, keeping the iterator only while it serves.
#[derive(Debug)]
pub struct ShardReader {
    source: StreamSource,
    shard: String,
    /// The iterator, and the position that it stands for.
    iterator: Option<(Position, String)>,
    /// The number of records per request.
    size: PageSize,
}

impl ShardReader {
    /// For a shard.
    pub fn new(source: &StreamSource, shard: &str) -> Self {
        Self {
            source: source.clone(),
            shard: shard.to_owned(),
            iterator: None,
            size: PageSize::default(),
        }
    }

    /// Reads the records after a position. No records and the same position: nothing is new yet.
    ///
    /// # Errors
    /// As [`StreamSource::read`]; an expired iterator is replaced silently.
    pub async fn read(&mut self, from: &Position) -> Result<Batch, Failure> {
        if let Some((position, iterator)) = self.iterator.take()
            && position == *from
        {
            match self.page(&iterator).await {
                Err(failure) if failure.kind == FailureKind::ExpiredIterator => {}
                Err(failure) => return Err(failure),
                Ok(page) => return Ok(self.batch(from, page)),
            }
        }
        let Some(iterator) = self.source.open(&self.shard, from).await? else {
            return Ok(ended(from));
        };
        let page = self.page(&iterator).await?;
        Ok(self.batch(from, page))
    }

    /// Reads a page, of a size that comes in time.
    async fn page(&mut self, iterator: &str) -> Result<Page, Failure> {
        let read = self.source.read(iterator, self.size.limit()).await;
        match &read {
            Ok(page) => self.size.came(page.records.len()),
            Err(failure) if failure.timed_out() => self.size.timed_out(),
            Err(_) => {}
        }
        read
    }

    /// Whether a page with this many records is as large as requested: there is more to read at once.
    pub fn is_full(&self, records: usize) -> bool {
        records >= FULL_PAGE || self.size.is_full(records)
    }

    fn batch(&mut self, from: &Position, page: Page) -> Batch {
        let seems_ended = page.last.is_none() && broken(Rule::NullIterator);
        let reached = page.last.map_or_else(|| from.clone(), Position::After);
        let to = if page.next.is_some() && !seems_ended {
            reached.clone()
        } else {
            Position::End
        };
        self.iterator = page.next.map(|next| (reached, next));
        Batch {
            from: from.clone(),
            to,
            records: page.records,
            lines: page.lines,
            marker: page.marker,
        }
    }

    /// Reads from the oldest record that the shard still holds, in place of a position that was trimmed. Only for a
    /// lane that is complete up to a time that the stream still keeps, so that all trimmed records were applied.
    ///
    /// If not even this position is kept, the shard is empty. It has ended if other shards continue it (`continued`).
    /// Otherwise this is a failure like any other, because its next record may still come.
    ///
    /// # Errors
    /// As [`StreamSource::open`] and [`StreamSource::read`].
    pub async fn read_horizon(&mut self, from: &Position, continued: bool) -> Result<Batch, Failure> {
        match self.read_oldest(from).await {
            Err(failure) if continued && is_trimmed(&failure) => Ok(ended(from)),
            other => other,
        }
    }

    async fn read_oldest(&mut self, from: &Position) -> Result<Batch, Failure> {
        let Some(iterator) = self.source.open(&self.shard, &Position::Beginning).await? else {
            return Ok(ended(from));
        };
        let page = self.page(&iterator).await?;
        Ok(self.batch(from, page))
    }
}

/// Whether a failure says that the position is no longer kept. (DynamoDB Local says that it is missing.)
pub fn is_trimmed(failure: &Failure) -> bool {
    matches!(failure.kind, FailureKind::Trimmed | FailureKind::Missing)
}

fn ended(from: &Position) -> Batch {
    Batch {
        from: from.clone(),
        to: Position::End,
        records: Vec::new(),
        lines: Vec::new(),
        marker: None,
    }
}
