//! Writers that write to a trial's source, in all the ways that a split must stand: creates, updates, deletes,
//! delete-and-create-again, changes of the service, ties and backward steps of the timestamp. Each writer has keys of
//! its own, so that it knows what it wrote last; one seed decides on everything but the clock.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;

use super::latch::Latch;
use super::table::{self, SdkItem, key, number, text};

/// How the writers write.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// Keys in all.
    pub keys: usize,
    /// Writers at once.
    pub writers: usize,
    /// Each one's pause between two writes.
    pub pause: Duration,
    /// One write in so many has a timestamp that goes backwards; 0: none.
    pub backwards: u32,
}

/// What only some writers do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spice {
    /// One item in so many belongs to no service of the plan; 0: none.
    pub odd: u32,
    /// Some items expire within two minutes. The time of day at a moment, in milliseconds since 1970.
    pub expires: Option<(tokio::time::Instant, u64)>,
    /// One write in so many is the last one of its key, so that nothing hides what becomes of it; 0: none. No write is the
    /// last one before [`Mutator::let_keys_rest`].
    pub retires: u32,
}

/// One key in so many is deleted once, and not created again. (No divisor of the number of writers, or one would have
/// them all.)
const MORTAL: usize = 3;

/// Writers at work.
pub struct Mutator {
    stop: Arc<AtomicBool>,
    /// What each has written so far.
    written: Vec<Arc<Mutex<Writes>>>,
    /// They make a pause.
    rest: Arc<Latch>,
    /// A write may be the last one of its key.
    last_writes: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

/// How often was written, by kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Writes {
    /// Items put where none was.
    pub created: u64,
    /// Items put over another.
    pub replaced: u64,
    /// Attributes changed.
    pub updated: u64,
    /// Items put twice as they are.
    pub repeated: u64,
    /// Items deleted.
    pub deleted: u64,
    /// Items deleted and created again at once.
    pub recreated: u64,
    /// Writes that gave an item to another service, or took it from one.
    pub rerouted: u64,
    /// Writes with the timestamp of the one before.
    pub ties: u64,
    /// Writes with an older timestamp than the one before.
    pub backwards: u64,
}

/// One key, as its writer knows it.
#[derive(Clone, Debug)]
struct Known {
    index: usize,
    alive: bool,
    /// The last timestamp that was written, kept across deletes.
    at: i64,
    /// The last kind.
    kind: &'static str,
}

impl Writes {
    /// All of them; what is done in two requests counts once.
    pub fn total(&self) -> u64 {
        self.created + self.replaced + self.updated + self.repeated + self.deleted + self.recreated
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.created += other.created;
        self.replaced += other.replaced;
        self.updated += other.updated;
        self.repeated += other.repeated;
        self.deleted += other.deleted;
        self.recreated += other.recreated;
        self.rerouted += other.rerouted;
        self.ties += other.ties;
        self.backwards += other.backwards;
    }

    /// The ways in which nothing was written.
    pub fn missing(&self) -> Vec<&'static str> {
        let Self {
            created,
            replaced,
            updated,
            repeated,
            deleted,
            recreated,
            rerouted,
            ties,
            backwards,
        } = *self;
        let ways = [
            ("created", created),
            ("replaced", replaced),
            ("updated", updated),
            ("repeated", repeated),
            ("deleted", deleted),
            ("recreated", recreated),
            ("rerouted", rerouted),
            ("ties", ties),
            ("backwards", backwards),
        ];
        let never = ways.into_iter().filter(|(_, count)| *count == 0);
        never.map(|(way, _)| way).collect()
    }
}

impl Mutator {
    /// Fills the source with every key but one in ten, then starts writing.
    pub async fn start(client: &Client, source: &str, habits: Habits, seed: u64) -> Self {
        Self::start_with(client, source, habits, Spice::default(), seed).await
    }

    /// The same, with writers who do more.
    pub async fn start_with(client: &Client, source: &str, habits: Habits, spice: Spice, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut known: Vec<Known> = (0..habits.keys)
            .map(|index| Known {
                index,
                alive: rng.random_ratio(9, 10),
                at: rng.random_range(1..1000),
                kind: kind(&mut rng, spice),
            })
            .collect();
        let items = known.iter().filter(|known| known.alive);
        table::put_all(client, source, items.map(|known| item(&mut rng, known, spice))).await;
        let stop = Arc::new(AtomicBool::new(false));
        let (mut written, mut tasks) = (Vec::new(), JoinSet::new());
        let rest = Arc::new(Latch::default());
        let last_writes = Arc::new(AtomicBool::new(spice.retires == 0));
        for writer in 0..habits.writers {
            let own: Vec<Known> = known
                .iter_mut()
                .filter(|known| known.index % habits.writers == writer)
                .map(|known| known.clone())
                .collect();
            let mut writer = Writer {
                client: client.clone(),
                source: source.to_owned(),
                rng: StdRng::seed_from_u64(rng.random()),
                known: own,
                habits,
                spice,
                last_writes: Arc::clone(&last_writes),
                writes: Writes::default(),
            };
            let resting = Arc::clone(&rest);
            let stop = Arc::clone(&stop);
            let told = Arc::new(Mutex::new(writer.writes));
            written.push(Arc::clone(&told));
            tasks.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    writer.step().await;
                    *told.lock().expect("no thread panicked") = writer.writes;
                    tokio::time::sleep(writer.habits.pause).await;
                    resting.until(false).await;
                }
            });
        }
        Self {
            stop,
            written,
            rest,
            last_writes,
            tasks,
        }
    }

    /// From now on, a write may be the last one of its key: a key is deleted for good, or no more written.
    pub fn let_keys_rest(&self) {
        self.last_writes.store(true, Ordering::Relaxed);
    }

    /// Lets the writers make a pause, or go on. What is under way ends.
    pub fn rest(&self, rest: bool) {
        self.rest.set(rest);
    }

    /// What they have written so far.
    pub fn so_far(&self) -> Writes {
        let mut writes = Writes::default();
        for told in &self.written {
            writes.add(&told.lock().expect("no thread panicked"));
        }
        writes
    }

    /// Waits until they have written in every way, for so long at most.
    pub async fn until_every_way(&self, patience: Duration) {
        let began = Instant::now();
        while !self.so_far().missing().is_empty() && began.elapsed() < patience {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Lets the writers end what they are at, and says how often they wrote.
    ///
    /// # Panics
    /// Where a write failed.
    pub async fn stop(self) -> u64 {
        self.tally().await.total()
    }

    /// The same, with how often they wrote what.
    ///
    /// # Panics
    /// Where a write failed.
    pub async fn tally(mut self) -> Writes {
        self.stop.store(true, Ordering::Relaxed);
        self.rest(false);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("every write of the mutator lands");
        }
        self.so_far()
    }
}

struct Writer {
    client: Client,
    source: String,
    rng: StdRng,
    known: Vec<Known>,
    habits: Habits,
    spice: Spice,
    last_writes: Arc<AtomicBool>,
    writes: Writes,
}

impl Writer {
    async fn step(&mut self) {
        if self.known.is_empty() {
            return;
        }
        // Half of the writes go to a few keys, so that histories grow long.
        let hot = self.known.len().div_ceil(10);
        let among = if self.rng.random() { hot } else { self.known.len() };
        let place = self.rng.random_range(0..among);
        let mut known = self.known[place].clone();
        let may_be_last = self.last_writes.load(Ordering::Relaxed);
        // Where keys come to rest, two in three are deleted for good.
        let is_one = known.index.is_multiple_of(MORTAL) != (self.spice.retires > 0);
        let mortal = is_one && may_be_last;
        match (known.alive, self.rng.random_range(0..100)) {
            // What is deleted for good is what shows a late write: any other key's next write would hide it.
            (false, _) if mortal => {}
            (true, 80..100) if mortal => {
                self.writes.updated += 1;
                self.update(&mut known).await;
            }
            (false, 0..70) => {
                self.writes.created += 1;
                self.put(&mut known).await;
            }
            (false, _) => {}
            (true, 0..30) => {
                self.writes.replaced += 1;
                self.put(&mut known).await;
            }
            (true, 30..55) => {
                self.writes.updated += 1;
                self.update(&mut known).await;
            }
            (true, 55..60) => {
                // The same item once more: one engine makes a record of it.
                self.writes.repeated += 1;
                let again = item(&mut self.rng, &known, self.spice);
                table::put(&self.client, &self.source, again.clone()).await;
                table::put(&self.client, &self.source, again).await;
            }
            (true, 60..80) => {
                self.writes.deleted += 1;
                self.delete(&mut known).await;
            }
            (true, _) => {
                self.writes.recreated += 1;
                self.delete(&mut known).await;
                self.put(&mut known).await;
            }
        }
        if may_be_last && self.spice.retires > 0 && self.rng.random_ratio(1, self.spice.retires) {
            self.known.remove(place);
        } else {
            self.known[place] = known;
        }
    }

    /// The whole item anew, often as another kind.
    async fn put(&mut self, known: &mut Known) {
        self.tick(known);
        known.alive = true;
        self.turn(known);
        let item = item(&mut self.rng, known, self.spice);
        table::put(&self.client, &self.source, item).await;
    }

    /// Another kind, often: each belongs to other services.
    fn turn(&mut self, known: &mut Known) {
        let kind = kind(&mut self.rng, self.spice);
        self.writes.rerouted += u64::from(kind != known.kind);
        known.kind = kind;
    }

    async fn delete(&mut self, known: &mut Known) {
        known.alive = false;
        let (pk, sk) = names(known.index);
        table::delete(&self.client, &self.source, key(&pk, &sk)).await;
    }

    /// One attribute: the kind (which changes the service), the name, the amount, or a note that one service drops.
    async fn update(&mut self, known: &mut Known) {
        self.tick(known);
        let (pk, sk) = names(known.index);
        let mut update = self
            .client
            .update_item()
            .table_name(&self.source)
            .set_key(Some(key(&pk, &sk)))
            .expression_attribute_names("#at", "at")
            .expression_attribute_values(":at", number(known.at));
        let change = match self.rng.random_range(0..6) {
            0 | 1 => {
                self.turn(known);
                Some(("kind", text(known.kind)))
            }
            2 => Some(("name", text(word(&mut self.rng)))),
            3 => Some(("amount", number(amount(&mut self.rng)))),
            4 => Some(("note", text(word(&mut self.rng)))),
            _ => None,
        };
        update = match change {
            Some((name, value)) => update
                .update_expression("SET #at = :at, #n = :n")
                .expression_attribute_names("#n", name)
                .expression_attribute_values(":n", value),
            None => update
                .update_expression("SET #at = :at REMOVE #n")
                .expression_attribute_names("#n", "name"),
        };
        update.send().await.expect("the item is updated");
    }

    /// Moves a key's timestamp on: one step in four is a tie.
    fn tick(&mut self, known: &mut Known) {
        let rng = &mut self.rng;
        if self.habits.backwards > 0 && rng.random_ratio(1, self.habits.backwards) {
            known.at -= rng.random_range(1..50);
            self.writes.backwards += 1;
        } else if rng.random_ratio(3, 4) {
            known.at += rng.random_range(1..100);
        } else {
            self.writes.ties += 1;
        }
    }
}

fn names(index: usize) -> (String, String) {
    (format!("ACC#{}", index / 7), format!("DOC#{index}"))
}

fn kind(rng: &mut StdRng, spice: Spice) -> &'static str {
    if spice.odd > 0 && rng.random_ratio(1, spice.odd) {
        return "oddity";
    }
    ["order", "order", "invoice", "invoice", "archive"][rng.random_range(0..5)]
}

fn word(rng: &mut StdRng) -> String {
    format!("word-{}", rng.random_range(0..10_000))
}

fn amount(rng: &mut StdRng) -> String {
    format!("{}.{:02}", rng.random_range(-500..500), rng.random_range(0..100))
}

/// An item with values of every type.
fn item(rng: &mut StdRng, known: &Known, spice: Spice) -> SdkItem {
    let (pk, sk) = names(known.index);
    let mut item = table::item(
        &pk,
        &sk,
        [
            ("kind", text(known.kind)),
            ("at", number(known.at)),
            ("amount", number(amount(rng))),
            ("open", AttributeValue::Bool(rng.random())),
            ("nothing", AttributeValue::Null(true)),
            ("tags", AttributeValue::Ss(vec![word(rng), "always".to_owned()])),
            (
                "counts",
                AttributeValue::Ns(vec!["1".to_owned(), format!("-{}", rng.random_range(2..90))]),
            ),
            ("photo", AttributeValue::B(Blob::new([0, rng.random(), 255]))),
            (
                "place",
                AttributeValue::M(
                    [(
                        "lines".to_owned(),
                        AttributeValue::L(vec![text(word(rng)), number(7)]),
                    )]
                    .into(),
                ),
            ),
        ],
    );
    if let Some((moment, at_ms)) = spice.expires.filter(|_| rng.random_ratio(1, 4)) {
        let at_s = at_ms / 1000 + moment.elapsed().as_secs() + rng.random_range(1..120);
        item.insert("expires".to_owned(), number(at_s));
    }
    if rng.random_ratio(2, 3) {
        item.insert("name".to_owned(), text(word(rng)));
    }
    if rng.random() {
        item.insert("note".to_owned(), text("n".repeat(rng.random_range(1..400))));
    }
    item
}
