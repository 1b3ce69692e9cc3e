//! Pages of an export: the files are the segments, and a cursor is a number of lines.

use super::fill_page::groups;
use super::kept_pages::Page;
use super::read_again::before_attempt;
use crate::dynamo::Health;
use crate::flow::Stop;
use crate::model::{Item, KeySchema};
use crate::s3::{Export, ExportPage, FileReader};
use crate::state::Order;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

const LINES: &str = "lines ";

/// The pages of one segment, which is a file of an export. As long as the cursors follow one another, the file is read once.
#[derive(Debug, Default)]
pub(super) struct FilePages(Mutex<Option<FileReader>>);

/// Which file is read, and how.
pub(super) struct File<'a> {
    pub export: &'a Export,
    pub segment: u32,
    pub keys: &'a KeySchema,
    pub order: Order,
    pub health: &'a Health,
}

impl FilePages {
    /// Reads the page after a cursor, however long it takes. `None`: the work stops.
    pub async fn page(
        &self,
        file: &File<'_>,
        cursor: Option<&str>,
        work: &CancellationToken,
    ) -> Result<Option<Page>, Stop> {
        let line = cursor.map_or(Ok(0), lines)?;
        let mut open = self.0.lock().await;
        let mut reader = match open.take().filter(|reader| reader.line() == line) {
            Some(reader) => reader,
            None => file.open()?,
        };
        let mut attempt = 0u32;
        loop {
            let read = async {
                reader.skip_to(line).await?;
                reader.page().await
            };
            let read = tokio::select! {
                biased;
                () = work.cancelled() => return Ok(None),
                read = read => read,
            };
            match read {
                Ok(page) => {
                    if attempt > 0 {
                        file.health.clear();
                    }
                    let page = file.changes(page)?;
                    *open = page.next.is_some().then_some(reader);
                    return Ok(Some(page));
                }
                Err(error) => {
                    let Some(failure) = error.passing() else {
                        return Err(Stop {
                            reason: error.to_string(),
                        });
                    };
                    attempt = attempt.saturating_add(1);
                    file.health.block(failure.reason());
                    tracing::debug!(segment = file.segment, attempt, %failure, "reading the file again");
                    before_attempt(attempt, work).await;
                }
            }
        }
    }
}

impl File<'_> {
    fn open(&self) -> Result<FileReader, Stop> {
        let file = usize::try_from(self.segment).ok();
        let reader = file.and_then(|file| self.export.reader(file));
        reader.ok_or_else(|| Stop {
            reason: format!(
                "the export {} has no file for segment {}",
                self.export.summary.arn, self.segment
            ),
        })
    }

    /// The items of a page, as changes.
    fn changes(&self, page: ExportPage) -> Result<Page, Stop> {
        let mut items = once_each(page.items, |item| self.keys.key_of(item));
        // The markers of a cutover that ran meanwhile.
        items.retain(|item| !self.keys.is_marker(item));
        let items = groups(items, self.keys, self.order)?;
        Ok(Page {
            items: Arc::new(items),
            next: page.next.map(|line| format!("{LINES}{line}")),
            read_milliunits: 0,
            counted: false,
        })
    }
}

/// The items of a page without the earlier ones of those that have one key. An export is no snapshot, so an item that changed meanwhile may be
/// in it twice. Either state will do, because the stream delivers the change; two writes of one key at the same time would not.
fn once_each<K: std::hash::Hash + Eq>(items: Vec<Item>, key: impl Fn(&Item) -> Option<K>) -> Vec<Item> {
    let mut seen = HashSet::new();
    let mut kept: Vec<Item> = items
        .into_iter()
        .rev()
        .filter(|item| key(item).is_none_or(|key| seen.insert(key)))
        .collect();
    kept.reverse();
    kept
}

fn lines(cursor: &str) -> Result<u64, Stop> {
    let number = cursor.strip_prefix(LINES).and_then(|number| number.parse().ok());
    number.ok_or_else(|| Stop {
        reason: format!("a cursor in the state table can't be read: it is no number of lines ({cursor})"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;

    #[test]
    fn of_two_states_of_an_item_in_a_page_one_is_copied() {
        let item =
            |key: &str, at: &str| Item::from([("k".into(), Value::s(key)), ("at".into(), Value::s(at))]);
        let items = vec![item("a", "1"), item("b", "1"), item("a", "2")];
        let kept = once_each(items, |item| item.get("k").cloned().map(|key| format!("{key:?}")));
        assert_eq!(kept, [item("b", "1"), item("a", "2")]);
    }

    #[test]
    fn a_cursor_is_a_number_of_lines() {
        assert_eq!(lines("lines 12").unwrap(), 12);
        assert!(lines(r#"{"PK":{"S":"x"}}"#).is_err(), "a cursor of a scan");
    }
}
