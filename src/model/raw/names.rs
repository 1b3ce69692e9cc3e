//! The names of an object, and the members of a set: none may come twice.

use std::borrow::Cow;

/// So many are compared with each other. More of them are sorted.
const FEW: usize = 16;

/// Texts that are seen, and whether one came twice.
#[derive(Debug, Default)]
pub(super) struct Names<'t> {
    /// Of the first ones: equal texts have equal tags.
    tags: [u32; FEW],
    texts: Vec<Cow<'t, str>>,
}

impl<'t> Names<'t> {
    /// One more. Returns whether it is a new one, as far as that is known before the end.
    pub fn add(&mut self, name: impl Into<Cow<'t, str>>) -> bool {
        let (name, count) = (name.into(), self.texts.len());
        let mut is_new = true;
        if count == 0 {
            self.texts.reserve(FEW / 2);
        }
        if count < FEW {
            let tag = tag(name.as_bytes());
            if self.tags[..count].contains(&tag) {
                is_new = !self.texts.contains(&name);
            }
            self.tags[count] = tag;
        }
        self.texts.push(name);
        is_new
    }

    /// Whether all of them are different.
    pub fn are_distinct(mut self) -> bool {
        if self.texts.len() <= FEW {
            return true;
        }
        self.texts.sort_unstable();
        self.texts.windows(2).all(|pair| pair[0] != pair[1])
    }

    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}

/// Tells most texts apart: their length, and their first and last bytes.
fn tag(text: &[u8]) -> u32 {
    let (first, last) = match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) => (u32::from_le_bytes(*first), u32::from_le_bytes(*last)),
        _ => (text.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)), 0),
    };
    first ^ last.rotate_left(13) ^ u32::try_from(text.len()).unwrap_or(u32::MAX).rotate_left(27)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_comes_twice_is_found_among_few_and_many() {
        for count in [2, FEW, FEW + 1, 3 * FEW] {
            for again in 0..count {
                let mut names = Names::default();
                for number in 0..count {
                    assert!(names.add(number.to_string()));
                }
                let is_new = names.add(again.to_string());
                assert!(!(is_new && names.are_distinct()), "{again} of {count}");
            }
            let mut names = Names::default();
            let is_new = (0..count).all(|number| names.add(number.to_string()));
            assert!(is_new && names.are_distinct(), "{count}");
        }
    }
}
