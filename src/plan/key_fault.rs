//! Why an item has no target key.

/// Why an item has no target key. It contains a value only if the value is part of the source's key.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyFault {
    /// The item lacks an attribute that the target key is made from.
    #[error("the target key needs `{attribute}`, which the item does not have")]
    Missing {
        /// The source attribute.
        attribute: String,
    },
    /// The attribute has a type that the key cannot be made from.
    #[error("the target key needs `{attribute}` of type {expected}, but the item has type {found}")]
    WrongType {
        /// The source attribute.
        attribute: String,
        /// DynamoDB's name of the necessary type.
        expected: String,
        /// DynamoDB's name of the type that was found.
        found: &'static str,
    },
    /// The attribute's text is not of the pattern's form.
    #[error("`{attribute}` does not match '{pattern}'{}", value.as_ref().map(|v| format!(": '{v}'")).unwrap_or_default())]
    NoMatch {
        /// The source attribute.
        attribute: String,
        /// The plan's pattern.
        pattern: String,
        /// The text, for a key attribute only.
        value: Option<String>,
    },
    /// The text of a capture is to be a number, and is none, or is not written as DynamoDB writes that number.
    #[error(
        "the target key makes a number from `{{{capture}}}` of `{attribute}`, which is not a number in \
         plain digits{}",
        value.as_ref().map(|v| format!(": '{v}'")).unwrap_or_default()
    )]
    NoNumber {
        /// The source attribute.
        attribute: String,
        /// The capture.
        capture: String,
        /// The capture's text, for a key attribute only.
        value: Option<String>,
    },
    /// The attribute is empty, which no key can be.
    #[error("the target key needs `{attribute}`, which is empty in the item")]
    Empty {
        /// The source attribute.
        attribute: String,
    },
    /// The target key would be longer than DynamoDB takes.
    #[error(
        "the target key attribute `{attribute}` would have {bytes} bytes, but DynamoDB accepts at most \
         {limit}"
    )]
    TooLong {
        /// The target attribute.
        attribute: String,
        /// The bytes that it would have.
        bytes: usize,
        /// The most bytes that are allowed.
        limit: usize,
    },
}
