//! Scans a table in several segments at once.

use super::reads::TableReads;
use super::sorting::join;
use crate::model::Item;
use crate::worker::RunError;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Takes the items of a table, page by page, from several segments at once.
pub(super) trait Pages: Send + Sync + 'static {
    /// Takes a page.
    fn take(&self, items: Vec<Item>) -> impl Future<Output = Result<(), RunError>> + Send;
}

/// How tables are scanned.
#[derive(Clone, Debug)]
pub(super) struct Scanning {
    segments: u32,
    permits: Arc<Semaphore>,
}

/// Segments of a table, unless an option says otherwise. The table is read as fast as they answer, so more segments
/// would only cost more at once.
const SEGMENTS: u32 = 8;
/// More segments than this read no faster.
const MOST_SEGMENTS: u32 = 1024;
/// Pages of all tables together that are in memory at once: each is up to 1 MB, and some times that when parsed.
const PAGES_AT_ONCE: usize = 16;

impl Scanning {
    pub fn new(segments: Option<u32>) -> Self {
        Self {
            segments: segments.unwrap_or(SEGMENTS).clamp(1, MOST_SEGMENTS),
            permits: Arc::new(Semaphore::new(PAGES_AT_ONCE)),
        }
    }

    /// Reads a whole table. Every task has ended when this returns. A segment whose key range is throttled all the time is
    /// left until the others are read, and then tried once more.
    pub async fn read<P: Pages>(&self, table: &TableReads, pages: Arc<P>) -> Result<(), RunError> {
        let all = (0..self.segments).map(|segment| Place { segment, after: None });
        let hot = self.read_places(table, &pages, all.collect()).await?;
        if hot.is_empty() {
            return Ok(());
        }
        let places = hot.into_iter().map(|(place, _)| place).collect();
        match self.read_places(table, &pages, places).await?.pop() {
            None => Ok(()),
            Some((_, error)) => Err(error),
        }
    }

    /// Reads segments from these places to their ends. Returns the throttled ones, with their places.
    async fn read_places<P: Pages>(
        &self,
        table: &TableReads,
        pages: &Arc<P>,
        places: Vec<Place>,
    ) -> Result<Vec<(Place, RunError)>, RunError> {
        let mut tasks = JoinSet::new();
        for place in places {
            tasks.spawn(self.clone().segment(table.clone(), place, Arc::clone(pages)));
        }
        let (mut hot, mut result) = (Vec::new(), Ok(()));
        while let Some(ended) = tasks.join_next().await {
            match join(ended).and_then(|ended| ended) {
                Ok(throttled) => hot.extend(throttled),
                Err(error) => {
                    if result.is_ok() {
                        result = Err(error);
                        tasks.abort_all();
                    }
                }
            }
        }
        result.map(|()| hot)
    }

    /// Reads one of so many segments. Returns the error of a key range that is throttled all the time; then the segment was not read
    /// to its end.
    pub async fn one<P: Pages>(
        &self,
        table: &TableReads,
        (segment, segments): (u32, u32),
        pages: Arc<P>,
    ) -> Result<Option<RunError>, RunError> {
        let scanning = Self {
            segments,
            permits: Arc::clone(&self.permits),
        };
        let place = Place { segment, after: None };
        let hot = scanning.segment(table.clone(), place, pages).await?;
        Ok(hot.map(|(_, error)| error))
    }

    async fn segment<P: Pages>(
        self,
        table: TableReads,
        mut place: Place,
        pages: Arc<P>,
    ) -> Result<Option<(Place, RunError)>, RunError> {
        loop {
            // The permit covers the page until it is taken: it bounds memory, not only requests.
            let _permit = self.permits.acquire().await;
            let page = table.page(place.segment, self.segments, place.after.as_ref());
            let page = match page.await {
                Err(error @ RunError::HotRange { .. }) => return Ok(Some((place, error))),
                page => page?,
            };
            pages.take(page.items).await?;
            place.after = page.next;
            if place.after.is_none() {
                return Ok(None);
            }
        }
    }
}

/// The place in a segment at which to continue.
struct Place {
    segment: u32,
    after: Option<Item>,
}
