//! Whether the tables of a run with cutovers hold what the applications wrote.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::goods::{self, Kind, NAMES, SOURCE, Side};
use super::person::same;
use super::{Shop, records, split_record};
use crate::check::{Wrong, item_words};
use crate::engine::{Item, Value};
use crate::support::contents::Plain;
use crate::support::trial::{Mode, STAMP, Stamps};

impl Shop {
    /// The items of a service on one side, by their numbers, without stamps and marks. A tombstone is kept, and differs.
    pub(super) fn items(&self, kind: Kind, side: Side) -> BTreeMap<usize, Item> {
        self.network.with_engine(|engine, _| {
            let items = engine.contents(kind.table(side)).into_iter();
            items
                .filter_map(|(key, item)| {
                    let mut item = item.clone();
                    if side == Side::Source {
                        item.retain(|name, _| !name.starts_with("dynasplit:"));
                    } else if self.mode == Mode::Sequence {
                        item.remove(STAMP);
                    }
                    let is_all = side == Side::Target && kind != Kind::People;
                    let is_own = is_all || is_text(&key[0], kind.prefix());
                    is_own.then(|| Some((number(key.last()?)?, item)))?
                })
                .collect()
        })
    }

    /// Whether the tool lists something about an item of a service, or demands a repair.
    pub(super) fn listed(&self, kind: Kind) -> impl Fn(usize) -> bool {
        let (told, is_repaired) = self.network.with_engine(|engine, _| {
            let told: Vec<String> = records(engine)
                .filter(|(name, _)| {
                    let lists = ["STRAY#", "BACKLETTER#"];
                    lists.iter().any(|list| {
                        name.strip_prefix(list)
                            .is_some_and(|id| id.starts_with(kind.name()))
                    })
                })
                .map(|(_, record)| record.to_owned())
                .collect();
            (told, !split_record(engine)["repair_required"].is_null())
        });
        move |number| {
            let keys = [Side::Source, Side::Target].map(|side| kind.key(side, number));
            let names = |record: &String, key: &Item| {
                let mut texts = key.values().filter_map(|value| match value {
                    Value::S(text) => Some(format!("\"{text}\"")),
                    _ => None,
                });
                texts.all(|text| record.contains(&text))
            };
            is_repaired
                || told
                    .iter()
                    .any(|record| keys.iter().any(|key| names(record, key)))
        }
    }

    /// What is wrong with one item.
    pub(super) fn differs(
        &self,
        what: &str,
        kind: Kind,
        side: Side,
        number: usize,
        should: Option<&Item>,
        held: Option<&Item>,
    ) -> Wrong {
        let shaped = should.map(|item| kind.shaped(side, number, item));
        let table = kind.table(side);
        let words = |item: Option<&Item>| item.map_or("nothing".to_owned(), item_words);
        Wrong {
            what: what.to_owned(),
            details: format!(
                "{table}, item {number}\n  holds       {}\n  should hold {}",
                words(held),
                words(shaped.as_ref())
            ),
            item: Some((table.to_owned(), vec![Plain::Text(number.to_string())])),
        }
    }

    /// What the tables hold that they should not. The applications rest.
    pub fn differences(&self, stamps: Stamps) -> Option<Wrong> {
        let found = self.kinds().into_iter().find_map(|kind| self.of_service(kind));
        let found = found.or_else(|| self.of_copies());
        let found = found
            .or_else(|| self.of_markers(stamps))
            .or_else(|| self.of_policies());
        let found = found.or_else(|| self.of_names(stamps));
        found.or_else(|| (stamps == Stamps::Gone).then(|| self.left_over())?)
    }

    fn of_service(&self, kind: Kind) -> Option<Wrong> {
        let (source, target) = [Side::Source, Side::Target]
            .map(|side| self.items(kind, side))
            .into();
        let (phase, listed) = (self.phase(kind), self.listed(kind));
        let is_carried_back = !matches!(&*phase, "ending" | "completed");
        let application = self.application(kind);
        let is_away = application.official == Side::Target;
        application.numbers().find_map(|number| {
            let known = application.truth.get(&number);
            let is_loose = application.loose.contains(&number);
            let in_target = target.get(&number);
            let in_source = source.get(&number);
            // Nobody but a verify looks for writes of others to a table while its service writes the source.
            let may_differ = phase == "replicating" && application.table_strays.contains_key(&number);
            let is_held = known.map(|item| kind.shaped(Side::Target, number, item)).as_ref() == in_target;
            if !is_held && !may_differ {
                return Some(self.differs("", kind, Side::Target, number, known, in_target));
            }
            let is_known = application.disputed.contains(&number) && listed(number);
            if same(known, in_source, is_loose) || is_known || is_away && !is_carried_back {
                return None;
            }
            Some(self.differs("", kind, Side::Source, number, known, in_source))
        })
    }

    /// The table that receives everything holds what the source does, until its service moves there. From then on, nobody brings
    /// copies of others. A rollback makes a repair mandatory, and a prune removes what is not needed.
    fn of_copies(&self) -> Option<Wrong> {
        if !self.layout.has_copies {
            return None;
        }
        let is_pruned = self.pruned.load(super::Ordering::Relaxed);
        let is_frozen = matches!(&*self.phase(Kind::Orders), "ending" | "completed");
        let is_followed = self.phase(Kind::People) == "replicating" && !is_frozen;
        let is_own = |key: &[Value]| !is_text(&key[0], Kind::Orders.prefix());
        let (source, table, is_repaired) = self.network.with_engine(|engine, _| {
            let is_repaired = !split_record(engine)["repair_required"].is_null();
            let [source, table] = [SOURCE, Kind::People.name()].map(|table| {
                let items = engine.contents(table).into_iter();
                let items = items.filter(|(key, _)| !is_own(key));
                items
                    .map(|(key, item)| {
                        let mut item = item.clone();
                        item.retain(|name, _| !name.starts_with("dynasplit:mark"));
                        if self.mode == Mode::Sequence {
                            item.remove(STAMP);
                        }
                        (key, item)
                    })
                    .collect::<BTreeMap<_, _>>()
            });
            (source, table, is_repaired)
        });
        let expected: BTreeMap<_, _> = match (is_pruned, is_followed && !is_repaired) {
            (true, _) => BTreeMap::new(),
            (false, true) => source
                .iter()
                .map(|(key, item)| (key.clone(), goods::copied(item)))
                .collect(),
            (false, false) => return None,
        };
        let mut keys = table.keys().chain(expected.keys());
        let key = keys.find(|key| table.get(*key) != expected.get(*key))?;
        let words = |item: Option<&Item>| item.map_or("nothing".to_owned(), item_words);
        let number = number(key.last()?)?;
        Some(Wrong {
            what: String::new(),
            details: format!(
                "people, copy of item {number}\n  holds       {}\n  should hold {}",
                words(table.get(key)),
                words(expected.get(key))
            ),
            item: Some((
                Kind::People.name().to_owned(),
                vec![Plain::Text(number.to_string())],
            )),
        })
    }

    /// A table has a policy only while a journal names a fence.
    fn of_policies(&self) -> Option<Wrong> {
        self.network.with_engine(|engine, _| {
            let fenced = |service: &str, list: &str| {
                let journal =
                    records(engine).find(|(name, _)| name.strip_prefix("CUTOVER#") == Some(service));
                let journal: Json = journal.and_then(|(_, record)| serde_json::from_str(record).ok())?;
                journal[list].as_array().map(|parts| !parts.is_empty())
            };
            let kinds = self.kinds().map(Kind::name);
            let tables = kinds.map(|name| (name, fenced(name, "target_fence") == Some(true)));
            let is_fenced = kinds
                .iter()
                .any(|name| fenced(name, "source_fence") == Some(true));
            let mut tables = std::iter::once((SOURCE, is_fenced)).chain(tables);
            let (table, _) =
                tables.find(|(table, is_fenced)| !is_fenced && engine.policy_of(table).is_some())?;
            Some(Wrong::because(
                "",
                format!("{table} still has the policy of a fence, which no journal names"),
            ))
        })
    }

    /// A marker is in the journal of a cutover as long as it is in a table, and nowhere after the end.
    pub fn of_markers(&self, stamps: Stamps) -> Option<Wrong> {
        self.network.with_engine(|engine, _| {
            let journals: Vec<(String, Json)> = records(engine)
                .filter_map(|(name, record)| {
                    let service = name.strip_prefix("CUTOVER#")?;
                    Some((service.to_owned(), serde_json::from_str(record).ok()?))
                })
                .collect();
            let is_known = |table: &str, run: u64| {
                journals.iter().any(|(service, journal)| {
                    let list = if table == SOURCE {
                        "source_markers"
                    } else {
                        "target_markers"
                    };
                    let runs = journal[list].as_array().into_iter().flatten();
                    (table == SOURCE || table == service) && runs.into_iter().any(|known| known["run"] == run)
                })
            };
            let tables = [SOURCE, NAMES].into_iter().chain(self.kinds().map(Kind::name));
            tables.into_iter().find_map(|table| {
                let items = engine.contents(table).into_iter();
                let mut runs = items.filter_map(|(key, _)| marker_run(&key[0]));
                let run = runs.find(|run| stamps == Stamps::Gone || !is_known(table, *run))?;
                Some(Wrong::because(
                    "",
                    format!("{table} holds a marker of run {run}, which no journal names"),
                ))
            })
        })
    }

    /// The table of names follows the source, once its service is part of the split. Items of a service whose way back has ended
    /// stay as they are.
    fn of_names(&self, stamps: Stamps) -> Option<Wrong> {
        if !self.network.with_engine(|engine, _| engine.has_table(NAMES)) {
            return None;
        }
        let frozen = |key: &Value| {
            let kind = self.kinds().into_iter().find(|kind| is_text(key, kind.prefix()));
            kind.is_some_and(|kind| matches!(&*self.phase(kind), "ending" | "completed"))
        };
        let (source, mut names) = self.network.with_engine(|engine, _| {
            [SOURCE, NAMES]
                .map(|table| {
                    let items = engine.contents(table).into_iter();
                    items
                        .map(|(key, item)| (key, item.clone()))
                        .collect::<BTreeMap<_, _>>()
                })
                .into()
        });
        names.retain(|key, _| !frozen(&key[0]));
        if stamps == Stamps::Stripped {
            for item in names.values_mut() {
                item.remove(STAMP);
            }
        }
        let expected: BTreeMap<_, _> = source
            .iter()
            .filter(|(key, _)| !frozen(&key[0]) && marker_run(&key[0]).is_none())
            .filter_map(|(key, item)| Some((key.clone(), goods::named(self.layout, item)?)))
            .collect();
        let mut keys = names.keys().chain(expected.keys());
        let key = keys.find(|key| names.get(*key) != expected.get(*key))?;
        let words = |item: Option<&Item>| item.map_or("nothing".to_owned(), item_words);
        let number = number(key.last()?)?;
        Some(Wrong {
            what: String::new(),
            details: format!(
                "{NAMES}, item {number}\n  holds       {}\n  should hold {}",
                words(names.get(key)),
                words(expected.get(key))
            ),
            item: Some((NAMES.to_owned(), vec![Plain::Text(number.to_string())])),
        })
    }

    /// After the end, no table holds anything of the tool.
    fn left_over(&self) -> Option<Wrong> {
        let tables = [SOURCE, NAMES].into_iter().chain(self.kinds().map(Kind::name));
        tables.into_iter().find_map(|table| self.left_in(table, ""))
    }

    /// An attribute of the tool in a table, or in a part of it.
    fn left_in(&self, table: &str, prefix: &str) -> Option<Wrong> {
        self.network.with_engine(|engine, _| {
            let items = engine.contents(table).into_iter();
            let mut own = items.filter(|(key, _)| is_text(&key[0], prefix));
            let (key, item) = own.find(|(_, item)| item.keys().any(|name| name.starts_with("dynasplit:")))?;
            let number = number(key.last()?)?;
            Some(Wrong {
                what: String::new(),
                details: format!(
                    "{table} still holds an attribute of the tool: {}",
                    item_words(item)
                ),
                item: Some((table.to_owned(), vec![Plain::Text(number.to_string())])),
            })
        })
    }

    /// What is wrong if the tool says that a service is completed.
    pub fn completed(&self, kind: Kind) -> Option<Wrong> {
        if !self.is_reached(super::Goal::Complete(kind)) {
            return None;
        }
        let left = self
            .left_in(SOURCE, kind.prefix())
            .or_else(|| self.left_in(kind.name(), ""))?;
        Some(left.when("a service is completed, and something of the tool is left"))
    }

    /// Whether the tool lists a stray write that nobody made.
    pub fn false_alarm(&self) -> Option<Wrong> {
        self.kinds().into_iter().find_map(|kind| {
            let application = self.application(kind);
            let (count, is_known) = self.network.with_engine(|engine, _| {
                let mut listed = records(engine).filter(|(name, _)| {
                    let id = name.strip_prefix("STRAY#");
                    id.is_some_and(|id| id.starts_with(kind.name()))
                });
                let count = listed.by_ref().count();
                (
                    count,
                    !application.disputed.is_empty() || !application.late.is_empty(),
                )
            });
            (count > 0 && !is_known).then(|| {
                Wrong::because(
                    "a stray write is listed that nobody made",
                    format!("{count} of {}", kind.name()),
                )
            })
        })
    }
}

fn is_text(value: &Value, prefix: &str) -> bool {
    matches!(value, Value::S(text) if text.starts_with(prefix))
}

/// The run of a marker, by the partition key.
fn marker_run(key: &Value) -> Option<u64> {
    let Value::S(text) = key else { return None };
    let (run, _) = text.strip_prefix("dynasplit:marker#")?.split_once('#')?;
    run.parse().ok()
}

/// The number of an item, by the last part of its key.
fn number(key: &Value) -> Option<usize> {
    match key {
        Value::S(text) => text.rsplit('#').next()?.parse().ok(),
        _ => None,
    }
}
