//! All items of a rehearsal: those to load first, and those that the live writers will create.
//!
//! Invariant: no two items have the same key, whichever part makes them. The items are split among the writers' tasks
//! so that each item belongs to one task, because only then the timestamps of one item can be kept from going back.

use super::generate::{GenerateError, Generator, Recipe, place_in_plan};
use super::sample::{SampleItem, usable_key};
use crate::model::{Item, ItemExt, Key, KeySchema, MAX_ITEM_BYTES, Place, Value};
use rand::Rng as _;
use rand::rngs::StdRng;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

/// One in this many of the user's items is not loaded, but left for the live writers to create. Their keys are real
/// ones, and the plan might not accept made-up keys.
const HELD_BACK: usize = 10;
/// The most bytes that an update may add to an item (a note and a timestamp), with a reserve.
const UPDATE_BYTES: usize = 1024;
/// The attribute that an update sets if the plan names none.
pub const NOTE_ATTRIBUTE: &str = "rehearsalNote";

/// Names the item that something was made from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Original {
    Recipe(Recipe),
    /// Index among the user's items.
    Sample(usize),
}

/// An item of the population.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Member {
    pub key: Key,
    pub original: Original,
}

/// Where items come from.
pub(super) enum Stock {
    Generated {
        generator: Generator,
        claims: Mutex<Claims>,
    },
    Sample(Vec<SampleItem>),
}

/// Digests of all keys that generated items have, with the first recipe of each.
type Claims = HashMap<[u8; 16], Recipe>;

fn digest(key: &Key) -> [u8; 16] {
    let mut digest = [0; 16];
    digest.copy_from_slice(&blake3::hash(&key.encode()).as_bytes()[..16]);
    digest
}

impl Stock {
    /// A new copy of the item. Its key may differ from the member's if a template puts `{now}` into it.
    pub(super) fn item(&self, original: Original) -> Result<Item, GenerateError> {
        match (self, original) {
            (Self::Generated { generator, .. }, Original::Recipe(recipe)) => generator.item(recipe),
            (Self::Sample(items), Original::Sample(index)) => Ok(items
                .get(index)
                .map(|sample| sample.item.clone())
                .unwrap_or_default()),
            _ => Ok(Item::new()),
        }
    }

    /// The attributes that an update sets, without timestamps: empty if the plan leaves it to the timestamp.
    pub(super) fn updates(&self, original: Original, turn: u64) -> Result<Item, GenerateError> {
        match (self, original) {
            (Self::Generated { generator, .. }, Original::Recipe(recipe)) => generator.updates(recipe, turn),
            _ => Ok(note(turn)),
        }
    }

    /// Takes a new item's key; false if an item has it already.
    pub(super) fn claim(&self, recipe: Recipe, key: &Key) -> bool {
        match self {
            // A panic while the lock was held cannot have left half an entry.
            Self::Generated { claims, .. } => {
                let mut claims = claims.lock().unwrap_or_else(PoisonError::into_inner);
                match claims.entry(digest(key)) {
                    Entry::Occupied(_) => false,
                    Entry::Vacant(entry) => {
                        entry.insert(recipe);
                        true
                    }
                }
            }
            Self::Sample(_) => false,
        }
    }

    /// A kind of generated items, drawn by the weights.
    pub(super) fn weighted_kind(&self, rng: &mut StdRng) -> Option<usize> {
        let Self::Generated { generator, .. } = self else {
            return None;
        };
        let total: u64 = generator.weights().map(u64::from).sum();
        let mut roll = rng.random_range(0..total.max(1));
        generator.weights().map(u64::from).position(|weight| {
            let drawn = roll < weight;
            roll = roll.saturating_sub(weight);
            drawn
        })
    }

    /// Whether an update still fits into the item.
    fn has_room(&self, member: &Member) -> bool {
        match (self, member.original) {
            (Self::Sample(items), Original::Sample(index)) => items
                .get(index)
                .is_some_and(|sample| sample.item.size() + UPDATE_BYTES <= MAX_ITEM_BYTES),
            _ => true,
        }
    }
}

/// The attribute that an update sets if the plan names none.
pub(super) fn note(turn: u64) -> Item {
    Item::from([(
        NOTE_ATTRIBUTE.to_owned(),
        Value::s(format!("changed by the rehearsal, write {turn}")),
    )])
}

/// The items that the live writers may still create.
pub(super) enum Upcoming {
    /// The next number of each kind, and how far the numbers of one task are apart.
    Recipes { next: Vec<u64>, step: u64 },
    /// The user's items that were held back.
    Samples(Vec<Member>),
}

/// One task's part of the population.
pub(super) struct Share {
    pub stock: Arc<Stock>,
    pub keys: KeySchema,
    pub members: Vec<Member>,
    pub upcoming: Upcoming,
}

/// All items of a rehearsal.
pub struct Population {
    stock: Arc<Stock>,
    keys: KeySchema,
    /// Loaded at first.
    members: Vec<Member>,
    held_back: Vec<Member>,
}

impl Population {
    /// The first `count` items that the plan's templates make. Live writers make more of them.
    ///
    /// # Errors
    /// Items without a usable key, two items with one key, or updates that would change a key.
    pub fn generated(generator: Generator, count: u64, keys: &KeySchema) -> Result<Self, GenerateError> {
        for (kind, _) in generator.weights().enumerate() {
            for name in generator.updated(kind) {
                if keys.attributes().any(|attribute| attribute.name == name) {
                    let place = place_in_plan(kind, "updates", Place::root().under(name));
                    return Err(GenerateError::UpdatesKey { place });
                }
            }
        }
        let mut claims = Claims::new();
        let mut members = Vec::new();
        for recipe in generator.recipes(count) {
            let item = generator.item(recipe)?;
            let key = usable_key(keys, &item).map_err(|attribute| GenerateError::Key {
                place: place_in_plan(recipe.kind, "item", Place::root().under(&attribute.name)),
                kind: attribute.kind,
            })?;
            if let Some(first) = claims.insert(digest(&key), recipe) {
                return Err(GenerateError::Repeated {
                    first,
                    repeated: recipe,
                    key,
                });
            }
            members.push(Member {
                key,
                original: Original::Recipe(recipe),
            });
        }
        let stock = Arc::new(Stock::Generated {
            generator,
            claims: Mutex::new(claims),
        });
        Ok(Self {
            stock,
            keys: keys.clone(),
            members,
            held_back: Vec::new(),
        })
    }

    /// The user's own items. One in ten is not loaded: the live writers create it.
    #[must_use]
    pub fn sampled(items: Vec<SampleItem>, keys: &KeySchema) -> Self {
        let (mut members, mut held_back) = (Vec::new(), Vec::new());
        for (index, sample) in items.iter().enumerate() {
            let member = Member {
                key: sample.key.clone(),
                original: Original::Sample(index),
            };
            let part = if (index + 1) % HELD_BACK == 0 {
                &mut held_back
            } else {
                &mut members
            };
            part.push(member);
        }
        Self {
            stock: Arc::new(Stock::Sample(items)),
            keys: keys.clone(),
            members,
            held_back,
        }
    }

    /// How many items are loaded at first.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nothing is loaded at first.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The items to load at first, each made when it is asked for.
    pub fn items(&self) -> impl Iterator<Item = Result<Item, GenerateError>> {
        self.members.iter().map(|member| {
            let mut item = self.stock.item(member.original)?;
            item.extend(self.keys.item_of(&member.key));
            Ok(item)
        })
    }

    /// Parts for this many tasks, each with its own items and its own future ones.
    pub(super) fn split(self, tasks: usize) -> Vec<Share> {
        let tasks = tasks.max(1);
        let mut shares: Vec<Share> = (0..tasks)
            .map(|task| Share {
                stock: Arc::clone(&self.stock),
                keys: self.keys.clone(),
                members: Vec::with_capacity(self.members.len() / tasks + 1),
                upcoming: self.upcoming(task, tasks),
            })
            .collect();
        let alive = self
            .members
            .into_iter()
            .filter(|member| self.stock.has_room(member));
        for (index, member) in alive.enumerate() {
            shares[index % tasks].members.push(member);
        }
        let to_come = self
            .held_back
            .into_iter()
            .filter(|member| self.stock.has_room(member));
        for (index, member) in to_come.enumerate() {
            if let Upcoming::Samples(members) = &mut shares[index % tasks].upcoming {
                members.push(member);
            }
        }
        shares
    }

    fn upcoming(&self, task: usize, tasks: usize) -> Upcoming {
        let Stock::Generated { generator, .. } = self.stock.as_ref() else {
            return Upcoming::Samples(Vec::new());
        };
        let mut next: Vec<u64> = generator.weights().map(|_| 1 + task as u64).collect();
        for member in &self.members {
            if let Original::Recipe(recipe) = member.original {
                next[recipe.kind] += 1;
            }
        }
        Upcoming::Recipes {
            next,
            step: tasks as u64,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::generate::tests::spec;
    use super::*;
    use crate::model::{AttributeKind, KeyAttribute};
    use serde_json::{Value as Json, json};

    pub(in crate::rehearse) fn keys() -> KeySchema {
        let attribute = |name: &str| KeyAttribute {
            name: name.into(),
            kind: AttributeKind::S,
        };
        KeySchema {
            partition: attribute("pk"),
            sort: Some(attribute("sk")),
        }
    }

    fn generated(items: Json, count: u64) -> Result<Population, GenerateError> {
        let generator = Generator::new(&spec(items), 1, || Value::N(5.into())).unwrap();
        Population::generated(generator, count, &keys())
    }

    fn samples(count: usize) -> Vec<SampleItem> {
        let sample = |n| {
            let item = Item::from([
                ("pk".into(), Value::s("p")),
                ("sk".into(), Value::s(format!("{n}"))),
            ]);
            SampleItem {
                key: keys().key_of(&item).unwrap(),
                item,
            }
        };
        (0..count).map(sample).collect()
    }

    #[test]
    fn generated_items_have_keys_of_their_own() {
        let population = generated(json!([{"item": {"pk": "P#{n/3}", "sk": "S#{n%3}"}}]), 100).unwrap();
        assert_eq!(population.len(), 100);
        assert_eq!(population.items().count(), 100);
        let message = |items, count| generated(items, count).err().unwrap().to_string();
        assert_eq!(
            message(
                json!([{"item": {"pk": "x", "sk": "{n}"}}, {"item": {"pk": "x", "sk": "{n%2}"}}]),
                3
            ),
            "rehearse.items[1].item (with {n} = 1) has the same key as rehearse.items[0].item (with {n} = 1): \
             x / 1; put {n} into the key so that each item has its own"
        );
        for sort in [json!(null), json!(""), json!(1)] {
            let told = message(json!([{"item": {"pk": "x", "sk": sort}}]), 1);
            assert!(
                told.starts_with("rehearse.items[0].item.sk: the source's key attribute"),
                "{told}"
            );
        }
        let told = message(
            json!([{"item": {"pk": "x", "sk": "{n}"}, "updates": {"sk": "y"}}]),
            1,
        );
        assert!(
            told.starts_with("rehearse.items[0].updates.sk: an update cannot change a key"),
            "{told}"
        );
    }

    #[test]
    fn one_in_ten_of_the_users_items_is_created_live() {
        let population = Population::sampled(samples(25), &keys());
        assert_eq!(population.len(), 23);
        let shares = population.split(4);
        let held_back = |share: &Share| match &share.upcoming {
            Upcoming::Samples(members) => members.len(),
            Upcoming::Recipes { .. } => panic!("these are samples"),
        };
        assert_eq!(shares.iter().map(held_back).sum::<usize>(), 2);
        assert_eq!(shares.iter().map(|share| share.members.len()).sum::<usize>(), 23);
        assert_eq!(Population::sampled(samples(9), &keys()).len(), 9);
    }

    #[test]
    fn items_without_room_for_an_update_are_loaded_and_left_alone() {
        let mut items = samples(3);
        items[1]
            .item
            .insert("fat".into(), Value::s("x".repeat(MAX_ITEM_BYTES - 100)));
        let population = Population::sampled(items, &keys());
        assert_eq!(population.items().count(), 3);
        assert_eq!(population.split(1)[0].members.len(), 2);
    }
}
