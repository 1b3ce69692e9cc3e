//! What is shaped of a line as it came is what is shaped of the whole item.

use super::*;
use crate::flow::tests::page_item::{any_item, plans};
use crate::model::cases::cases;
use crate::model::json::item_line;
use crate::model::{ItemExt as _, item_of, strip_marks};
use proptest::prelude::*;
use std::sync::Arc;

/// A service by its place, and its item with its size; or why there is none.
type Outcome = (Option<usize>, Result<(Item, usize), String>);

/// What becomes of an item: its lines are read again.
fn outcomes(plan: &Plan, item: &Exported) -> Vec<Outcome> {
    let mut found = Vec::new();
    let unreadable = |problem: LineProblem| panic!("{problem}");
    let shaped = shape(plan, item, unreadable, |shaped| {
        found.push(match shaped {
            Shaped::For(place, item) => {
                let mut line = Vec::new();
                item.write_line(&mut line);
                let size = item.size();
                (Some(place), Ok((item_of(&line).expect("an item"), size)))
            }
            Shaped::Refused(place, reason) => (place, Err(reason.to_string())),
            Shaped::LeftBehind => (None, Err("left behind".to_owned())),
        });
        Ok(())
    });
    shaped.expect("it is shaped");
    found
}

proptest! {
    #![proptest_config(cases(384))]

    #[test]
    fn a_line_is_shaped_as_its_whole_item_is(item in any_item()) {
        let mut line = Vec::new();
        item_line(&item, &mut line);
        let text: Arc<str> = String::from_utf8(line).expect("text").into();
        for plan in plans() {
            let looked_at = plan.looked_at();
            let exported = Exported::of_line(&text, 0..text.len() - 1, &looked_at).expect("an item");
            prop_assert!(matches!(exported, Exported::Raw(_)), "the line is like those of DynamoDB");
            let mut whole = item.clone();
            strip_marks(&mut whole);
            prop_assert_eq!(&*exported.whole().expect("an item"), &whole);
            let found = outcomes(plan, &exported);
            for (_, shaped) in &found {
                if let Ok((item, size)) = shaped {
                    prop_assert_eq!(item.size(), *size);
                }
            }
            prop_assert_eq!(found, outcomes(plan, &Exported::Read(whole)));
        }
    }
}
