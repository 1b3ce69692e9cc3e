//! The ledger of all changes: where it is, how far it is, and which lanes need it.

use super::figures::prose;
use super::standing::Standing;
use crate::model::{count, duration};
use crate::status::LedgerStatus;
use maud::{Markup, html};

pub(super) fn ledger(standing: &Standing) -> Markup {
    let Some(ledger) = &standing.status.ledger else {
        return html! {};
    };
    let time = |ms: Option<u64>| ms.map_or_else(|| "-".to_owned(), duration);
    let lanes = match ledger.lanes.is_empty() {
        true => "-".to_owned(),
        false => ledger.lanes.join(", "),
    };
    html! {
        section aria-labelledby="ledger" {
            h2 id="ledger" { "Ledger" }
            p.note {
                "The ledger keeps every change of the source. A lane that is more than 20 hours behind reads it instead of the stream."
            }
            div.scroll tabindex="0" role="region" aria-labelledby="ledger-table" {
                table {
                    caption id="ledger-table" { "Ledger of all changes" }
                    thead { tr {
                        th scope="col" { "place" }
                        @for name in ["lag", "time left", "records"] {
                            th.number scope="col" { (name) }
                        }
                        th scope="col" { "lanes that need it" }
                        th scope="col" { "state" }
                    } }
                    tbody { tr {
                        th scope="row" { (ledger.place) }
                        td.number { (time(ledger.lag_ms)) }
                        td.number { (time(ledger.time_left_ms)) }
                        td.number { (count(ledger.records)) }
                        td { (lanes) }
                        td { (prose(&(standing.copyable)(&state(ledger)))) }
                    } }
                }
            }
        }
    }
}

fn state(ledger: &LedgerStatus) -> String {
    match (&ledger.gap, &ledger.blocked, ledger.lag_ms) {
        (Some(gap), ..) => format!("gap: {gap}"),
        (None, Some(reason), _) => format!("blocked: {reason}"),
        (None, None, Some(_)) => "written".to_owned(),
        (None, None, None) => "not begun".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_comes_before_everything_else() {
        let ledger = LedgerStatus {
            place: "s3://b/p/".into(),
            lag_ms: Some(1),
            records: 7,
            gap: None,
            blocked: None,
            time_left_ms: Some(1),
            lanes: Vec::new(),
        };
        assert_eq!(state(&ledger), "written");
        let blocked = LedgerStatus {
            blocked: Some("denied".into()),
            ..ledger.clone()
        };
        assert_eq!(state(&blocked), "blocked: denied");
        let lost = LedgerStatus {
            gap: Some("trimmed".into()),
            ..blocked
        };
        assert_eq!(state(&lost), "gap: trimmed");
        assert_eq!(
            state(&LedgerStatus {
                lag_ms: None,
                ..ledger
            }),
            "not begun"
        );
    }
}
