//! The proof that no two source items share a target key: the source's primary key can be read back
//! from the target's.
//!
//! A target key is a function of the source's primary key, and has an inverse, if
//!
//! 1. every attribute of the source's key is matched by a pattern (its text is then its captures and the
//!    pattern's literals), or pinned to one value by the service's condition;
//! 2. every capture from such an attribute can be read back from the target key;
//! 3. no capture from any other attribute is in the target key: with one, two images of one item could
//!    have two target keys.
//!
//! Reading back goes from left to right through a template. A literal is stripped. A capture that is known from
//! another template is stripped. The last capture is the rest, without the literal after it. Any other capture
//! needs a visible end: if the literal after it in the *template* begins with the literal `d` that follows it in
//! its *pattern*, its end is the first `d`. The capture `c` was matched as the shortest text before a `d`, so the
//! first `d` in `c·d` follows `c` immediately. This depends only on `c` and `d`, and the target key holds `c·d` there.
//! The end of a number is visible before any character that a number does not contain.
//!
//! A capture that becomes a number is read back as the number's plain digits, because the number was made only from
//! plain digits.
//!
//! If a template cannot be read to its end, the earlier part still counts.

use super::key_pieces::{Content, Maker, Piece, Slot, as_text, from_text};
use crate::model::{AttributeKind, KeySchema, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Why the mapping is not proven.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Loss {
    /// A source key attribute is neither matched nor pinned.
    Unread { attribute: String },
    /// A capture of the source's key is in no template.
    Unused { capture: String, attribute: String },
    /// A capture of an attribute outside the source's key is in the target key.
    Foreign { capture: String, attribute: String },
    /// The capture is in the templates, but its end does not show.
    Ambiguous {
        capture: String,
        attribute: String,
        delimiter: Option<String>,
    },
}

/// How captures are read back from one target key attribute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Reading {
    maker: usize,
    actions: Vec<Action>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Action {
    /// The attribute's value is the capture.
    Whole(usize),
    /// The attribute's value is the number that the capture's text writes.
    Number(usize),
    /// This text comes next.
    Strip(String),
    /// A capture comes next that another reading gave.
    StripKnown(usize),
    /// The capture is the text before this.
    Until(usize, String),
    /// The capture is all that comes next that a number is written with.
    UntilNoNumber(usize),
    /// The capture is all but this.
    Rest(usize, String),
}

/// Finds how every capture of the source's key can be read back, or all that stands in the way.
pub(super) fn prove(
    source: &KeySchema,
    pinned: &BTreeMap<String, Value>,
    slots: &[Slot],
    makers: &[Maker],
    is_read: impl Fn(&str) -> bool,
) -> Result<Vec<Reading>, Vec<Loss>> {
    let mut known = BTreeSet::new();
    let mut readings = vec![];
    // A template that could not be read may be after another one was; each round finds a capture or ends.
    loop {
        let before = known.len();
        for (n, maker) in makers.iter().enumerate() {
            let walk = walk(maker, &known, slots);
            if !walk.gained.is_empty() {
                known.extend(walk.gained);
                readings.push(Reading {
                    maker: n,
                    actions: walk.actions,
                });
            }
        }
        if known.len() == before {
            break;
        }
    }
    let used: BTreeSet<usize> = makers
        .iter()
        .flat_map(|maker| maker.template.iter())
        .filter_map(slot_of)
        .collect();
    // Everything after a capture without an end is lost with it, and repaired with it.
    let endless: BTreeSet<usize> = makers
        .iter()
        .filter_map(|maker| walk(maker, &known, slots).endless)
        .collect();
    let mut losses: Vec<Loss> = source
        .attributes()
        .filter(|a| !is_read(&a.name) && !pinned.contains_key(&a.name))
        .map(|a| Loss::Unread {
            attribute: a.name.clone(),
        })
        .collect();
    losses.extend(slots.iter().enumerate().filter_map(|(n, slot)| {
        let (capture, attribute) = (slot.name.clone(), slot.attribute.clone());
        match (slot.of_key, used.contains(&n), endless.contains(&n)) {
            (false, true, _) => Some(Loss::Foreign { capture, attribute }),
            (true, false, _) => Some(Loss::Unused { capture, attribute }),
            (true, true, true) => {
                let delimiter = match &slot.content {
                    Content::Text { delimiter } => delimiter.clone(),
                    Content::Whole(_) => None,
                };
                Some(Loss::Ambiguous {
                    capture,
                    attribute,
                    delimiter,
                })
            }
            (false, false, _) | (true, true, false) => None,
        }
    }));
    if losses.is_empty() {
        Ok(readings)
    } else {
        Err(losses)
    }
}

fn slot_of(piece: &Piece) -> Option<usize> {
    match piece {
        Piece::Slot(slot) => Some(*slot),
        Piece::Text(_) => None,
    }
}

/// A template that was read as far as it goes.
#[derive(Default)]
struct Walk {
    actions: Vec<Action>,
    /// Captures that this gives.
    gained: Vec<usize>,
    /// The capture whose end does not show.
    endless: Option<usize>,
}

fn walk(maker: &Maker, known: &BTreeSet<usize>, slots: &[Slot]) -> Walk {
    let mut walk = Walk::default();
    let template = &maker.template;
    if let [Piece::Slot(slot)] = &template[..] {
        let was_text = !matches!(slots[*slot].content, Content::Whole(Some(AttributeKind::N)));
        walk.actions.push(if maker.number && was_text {
            Action::Number(*slot)
        } else {
            Action::Whole(*slot)
        });
        walk.gained.extend((!known.contains(slot)).then_some(*slot));
        return walk;
    }
    for (n, piece) in template.iter().enumerate() {
        let slot = match piece {
            Piece::Text(text) => {
                walk.actions.push(Action::Strip(text.clone()));
                continue;
            }
            Piece::Slot(slot) => *slot,
        };
        if known.contains(&slot) || walk.gained.contains(&slot) {
            walk.actions.push(Action::StripKnown(slot));
            continue;
        }
        let action = match (&template[n + 1..], &slots[slot].content) {
            // Binary cannot stand in text; the plan's check says so.
            (_, Content::Whole(Some(AttributeKind::B))) => {
                walk.endless = Some(slot);
                break;
            }
            ([], _) => Action::Rest(slot, String::new()),
            ([Piece::Text(tail)], _) => Action::Rest(slot, tail.clone()),
            ([Piece::Text(next), ..], Content::Text { delimiter: Some(end) })
                if next.starts_with(end.as_str()) =>
            {
                Action::Until(slot, end.clone())
            }
            ([Piece::Text(next), ..], Content::Whole(Some(AttributeKind::N)))
                if !next.starts_with(in_number) =>
            {
                Action::UntilNoNumber(slot)
            }
            _ => {
                walk.endless = Some(slot);
                break;
            }
        };
        let ends = matches!(action, Action::Rest(..));
        walk.actions.push(action);
        walk.gained.push(slot);
        if ends {
            break;
        }
    }
    walk
}

/// Whether a number's canonical text may hold the character.
fn in_number(c: char) -> bool {
    c.is_ascii_digit() || "-.".contains(c)
}

/// Reads the captures back from the values of a target key.
pub(super) fn recover(readings: &[Reading], parts: &[&Value], slots: &[Slot]) -> Option<Vec<Option<Value>>> {
    let mut captured: Vec<Option<Value>> = vec![None; slots.len()];
    for reading in readings {
        let value = *parts.get(reading.maker)?;
        if let [Action::Whole(slot)] = reading.actions[..] {
            captured[slot] = Some(value.clone());
            continue;
        }
        if let [Action::Number(slot)] = reading.actions[..] {
            let Value::N(number) = value else {
                return None;
            };
            captured[slot] = Some(Value::S(number.to_string()));
            continue;
        }
        let Value::S(text) = value else {
            return None;
        };
        let mut rest = text.as_str();
        for action in &reading.actions {
            let (slot, end) = match action {
                Action::Whole(_) | Action::Number(_) => return None,
                Action::Strip(text) => {
                    rest = rest.strip_prefix(text.as_str())?;
                    continue;
                }
                Action::StripKnown(slot) => {
                    rest = rest.strip_prefix(as_text(captured[*slot].as_ref())?.as_str())?;
                    continue;
                }
                Action::Until(slot, end) => (*slot, rest.find(end.as_str())?),
                Action::UntilNoNumber(slot) => (*slot, rest.find(|c| !in_number(c))?),
                Action::Rest(slot, tail) => (*slot, rest.strip_suffix(tail.as_str())?.len()),
            };
            captured[slot] = Some(from_text(&rest[..end], &slots[slot].content)?);
            rest = &rest[end..];
        }
    }
    Some(captured)
}
