//! Key mappings: they make a target key from a source item, and find the source key again.
//!
//! Patterns read source attributes into captures, and templates write captures into target keys. A capture takes the
//! shortest text up to the first occurrence of the literal after it, the last one takes the rest, and none is empty.
//! A pattern that consists of one capture takes the whole value, with its type. A template that consists of one
//! capture with `:N` makes a number from its text, which must be in the form that DynamoDB returns.
//!
//! [`super::recovery`] proves which captures can be read back from a target key. If the whole primary key of the
//! source can be read back, no two source items ever share a target key.

mod extents;

use super::key_fault::KeyFault;
use super::key_pieces::{Content, Maker, Piece, Slot, as_text};
use super::key_proof::{self, Loss, Reading};
use super::template::{Part, Template};
use crate::model::{AttributeKind, Item, Key, KeyAttribute, KeySchema, Number, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Most bytes of a partition key and of a sort key.
/// See [the quotas](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html).
const MAX_KEY_BYTES: [usize; 2] = [2048, 1024];

/// Makes target keys.
#[derive(Clone, Debug)]
pub struct KeyMapping {
    source: KeySchema,
    rules: Vec<Rule>,
    makers: Vec<Maker>,
    slots: Vec<Slot>,
    /// Source key attributes that the service's condition pins to one value.
    pinned: BTreeMap<String, Value>,
    proof: Result<Vec<Reading>, Vec<Loss>>,
    vouch: Option<String>,
}

/// Reads one source attribute.
#[derive(Clone, Debug)]
struct Rule {
    attribute: String,
    /// Its type, if it is part of the source's primary key.
    kind: Option<AttributeKind>,
    pattern: Vec<Piece>,
    written: Template,
}

/// A template of the plan that cannot make a target key whatever the item is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum TypeFlaw {
    /// The target attribute has this type; its template makes another.
    Makes {
        attribute: KeyAttribute,
        made: AttributeKind,
    },
    /// Binary cannot be part of a text, and writes no number.
    BinaryInText {
        attribute: KeyAttribute,
        capture: String,
    },
}

impl KeyMapping {
    /// Compiles checked templates: every capture that `to` uses is captured once in `from`, and `to` has a template
    /// for every attribute of the target's key (if one is missing, there is no key).
    pub(super) fn new(
        source: &KeySchema,
        target: &KeySchema,
        from: &BTreeMap<String, Template>,
        to: &BTreeMap<String, Template>,
        pinned: BTreeMap<String, Value>,
        vouch: Option<String>,
    ) -> Self {
        let mut slots = vec![];
        let rules: Vec<Rule> = from
            .iter()
            .map(|(name, t)| Rule::new(name, t, source, &mut slots))
            .collect();
        let makers: Vec<Maker> = target
            .attributes()
            .filter_map(|attribute| {
                let written = to.get(&attribute.name)?.clone();
                let template = pieces(&written, |name| slots.iter().position(|slot| slot.name == name));
                Some(Maker {
                    attribute: attribute.clone(),
                    number: matches!(written.parts[..], [Part::Number(_)]),
                    template,
                    written,
                })
            })
            .collect();
        let proof = key_proof::prove(source, &pinned, &slots, &makers, |attribute| {
            from.contains_key(attribute)
        });
        Self {
            source: source.clone(),
            rules,
            makers,
            slots,
            pinned,
            proof,
            vouch,
        }
    }

    /// The mapping of a service without templates: attributes of the same names, unchanged.
    pub(super) fn identity(source: &KeySchema, target: &KeySchema, pinned: BTreeMap<String, Value>) -> Self {
        let whole = |attribute: &KeyAttribute| {
            let parts = vec![Part::Capture(attribute.name.clone())];
            (attribute.name.clone(), Template { parts })
        };
        let templates: BTreeMap<_, _> = target.attributes().map(whole).collect();
        Self::new(source, target, &templates, &templates, pinned, None)
    }

    /// The target key of an item.
    ///
    /// # Errors
    /// Where the item's attributes do not make one: see [`KeyFault`].
    pub fn apply(&self, item: &Item) -> Result<Key, KeyFault> {
        let mut captured = vec![None; self.slots.len()];
        for rule in &self.rules {
            rule.read(item, &mut captured)?;
        }
        let mut made = Vec::with_capacity(2);
        for (maker, limit) in self.makers.iter().zip(MAX_KEY_BYTES) {
            made.push(maker.make(&captured, &self.slots, limit)?);
        }
        let mut made = made.into_iter();
        match made.next() {
            Some(partition) => Ok(Key {
                partition,
                sort: made.next(),
            }),
            None => Err(KeyFault::Missing {
                attribute: self.source.partition.name.clone(),
            }),
        }
    }

    /// Whether each key attribute is the source's key attribute of the same name and type, as it is.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.rules.len() == self.makers.len()
            && self.makers.iter().all(|maker| match maker.template[..] {
                [Piece::Slot(slot)] => {
                    let slot = &self.slots[slot];
                    !maker.number
                        && slot.attribute == maker.attribute.name
                        && slot.content == Content::Whole(Some(maker.attribute.kind))
                }
                _ => false,
            })
    }

    /// The source attributes that it reads, and the target attributes that it makes.
    pub(super) fn attributes(&self) -> impl Iterator<Item = &str> {
        let read = self.rules.iter().map(|rule| rule.attribute.as_str());
        read.chain(self.makers.iter().map(|maker| maker.attribute.name.as_str()))
    }

    /// The source's primary key that makes this target key. `None` if the plan's templates prove none, or if no
    /// source key makes it.
    #[must_use]
    pub fn invert(&self, target: &Key) -> Option<Key> {
        let readings = self.proof.as_ref().ok()?;
        let parts: Vec<&Value> = std::iter::once(&target.partition).chain(&target.sort).collect();
        if parts.len() != self.makers.len() {
            return None;
        }
        let captured = key_proof::recover(readings, &parts, &self.slots)?;
        let mut item: Item = self.pinned.clone();
        for rule in &self.rules {
            item.insert(rule.attribute.clone(), rule.write(&captured)?);
        }
        // The way back was proven for keys that the way there makes; any other is found out here.
        let key = self.source.key_of(&item)?;
        (self.apply(&item).ok()? == *target).then_some(key)
    }

    /// Whether it is proven that two source items never share a target key.
    #[must_use]
    pub fn is_injective(&self) -> bool {
        self.proof.is_ok()
    }

    /// The vouch, if the mapping is not proven.
    #[must_use]
    pub fn vouched(&self) -> Option<&str> {
        self.vouch.as_deref()
    }

    /// Why it is not proven.
    pub(super) fn losses(&self) -> &[Loss] {
        self.proof.as_ref().err().map_or(&[], Vec::as_slice)
    }

    /// Templates whose type cannot be right.
    pub(super) fn type_flaws(&self) -> Vec<TypeFlaw> {
        let mut flaws = vec![];
        for Maker {
            attribute,
            template,
            number,
            ..
        } in &self.makers
        {
            let made = match &template[..] {
                _ if *number => Some(AttributeKind::N),
                [Piece::Slot(slot)] => match self.slots[*slot].content {
                    Content::Whole(kind) => kind,
                    Content::Text { .. } => Some(AttributeKind::S),
                },
                _ => Some(AttributeKind::S),
            };
            if let Some(made) = made.filter(|made| *made != attribute.kind) {
                flaws.push(TypeFlaw::Makes {
                    attribute: attribute.clone(),
                    made,
                });
            }
            let embedded = template.iter().filter_map(|piece| match piece {
                Piece::Slot(slot) if template.len() > 1 || *number => Some(&self.slots[*slot]),
                _ => None,
            });
            let binary: BTreeSet<_> = embedded
                .filter(|slot| slot.content == Content::Whole(Some(AttributeKind::B)))
                .map(|slot| slot.name.clone())
                .collect();
            flaws.extend(binary.into_iter().map(|capture| TypeFlaw::BinaryInText {
                attribute: attribute.clone(),
                capture,
            }));
        }
        flaws
    }

    /// Whether the pattern of a source attribute could match a text that begins with `head`, or that is `head` alone.
    pub(super) fn could_match(&self, attribute: &str, head: &str, alone: bool) -> bool {
        let Some(rule) = self.rules.iter().find(|rule| rule.attribute == attribute) else {
            return true;
        };
        if alone {
            let item = Item::from([(attribute.to_owned(), Value::s(head))]);
            return rule.read(&item, &mut vec![None; self.slots.len()]).is_ok();
        }
        match &rule.pattern[..] {
            [Piece::Text(only)] => only.starts_with(head),
            [Piece::Text(first), ..] => first.starts_with(head) || head.starts_with(first.as_str()),
            _ => true,
        }
    }

    /// All that decides which key is made, for the service's fingerprint.
    pub(super) fn canonical(&self) -> serde_json::Value {
        let from: BTreeMap<_, _> = self
            .rules
            .iter()
            .map(|r| (&r.attribute, r.written.to_string()))
            .collect();
        let to: BTreeMap<_, _> = self
            .makers
            .iter()
            .map(|m| (&m.attribute.name, m.written.to_string()))
            .collect();
        serde_json::json!({ "source": self.source, "from": from, "to": to })
    }
}

impl Rule {
    fn new(attribute: &str, written: &Template, source: &KeySchema, slots: &mut Vec<Slot>) -> Self {
        let kind = source.attributes().find(|a| a.name == attribute).map(|a| a.kind);
        let first = slots.len();
        for (n, part) in written.parts.iter().enumerate() {
            if let Part::Capture(name) = part {
                let content = match (written.lone(), written.parts.get(n + 1)) {
                    (Some(_), _) => Content::Whole(kind),
                    (None, Some(Part::Text(text))) => Content::Text {
                        delimiter: Some(text.clone()),
                    },
                    (None, _) => Content::Text { delimiter: None },
                };
                slots.push(Slot {
                    name: name.clone(),
                    attribute: attribute.to_owned(),
                    of_key: kind.is_some(),
                    content,
                });
            }
        }
        let own = &slots[first..];
        let pattern = pieces(written, |name| {
            own.iter().position(|slot| slot.name == name).map(|n| n + first)
        });
        Self {
            attribute: attribute.to_owned(),
            kind,
            pattern,
            written: written.clone(),
        }
    }

    /// Matches the item's attribute and records the captures.
    fn read(&self, item: &Item, captured: &mut [Option<Value>]) -> Result<(), KeyFault> {
        let attribute = || self.attribute.clone();
        let value = item.get(&self.attribute).ok_or_else(|| KeyFault::Missing {
            attribute: attribute(),
        })?;
        let wrong = |expected: String| KeyFault::WrongType {
            attribute: attribute(),
            expected,
            found: value.type_name(),
        };
        if let [Piece::Slot(slot)] = self.pattern[..] {
            let fits = match self.kind {
                Some(kind) => kind.holds(value),
                None => matches!(value, Value::S(_) | Value::N(_) | Value::B(_)),
            };
            if !fits {
                return Err(wrong(
                    self.kind.map_or("S, N or B".to_owned(), |kind| kind.to_string()),
                ));
            }
            if matches!(value, Value::S(text) if text.is_empty())
                || matches!(value, Value::B(b) if b.is_empty())
            {
                return Err(KeyFault::Empty {
                    attribute: attribute(),
                });
            }
            captured[slot] = Some(value.clone());
            return Ok(());
        }
        let Value::S(text) = value else {
            return Err(wrong("S".to_owned()));
        };
        self.scan(text, captured).ok_or_else(|| KeyFault::NoMatch {
            attribute: attribute(),
            pattern: self.written.to_string(),
            value: self.kind.map(|_| text.clone()),
        })
    }

    fn scan(&self, text: &str, captured: &mut [Option<Value>]) -> Option<()> {
        let mut rest = text;
        let mut pieces = self.pattern.iter().peekable();
        while let Some(piece) = pieces.next() {
            match (piece, pieces.peek()) {
                (Piece::Text(literal), _) => rest = rest.strip_prefix(literal.as_str())?,
                (Piece::Slot(slot), next) => {
                    let end = match next {
                        Some(Piece::Text(literal)) => rest.find(literal.as_str())?,
                        _ => rest.len(),
                    };
                    if end == 0 {
                        return None;
                    }
                    captured[*slot] = Some(Value::s(&rest[..end]));
                    rest = &rest[end..];
                }
            }
        }
        rest.is_empty().then_some(())
    }

    /// The source attribute that these captures were read from.
    fn write(&self, captured: &[Option<Value>]) -> Option<Value> {
        if let [Piece::Slot(slot)] = self.pattern[..] {
            return captured[slot].clone();
        }
        fill(&self.pattern, captured).map(Value::S)
    }
}

impl Maker {
    fn make(&self, captured: &[Option<Value>], slots: &[Slot], limit: usize) -> Result<Value, KeyFault> {
        let wrong = |slot: usize, expected: String| KeyFault::WrongType {
            attribute: slots[slot].attribute.clone(),
            expected,
            found: captured[slot].as_ref().map_or("none", Value::type_name),
        };
        let value = match self.template[..] {
            [Piece::Slot(slot)] if self.number => number(captured[slot].as_ref(), &slots[slot])?,
            [Piece::Slot(slot)] => captured[slot]
                .clone()
                .filter(|value| self.attribute.kind.holds(value))
                .ok_or_else(|| wrong(slot, self.attribute.kind.to_string()))?,
            _ => match fill(&self.template, captured) {
                Some(text) => Value::S(text),
                None => {
                    let odd = self.template.iter().find_map(|piece| match piece {
                        Piece::Slot(slot) if as_text(captured[*slot].as_ref()).is_none() => Some(*slot),
                        _ => None,
                    });
                    return Err(wrong(odd.unwrap_or(0), "S or N".to_owned()));
                }
            },
        };
        // It is never empty: captures and templates are not.
        let bytes = value.size();
        if bytes > limit {
            return Err(KeyFault::TooLong {
                attribute: self.attribute.name.clone(),
                bytes,
                limit,
            });
        }
        Ok(value)
    }
}

/// The number that a capture's text writes. Only the plain digits that DynamoDB returns are taken, so that no two texts
/// make one number.
fn number(captured: Option<&Value>, slot: &Slot) -> Result<Value, KeyFault> {
    match captured {
        Some(Value::N(number)) => Ok(Value::N(number.clone())),
        Some(Value::S(text)) => match Number::parse(text) {
            Ok(number) if number.to_string() == *text => Ok(Value::N(number)),
            _ => Err(KeyFault::NoNumber {
                attribute: slot.attribute.clone(),
                capture: slot.name.clone(),
                value: slot.of_key.then(|| text.clone()),
            }),
        },
        other => Err(KeyFault::WrongType {
            attribute: slot.attribute.clone(),
            expected: "S or N".to_owned(),
            found: other.map_or("none", Value::type_name),
        }),
    }
}

fn fill(pieces: &[Piece], captured: &[Option<Value>]) -> Option<String> {
    pieces.iter().try_fold(String::new(), |text, piece| {
        Some(match piece {
            Piece::Text(literal) => text + literal,
            Piece::Slot(slot) => text + &as_text(captured[*slot].as_ref())?,
        })
    })
}

fn pieces(template: &Template, slot: impl Fn(&str) -> Option<usize>) -> Vec<Piece> {
    let piece = |part: &Part| match part {
        Part::Text(text) => Some(Piece::Text(text.clone())),
        Part::Capture(name) | Part::Number(name) => slot(name).map(Piece::Slot),
    };
    template.parts.iter().filter_map(piece).collect()
}

#[cfg(test)]
mod tests;
