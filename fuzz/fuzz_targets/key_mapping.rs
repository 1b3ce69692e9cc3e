//! Key templates, made and turned back: five lines are the patterns of PK and SK, the templates of the target's keys,
//! and the route; what follows a zero byte are two items. A mapping that is proven to be injective gives no two source
//! keys one target key, and finds the way back.
#![no_main]

use dynasplit_fuzz::Bytes;
use dynasplit_fuzz::flow::desired;
use dynasplit_fuzz::model::{Item, Value};
use dynasplit_fuzz::plan::{Plan, Service};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let Ok(text) = str::from_utf8(&data[..end]) else {
        return;
    };
    let mut lines = text.split('\n').map(|line| line.replace('\'', "''"));
    let mut line = || lines.next().unwrap_or_default();
    let plan = format!(
        "
version: 1
split: s
source: {{ table: From, keys: {{ partition: PK, sort: SK }} }}
timestamp: none
unrouted: fail
services:
  - name: a
    table: {{ name: To, keys: {{ partition: p, sort: {{ name: s, type: S }} }} }}
    transform:
      keys:
        from: {{ PK: '{}', SK: '{}', at: '{{at}}' }}
        to: {{ p: '{}', s: '{}' }}
        vouch: whatever they do not prove
      drop: [p, s]
    where: '{}'
",
        line(),
        line(),
        line(),
        line(),
        line(),
    );
    // A vouch is refused where the proof stands, so each plan is tried both ways.
    let unvouched = plan.replace("        vouch: whatever they do not prove\n", "");
    let Ok(plan) = Plan::parse(&unvouched, "").or_else(|_| Plan::parse(&plan, "")) else {
        return;
    };
    let service = &plan.services[0];
    let mut bytes = Bytes(data.get(end + 1..).unwrap_or_default());
    let mut items = [item(&mut bytes), item(&mut bytes)];
    // Such items as the condition takes, where it is easily said.
    for item in &mut items {
        for name in ["PK", "SK"] {
            if let Some(value) = service.shapes[0].condition.pinned(name) {
                item.insert(name.to_owned(), value.clone());
            }
        }
    }
    let made = items
        .each_ref()
        .map(|item| desired(service, &plan.versions, item).ok().flatten());
    for (item, made) in items.iter().zip(&made) {
        let Some(made) = made else { continue };
        assert_eq!(
            service.keys.key_of(&made.item).as_ref(),
            Some(&made.key),
            "{unvouched}"
        );
        if service.is_injective() {
            turns_back(&plan, service, item, &made.key);
        }
    }
    if let [Some(first), Some(second)] = &made
        && service.is_injective()
    {
        let [one, two] = items.each_ref().map(|item| plan.source.keys.key_of(item));
        assert_eq!(first.key == second.key, one == two, "{unvouched}{items:?}");
    }
});

fn item(bytes: &mut Bytes) -> Item {
    let mut item = bytes.item(["at"]);
    item.insert("PK".to_owned(), Value::S(bytes.text()));
    item.insert("SK".to_owned(), Value::S(bytes.text()));
    item
}

fn turns_back(plan: &Plan, service: &Service, item: &Item, target: &dynasplit_fuzz::model::Key) {
    let back = service.source_keys(target);
    let source = plan.source.keys.key_of(item);
    assert_eq!(back, source.into_iter().collect::<Vec<_>>(), "{item:?} {target}");
}
