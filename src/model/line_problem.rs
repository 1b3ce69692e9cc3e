//! What may be wrong with a line of an export.

use super::build_part::NotBuilt;
use super::json::JsonError;

/// Why a line is not an item. It contains no item values.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LineProblem {
    /// Not JSON.
    #[error("this line is not JSON ({0}); each line must be one item in DynamoDB JSON, as in a full export")]
    Syntax(String),
    /// JSON of another kind.
    #[error("an item is expected here, not {0}; write it as {{\"Item\": {{\"name\": {{\"S\": \"text\"}}}}}}")]
    NotAnItem(&'static str),
    /// A line of an incremental export.
    #[error(
        "this is a line of an incremental export, which contains changes and not items; use a full export"
    )]
    Incremental,
    /// Not JSON, where a change is expected.
    #[error("this line is not JSON ({0}); each line must be one change, as in an incremental export")]
    ChangeSyntax(String),
    /// JSON of another kind, where a change is expected.
    #[error("a change is expected here, with `Metadata` and `Keys` as in an incremental export, not {0}")]
    NotAChange(&'static str),
    /// A line of Amazon Ion, which this build does not read.
    #[error("this line is in Amazon Ion: {0}")]
    Ion(NotBuilt),
    /// Not Amazon Ion, although it begins so.
    #[error("this line is not Amazon Ion ({0}); each line must be one item, as in a full export")]
    IonSyntax(&'static str),
    /// A value that an export in Amazon Ion does not have.
    #[error("{path}: {what}")]
    IonValue {
        /// The names of the attributes that lead to it.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// A value that DynamoDB JSON does not know.
    #[error("{0}")]
    Value(#[from] JsonError),
    /// Longer than any item can be.
    #[error("this line is longer than {} MiB, and no item is; is the file one item per line?", .0 >> 20)]
    TooLong(u64),
}
