//! DynamoDB's limits for expressions, and this parser's own.

/// The longest expression, in bytes: in its written form, in its canonical form, and in DynamoDB's form. It is
/// DynamoDB's own limit for an expression string (4 KB).
pub const MAX_BYTES: usize = 4096;
/// The deepest nesting of parentheses and `NOT`.
pub const MAX_DEPTH: usize = 64;
/// The most comparisons, functions, `AND`, `OR` and `NOT` in one expression (DynamoDB's limit).
pub const MAX_OPERATORS: usize = 300;
/// The most operands of `IN` (DynamoDB's limit).
pub const MAX_IN_OPERANDS: usize = 100;
/// The most elements of a document path, and the deepest nesting of a list or map (DynamoDB's limit).
pub const MAX_DOCUMENT_DEPTH: usize = 32;
