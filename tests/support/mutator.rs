//! Writers that write to a trial's source, in all the ways that a split must stand: creates, updates, deletes,
//! delete-and-create-again, changes of the service, ties and backward steps of the timestamp. Each writer has keys of
//! its own, so that it knows what it wrote last; one seed decides on everything but the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;

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

/// Writers at work.
pub struct Mutator {
    stop: Arc<AtomicBool>,
    writes: Arc<AtomicU64>,
    tasks: JoinSet<()>,
}

/// One key, as its writer knows it.
#[derive(Clone, Debug)]
struct Known {
    index: usize,
    alive: bool,
    /// The last timestamp that was written, kept across deletes.
    at: i64,
}

impl Mutator {
    /// Fills the source with every key but one in ten, then starts writing.
    pub async fn start(client: &Client, source: &str, habits: Habits, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut known: Vec<Known> = (0..habits.keys)
            .map(|index| Known {
                index,
                alive: rng.random_ratio(9, 10),
                at: rng.random_range(1..1000),
            })
            .collect();
        let items = known.iter().filter(|known| known.alive);
        table::put_all(client, source, items.map(|known| item(&mut rng, known))).await;
        let (stop, writes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tasks = JoinSet::new();
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
            };
            let (stop, writes) = (Arc::clone(&stop), Arc::clone(&writes));
            tasks.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    writer.step().await;
                    writes.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(writer.habits.pause).await;
                }
            });
        }
        Self { stop, writes, tasks }
    }

    /// Lets the writers end what they are at, and says how often they wrote.
    ///
    /// # Panics
    /// Where a write failed.
    pub async fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("every write of the mutator lands");
        }
        self.writes.load(Ordering::Relaxed)
    }
}

struct Writer {
    client: Client,
    source: String,
    rng: StdRng,
    known: Vec<Known>,
    habits: Habits,
}

impl Writer {
    async fn step(&mut self) {
        // Half of the writes go to a few keys, so that histories grow long.
        let hot = self.known.len().div_ceil(10);
        let among = if self.rng.random() { hot } else { self.known.len() };
        let place = self.rng.random_range(0..among);
        let mut known = self.known[place].clone();
        match (known.alive, self.rng.random_range(0..100)) {
            (false, 0..70) => self.put(&mut known).await,
            (false, _) => {}
            (true, 0..35) => self.put(&mut known).await,
            (true, 35..60) => self.update(&mut known).await,
            (true, 60..65) => {
                // The same item once more: one engine makes a record of it.
                let again = item(&mut self.rng, &known);
                table::put(&self.client, &self.source, again.clone()).await;
                table::put(&self.client, &self.source, again).await;
            }
            (true, 65..82) => self.delete(&mut known).await,
            (true, _) => {
                self.delete(&mut known).await;
                self.put(&mut known).await;
            }
        }
        self.known[place] = known;
    }

    /// The whole item anew, often as another kind.
    async fn put(&mut self, known: &mut Known) {
        self.tick(known);
        known.alive = true;
        let item = item(&mut self.rng, known);
        table::put(&self.client, &self.source, item).await;
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
            0 | 1 => Some(("kind", text(kind(&mut self.rng)))),
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
        } else if rng.random_ratio(3, 4) {
            known.at += rng.random_range(1..100);
        }
    }
}

fn names(index: usize) -> (String, String) {
    (format!("ACC#{}", index / 7), format!("DOC#{index}"))
}

fn kind(rng: &mut StdRng) -> &'static str {
    ["order", "order", "invoice", "invoice", "archive"][rng.random_range(0..5)]
}

fn word(rng: &mut StdRng) -> String {
    format!("word-{}", rng.random_range(0..10_000))
}

fn amount(rng: &mut StdRng) -> String {
    format!("{}.{:02}", rng.random_range(-500..500), rng.random_range(0..100))
}

/// An item with values of every type.
fn item(rng: &mut StdRng, known: &Known) -> SdkItem {
    let (pk, sk) = names(known.index);
    let mut item = table::item(
        &pk,
        &sk,
        [
            ("kind", text(kind(rng))),
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
    if rng.random_ratio(2, 3) {
        item.insert("name".to_owned(), text(word(rng)));
    }
    if rng.random() {
        item.insert("note".to_owned(), text("n".repeat(rng.random_range(1..400))));
    }
    item
}
