//! Makes the line of a service's item from the text of a source item. Everything that it does not decide is decided by [`super::desired`],
//! which sees the whole item, and both give the same items.

use super::route::taker;
use super::transform::{STAMP_BYTES, check_indexes, check_keys};
use crate::model::json::{LINE_BEGINS, LINE_ENDS};
use crate::model::raw::{Carry, RawItem, write_text, write_value};
use crate::model::{Key, MAX_ITEM_BYTES, NameFilter, REPLICATION_PREFIX, VERSION_ATTRIBUTE, Value};
use crate::plan::{Plan, Service, Shape, Versions};
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
    /// All attributes but these are copied as they are. `None`: only some are copied, so each is looked up.
    others: Option<NameFilter>,
    /// The key attributes of the table and its indexes, and the source attributes that are copied under these names.
    sources: Vec<(String, Vec<String>)>,
    /// No two attributes get one name by the plan alone.
    is_clear: bool,
    /// The source's key is the key, so nothing is made.
    is_identity: bool,
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
        let of = |service: &Service| Self {
            shapes: service
                .shapes
                .iter()
                .map(|shape| KnownShape::of(service, shape))
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
    fn of(service: &Service, shape: &Shape) -> Self {
        let attributes = &shape.attributes;
        let (from, to) = (attributes.rename.keys(), attributes.rename.values());
        let others = from.chain(to).chain(&attributes.drop).map(String::as_str);
        let of_key = |name: &str| {
            let sources = attributes.sources(name).map(str::to_owned);
            (name.to_owned(), sources.collect())
        };
        let mut names: Vec<&String> = attributes.rename.values().collect();
        names.sort_unstable();
        Self {
            others: attributes.keep.is_none().then(|| NameFilter::of(others)),
            sources: service.key_names().map(of_key).collect(),
            is_identity: shape.keys.is_identity(),
            is_clear: names.windows(2).all(|pair| pair[0] != pair[1]),
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
        let of_key = |name: &str| key.named(service, name);
        check_indexes(service, |name| of_key(name).or_else(|| self.copied(name, item))).ok()?;
        out.extend_from_slice(LINE_BEGINS);
        out.push(b'{');
        let (mut bytes, mut is_first) = (0, true);
        for (attribute, value) in service.keys.attributes().zip(key.0.into_iter().flatten()) {
            match self.copied(&attribute.name, item) {
                Some(copied) if copied != value => return None,
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
        bytes += item.carry(is_first, out, |name| self.becomes(shape, name))?;
        out.push(b'}');
        out.extend_from_slice(LINE_ENDS);
        Some(bytes)
    }

    /// What becomes of a source attribute. `None` if its name may be one that another attribute gets.
    fn becomes<'s>(&self, shape: &'s Shape, name: &str) -> Option<Carry<'s>> {
        let is_other = self.others.as_ref().is_some_and(|others| !others.may_have(name));
        if is_other && !name.starts_with(REPLICATION_PREFIX) {
            return Some(Carry::Keep);
        }
        let attributes = &shape.attributes;
        if attributes.target_name(name).is_none() {
            return Some(Carry::Leave);
        }
        match attributes.rename.get(name) {
            Some(to) if to == name => Some(Carry::Keep),
            Some(to) => Some(Carry::Rename(to)),
            None if attributes.rename.values().any(|to| to == name) => None,
            None => Some(Carry::Keep),
        }
    }

    /// The value of the attribute that is copied under the name of a key attribute.
    fn copied<'i>(&self, name: &str, item: &'i RawItem) -> Option<&'i Value> {
        let (_, sources) = self.sources.iter().find(|(key, _)| key == name)?;
        sources.iter().find_map(|source| item.read.get(source))
    }
}

/// The values of the key attributes.
struct Parts<'k>([Option<&'k Value>; 2]);

impl<'k> Parts<'k> {
    fn of(key: &'k Key) -> Self {
        Self([Some(&key.partition), key.sort.as_ref()])
    }

    /// That of the key attribute with this name.
    fn named(&self, service: &Service, name: &str) -> Option<&'k Value> {
        let mut named = service.keys.attributes().zip(self.0);
        named.find_map(|(attribute, value)| (attribute.name == name).then_some(value))?
    }
}

impl<'k> FromIterator<Option<&'k Value>> for Parts<'k> {
    fn from_iter<I: IntoIterator<Item = Option<&'k Value>>>(values: I) -> Self {
        let mut values = values.into_iter();
        Self([values.next().flatten(), values.next().flatten()])
    }
}
