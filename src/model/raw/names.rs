//! The names of an object, and the members of a set: none may come twice.

use super::cursor::{Cursor, Quoted, Unreadable};
use std::borrow::Cow;

/// So many are told apart while they are passed.
const FEW: usize = 16;

/// Texts that are seen. It tells nearly all of them apart without keeping them: what it is not sure of is looked at again.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Of the first ones: equal texts have equal tags.
    tags: [u64; FEW],
    /// A bit for each tag.
    bits: u64,
    count: usize,
    is_unsure: bool,
}

impl Names {
    /// One more.
    pub fn add(&mut self, name: Quoted<'_>) {
        let tag = tag(name.raw.as_bytes());
        let bit = 1 << (tag.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58);
        match self.tags.get_mut(self.count) {
            Some(free) => *free = tag,
            None => self.is_unsure = true,
        }
        let seen = self.tags.iter().take(self.count);
        self.is_unsure |= name.is_escaped || self.bits & bit != 0 && seen.copied().any(|seen| seen == tag);
        self.bits |= bit;
        self.count += 1;
    }

    /// Whether all of them are different for certain.
    pub fn are_distinct(&self) -> bool {
        !self.is_unsure
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Tells most texts apart: their length, and their first and last bytes.
fn tag(text: &[u8]) -> u64 {
    let length = (text.len() as u64).rotate_left(57);
    let ends = if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29)
    } else if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32
    } else {
        text.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    };
    ends ^ length
}

/// Whether all of them are different.
pub(super) fn are_distinct(mut texts: Vec<Cow<'_, str>>) -> bool {
    texts.sort_unstable();
    texts.windows(2).all(|pair| pair[0] != pair[1])
}

/// Whether all names of an object are different.
pub(super) fn has_distinct_names(cursor: &mut Cursor<'_>) -> Result<bool, Unreadable> {
    let mut names = Vec::new();
    cursor.object(|cursor, name| {
        names.push(name.said()?);
        cursor.skip()
    })?;
    Ok(are_distinct(names))
}

/// Whether all texts of an array are different.
pub(super) fn has_distinct_members(cursor: &mut Cursor<'_>) -> Result<bool, Unreadable> {
    let mut members = Vec::new();
    cursor.array(|cursor| {
        members.push(cursor.string()?.said()?);
        Ok(())
    })?;
    Ok(are_distinct(members))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether names are sure to differ, and whether they do.
    fn of(names: &[String]) -> (bool, bool) {
        let entries = names.iter().map(|name| format!(r#""{name}":[1]"#));
        let text = format!("{{{}}}", entries.collect::<Vec<_>>().join(","));
        let mut found = Names::default();
        let object = Cursor::at(&text, 0).object(|cursor, name| {
            found.add(name);
            cursor.skip()
        });
        assert_eq!(object, Ok(()));
        assert_eq!(found.is_empty(), names.is_empty());
        let members = format!(
            "{:?}",
            names
                .iter()
                .map(|name| name.replace('\\', ""))
                .collect::<Vec<_>>()
        );
        let differ = has_distinct_names(&mut Cursor::at(&text, 0)).expect("an object");
        if !text.contains('\\') {
            assert_eq!(has_distinct_members(&mut Cursor::at(&members, 0)), Ok(differ));
        }
        (found.are_distinct(), differ)
    }

    proptest! {
        #[test]
        fn only_names_that_differ_are_sure_to_differ(names in prop::collection::vec(r"[ab]{0,9}|a\\u0061|a{8,20}", 0..20)) {
            let said: std::collections::BTreeSet<String> =
                names.iter().map(|name| name.replace(r"\u0061", "a")).collect();
            let (are_sure, differ) = of(&names);
            prop_assert_eq!(differ, said.len() == names.len());
            prop_assert!(differ || !are_sure);
        }
    }

    #[test]
    fn a_name_that_comes_twice_is_found_among_few_and_many() {
        for count in [2, FEW, FEW + 1, 3 * FEW] {
            let mut names: Vec<String> = (0..count).map(|number| number.to_string()).collect();
            assert_eq!(of(&names), (count <= FEW, true), "{count}");
            for again in 0..count {
                names.push(again.to_string());
                assert_eq!(of(&names), (false, false), "{again} of {count}");
                names.pop();
            }
        }
    }

    #[test]
    fn ordinary_names_are_told_apart_at_once() {
        let names = [
            "PK",
            "SK",
            "type",
            "title",
            "note",
            "createdAt",
            "createdBy",
            "updatedAt",
            "id",
            "s3Key",
        ];
        assert_eq!(of(&names.map(str::to_owned)), (true, true));
    }
}
