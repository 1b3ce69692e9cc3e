//! The check of a condition, with its problems at the right characters.

use super::report::Report;
use crate::model::RESERVED_PREFIX;
use crate::plan::Condition;
use crate::plan::path::Path;

pub(super) fn condition(text: &str, path: &Path, report: &mut Report) -> Option<Condition> {
    match Condition::parse(text) {
        Ok(condition) => {
            for name in condition
                .attributes()
                .iter()
                .filter(|name| name.starts_with(RESERVED_PREFIX))
            {
                let hint = "items with such an attribute are not copied";
                report.at(path, format!("the name `{name}` is reserved for dynasplit"), hint);
            }
            Some(condition)
        }
        Err(error) => {
            let offset = characters(text, error.offset);
            report.within(path, offset, error.message, error.hint);
            if error.incomplete
                && let Some(last) = report.findings.last_mut().filter(|last| last.path == *path)
            {
                last.incomplete = true;
            }
            None
        }
    }
}

/// The character at a byte of a text.
pub(super) fn characters(text: &str, byte: usize) -> usize {
    text.get(..byte).unwrap_or(text).chars().count()
}
