//! Former images, for pages that show a table as it was.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::intake::key_text;
use super::{Streams, TableStream};
use crate::support::faulty::answer::Answer;
use crate::support::faulty::call::Call;
use crate::support::faulty::chance;
use crate::support::faulty::tally::Kind;

/// Images are kept for this long. A stale page never shows more than that.
const KEPT: Duration = Duration::from_secs(30);

/// What items were before their latest changes.
#[derive(Default)]
pub struct Past(VecDeque<Former>);

struct Former {
    noticed: Instant,
    key: String,
    /// None: there was no item.
    image: Option<Value>,
}

impl Past {
    /// A change was noticed.
    pub fn note(&mut self, noticed: Instant, key: &str, image: Option<&Value>) {
        while self
            .0
            .front()
            .is_some_and(|former| noticed - former.noticed > KEPT)
        {
            self.0.pop_front();
        }
        self.0.push_back(Former {
            noticed,
            key: key.to_owned(),
            image: image.cloned(),
        });
    }

    /// What was, so long ago, of each item that changed since.
    fn before(&self, age: Duration) -> HashMap<&str, Option<&Value>> {
        let now = Instant::now();
        let mut was = HashMap::new();
        for former in self.0.iter().filter(|former| now - former.noticed <= age) {
            was.entry(former.key.as_str()).or_insert(former.image.as_ref());
        }
        was
    }
}

impl Streams {
    /// A page of an eventually consistent scan as it might have been read so long ago.
    pub async fn stale(&self, call: &Call, answer: Answer, age: Duration) -> Answer {
        let asked = call.json();
        let consistent = asked["ConsistentRead"].as_bool() == Some(true);
        if answer.status != 200 || call.operation != "Scan" || consistent || asked.get("IndexName").is_some()
        {
            return answer;
        }
        let Ok(Some(stream)) = self.of(call.table()).await else {
            return answer;
        };
        let Some(keys) = self.keys(call.table()).await else {
            return answer;
        };
        let mut stream = stream.lock().await;
        if stream.take_in(self).await.is_err() {
            return answer;
        }
        self.tally.add(Kind::StalePage);
        let mut page = answer.json();
        let changed = stream.age(&asked, &mut page, &keys, age);
        self.tally.add_many(Kind::StaleItem, changed);
        Answer::ok(&page)
    }

    /// The names of a table's key attributes.
    async fn keys(&self, table: &str) -> Option<Vec<String>> {
        let body = json!({ "TableName": table });
        let target = crate::support::faulty::backend::tables("DescribeTable");
        let described = self.backend.ask(&target, &body).await.ok()?;
        let schema = described["Table"]["KeySchema"].as_array()?;
        Some(
            schema
                .iter()
                .map(|element| super::member(element, "AttributeName").to_owned())
                .collect(),
        )
    }
}

impl TableStream {
    /// Puts former items in place of what changed since. Answers how many items are others now.
    fn age(&self, asked: &Value, page: &mut Value, keys: &[String], age: Duration) -> u64 {
        let was = self.past.before(age);
        let key_of = |item: &Value| {
            let key: serde_json::Map<String, Value> = keys
                .iter()
                .map(|name| (name.clone(), item[name].clone()))
                .collect();
            key_text(&Value::Object(key))
        };
        let Value::Array(items) = page["Items"].take() else {
            return 0;
        };
        let (mut shown, mut changed) = (HashSet::new(), 0);
        let mut aged = Vec::with_capacity(items.len());
        for item in items {
            let key = key_of(&item);
            match was.get(key.as_str()) {
                Some(former) => {
                    changed += 1;
                    aged.extend(former.cloned());
                }
                None => aged.push(item),
            }
            shown.insert(key);
        }
        // Those that are gone: in a page of the segment that they fall to. (No reader may rest on a place in it.)
        let segments = asked["TotalSegments"].as_u64().unwrap_or(1);
        let segment = asked["Segment"].as_u64().unwrap_or(0);
        for (key, former) in &was {
            let here = u64::from(chance::place_of(key)) % segments == segment;
            if let Some(former) = former.filter(|_| here && !shown.contains(*key)) {
                changed += 1;
                aged.push(former.clone());
            }
        }
        page["Count"] = aged.len().into();
        page["Items"] = Value::Array(aged);
        changed
    }
}
