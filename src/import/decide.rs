//! What an import decides about what it finds. Pure: the model of the import order (`tests/model/imports`) calls these very functions.

use crate::fault::{Rule, broken};
use crate::state::ImportRecord;
use crate::target::{DescribedImport, ImportStatus};

/// A client token holds for eight hours. Afterwards, a request with the same token asks for another one.
pub const TOKEN_MS: u64 = 7 * 3600 * 1000;

/// The table of an import that has failed, or that was given up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TableLeft {
    /// There is none.
    Nothing,
    /// It is the one that the import made.
    Own,
    /// Its id is another one, or not known.
    Unknown(Option<String>),
}

impl TableLeft {
    /// The table of this name has this id, if there is one; the import made one with the other id, if it is known.
    #[must_use]
    pub fn of(found: Option<Option<String>>, own: Option<&str>) -> Self {
        match found {
            None => Self::Nothing,
            Some(Some(id)) if own == Some(id.as_str()) => Self::Own,
            Some(id) => Self::Unknown(id),
        }
    }
}

/// Whether the table of this name is still the one that a complete import made. Engines other than AWS may have no ids.
#[must_use]
pub fn is_still_imported(found: Option<&Option<String>>, own: Option<&str>) -> bool {
    match (found, own) {
        (None, _) => false,
        (Some(Some(found)), Some(own)) => found == own,
        (Some(_), _) => true,
    }
}

/// Whether an import that DynamoDB does not know is requested with a token of its own: the first one, or one that holds no longer.
#[must_use]
pub fn needs_token(known: Option<&ImportRecord>, now_ms: u64) -> bool {
    known.is_none_or(|known| now_ms.saturating_sub(known.asked_ms) >= TOKEN_MS)
}

/// Why an import that has ended cannot be used.
#[must_use]
pub fn why_unusable(import: &DescribedImport, expected: u64) -> Option<String> {
    let counts = format!(
        "{} of {expected} items were read, {} were imported, and {} had errors",
        import.processed_items, import.imported_items, import.errors
    );
    let log = import.log_group.as_deref().map_or(String::new(), told_log);
    match &import.status {
        ImportStatus::InProgress => None,
        _ if broken(Rule::ImportComplete) => None,
        ImportStatus::Failed(reason) => Some(format!("{reason} ({counts}){log}")),
        ImportStatus::Completed if import.errors > 0 || import.processed_items != expected => {
            Some(format!("{counts}{log}"))
        }
        ImportStatus::Completed => None,
    }
}

/// Where the errors of an import are. dynasplit does not read them: that needs another permission and another SDK.
fn told_log(group: &str) -> String {
    let mut parts = group.splitn(7, ':');
    let (region, name) = (parts.nth(3), parts.nth(2));
    let name = name.map(|name| name.trim_end_matches(":*"));
    let shown = match (region, name) {
        (Some(region), Some(name)) if !name.is_empty() => {
            format!(": `aws logs tail {name} --region {region} --since 2d` shows it")
        }
        _ => String::new(),
    };
    format!(". The log group {group} of CloudWatch names the items with errors{shown}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_of_a_failed_import_is_told_with_the_command_that_shows_it() {
        let told = told_log("arn:aws:logs:eu-central-1:123456789012:log-group:/aws-dynamodb/imports:*");
        assert!(
            told.ends_with(
                ": `aws logs tail /aws-dynamodb/imports --region eu-central-1 --since 2d` shows it"
            ),
            "{told}"
        );
        assert!(
            told_log("imports").ends_with("The log group imports of CloudWatch names the items with errors")
        );
    }

    #[test]
    fn only_a_table_with_the_id_of_the_import_is_its_own() {
        let id = |id: &str| Some(Some(id.to_owned()));
        assert_eq!(TableLeft::of(None, Some("a")), TableLeft::Nothing);
        assert_eq!(TableLeft::of(id("a"), Some("a")), TableLeft::Own);
        assert_eq!(
            TableLeft::of(id("b"), Some("a")),
            TableLeft::Unknown(Some("b".into()))
        );
        assert_eq!(TableLeft::of(id("a"), None), TableLeft::Unknown(Some("a".into())));
        assert_eq!(TableLeft::of(Some(None), Some("a")), TableLeft::Unknown(None));
    }

    #[test]
    fn a_token_is_kept_for_seven_hours() {
        let known = ImportRecord::requested("token".into(), 1000);
        assert!(needs_token(None, 0));
        assert!(!needs_token(Some(&known), 1000 + TOKEN_MS - 1));
        assert!(needs_token(Some(&known), 1000 + TOKEN_MS));
    }
}
