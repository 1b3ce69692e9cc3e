//! Records that can't be read: which one it is, and what a person can do about it.

use super::error::StateError;

/// A record that can't be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damaged {
    /// Its name.
    pub record: String,
    /// Why it can't be read.
    pub cause: String,
    /// What a person can do.
    pub cure: String,
    /// Its text, if it has one.
    pub(super) text: Option<String>,
}

/// What can be done about a damaged record, by the first part of its name: either it may be deleted, with what follows
/// from that, or the table must be restored.
const DELETABLE: [(&str, &str); 7] = [
    ("ACTIVITY", "it only says what a command was doing"),
    (
        "TUNING",
        "budgets are then as the commands' options say, until `dynasplit tune` changes them",
    ),
    ("VERIFY", "then run `dynasplit verify`"),
    ("REPAIR", "when no repair and no `dead-letters reconcile` runs"),
    (
        "WORKER",
        "when every dynasplit command of this split has ended; then start them again",
    ),
    ("RECHECK", "then run `dynasplit verify --repair`"),
    (
        "SEGMENT",
        "the next `dynasplit backfill` copies this segment again",
    ),
];

/// What a person can do about a damaged record.
#[must_use]
pub(super) fn cure(table: &str, record: &str) -> String {
    let kind = record.split_once('#').map_or(record, |(kind, _)| kind);
    let newer = "use the version of dynasplit that wrote it, if that is a newer one; otherwise";
    if let Some((_, follows)) = DELETABLE.iter().find(|(name, _)| *name == kind) {
        let key = format!(r#"{{"pk":{{"S":"{PARTITION}"}},"sk":{{"S":"{record}"}}}}"#);
        return format!(
            "{newer} delete it ({follows}): aws dynamodb delete-item --table-name {table} --key '{key}'"
        );
    }
    match kind {
        "LETTER" | "LETTERPART" => {
            format!("{newer} run `dynasplit dead-letters reconcile`, which deals with it")
        }
        "SHARD" => {
            format!("{newer} run `dynasplit replicate --restart-tail`, then `dynasplit verify --repair`")
        }
        _ => format!("{newer} restore the table {table} from a backup under the same name"),
    }
}

impl Damaged {
    /// As an error of whoever needs the record.
    #[must_use]
    pub fn into_error(self, table: &str) -> StateError {
        StateError::Damaged {
            table: table.to_owned(),
            record: self.record,
            cause: self.cause,
            cure: self.cure,
        }
    }
}

/// The partition that all records are in.
pub(super) const PARTITION: &str = "split";

#[cfg(test)]
mod tests {
    use super::cure;

    #[test]
    fn every_kind_of_record_has_a_way_out() {
        let text = cure("dynasplit-x", "ACTIVITY#verify");
        let command = r#"aws dynamodb delete-item --table-name dynasplit-x --key '{"pk":{"S":"split"},"sk":{"S":"ACTIVITY#verify"}}'"#;
        assert!(text.contains(command), "{text}");
        assert!(cure("t", "LETTERPART#a#b").contains("dead-letters reconcile"));
        assert!(cure("t", "SHARD#000001#x").contains("--restart-tail"));
        for record in ["SPLIT", "SERVICE#a", "BACKFILL", "HISTORY#000001#x"] {
            assert!(
                cure("t", record).contains("restore the table t from a backup"),
                "{record}"
            );
        }
    }
}
