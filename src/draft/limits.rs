//! Bounds of a draft: more than a person reads is no draft.

/// The most services. Smaller clusters of items stay behind, with a question.
pub(super) const SERVICES: usize = 25;
/// The longest expression of a draft, in bytes. DynamoDB accepts 4 KB.
pub(super) const EXPRESSION_BYTES: usize = 3800;
/// Kinds of a service that are described.
pub(super) const KINDS: usize = 12;
/// Attribute names of a kind that are shown in the plan.
pub(super) const NAMES: usize = 14;
/// Keys that are shown for something suspicious.
pub(super) const EXAMPLES: usize = 3;
/// The longest name or value from the table that is shown in a comment.
pub(super) const SHOWN_CHARS: usize = 60;
/// Attributes of a kind that are compared with each other.
pub(super) const COMPARED: usize = 64;
/// From this many items on, a kind with very few of them is rather a mistake than a kind.
pub(super) const LARGE_SAMPLE: u64 = 200;
/// Items of a large sample that may be a mistake.
pub(super) const RARE_ITEMS: u64 = 3;
