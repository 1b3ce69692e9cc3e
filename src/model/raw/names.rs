//! The names of an object, and the members of a set: none may come twice.

use std::borrow::Cow;

/// So many are compared with each other. More of them are sorted.
const FEW: usize = 16;

/// Texts that are seen, and whether one came twice.
#[derive(Debug, Default)]
pub(super) struct Names<'t>(Vec<Cow<'t, str>>);

impl<'t> Names<'t> {
    /// One more. Returns whether it is a new one, as far as that is known before the end.
    pub fn add(&mut self, name: impl Into<Cow<'t, str>>) -> bool {
        let name = name.into();
        let is_new = self.0.len() >= FEW || !self.0.contains(&name);
        self.0.push(name);
        is_new
    }

    /// Whether all of them are different.
    pub fn are_distinct(mut self) -> bool {
        if self.0.len() <= FEW {
            return true;
        }
        self.0.sort_unstable();
        self.0.windows(2).all(|pair| pair[0] != pair[1])
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
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
