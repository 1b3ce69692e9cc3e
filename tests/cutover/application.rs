//! The application: it writes one table or the other, as the flags say that the hooks set, and it knows what it wrote.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::support::table::{SdkItem, number, text};

/// How many people the application writes.
pub const PEOPLE: u64 = 24;

/// One person, as the application knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Rises with each write.
    pub n: u64,
    /// Known only to the source; `None`: it may be there or not.
    pub secret: Option<u64>,
}

/// What was written and accepted.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// The people who live.
    pub people: BTreeMap<u64, Person>,
    /// Writes of the source.
    pub source: u64,
    /// Writes of the target.
    pub target: u64,
    /// Writes that a policy refused.
    pub refused: u64,
}

/// Which table the application may write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    Source,
    Target,
}

/// A writer that runs until it is dropped.
pub struct Application {
    written: Arc<Mutex<Written>>,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

/// The names that a writer needs.
#[derive(Clone)]
pub struct Tables {
    pub client: Client,
    pub source: String,
    pub target: String,
    /// The folder with the flags.
    pub flags: PathBuf,
}

impl Application {
    /// Starts to write, about so many times a second.
    pub fn start(tables: Tables, written: Written, seed: u64, per_second: u64) -> Self {
        let written = Arc::new(Mutex::new(written));
        let stop = CancellationToken::new();
        let (known, stopped) = (Arc::clone(&written), stop.clone());
        let task = AbortOnDropHandle::new(tokio::spawn(async move {
            let mut number = seed;
            while !stopped.is_cancelled() {
                number = number
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                if let Some(side) = side(&tables.flags) {
                    // The write and its note are one: a test that looks meanwhile sees both or neither.
                    let mut known = known.lock().await;
                    write(&tables, side, number >> 33, &mut known).await;
                }
                tokio::time::sleep(Duration::from_millis(1000 / per_second)).await;
            }
        }));
        Self { written, stop, task }
    }

    /// What was written so far.
    pub async fn written(&self) -> Written {
        self.written.lock().await.clone()
    }

    /// Stops, and says what was written.
    pub async fn end(self) -> Written {
        self.stop.cancel();
        self.task.await.expect("the application ends");
        self.written.lock().await.clone()
    }
}

/// The table that the flags allow; the target if both are allowed, as an application that has switched.
fn side(flags: &Path) -> Option<Side> {
    let allowed = |name: &str, unless: &str| {
        let flag = std::fs::read_to_string(flags.join(name)).unwrap_or_else(|_| unless.to_owned());
        flag.trim() == "write"
    };
    if allowed("people.target", "stop") {
        return Some(Side::Target);
    }
    allowed("people.source", "write").then_some(Side::Source)
}

async fn write(tables: &Tables, side: Side, chance: u64, written: &mut Written) {
    let id = chance % PEOPLE;
    let n = written.source + written.target + 1;
    let deletes = (chance / PEOPLE).is_multiple_of(5);
    let (table, key) = match side {
        Side::Source => (&tables.source, source_key(id)),
        Side::Target => (&tables.target, target_key(id)),
    };
    if deletes {
        let sent = tables
            .client
            .delete_item()
            .table_name(table)
            .set_key(Some(key))
            .send()
            .await;
        if is_refused(sent) {
            written.refused += 1;
            return;
        }
        written.people.remove(&id);
    } else {
        let mut item = key;
        item.insert("n".into(), number(n));
        let secret = match side {
            Side::Source => {
                item.insert("amount".into(), number(n * 10));
                item.insert("secret".into(), number(n));
                Some(n)
            }
            Side::Target => {
                item.insert("total".into(), number(n * 10));
                written.people.get(&id).and_then(|person| person.secret)
            }
        };
        let sent = tables
            .client
            .put_item()
            .table_name(table)
            .set_item(Some(item))
            .send()
            .await;
        if is_refused(sent) {
            written.refused += 1;
            return;
        }
        written.people.insert(id, Person { n, secret });
    }
    match side {
        Side::Source => written.source += 1,
        Side::Target => written.target += 1,
    }
}

/// Whether a policy refused a write. Everything else must succeed.
fn is_refused<T: Debug, E: ProvideErrorMetadata + Debug>(sent: Result<T, E>) -> bool {
    match sent {
        Ok(_) => false,
        Err(error) if error.code() == Some("AccessDeniedException") => true,
        Err(error) => panic!("the application can write: {error:?}"),
    }
}

/// The key of a person in the source.
pub fn source_key(id: u64) -> SdkItem {
    [("PK".into(), text(format!("PER#{id}"))), ("SK".into(), text("P"))].into()
}

/// The key of a person in the table of the service.
pub fn target_key(id: u64) -> SdkItem {
    [("id".into(), text(id.to_string())), ("part".into(), text("P"))].into()
}
