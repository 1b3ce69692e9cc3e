//! Tells most names apart from some others, without comparing texts.

/// Of some names: which lengths they have, by their first byte.
#[derive(Clone, Debug)]
pub struct NameFilter([u32; BEGINNINGS]);

/// Beginnings that are told apart. A power of two: letters of both cases are.
const BEGINNINGS: usize = 64;

impl NameFilter {
    /// Of these names.
    pub fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut lengths = [0; BEGINNINGS];
        for name in names {
            let (beginning, length) = place(name);
            lengths[beginning] |= length;
        }
        Self(lengths)
    }

    /// Whether a name may be one of them. `false` is certain.
    #[must_use]
    pub fn may_have(&self, name: &str) -> bool {
        let (beginning, length) = place(name);
        self.0[beginning] & length != 0
    }
}

fn place(name: &str) -> (usize, u32) {
    let first = name.as_bytes().first().copied().unwrap_or_default();
    (usize::from(first) % BEGINNINGS, 1 << name.len().min(31))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_name_is_missed(names in prop::collection::vec(".{0,40}", 0..20)) {
            let filter = NameFilter::of(names.iter().map(String::as_str));
            for name in &names {
                prop_assert!(filter.may_have(name));
            }
        }
    }

    #[test]
    fn most_other_names_are_known() {
        let filter = NameFilter::of(["PK", "SK", "type", "updatedAt"]);
        for name in ["", "title", "pk", "PKX", "note", "createdAt", &"P".repeat(40)] {
            assert!(!filter.may_have(name), "{name}");
        }
    }
}
