//! Whether one condition is proven to hold wherever another one does.

use super::ast::{Comparator, Expr, Operand};
use crate::model::Value;

/// Most comparisons of two parts. Beyond that nothing is proven: an expression of nested `AND` and `OR` could otherwise
/// take very long.
const MOST_STEPS: usize = 100_000;

/// Whether each item for which `narrow` holds is proven to match `wide` too. `false` proves nothing.
pub(super) fn covers(wide: &Expr, narrow: &Expr) -> bool {
    let mut steps = MOST_STEPS;
    implies(narrow, wide, &mut steps)
}

fn implies(narrow: &Expr, wide: &Expr, steps: &mut usize) -> bool {
    let Some(left) = steps.checked_sub(1) else {
        return false;
    };
    *steps = left;
    if narrow == wide {
        return true;
    }
    // These two lose nothing: each part must be implied, or imply.
    if let Expr::Or(members) = narrow {
        return members.iter().all(|member| implies(member, wide, steps));
    }
    if let Expr::And(members) = wide {
        return members.iter().all(|member| implies(narrow, member, steps));
    }
    if let Expr::In { value, list } = narrow {
        return is_contained(value, list, wide)
            || list
                .iter()
                .all(|member| implies(&equal(value, member), wide, steps));
    }
    if let Expr::Or(members) = wide
        && members.iter().any(|member| implies(narrow, member, steps))
    {
        return true;
    }
    if let Expr::And(members) = narrow {
        return members.iter().any(|member| implies(member, wide, steps));
    }
    match (narrow, wide) {
        (Expr::Not(narrow), Expr::Not(wide)) => implies(wide, narrow, steps),
        (narrow, wide) => is_special_case(narrow, wide),
    }
}

fn equal(value: &Operand, member: &Operand) -> Expr {
    Expr::Compare {
        left: value.clone(),
        comparator: Comparator::Eq,
        right: member.clone(),
    }
}

/// The same value in a longer list.
fn is_contained(value: &Operand, list: &[Operand], wide: &Expr) -> bool {
    match wide {
        Expr::In {
            value: other,
            list: longer,
        } => value == other && list.iter().all(|member| longer.contains(member)),
        _ => false,
    }
}

/// One comparison or function that implies another one.
fn is_special_case(narrow: &Expr, wide: &Expr) -> bool {
    match (narrow, wide) {
        (
            Expr::Compare {
                left,
                comparator: Comparator::Eq,
                right,
            },
            Expr::In { value, list },
        ) => (left == value && list.contains(right)) || (right == value && list.contains(left)),
        (narrow, Expr::BeginsWith(path, Operand::Literal(Value::S(short)))) => {
            let begins = |operand: &Operand, text: &Operand| {
                let same = matches!(operand, Operand::Path(other) if other == path);
                same && matches!(text, Operand::Literal(Value::S(long)) if long.starts_with(short.as_str()))
            };
            match narrow {
                Expr::BeginsWith(other, text) => begins(&Operand::Path(other.clone()), text),
                Expr::Compare {
                    left,
                    comparator: Comparator::Eq,
                    right,
                } => begins(left, right) || begins(right, left),
                _ => false,
            }
        }
        (narrow, Expr::AttributeExists(path)) => match narrow {
            Expr::BeginsWith(other, _) | Expr::Contains(other, _) | Expr::AttributeType(other, _) => {
                other == path
            }
            Expr::Compare {
                left,
                comparator: Comparator::Eq,
                right,
            } => {
                let pins = |operand: &Operand, value: &Operand| {
                    matches!(operand, Operand::Path(other) if other == path)
                        && matches!(value, Operand::Literal(_))
                };
                pins(left, right) || pins(right, left)
            }
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{Item, Value};
    use crate::plan::Condition;

    const CONDITIONS: [&str; 22] = [
        "PK = 'A#1'",
        "'A#1' = PK",
        "begins_with(PK, 'A#')",
        "begins_with(PK, 'A')",
        "PK IN ('A#1', 'B')",
        "PK IN ('A#1', 'B', 'C')",
        "begins_with(PK, 'A#') OR PK = 'B'",
        "begins_with(PK, 'A') OR PK IN ('B', 'C') OR n > 3",
        "begins_with(PK, 'A#') AND n > 3",
        "(begins_with(PK, 'A#') OR PK = 'C') AND n > 3",
        "begins_with(PK, 'A#') AND n > 3 AND attribute_exists(x)",
        "n > 3",
        "n = 4",
        "NOT n = 4",
        "NOT (n = 4 AND PK = 'A#1')",
        "attribute_exists(PK)",
        "attribute_exists(n)",
        "attribute_not_exists(n)",
        "attribute_type(n, 'N')",
        "PK <> 'B'",
        "n BETWEEN 1 AND 9",
        "contains(PK, '#')",
    ];

    fn parse(text: &str) -> Condition {
        Condition::parse(text).unwrap()
    }

    fn items() -> Vec<Item> {
        let mut items = Vec::new();
        for pk in [Some("A#1"), Some("A2"), Some("B"), Some("C"), Some("Z#"), None] {
            for n in [
                None,
                Some(Value::N(1.into())),
                Some(Value::N(4.into())),
                Some(Value::s("4")),
            ] {
                for x in [None, Some(Value::s("x"))] {
                    let named = [("PK", pk.map(Value::s)), ("n", n.clone()), ("x", x)];
                    let set = named
                        .into_iter()
                        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
                    items.push(set.collect());
                }
            }
        }
        items
    }

    #[test]
    fn what_is_proven_holds_for_each_item() {
        let items = items();
        let mut proven = 0;
        for narrow in CONDITIONS {
            for wide in CONDITIONS {
                let (narrow, wide) = (parse(narrow), parse(wide));
                if wide.covers(&narrow) {
                    proven += 1;
                    for item in &items {
                        assert!(
                            !narrow.matches(item) || wide.matches(item),
                            "{narrow} => {wide}: {item:?}"
                        );
                    }
                }
            }
        }
        assert!(proven > CONDITIONS.len() + 20, "{proven}");
    }

    #[test]
    fn what_people_write_to_widen_is_proven() {
        for (narrow, wide) in [
            (
                "begins_with(PK, 'A#')",
                "begins_with(PK, 'A#') OR begins_with(PK, 'B#')",
            ),
            (
                "begins_with(PK, 'A#') OR PK = 'x'",
                "PK = 'x' OR kind = 'new' OR begins_with(PK, 'A#')",
            ),
            ("kind IN ('a', 'b')", "kind IN ('c', 'b', 'a')"),
            ("kind IN ('a', 'b')", "kind = 'b' OR kind IN ('a', 'c')"),
            ("kind = 'a'", "kind IN ('a', 'b')"),
            ("begins_with(PK, 'A#x')", "begins_with(PK, 'A#')"),
            (
                "a = 1 AND (b = 2 OR b = 3)",
                "a = 1 AND (b = 2 OR b = 3 OR b = 4)",
            ),
            ("a = 1 AND b = 2", "b = 2"),
            ("NOT (a = 1 OR b = 2)", "NOT b = 2"),
        ] {
            let (narrow, wide) = (parse(narrow), parse(wide));
            assert!(wide.covers(&narrow), "{narrow} => {wide}");
            assert!(!narrow.covers(&wide), "{wide} => {narrow}");
        }
    }

    #[test]
    fn a_proof_has_an_end() {
        // Each member is tried with each, at every level.
        let nested = |last: &str| {
            (0..30).fold(last.to_owned(), |inner, n| {
                format!("(a = {n} AND (b = {n} OR {inner}))")
            })
        };
        let (narrow, wide) = (parse(&nested("d = 1")), parse(&nested("d = 2")));
        assert!(!wide.covers(&narrow));
    }
}
