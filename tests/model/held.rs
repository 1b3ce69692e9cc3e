//! What a target key holds, and what is written to it, as numbers: the states of the models stay small, and the real
//! items and writes are looked up.

use dynasplit::flow::{Guard, Write, WriteKind, is_tombstone, tombstone_epoch};
use dynasplit::model::{Item, VERSION_ATTRIBUTE, Value};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

/// What stands at a target key: nothing, or an item of the pool.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Held(u16);

/// A write of the pool.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct WriteId(u16);

#[derive(Default)]
struct Items {
    all: Vec<Arc<Item>>,
    numbers: HashMap<Arc<Item>, u16>,
}

static ITEMS: LazyLock<Mutex<Items>> = LazyLock::new(Mutex::default);
static WRITES: LazyLock<Mutex<Vec<Arc<Write>>>> = LazyLock::new(Mutex::default);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl Held {
    /// Nothing.
    pub const NOTHING: Self = Self(0);

    /// An item, or nothing.
    pub fn of(item: Option<Item>) -> Self {
        let Some(item) = item else {
            return Self::NOTHING;
        };
        let mut items = lock(&ITEMS);
        if let Some(number) = items.numbers.get(&item) {
            return Self(*number);
        }
        let item = Arc::new(item);
        items.all.push(Arc::clone(&item));
        let number = u16::try_from(items.all.len()).unwrap();
        items.numbers.insert(item, number);
        Self(number)
    }

    /// The item.
    pub fn item(self) -> Option<Arc<Item>> {
        let index = usize::from(self.0).checked_sub(1)?;
        Some(Arc::clone(&lock(&ITEMS).all[index]))
    }
}

impl WriteId {
    /// Of a write.
    pub fn of(write: &Write) -> Self {
        let mut writes = lock(&WRITES);
        let known = writes.iter().position(|known| **known == *write);
        let number = known.unwrap_or_else(|| {
            writes.push(Arc::new(write.clone()));
            writes.len() - 1
        });
        Self(u16::try_from(number).unwrap())
    }

    /// The write.
    pub fn write(self) -> Arc<Write> {
        Arc::clone(&lock(&WRITES)[usize::from(self.0)])
    }
}

fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    match item.get(name) {
        Some(Value::S(text)) => Some(text),
        _ => None,
    }
}

/// An item in a few words.
fn describe(item: &Item) -> String {
    let version = |name: &str| text(item, name).map(|version| version.trim_start_matches('0').to_owned());
    let reserved = version(VERSION_ATTRIBUTE).map_or(String::new(), |version| format!(", version {version}"));
    if is_tombstone(item) {
        return format!("a tombstone (of epoch {}{reserved})", tombstone_epoch(item));
    }
    let body = text(item, "body").unwrap_or("?");
    let at = version("at").map_or(String::new(), |at| format!(" at {at}"));
    let id = text(item, "id").map_or(String::new(), |id| format!("item {id}, "));
    format!("{id}body {body}{at}{reserved}")
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.item() {
            Some(item) => f.write_str(&describe(&item)),
            None => f.write_str("nothing"),
        }
    }
}

impl fmt::Debug for WriteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let write = self.write();
        match &write.kind {
            WriteKind::Put(item) => write!(f, "put of {} ({})", write.key, describe(item))?,
            WriteKind::PutRaw(_) => write!(f, "put of {}, as it came", write.key)?,
            WriteKind::Remove(_) => write!(f, "removal of {}", write.key)?,
        }
        let version = |version: &dynasplit::model::Version| match version.to_value() {
            Value::S(text) => text.trim_start_matches('0').to_owned(),
            other => format!("{other:?}"),
        };
        match &write.guard {
            Guard::NotNewer(v) => write!(f, ", if what stands there is not newer than {}", version(v)),
            Guard::Older(v) => write!(f, ", if what stands there is older than {}", version(v)),
            Guard::Absent => f.write_str(", if nothing stands there"),
            Guard::Any => f.write_str(", whatever stands there"),
            Guard::Unchanged(read) => write!(f, ", if {} still stands there", describe(read)),
        }
    }
}
