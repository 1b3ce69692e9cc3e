//! Makes the line of a service's item from the text of a source item. Everything that it does not decide is decided by [`super::desired`],
//! which sees the whole item, and both give the same items.

use super::route::taker;
use super::transform::{IndexValue, STAMP_BYTES, check_indexes, check_keys};
use crate::model::json::{LINE_BEGINS, LINE_ENDS};
use crate::model::raw::{Carry, Known, RawItem, write_text, write_value};
use crate::model::{Key, MAX_ITEM_BYTES, NamePlaces, VERSION_ATTRIBUTE, Value};
use crate::plan::{Attributes, Plan, Service, Shape, Versions};
use std::time::SystemTime;

/// What is known of a service before an item is seen.
#[derive(Clone, Debug)]
pub struct Carrier {
    shapes: Vec<KnownShape>,
    /// Most bytes that dynasplit may add to an item.
    own: usize,
}

/// What is known of a shape.
#[derive(Clone, Debug)]
struct KnownShape {
    /// What becomes of each source attribute that the plan knows, by its place ([`Plan::name_places`]); and of those of global tables.
    known: Vec<Becomes>,
    /// What becomes of all other attributes.
    others: Becomes,
    /// For each key attribute of the table, the places of the source attributes that are copied under its name.
    keys: Vec<Vec<u32>>,
    /// The key attributes of all indexes.
    index_keys: Vec<IndexKey>,
    /// No two attributes get one name by the plan alone.
    is_clear: bool,
    /// The source's key is the key, so nothing is made.
    is_identity: bool,
}

/// What becomes of a source attribute.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Becomes {
    /// It is copied.
    Kept,
    /// It is copied under another name.
    Renamed(String),
    /// It is left out.
    Left,
    /// Its name may be one that another attribute gets.
    Unclear,
}

/// A key attribute of an index.
#[derive(Clone, Debug)]
struct IndexKey {
    /// Which part of the table's key it is, if it is one.
    part: Option<usize>,
    /// The places of the source attributes that are copied under its name.
    sources: Vec<u32>,
}

impl Carrier {
    /// Of each service of a plan, in its order.
    #[must_use]
    pub fn all(plan: &Plan) -> Vec<Self> {
        let own = match &plan.versions {
            Versions::Sequence => STAMP_BYTES,
            // All texts of a format are as long as this one, and no number is longer than 32 bytes.
            Versions::Timestamp(timestamp) => {
                let longest = timestamp.render(SystemTime::UNIX_EPOCH).size().max(32);
                STAMP_BYTES.max(VERSION_ATTRIBUTE.len() + longest)
            }
        };
        let names = plan.name_places();
        let of = |service: &Service| Self {
            shapes: service
                .shapes
                .iter()
                .map(|shape| KnownShape::of(service, shape, &names))
                .collect(),
            own,
        };
        plan.services.iter().map(of).collect()
    }

    /// Adds the line of the item that the service holds for a source item, and returns the bytes that DynamoDB charges for it; or finds
    /// that there is none. `None`: the whole item must be looked at.
    #[must_use]
    pub fn line(&self, service: &Service, item: &RawItem, out: &mut Vec<u8>) -> Option<Option<usize>> {
        let Some(shape) = taker(service, &item.read).ok()? else {
            return Some(None);
        };
        let place = service.shapes.iter().position(|each| std::ptr::eq(each, shape))?;
        let known = self.shapes.get(place).filter(|known| known.is_clear)?;
        let start = out.len();
        let bytes = known
            .add(service, shape, item, out)
            .filter(|bytes| bytes + self.own <= MAX_ITEM_BYTES);
        if bytes.is_none() {
            out.truncate(start);
        }
        bytes.map(Some)
    }
}

impl KnownShape {
    fn of(service: &Service, shape: &Shape, names: &NamePlaces) -> Self {
        let attributes = &shape.attributes;
        let sources = |name: &str| {
            let sources = attributes.sources(name);
            sources.filter_map(|source| names.place(source)).collect()
        };
        let of_index = |name: &str| IndexKey {
            part: service.keys.attributes().position(|key| key.name == name),
            sources: sources(name),
        };
        let indexes = service.indexes.iter().flat_map(|index| index.keys.attributes());
        let mut new: Vec<&String> = attributes.rename.values().collect();
        new.sort_unstable();
        Self {
            known: names
                .iter()
                .map(|name| Becomes::of(attributes, name))
                .chain([Becomes::Left])
                .collect(),
            others: match attributes.keep {
                None => Becomes::Kept,
                Some(_) => Becomes::Left,
            },
            keys: service.keys.attributes().map(|key| sources(&key.name)).collect(),
            index_keys: indexes.map(|key| of_index(&key.name)).collect(),
            is_identity: shape.keys.is_identity(),
            is_clear: new.windows(2).all(|pair| pair[0] != pair[1]),
        }
    }

    fn add(&self, service: &Service, shape: &Shape, item: &RawItem, out: &mut Vec<u8>) -> Option<usize> {
        if !item.is_plain() {
            return None;
        }
        let made;
        let key = if self.is_identity {
            service
                .keys
                .attributes()
                .map(|key| item.read.get(&key.name))
                .collect()
        } else {
            made = shape.keys.apply(&item.read).ok()?;
            Parts::of(&made)
        };
        check_keys(service, key.0).ok()?;
        let of_index = |number: usize, _: &str| self.index_value(number, &key, item);
        check_indexes(service, of_index).ok()?;
        out.extend_from_slice(LINE_BEGINS);
        out.push(b'{');
        let (mut bytes, mut is_first) = (0, true);
        let made = service.keys.attributes().zip(key.0.into_iter().flatten());
        for ((attribute, value), sources) in made.zip(&self.keys) {
            match sources.iter().find_map(|source| item.attribute(*source)) {
                Some((copied, ..)) if item.read.get(copied) != Some(value) => return None,
                Some(_) => {}
                None => {
                    if !is_first {
                        out.push(b',');
                    }
                    write_text(&attribute.name, out);
                    out.push(b':');
                    write_value(value, out);
                    bytes += attribute.name.len() + value.size();
                    is_first = false;
                }
            }
        }
        bytes += item.carry(is_first, out, |known| self.becomes(known))?;
        out.push(b'}');
        out.extend_from_slice(LINE_ENDS);
        Some(bytes)
    }

    fn becomes(&self, known: Known) -> Option<Carry<'_>> {
        let becomes = match known.place {
            Some(place) => self.known.get(place as usize)?,
            None => &self.others,
        };
        match becomes {
            Becomes::Kept => Some(Carry::Keep),
            Becomes::Renamed(to) => Some(Carry::Rename(to)),
            Becomes::Left => Some(Carry::Leave),
            Becomes::Unclear => None,
        }
    }

    /// What a key attribute of an index is in the item that is made.
    fn index_value(&self, number: usize, key: &Parts<'_>, item: &RawItem) -> Option<IndexValue> {
        let IndexKey { part, sources } = self.index_keys.get(number)?;
        let of_key = part.and_then(|part| key.0[part]).map(IndexValue::of);
        of_key.or_else(|| {
            let copied = sources.iter().find_map(|source| item.attribute(*source));
            copied.map(|(_, type_name, bytes)| IndexValue { type_name, bytes })
        })
    }
}

impl Becomes {
    /// What becomes of the attribute with this name.
    fn of(attributes: &Attributes, name: &str) -> Self {
        if attributes.target_name(name).is_none() {
            return Self::Left;
        }
        match attributes.rename.get(name) {
            Some(to) if to == name => Self::Kept,
            Some(to) => Self::Renamed(to.clone()),
            None if attributes.rename.values().any(|to| to == name) => Self::Unclear,
            None => Self::Kept,
        }
    }
}

/// The values of the key attributes.
struct Parts<'k>([Option<&'k Value>; 2]);

impl<'k> Parts<'k> {
    fn of(key: &'k Key) -> Self {
        Self([Some(&key.partition), key.sort.as_ref()])
    }
}

impl<'k> FromIterator<Option<&'k Value>> for Parts<'k> {
    fn from_iter<I: IntoIterator<Item = Option<&'k Value>>>(values: I) -> Self {
        let mut values = values.into_iter();
        Self([values.next().flatten(), values.next().flatten()])
    }
}
