//! Arbitrary conditions that the parser could have made, for property tests.

use super::ast::{Comparator, Expr, Operand, Path, Step, TYPE_NAMES};
use super::check;
use super::placed::Placed;
use crate::model::{Number, Value};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z_][A-Za-z0-9_]{0,6}",
        prop::sample::select(vec![
            "and",
            "Not",
            "TRUE",
            "null",
            "in",
            "size",
            "contains",
            "b64",
            "a\"b",
            "GSI1-PK",
            "follower#",
            "a.b",
            " ",
            "é",
            "'",
            "0",
            ":v",
        ])
        .prop_map(str::to_owned),
        "\\PC{1,5}",
    ]
}

fn path() -> impl Strategy<Value = Path> {
    let step = prop_oneof![
        name().prop_map(Step::Name),
        (0..=2_147_483_647u32).prop_map(Step::Index),
    ];
    (name(), vec(step, 0..4)).prop_map(|(name, steps)| Path { name, steps })
}

fn number() -> impl Strategy<Value = Number> {
    (any::<i64>(), -120..100i32).prop_map(|(mantissa, power)| {
        Number::parse(&format!("{mantissa}e{power}")).unwrap_or_else(|_| Number::from(mantissa))
    })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z#']{0,6}",
        any::<String>().prop_map(|s| s.chars().take(8).collect())
    ]
}

fn binary() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..6)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => text().prop_map(Value::S),
        2 => number().prop_map(Value::N),
        1 => binary().prop_map(Value::B),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => Just(Value::Null),
        1 => vec(text(), 1..4).prop_map(Value::string_set),
        1 => vec(number(), 1..4).prop_map(Value::number_set),
        1 => vec(binary(), 1..4).prop_map(Value::binary_set),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::L),
            btree_map("[a-z'\"]{1,4}", inner, 0..3).prop_map(Value::M),
        ]
    })
}

fn operand() -> impl Strategy<Value = Operand> {
    prop_oneof![
        3 => path().prop_map(Operand::Path),
        3 => value().prop_map(Operand::Literal),
        1 => path().prop_map(Operand::Size),
    ]
}

fn placed(operand: &Operand) -> Placed {
    Placed {
        operand: operand.clone(),
        start: 0,
    }
}

fn leaf() -> impl Strategy<Value = Expr> {
    prop_oneof![
        (
            operand(),
            prop::sample::select(Comparator::ALL.to_vec()),
            operand()
        )
            .prop_map(|(left, comparator, right)| Expr::Compare {
                left,
                comparator,
                right
            }),
        (operand(), operand(), operand()).prop_map(|(value, low, high)| Expr::Between { value, low, high }),
        (operand(), vec(operand(), 1..4)).prop_map(|(value, list)| Expr::In { value, list }),
        path().prop_map(Expr::AttributeExists),
        path().prop_map(Expr::AttributeNotExists),
        (path(), prop::sample::select(TYPE_NAMES.to_vec())).prop_map(|(p, t)| Expr::AttributeType(p, t)),
        (path(), operand()).prop_map(|(path, prefix)| Expr::BeginsWith(path, prefix)),
        (path(), operand()).prop_map(|(path, member)| Expr::Contains(path, member)),
    ]
    .prop_filter("DynamoDB refuses it", |expr| match expr {
        Expr::Compare {
            left,
            comparator,
            right,
        } => check::compare(&placed(left), *comparator, &placed(right)).is_ok(),
        Expr::Between { value, low, high } => {
            check::between(&placed(value), &placed(low), &placed(high)).is_ok()
        }
        Expr::In { value, list } => list
            .iter()
            .all(|member| check::distinct(&placed(value), &placed(member), "IN").is_ok()),
        Expr::BeginsWith(path, prefix) => {
            check::prefix(&placed(prefix)).is_ok() && Operand::Path(path.clone()) != *prefix
        }
        Expr::Contains(path, member) => Operand::Path(path.clone()) != *member,
        _ => true,
    })
}

/// Any condition that the parser could have made.
pub(super) fn expr() -> impl Strategy<Value = Expr> {
    leaf().prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(Expr::and),
            vec(inner.clone(), 2..4).prop_map(Expr::or),
            inner.prop_map(|expr| Expr::Not(Box::new(expr))),
        ]
    })
}
