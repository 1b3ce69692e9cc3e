//! What is known of an attribute by its name.

/// What is known of an attribute by its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    /// Its place among the names that somebody asks about.
    pub place: Option<u32>,
    /// Whether its value is read.
    pub is_read: bool,
}

impl Known {
    /// Of names that have no places.
    #[must_use]
    pub fn without_place(is_read: bool) -> Self {
        Self { place: None, is_read }
    }
}
