//! The source keys that a mapping accepts, and the target keys that it makes from them, as far as its templates and
//! the service's condition show.

use super::{Content, KeyMapping, Maker, Piece, as_text};
use crate::model::{AttributeKind, KeyAttribute};
use crate::plan::expr::Condition;
use crate::plan::extent::{Extent, Stretch};
use std::collections::BTreeMap;

impl KeyMapping {
    /// Texts that a condition requires the attributes of the source's key to begin with.
    pub(in crate::plan) fn heads(&self, condition: &Condition) -> BTreeMap<String, String> {
        self.source
            .attributes()
            .filter_map(|key| Some((key.name.clone(), condition.prefix(&key.name)?.to_owned())))
            .collect()
    }

    /// The values that each attribute of a source key may have, for items that get a target key. `heads` are texts that
    /// the service's condition requires an attribute to begin with.
    pub(in crate::plan) fn source_extents(&self, heads: &BTreeMap<String, String>) -> Vec<Extent> {
        let extent = |attribute: &KeyAttribute| {
            if let Some(value) = self.pinned.get(&attribute.name) {
                return Extent::Exact(value.clone());
            }
            if attribute.kind != AttributeKind::S {
                return Extent::Any;
            }
            let required = heads.get(&attribute.name).map_or("", String::as_str);
            let rule = self.rules.iter().find(|rule| rule.attribute == attribute.name);
            let parts = rule.map_or_else(
                || vec![Stretch::Unknown(required)],
                |rule| match rule.pattern[..] {
                    [Piece::Slot(_)] => vec![Stretch::Unknown(required)],
                    _ => rule.pattern.iter().map(Stretch::of_pattern).collect(),
                },
            );
            Extent::of_text(&parts).beginning_with(required)
        };
        self.source.attributes().map(extent).collect()
    }

    /// The same for items that a condition matches, whether or not the keys are made with regard to it.
    pub(in crate::plan) fn source_extents_of(&self, condition: &Condition) -> Vec<Extent> {
        let extents = self.source_extents(&self.heads(condition)).into_iter();
        let keys = self.source.attributes();
        keys.zip(extents)
            .map(|(key, extent)| match condition.pinned(&key.name) {
                Some(value) if key.kind.holds(value) => Extent::Exact(value.clone()),
                _ => extent,
            })
            .collect()
    }

    /// The values that each attribute of a target key may have, for items that satisfy the condition.
    pub(in crate::plan) fn target_extents(&self, heads: &BTreeMap<String, String>) -> Vec<Extent> {
        let mut known = vec![None; self.slots.len()];
        for rule in self
            .rules
            .iter()
            .filter(|rule| self.pinned.contains_key(&rule.attribute))
        {
            let mut captured = vec![None; self.slots.len()];
            if rule.read(&self.pinned, &mut captured).is_ok() {
                known
                    .iter_mut()
                    .zip(captured)
                    .for_each(|(known, captured)| *known = captured.or(known.take()));
            }
        }
        let head = |slot: usize| match self.slots[slot].content {
            Content::Whole(_) => heads.get(&self.slots[slot].attribute).map_or("", String::as_str),
            Content::Text { .. } => "",
        };
        let extent = |maker: &Maker| match maker.template[..] {
            [Piece::Slot(slot)] if maker.number || maker.attribute.kind != AttributeKind::S => {
                match maker.make(&known, &self.slots, usize::MAX) {
                    Ok(value) if known[slot].is_some() => Extent::Exact(value),
                    _ => Extent::Any,
                }
            }
            _ => {
                let texts: Vec<Option<String>> = known.iter().map(|value| as_text(value.as_ref())).collect();
                let stretch = |piece| match piece {
                    &Piece::Slot(slot) => match &texts[slot] {
                        Some(text) => Stretch::Known(text),
                        None => Stretch::Unknown(head(slot)),
                    },
                    Piece::Text(text) => Stretch::Known(text),
                };
                let parts: Vec<Stretch<'_>> = maker.template.iter().map(stretch).collect();
                Extent::of_text(&parts)
            }
        };
        self.makers.iter().map(extent).collect()
    }

    /// Whether both make the same key of every item, whatever their conditions fix. They are then one function, and
    /// no two items share a target key if this is proven for one of them.
    pub(in crate::plan) fn is_the_same(&self, other: &Self) -> bool {
        let reads_all = |one: &Self| {
            one.source
                .attributes()
                .all(|key| one.rules.iter().any(|rule| rule.attribute == key.name))
        };
        self.canonical() == other.canonical() && reads_all(self) && reads_all(other)
    }
}
