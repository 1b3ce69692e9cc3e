//! What a condition says of items of which only some attributes are known.

use super::ast::Expr;
use super::eval;
use crate::model::{Item, Value};

/// What is known of a top-level attribute.
#[derive(Clone, Copy, Debug)]
pub(in crate::plan) enum Known<'v> {
    /// Each of the items has this value.
    Value(&'v Value),
    /// None of the items has the attribute.
    Missing,
    /// Nothing.
    Unknown,
}

/// Whether the condition holds for every item of which this is known, or for none. `None` proves nothing.
pub(super) fn verdict<'v>(expr: &Expr, known: &dyn Fn(&str) -> Known<'v>) -> Option<bool> {
    match expr {
        Expr::And(members) => all(members, true, known),
        Expr::Or(members) => all(members, false, known),
        Expr::Not(inner) => verdict(inner, known).map(|holds| !holds),
        part => {
            let mut item = Some(Item::new());
            part.visit_paths(&mut |path| match known(&path.name) {
                Known::Value(value) => {
                    if let Some(item) = &mut item {
                        item.insert(path.name.clone(), value.clone());
                    }
                }
                Known::Missing => {}
                Known::Unknown => item = None,
            });
            Some(eval::holds(part, &item?))
        }
    }
}

/// `neutral` if all members are, the opposite if one is, and otherwise nothing.
fn all<'v>(members: &[Expr], neutral: bool, known: &dyn Fn(&str) -> Known<'v>) -> Option<bool> {
    let verdicts: Vec<Option<bool>> = members.iter().map(|member| verdict(member, known)).collect();
    if verdicts.contains(&Some(!neutral)) {
        Some(!neutral)
    } else {
        verdicts.iter().all(Option::is_some).then_some(neutral)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cases::cases;
    use crate::model::json::tests::any_item;
    use crate::plan::Condition;
    use crate::plan::expr::strategy::expr;
    use proptest::prelude::*;

    #[test]
    fn what_is_known_decides_what_it_can() {
        let value = Value::s("x");
        let known = |name: &str| match name {
            "x" => Known::Value(&value),
            "gone" => Known::Missing,
            _ => Known::Unknown,
        };
        for (text, expected) in [
            ("x = 'x'", Some(true)),
            ("x = 'y'", Some(false)),
            ("x.a = 'y'", Some(false)),
            ("attribute_exists(gone)", Some(false)),
            ("gone <> 'x'", Some(true)),
            ("x = gone", Some(false)),
            ("x = other", None),
            ("other = 'x'", None),
            ("other = 'x' AND x = 'y'", Some(false)),
            ("other = 'x' AND x = 'x'", None),
            ("other = 'x' OR x = 'x'", Some(true)),
            ("other = 'x' OR x = 'y'", None),
            ("x = 'x' AND NOT attribute_exists(gone)", Some(true)),
            ("x = 'y' OR attribute_exists(gone)", Some(false)),
            ("NOT (other = 'x' AND x = 'y')", Some(true)),
            ("NOT other = 'x'", None),
        ] {
            assert_eq!(
                Condition::parse(text).unwrap().verdict(&known),
                expected,
                "{text}"
            );
        }
    }

    proptest! {
        #![proptest_config(cases(300))]

        /// Whatever is hidden of an item, a verdict is what the whole item says.
        #[test]
        fn a_verdict_is_right_for_every_item(expr in expr(), item in any_item(), hidden in "[a-z]") {
            let mut named = vec![];
            expr.visit_paths(&mut |path| named.push(path.name.clone()));
            let mut item = item;
            for (n, name) in named.iter().enumerate() {
                if n % 2 == 0 && let Some((_, value)) = item.clone().into_iter().next() {
                    item.insert(name.clone(), value);
                }
            }
            let known = |name: &str| match item.get(name) {
                _ if name.starts_with(hidden.as_str()) => Known::Unknown,
                Some(value) => Known::Value(value),
                None => Known::Missing,
            };
            if let Some(verdict) = verdict(&expr, &known) {
                prop_assert_eq!(verdict, eval::holds(&expr, &item));
            }
        }
    }
}
