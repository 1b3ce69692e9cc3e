//! The mark that a reverse write leaves in the source item: which record of the target it carried back.

use super::position::SequenceNumber;
use super::{Item, MARK_PREFIX, Value};

/// The record of a target's stream that was carried back last to a source item. Marks of one split are compared by the
/// fields in their order; a mark of another split counts as absent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReverseMark {
    /// The split.
    pub split: String,
    /// The epoch of the cutover (see `CutoverState::epoch`).
    pub epoch: u64,
    /// The generation of the target's stream.
    pub generation: u32,
    /// The sequence number of the record.
    pub sequence: SequenceNumber,
    /// What the write did that left the mark.
    pub kind: MarkKind,
}

/// What a reverse write did that left a mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MarkKind {
    /// It created the source item.
    Created,
    /// It changed the source item.
    Updated,
    /// It is the first step of a delete: the item is deleted next. A deleted item has no image that could show a mark, so
    /// the image before shows it.
    Deleting,
}

impl MarkKind {
    const ALL: [Self; 3] = [Self::Created, Self::Updated, Self::Deleting];

    fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleting => "deleting",
        }
    }
}

/// The marks of a stream record, which no lane sees in its images.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MarkImages {
    /// Those of the item before the write.
    pub old: Item,
    /// Those of the item after it.
    pub new: Item,
}

/// Removes the marks from a source item, and returns them. They say nothing about the item: every reader of the source
/// removes them before it looks at the item.
pub fn strip_marks(item: &mut Item) -> Item {
    // Most items have none.
    if !item.keys().any(|name| name.starts_with(MARK_PREFIX)) {
        return Item::new();
    }
    let is_mark = |name: &String| name.starts_with(MARK_PREFIX);
    let marks = item.iter().filter(|(name, _)| is_mark(name));
    let marks = marks.map(|(name, value)| (name.clone(), value.clone())).collect();
    item.retain(|name, _| !is_mark(name));
    marks
}

impl ReverseMark {
    /// The attribute of source items that holds the marks of a service.
    #[must_use]
    pub fn attribute(service: &str) -> String {
        format!("{MARK_PREFIX}{service}")
    }

    /// The mark as an attribute value. It has the same size for each record of a split.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let kind = self.kind.word();
        Value::S(format!(
            "{}/{:010}/{:010}/{}/{kind:8}",
            self.split,
            self.epoch,
            self.generation,
            self.sequence.padded()
        ))
    }

    /// Reads a mark from an attribute value; `None` for any other value.
    #[must_use]
    pub fn from_value(value: &Value) -> Option<Self> {
        let Value::S(text) = value else { return None };
        // From the right, because the name of the split may contain the separator.
        let mut parts = text.rsplitn(5, '/');
        let kind = parts.next()?.trim_end();
        let kind = MarkKind::ALL.into_iter().find(|each| each.word() == kind)?;
        let sequence = parts.next()?;
        let is_number = !sequence.is_empty() && sequence.bytes().all(|byte| byte.is_ascii_digit());
        Some(Self {
            kind,
            sequence: is_number.then(|| SequenceNumber::new(sequence))?,
            generation: parts.next()?.parse().ok()?,
            epoch: parts.next()?.parse().ok()?,
            split: parts.next()?.to_owned(),
        })
    }

    /// The mark of a service in a source item, or among the marks of one. A mark of another split counts as absent.
    #[must_use]
    pub fn of(item: &Item, split: &str, service: &str) -> Option<Self> {
        let mark = Self::from_value(item.get(&Self::attribute(service))?)?;
        (mark.split == split).then_some(mark)
    }

    /// Whether this mark is newer than another one of the same split. A mark of another split is always older.
    #[must_use]
    pub fn is_newer_than(&self, other: &Self) -> bool {
        let place = |mark: &Self| (mark.epoch, mark.generation, mark.sequence.clone());
        self.split != other.split || place(self) > place(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_ordered_by_epoch_generation_and_sequence() {
        let mark = |epoch, generation, sequence| ReverseMark {
            split: "a".into(),
            epoch,
            generation,
            sequence: SequenceNumber::new(sequence),
            kind: MarkKind::Updated,
        };
        let order = [
            mark(1, 1, "9"),
            mark(1, 1, "10"),
            mark(1, 2, "1"),
            mark(2, 1, "1"),
        ];
        for (n, earlier) in order.iter().enumerate() {
            assert!(!earlier.is_newer_than(earlier));
            for later in &order[n + 1..] {
                assert!(later.is_newer_than(earlier) && !earlier.is_newer_than(later));
            }
        }
        let other = ReverseMark {
            split: "b".into(),
            ..mark(9, 9, "9")
        };
        assert!(order[0].is_newer_than(&other));
    }
    #[test]
    fn a_mark_comes_back_from_its_value_and_counts_only_for_its_split_and_service() {
        for (n, kind) in MarkKind::ALL.into_iter().enumerate() {
            let mark = ReverseMark {
                split: "a/b".into(),
                epoch: 3,
                generation: 2,
                sequence: SequenceNumber::new(&format!("70{n}")),
                kind,
            };
            let value = mark.to_value();
            assert_eq!(ReverseMark::from_value(&value), Some(mark.clone()));
            assert_eq!(
                value.size(),
                ReverseMark {
                    kind: MarkKind::Updated,
                    ..mark.clone()
                }
                .to_value()
                .size()
            );
            let item = Item::from([(ReverseMark::attribute("s"), value)]);
            assert_eq!(ReverseMark::of(&item, "a/b", "s"), Some(mark));
            assert_eq!(ReverseMark::of(&item, "b", "s"), None);
            assert_eq!(ReverseMark::of(&item, "a/b", "other"), None);
        }
        for odd in [
            "",
            "a/1/1/7",
            "a/1/1/x/updated",
            "a/1/1//updated",
            "a/1/1/7/other",
        ] {
            assert_eq!(ReverseMark::from_value(&Value::s(odd)), None, "{odd}");
        }
    }

    #[test]
    fn marks_are_removed_and_nothing_else_is() {
        let mark = || (ReverseMark::attribute("s"), Value::s("m"));
        let plain = || ("dynasplit:version".to_owned(), Value::s("v"));
        let mut item = Item::from([mark(), plain()]);
        assert_eq!(strip_marks(&mut item), Item::from([mark()]));
        assert_eq!(item, Item::from([plain()]));
        assert_eq!(strip_marks(&mut item), Item::new());
    }
}
