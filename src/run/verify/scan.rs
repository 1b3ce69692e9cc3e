use super::reads::TableReads;
use super::sorting::join;
use crate::model::Item;
use crate::run::error::RunError;
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

/// Segments of a table, unless told: it is read as fast as they answer, so more would only cost more at once.
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

    /// Reads a whole table. Every task has ended when this returns.
    pub async fn read<P: Pages>(&self, table: &TableReads, pages: Arc<P>) -> Result<(), RunError> {
        let mut tasks = JoinSet::new();
        for segment in 0..self.segments {
            tasks.spawn(self.clone().segment(table.clone(), segment, Arc::clone(&pages)));
        }
        drop(pages);
        let mut result = Ok(());
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = join(ended).and_then(|ended| ended)
                && result.is_ok()
            {
                result = Err(error);
                tasks.abort_all();
            }
        }
        result
    }

    async fn segment<P: Pages>(self, table: TableReads, segment: u32, pages: Arc<P>) -> Result<(), RunError> {
        let mut after = None;
        loop {
            // The permit covers the page until it is taken: it bounds memory, not only requests.
            let _permit = self.permits.acquire().await;
            let page = table.page(segment, self.segments, after.as_ref()).await?;
            pages.take(page.items).await?;
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}
