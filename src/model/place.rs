//! The path of a value inside an item, for messages.

use std::fmt;

/// Where in an item, or in any nested document, something is: `address.lines[2]`.
///
/// It is built from the inside out while an error travels up, so that reading without errors costs nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Place(String);

impl Place {
    /// The whole: no name, no index.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// The same place, seen from the document that holds it under a name.
    #[must_use]
    pub fn under(mut self, name: &str) -> Self {
        if !self.0.is_empty() && !self.0.starts_with('[') {
            self.0.insert(0, '.');
        }
        self.0.insert_str(0, name);
        self
    }

    /// The same place, seen from the list that holds it.
    #[must_use]
    pub fn at(mut self, index: usize) -> Self {
        if !self.0.is_empty() && !self.0.starts_with('[') {
            self.0.insert(0, '.');
        }
        self.0.insert_str(0, &format!("[{index}]"));
        self
    }

    /// Whether it is the whole.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_root() { "the value" } else { &self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_like_a_document_path() {
        let place = Place::root()
            .under("zip")
            .at(2)
            .at(0)
            .under("lines")
            .under("address");
        assert_eq!(place.to_string(), "address.lines[0][2].zip");
        assert_eq!(Place::root().to_string(), "the value");
    }
}
