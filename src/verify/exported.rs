//! A side of a comparison that is read from an export in S3, which uses no read units.

use super::reads::interrupted;
use super::scan::Pages;
use super::sorting::join;
use crate::model::KeySchema;
use crate::s3::Export;
use crate::state::UNDEFINED_MS;
use crate::worker::RunError;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Files of an export that are read at the same time.
const FILES_AT_ONCE: usize = 4;

/// The exports that are read instead of tables.
#[derive(Clone, Debug, Default)]
pub struct Exports {
    /// Of the source.
    pub source: Option<Export>,
    /// Of the services' tables, by service.
    pub targets: BTreeMap<String, Export>,
}

impl Exports {
    /// The moment that a comparison with them is about, in milliseconds since 1970: every one of them contains all writes from
    /// before it. `None`: all tables are read now.
    #[must_use]
    pub fn as_of_ms(&self) -> Option<u64> {
        let times = self.source.iter().chain(self.targets.values());
        let earliest = times.map(|export| export.summary.export_time_ms).min();
        earliest.map(|at_ms| at_ms.saturating_sub(UNDEFINED_MS))
    }
}

/// Reads a whole export, without the markers of cutovers. Every task has ended when this returns.
pub(super) async fn read_export<P: Pages>(
    export: &Export,
    keys: &KeySchema,
    pages: Arc<P>,
    stop: &CancellationToken,
) -> Result<(), RunError> {
    let (next, export) = (Arc::new(AtomicUsize::new(0)), Arc::new(export.clone()));
    let mut tasks = JoinSet::new();
    for _ in 0..FILES_AT_ONCE {
        let (export, next, pages) = (Arc::clone(&export), Arc::clone(&next), Arc::clone(&pages));
        let (keys, stop) = (keys.clone(), stop.clone());
        tasks.spawn(async move {
            while let Some(mut reader) = export.reader(next.fetch_add(1, Ordering::Relaxed)) {
                loop {
                    let mut page = tokio::select! {
                        biased;
                        () = stop.cancelled() => return Err(interrupted()),
                        page = reader.patient_page() => page?,
                    };
                    // A scan leaves them out, too.
                    page.items.retain(|item| !keys.is_marker(item));
                    pages.take(page.items).await?;
                    if page.next.is_none() {
                        break;
                    }
                }
            }
            Ok(())
        });
    }
    drop(pages);
    while let Some(ended) = tasks.join_next().await {
        join(ended)??;
    }
    Ok(())
}
