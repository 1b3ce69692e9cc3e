//! Damaged records: which record cannot be read, and how a person can fix it.

use super::error::StateError;

/// A record that can't be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damaged {
    /// Its name.
    pub record: String,
    /// Why it can't be read.
    pub cause: String,
    /// How a person can fix it.
    pub cure: String,
    /// Its text, if it has one.
    pub(super) text: Option<String>,
}

/// Records that may be deleted, by the first part of their names, each with the consequence. For other records, the
/// table must be restored.
const DELETABLE: [(&str, &str); 16] = [
    ("NOTIFY", "its destination then gets the present state again"),
    ("CHART", "the charts of the page then begin anew"),
    ("ACTIVITY", "it only records what a command was doing"),
    (
        "TUNING",
        "the options of the commands then set the budgets, until `dynasplit tune` changes them",
    ),
    ("VERIFY", "then run `dynasplit verify`"),
    ("PROOF", "then run `dynasplit verify`"),
    (
        "CHANGES",
        "the next `dynasplit verify --changed` then compares more keys",
    ),
    (
        "SHAREDVERIFY",
        "then run `dynasplit verify --shared NAME` with a new name",
    ),
    (
        "VERIFYTASK",
        "the processes of the shared verify then do this task again",
    ),
    ("REPAIR", "when no repair and no `dead-letters reconcile` runs"),
    (
        "WORKER",
        "when every dynasplit command of this split has ended; then start them again",
    ),
    (
        "COPIED",
        "the processes of the backfill then read its segments again",
    ),
    (
        "MEMBER",
        "when no `dynasplit backfill` and no `dynasplit verify` of this split runs",
    ),
    ("HEAL", "when no heal of a gap runs; the next one begins anew"),
    ("RECHECK", "then run `dynasplit verify --repair`"),
    (
        "SEGMENT",
        "the next `dynasplit backfill` copies this segment again",
    ),
];

/// How a person can fix a damaged record.
#[must_use]
pub(super) fn cure(table: &str, record: &str) -> String {
    let kind = record.split_once('#').map_or(record, |(kind, _)| kind);
    let newer = "if a newer version of dynasplit wrote it, use that version; otherwise";
    if let Some((_, follows)) = DELETABLE.iter().find(|(name, _)| *name == kind) {
        let key = format!(r#"{{"pk":{{"S":"{PARTITION}"}},"sk":{{"S":"{record}"}}}}"#);
        return format!(
            "{newer} delete it ({follows}): aws dynamodb delete-item --table-name {table} --key '{key}'"
        );
    }
    match kind {
        "LETTER" | "LETTERPART" => {
            format!(
                "{newer} run `dynasplit dead-letters reconcile`, which removes it and makes a repair \
                 mandatory"
            )
        }
        "EVENTLETTER" | "EVENTLETTERPART" => {
            format!(
                "{newer} run `dynasplit dead-letters discard --events --service NAME`, which removes it; its event is lost"
            )
        }
        "SHARD" => {
            format!("{newer} run `dynasplit replicate --restart-tail`, then `dynasplit verify --repair`")
        }
        _ => format!("{newer} restore the table {table} from a backup under the same name"),
    }
}

impl Damaged {
    /// The error of a command that needs the record.
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
