//! The plans of the models: tiny, but real.

use dynasplit::plan::Plan;

/// Where versions come from, and where live target items show them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// A timestamp that the target shows.
    Shown,
    /// A timestamp that the transform drops: it is kept under the reserved name.
    Hidden,
    /// The stream's order.
    Sequence,
}

/// How target keys are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mapping {
    /// From an attribute that changes, which the plan vouches for.
    Vouched,
    /// From the source's key: an item's target key never changes.
    Injective,
}

/// A plan of two services, `a` and `b`; what is neither's is left behind.
pub fn plan(layout: Layout, mapping: Mapping) -> Plan {
    let (timestamp, drop) = match layout {
        Layout::Shown => ("{ attribute: at, type: S, format: '0000' }", "hidden"),
        Layout::Hidden => ("{ attribute: at, type: S, format: '0000' }", "hidden, at"),
        Layout::Sequence => ("none", "hidden, at"),
    };
    let keys = match mapping {
        Mapping::Vouched => "{ from: { slot: '{slot}' }, to: { key: '{slot}' }, vouch: no two share a slot }",
        Mapping::Injective => "{ from: { id: '{id}' }, to: { key: '{id}' } }",
    };
    let service = |name: &str| {
        format!(
            "  - name: {name}
    where: kind = '{name}'
    table: {{ name: Table-{name}, keys: {{ partition: key }} }}
    transform:
      keys: {keys}
      drop: [{drop}]
"
        )
    };
    let text = format!(
        "version: 1
split: models
source: {{ table: Source, keys: {{ partition: id }} }}
timestamp: {timestamp}
unrouted: {{ left-behind: \"kind = 'other'\" }}
services:
{}{}",
        service("a"),
        service("b")
    );
    Plan::parse(&text, "plan.yaml").unwrap_or_else(|error| panic!("{error}\n{text}"))
}
