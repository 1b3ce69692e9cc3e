//! The split plan: the file, its check, and the checked form that everything else runs on.

pub mod either;
pub mod expr;
pub mod spec;
