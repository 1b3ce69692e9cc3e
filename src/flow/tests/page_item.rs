//! An item of which only a part is read has the effects of the whole item.

use super::plan;
use crate::flow::{Changes as _, Effects, PageItem, RawPageItem, WriteKind};
use crate::model::json::tests::any_value;
use crate::model::json::{item_from_json, item_to_json};
use crate::model::raw::RawPage;
use crate::model::{Item, ItemExt as _, Number, Origin, Value, strip_marks};
use crate::plan::Plan;
use proptest::collection::btree_map;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;
use std::sync::OnceLock;

const KEPT: &str = "    table: { name: Mine, keys: { partition: id } }\n";
const NUMBER: &str = "{ attribute: at, type: N }";

/// Plans of all kinds: what they look at, and what they do with attributes at which they do not look.
pub(crate) fn plans() -> &'static [Plan] {
    static PLANS: OnceLock<Vec<Plan>> = OnceLock::new();
    let transformed = |index: &str, keys: &str, transform: &str| {
        let table = format!(
            "{{ name: Mine, keys: {{ partition: id }}, global-indexes: [{{ name: by-one, keys: {{ partition: {index} }}, \
             projection: {{ include: [y] }} }}] }}"
        );
        format!("    table: {table}\n    transform: {{ {keys}{transform} }}\n")
    };
    let made = "keys: { from: { id: 'i{a}' }, to: { id: 'j{a}' } }, ";
    PLANS.get_or_init(|| {
        vec![
            plan(NUMBER, KEPT),
            plan("none", KEPT),
            plan(NUMBER, &transformed("z", "", "rename: { at: when, x: z }")),
            plan(NUMBER, &transformed("x", "", "drop: [at, b]")),
            plan("none", &transformed("x", "", "keep: [id, kind, a, x, y]")),
            plan(NUMBER, &transformed("x", made, "rename: { b: a }")),
            plan(NUMBER, &transformed("z", made, "drop: [x, kind]")),
        ]
    })
}

/// Items that these plans may meet.
pub(crate) fn any_item() -> impl Strategy<Value = Item> {
    let names = [
        "a",
        "b",
        "x",
        "y",
        "z",
        "when",
        "aws:rep:x",
        "dynasplit:mark:mine",
        "dynasplit:v",
        "q\"\\",
        "é",
        "",
    ];
    let others = btree_map(select(names.to_vec()).prop_map(str::to_owned), any_value(), 0..8);
    let id = select(vec!["i1", "i", "x", ""]);
    let kind = select(vec!["mine", "other", "third"]);
    let at = prop_oneof![
        any::<i64>().prop_map(|at| Some(Value::N(Number::from(at)))),
        any_value().prop_map(Some),
        Just(None),
    ];
    (others, id, kind, at).prop_map(|(mut item, id, kind, at)| {
        item.insert("id".into(), Value::s(id));
        item.insert("kind".into(), Value::s(kind));
        item.extend(at.map(|at| ("at".to_owned(), at)));
        // Only of an item with few attributes, most of which is carried as a rule.
        if item.contains_key("dynasplit:v") && item.len() % 3 > 0 {
            item.remove("dynasplit:v");
        }
        item
    })
}

/// As the backfill reads it.
fn raw(plan: &Plan, item: &Item, origin: &Origin) -> RawPageItem {
    let answer = json!({ "Items": [item_to_json(item)], "Count": 1 }).to_string();
    let looked_at = plan.looked_at();
    let mut page = RawPage::read(answer.as_bytes(), &|name| looked_at.has(name)).unwrap();
    let mut item = page.items.remove(0);
    strip_marks(&mut item.read);
    RawPageItem {
        key: plan.source.keys.key_of(&item.read).unwrap(),
        item,
        origin: origin.clone(),
    }
}

/// Effects whose items are whole, after a look at how each is written.
fn whole(mut effects: Effects) -> Effects {
    for write in &mut effects.writes {
        let WriteKind::PutRaw(put) = &write.kind else {
            continue;
        };
        let item = put.decoded().unwrap();
        assert_eq!(put.size(), item.size());
        let (mut written, mut values) = (Vec::new(), b"[".to_vec());
        put.write(&mut written);
        let written = item_from_json(serde_json::from_slice(&written).unwrap()).unwrap();
        assert_eq!(written, item);
        put.write_values(&mut values);
        values.push(b']');
        let values: Vec<serde_json::Value> = serde_json::from_slice(&values).unwrap();
        let names = put.names().map(str::to_owned);
        let pairs = serde_json::Value::Object(names.zip(values).collect());
        assert_eq!(item_from_json(pairs).unwrap(), item);
        write.kind = WriteKind::Put(item);
    }
    effects
}

proptest! {
    #[test]
    fn a_part_decides_as_the_whole(item in any_item(), is_bulk in any::<bool>()) {
        let origin = if is_bulk { Origin::Bulk } else { Origin::Backfill };
        for plan in plans() {
            let raw = raw(plan, &item, &origin);
            let mut expected = item.clone();
            strip_marks(&mut expected);
            prop_assert_eq!(&raw.item.decoded().unwrap(), &expected);
            let page = PageItem::Raw(raw);
            let group = page.group().unwrap().into_owned();
            for service in &plan.services {
                prop_assert_eq!(
                    whole(page.effects(service, &plan.versions)),
                    group.effects(service, &plan.versions)
                );
                prop_assert_eq!(service.belongs(page.read().unwrap()), service.belongs(&expected));
            }
        }
    }
}

#[test]
fn what_is_too_large_is_found_out_by_the_whole() {
    let plan = plan(NUMBER, KEPT);
    for (bytes, is_raw) in [(10, true), (409_000, true), (409_600, false), (500_000, false)] {
        let item = Item::from([
            ("id".to_owned(), Value::s("i1")),
            ("kind".to_owned(), Value::s("mine")),
            ("text".to_owned(), Value::s("x".repeat(bytes))),
        ]);
        let page = PageItem::Raw(raw(&plan, &item, &Origin::Backfill));
        let effects = page.effects(&plan.services[0], &plan.versions);
        let has_raw = matches!(
            effects.writes.first().map(|write| &write.kind),
            Some(WriteKind::PutRaw(_))
        );
        assert_eq!(has_raw, is_raw, "{bytes}");
        let group = page.group().unwrap().into_owned();
        assert_eq!(whole(effects), group.effects(&plan.services[0], &plan.versions));
    }
}
