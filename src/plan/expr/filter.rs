//! A condition as a DynamoDB filter expression.

use super::ast::Expr;
use super::render::{Leaves, render};
use crate::model::Value;
use std::collections::{BTreeMap, HashMap};

/// A condition as DynamoDB takes it. DynamoDB refuses an empty map of names or values: leave an
/// empty one out of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterExpression {
    /// The expression, with a `#name` for every attribute name and a `:value` for every literal.
    pub expression: String,
    /// `#names` and the names that they replace.
    pub names: BTreeMap<String, String>,
    /// `:values` and the values that they replace.
    pub values: BTreeMap<String, Value>,
}

impl FilterExpression {
    pub(super) fn of(expr: &Expr) -> Self {
        let mut placeholders = Placeholders::default();
        let expression = render(expr, &mut placeholders);
        let swap = |(text, placeholder)| (placeholder, text);
        Self {
            expression,
            names: placeholders.names.into_iter().map(swap).collect(),
            values: placeholders
                .values
                .into_iter()
                .map(|(value, placeholder)| (placeholder, value))
                .collect(),
        }
    }
}

/// Names everything `#0`, `#1`, `:0`, `:1`: one placeholder per distinct name or value, so that no
/// reserved word matters, and a repeated name or value costs its bytes once.
#[derive(Default)]
struct Placeholders {
    names: HashMap<String, String>,
    values: HashMap<Value, String>,
}

impl Leaves for Placeholders {
    fn name(&mut self, name: &str, out: &mut String) {
        if !self.names.contains_key(name) {
            let placeholder = format!("#{}", self.names.len());
            self.names.insert(name.to_owned(), placeholder);
        }
        out.push_str(&self.names[name]);
    }

    fn value(&mut self, value: &Value, out: &mut String) {
        if !self.values.contains_key(value) {
            let placeholder = format!(":{}", self.values.len());
            self.values.insert(value.clone(), placeholder);
        }
        out.push_str(&self.values[value]);
    }
}

#[cfg(test)]
mod tests {
    use crate::model::Value;
    use crate::plan::expr::Condition;

    #[test]
    fn names_and_values_become_placeholders_once() {
        let filter = Condition::parse(
            r#"begins_with(PK, 'C#') AND (type = 'C#' OR m."a.b"[3].PK IN ('C#', 2)) AND attribute_type(x, 'S')"#,
        )
        .unwrap()
        .to_filter();
        assert_eq!(
            filter.expression,
            "begins_with(#0, :0) AND (#1 = :0 OR #2.#3[3].#0 IN (:0, :1)) AND attribute_type(#4, :2)"
        );
        let names: Vec<_> = filter
            .names
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            names,
            [
                ("#0", "PK"),
                ("#1", "type"),
                ("#2", "m"),
                ("#3", "a.b"),
                ("#4", "x")
            ]
        );
        assert_eq!(filter.values[":0"], Value::s("C#"));
        assert_eq!(filter.values[":2"], Value::s("S"));
        assert_eq!(filter.values.len(), 3);
    }

    #[test]
    fn parentheses_are_written_only_where_they_matter() {
        let expression = |text| Condition::parse(text).unwrap().to_filter().expression;
        assert_eq!(expression("((a = 1))"), "#0 = :0");
        assert_eq!(
            expression("NOT ((a = 1) AND ((b) = 2))"),
            "NOT (#0 = :0 AND #1 = :1)"
        );
        assert_eq!(
            expression("(a = 1 AND b = 1) OR NOT (a = 2)"),
            "#0 = :0 AND #1 = :0 OR NOT #0 = :1"
        );
    }
}
