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
                let hint = "no item that is copied has such an attribute";
                report.at(
                    path,
                    format!("`{name}` is a name that dynasplit keeps for itself"),
                    hint,
                );
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
