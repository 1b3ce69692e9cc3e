//! What is shaped of a line as it came is what is shaped of the whole item.

use super::*;
use crate::flow::tests::page_item::{any_item, plans};
use crate::model::cases::cases;
use crate::model::{item_of, strip_marks};
use proptest::prelude::*;
use std::sync::Arc;

/// A service by its place, and its item with its size; or why there is none.
type Outcome = (Option<usize>, Result<(Item, usize), String>);

/// What becomes of an item: its lines are read again.
fn outcomes(plan: &Plan, item: &Exported) -> Vec<Outcome> {
    let mut found = Vec::new();
    let unreadable = |problem: LineProblem| panic!("{problem}");
    let shaped = Shaper::new(plan).shape(plan, item, unreadable, |shaped| {
        found.push(match shaped {
            Shaped::For(place, shaped) => {
                assert_eq!(shaped.line.last(), Some(&b'\n'));
                let item = item_of(shaped.line).expect("an item");
                (Some(place), Ok((item, shaped.bytes)))
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
            let looked_at = plan.looked_at_to_shape();
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

/// The line of a service's item, if it is made of the text alone.
fn carried(plan: &Plan, line: &str) -> Option<Option<String>> {
    let text: Arc<str> = line.into();
    let exported = Exported::of_line(&text, 0..text.len(), &plan.looked_at_to_shape()).expect("an item");
    let Exported::Raw(raw) = exported else {
        panic!("the line is like those of DynamoDB");
    };
    let mut out = b"before ".to_vec();
    let carried = Carrier::all(plan)[0].line(&plan.services[0], &raw, &mut out)?;
    let out = String::from_utf8(out).expect("text");
    Some(carried.map(|_| out.strip_prefix("before ").expect("it is kept").to_owned()))
}

#[test]
fn what_a_plan_does_not_change_is_copied_and_what_is_not_clear_is_left_to_the_whole_item() {
    let plans = plans();
    let line = r#"{"Item":{"id":{"S":"i1"},"n": {"N":"1.50"} ,"kind":{"S":"mine"},"a":{"S":"1"},"at":{"N":"7"},"b":{"S":"\u0062"}}}"#;
    let of = |place: usize, line: &str| carried(&plans[place], line);
    assert_eq!(of(0, line), Some(Some(format!("{line}\n"))));
    assert_eq!(
        of(2, line).flatten().as_deref(),
        Some(concat!(
            r#"{"Item":{"id":{"S":"i1"},"n": {"N":"1.50"} ,"kind":{"S":"mine"},"a":{"S":"1"},"when":{"N":"7"},"b":{"S":"\u0062"}}}"#,
            "\n"
        ))
    );
    assert_eq!(
        of(3, line).flatten().as_deref(),
        Some(concat!(
            r#"{"Item":{"id":{"S":"i1"},"n": {"N":"1.50"} ,"kind":{"S":"mine"},"a":{"S":"1"}}}"#,
            "\n"
        ))
    );
    assert_eq!(
        of(4, line).flatten().as_deref(),
        Some(concat!(
            r#"{"Item":{"id":{"S":"i1"},"kind":{"S":"mine"},"a":{"S":"1"}}}"#,
            "\n"
        ))
    );
    // Another service's, a name that is taken, an item that is too large, a reserved name, and a name with escapes.
    assert_eq!(of(0, &line.replace("mine", "other")), Some(None));
    assert_eq!(of(2, &line.replace(r#""n""#, r#""when""#)), None);
    assert_eq!(
        of(
            0,
            &line.replace(r#"{"S":"1"}"#, &format!(r#"{{"S":"{}"}}"#, "x".repeat(409_600)))
        ),
        None
    );
    assert_eq!(of(0, &line.replace(r#""n""#, r#""dynasplit:n""#)), None);
    assert_eq!(of(0, &line.replace(r#""n""#, r#""\u006e""#)), None);
}

/// The sort key of an index may be shorter than the partition key of the table, which no source attribute has.
#[test]
fn an_index_takes_or_refuses_the_key_of_the_table() {
    let service = "    table: { name: Mine, keys: { partition: made }, global-indexes: [{ name: by-kind, keys: \
                   { partition: kind, sort: made }, projection: keys-only }] }\n    \
                   transform: { keys: { from: { id: 'i{a}' }, to: { made: 'i{a}' } } }\n";
    let plan = crate::flow::tests::plan("none", service);
    for (letters, is_taken) in [(2, true), (1024, true), (1025, false), (2048, false)] {
        let id = format!("i{}", "x".repeat(letters - 1));
        let line = format!(r#"{{"Item":{{"id":{{"S":"{id}"}},"kind":{{"S":"mine"}}}}}}"#);
        let whole = Exported::Read(item_of(line.as_bytes()).expect("an item"));
        assert_eq!(outcomes(&plan, &whole)[0].1.is_ok(), is_taken, "{letters}");
        assert_eq!(carried(&plan, &line).is_some(), is_taken, "{letters}");
    }
}

/// Of an index key, only the type and the size are looked at, and its value is not read.
#[test]
fn an_index_takes_or_refuses_what_is_carried() {
    let text = |letters: usize| format!(r#"{{"S":"{}"}}"#, "x".repeat(letters));
    let values = [
        (r#"{"S":"x"}"#.to_owned(), true),
        (r#"{"S":"\u0078"}"#.to_owned(), true),
        (text(2048), true),
        (text(2049), false),
        (format!(r#"{{"S":"{}"}}"#, r"\u00e9".repeat(1024)), true),
        (format!(r#"{{"S":"{}"}}"#, r"\u00e9".repeat(1025)), false),
        (r#"{"S":""}"#.to_owned(), false),
        (r#"{"N":"1"}"#.to_owned(), false),
        (r#"{"B":"AAAA"}"#.to_owned(), false),
        (r#"{"SS":["x"]}"#.to_owned(), false),
        (r#"{"L":[{"S":"x"}]}"#.to_owned(), false),
        (r#"{"M":{}}"#.to_owned(), false),
        (r#"{"NULL":true}"#.to_owned(), false),
        (r#"{"BOOL":true}"#.to_owned(), false),
    ];
    // The key of the index is a source attribute, a renamed one, and one of few that are kept.
    for place in [2, 3, 4] {
        let plan = &plans()[place];
        let index = &plan.services[0].indexes[0].keys.partition;
        let source = if index.name == "z" {
            "x"
        } else {
            index.name.as_str()
        };
        assert!(!plan.looked_at_to_shape().has(source), "nobody reads {source}");
        for (value, is_taken) in &values {
            let line =
                format!(r#"{{"Item":{{"id":{{"S":"i1"}},"kind":{{"S":"mine"}},"{source}":{value}}}}}"#);
            let text: Arc<str> = line.as_str().into();
            let looked_at = plan.looked_at_to_shape();
            let raw = Exported::of_line(&text, 0..text.len(), &looked_at).expect("an item");
            assert!(matches!(raw, Exported::Raw(_)), "{place} {value}");
            let found = outcomes(plan, &raw);
            let whole = Exported::Read(item_of(line.as_bytes()).expect("an item"));
            assert_eq!(found, outcomes(plan, &whole), "{place} {value}");
            assert_eq!(found[0].1.is_ok(), *is_taken, "{place} {value}: {found:?}");
            assert_eq!(carried(plan, &line).is_some(), *is_taken, "{place} {value}");
        }
    }
}
