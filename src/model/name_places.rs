//! Names with places, so that a name of an item is compared with them once.

/// Some names. The place of each is its number in their order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamePlaces {
    names: Vec<String>,
    /// The first name of each beginning; the number of names if there is none.
    first: [u32; BEGINNINGS],
    /// For each name, the next one with the same beginning; the number of names if there is none.
    next: Vec<u32>,
}

/// Beginnings that are told apart: more than most plans have names.
const BEGINNINGS: usize = 256;

impl NamePlaces {
    /// Of these names.
    pub fn of(names: impl IntoIterator<Item = String>) -> Self {
        let mut names: Vec<String> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        let none = count(&names);
        let (mut first, mut next) = ([none; BEGINNINGS], Vec::new());
        for (place, name) in (0..).zip(&names) {
            next.push(std::mem::replace(&mut first[beginning(name)], place));
        }
        Self { names, first, next }
    }

    /// The place of a name, if it is one of them.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<u32> {
        let mut place = self.first[beginning(name)];
        while let Some(known) = self.names.get(place as usize) {
            if known == name {
                return Some(place);
            }
            place = self.next[place as usize];
        }
        None
    }

    /// How many they are.
    #[must_use]
    pub fn count(&self) -> u32 {
        count(&self.names)
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }
}

fn count(names: &[String]) -> u32 {
    u32::try_from(names.len()).unwrap_or(u32::MAX)
}

/// Names that differ in their length or in one of these letters mostly have different beginnings.
fn beginning(name: &str) -> usize {
    let bytes = name.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return 0;
    };
    let middle = bytes[bytes.len() / 2];
    let mix = u32::from(*first) + 7 * u32::from(middle) + 31 * u32::from(*last) + 97 * bytes.len() as u32;
    mix as usize % BEGINNINGS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cases::cases;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(cases(64))]

        #[test]
        fn each_name_has_its_place_and_no_other_one_has_any(
            names in prop::collection::vec("[a-d]{0,4}|.{0,40}", 0..400),
            other in "[a-d]{0,4}|.{0,40}",
        ) {
            let places = NamePlaces::of(names.iter().cloned());
            for (place, name) in (0..).zip(places.iter()) {
                prop_assert_eq!(places.place(name), Some(place));
            }
            prop_assert!(names.iter().all(|name| places.place(name).is_some()));
            prop_assert_eq!(places.place(&other).is_some(), names.contains(&other));
        }
    }
}
