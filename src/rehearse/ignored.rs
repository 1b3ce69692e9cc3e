//! A writer of a service that ignores the fence of its cutover: it writes the source after the fence was raised, until it is
//! noticed. All its writes are accepted, so none of them may be lost.

use super::application::{Application, own};
use super::error::RehearseError;
use super::mutate::{Request, Timestamp};
use super::population::NOTE_ATTRIBUTE;
use super::writer_error::WriterError;
use crate::dynamo::Failure;
use crate::model::{Item, ItemExt, Key, RESERVED_PREFIX, Value};
use crate::plan::Service;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::task::AbortOnDropHandle;

/// How often it writes at most.
const MOST: u64 = 10;
/// Between two writes: several fall into the time for which a fence is proven.
const BETWEEN: Duration = Duration::from_millis(150);

/// A writer that ignores the fence of one service.
pub(super) struct Ignoring {
    application: Arc<Application>,
    service: Service,
    /// The item that it writes: chosen when the writers of the service have stopped, because they could delete it before.
    key: OnceLock<Key>,
    timestamp: Option<Timestamp>,
    state: Mutex<State>,
}

/// Held while a write is under way.
#[derive(Default)]
struct State {
    ended: bool,
    task: Option<AbortOnDropHandle<Result<(), WriterError>>>,
    made: u64,
}

impl Ignoring {
    /// A writer of one item of a service.
    pub fn of(
        application: &Arc<Application>,
        service: &str,
        timestamp: Option<Timestamp>,
    ) -> Option<Arc<Self>> {
        Some(Arc::new(Self {
            application: Arc::clone(application),
            service: application.plan.service(service)?.clone(),
            key: OnceLock::new(),
            timestamp,
            state: Mutex::default(),
        }))
    }

    /// The first item of the service; `None` if it has none.
    fn chosen(&self) -> Option<Key> {
        let versions = &self.application.plan.versions;
        let items = self.application.items().into_iter();
        let keys = items
            .filter(|(_, item)| own(&self.service, versions, item).is_some())
            .map(|(key, _)| key);
        keys.min_by_key(ToString::to_string)
    }

    /// Begins to write, if the service has an item. The fence is raised.
    pub async fn begin(self: &Arc<Self>) {
        let Some(key) = self.chosen() else { return };
        let key = self.key.get_or_init(|| key).clone();
        let writer = Arc::clone(self);
        let writing = async move {
            for n in 0..MOST {
                let mut state = writer.state.lock().await;
                if state.ended {
                    break;
                }
                let request = writer.request(n);
                writer.application.ignore_the_fence(&key, request).await?;
                state.made += 1;
                drop(state);
                tokio::time::sleep(BETWEEN).await;
            }
            Ok(())
        };
        self.state.lock().await.task = Some(AbortOnDropHandle::new(tokio::spawn(writing)));
    }

    /// Somebody noticed it, and it stops, if it had begun. When this returns, none of its writes is under way.
    pub async fn end(&self) {
        let mut state = self.state.lock().await;
        state.ended = state.task.is_some();
    }

    /// Waits for its end. Returns how many writes it made.
    ///
    /// # Errors
    /// If one of them failed.
    pub async fn made(&self) -> Result<u64, RehearseError> {
        self.end().await;
        let task = self.state.lock().await.task.take();
        if let Some(task) = task {
            task.await??;
        }
        Ok(self.state.lock().await.made)
    }

    /// Whether the service's own table holds the item as it was written last.
    pub async fn is_copied(&self) -> Result<bool, Failure> {
        let versions = &self.application.plan.versions;
        let item = self.key.get().and_then(|key| self.application.item(key));
        let Some(held) = item.and_then(|item| own(&self.service, versions, &item)) else {
            return Ok(true);
        };
        let mut found = self.application.read_target(&self.service).await?;
        let found = found.remove(&held.key).map(|mut item| {
            item.retain(|name, _| !name.starts_with(RESERVED_PREFIX));
            item.encode()
        });
        Ok(found == Some(held.item.encode()))
    }

    fn request(&self, n: u64) -> Request {
        let note = format!("write {n} of a writer that ignores the fence");
        let mut set = Item::from([(NOTE_ATTRIBUTE.to_owned(), Value::s(note))]);
        if let Some(Timestamp { attribute, now }) = &self.timestamp {
            set.insert(attribute.clone(), now());
        }
        Request::Set(set)
    }
}
