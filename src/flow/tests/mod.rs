//! Tests of the write path: random histories against a naive model, and the rules one by one.

mod apply;
mod back;
mod back_decision;
mod back_property;
mod back_reasons;
mod effects;
mod everything;
mod guards;
mod histories;
pub(crate) mod page_item;
mod repair;
mod shapes;
mod strays;
mod transform;
mod world;

use crate::model::{Change, Images, Item, Key, Origin, SequenceNumber, Value};
use crate::plan::Plan;
use std::sync::Arc;

/// Parses a plan of one service, `mine`: `timestamp` is the plan's line of that name, `service` what stands under
/// `table` and `transform`.
#[track_caller]
pub(crate) fn plan(timestamp: &str, service: &str) -> Plan {
    let text = format!(
        "
version: 1
split: tests
source: {{ table: Source, keys: {{ partition: id }} }}
timestamp: {timestamp}
unrouted: {{ left-behind: \"kind = 'other'\" }}
services:
  - name: mine
    where: kind = 'mine'
{service}"
    );
    Plan::parse(&text, "plan.yaml").unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn item<const N: usize>(attributes: [(&str, Value); N]) -> Item {
    attributes
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn key(partition: &str) -> Key {
    Key {
        partition: Value::s(partition),
        sort: None,
    }
}

/// The record of the stream that says what happened between two images.
fn record(sequence: usize, old: Option<Item>, new: Option<Item>) -> Arc<Change> {
    Arc::new(Change {
        key: key("the item"),
        images: Images { old, new },
        origin: Origin::Tail {
            generation: 1,
            sequence: SequenceNumber::new(&sequence.to_string()),
        },
    })
}

/// What a page holds of an item.
fn page(image: Item) -> Arc<Change> {
    Arc::new(Change {
        key: key("the item"),
        images: Images {
            old: None,
            new: Some(image),
        },
        origin: Origin::Backfill,
    })
}
