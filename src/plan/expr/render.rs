//! Writes a condition down: its canonical text, or DynamoDB's form. The two differ only in how names
//! and values are written, so they share one renderer.

use super::ast::{Expr, Operand, Path, Step};
use crate::model::Value;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How names and values are written.
pub(super) trait Leaves {
    fn name(&mut self, name: &str, out: &mut String);
    fn value(&mut self, value: &Value, out: &mut String);
}

/// The canonical text.
pub(super) fn text(expr: &Expr) -> String {
    render(expr, &mut InPlace)
}

/// Writes the condition with no parentheses but those that it needs: DynamoDB refuses `((a = :b))`.
pub(super) fn render(expr: &Expr, leaves: &mut impl Leaves) -> String {
    let mut out = String::with_capacity(128);
    Renderer {
        leaves,
        out: &mut out,
    }
    .expr(expr);
    out
}

struct Renderer<'a, L> {
    leaves: &'a mut L,
    out: &'a mut String,
}

impl<L: Leaves> Renderer<'_, L> {
    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::And(members) => self.joined(members, " AND ", |member| matches!(member, Expr::Or(_))),
            Expr::Or(members) => self.joined(members, " OR ", |_| false),
            Expr::Not(inner) => {
                self.out.push_str("NOT ");
                self.maybe_in_parentheses(inner, matches!(**inner, Expr::And(_) | Expr::Or(_)));
            }
            Expr::Compare {
                left,
                comparator,
                right,
            } => {
                self.operand(left);
                self.out.push(' ');
                self.out.push_str(comparator.symbol());
                self.out.push(' ');
                self.operand(right);
            }
            Expr::Between { value, low, high } => {
                self.operand(value);
                self.out.push_str(" BETWEEN ");
                self.operand(low);
                self.out.push_str(" AND ");
                self.operand(high);
            }
            Expr::In { value, list } => {
                self.operand(value);
                self.out.push_str(" IN (");
                for (index, member) in list.iter().enumerate() {
                    self.out.push_str(if index == 0 { "" } else { ", " });
                    self.operand(member);
                }
                self.out.push(')');
            }
            Expr::AttributeExists(path) => self.call("attribute_exists", path, None),
            Expr::AttributeNotExists(path) => self.call("attribute_not_exists", path, None),
            Expr::AttributeType(path, name) => {
                self.call("attribute_type", path, Some(&Operand::Literal(Value::s(*name))));
            }
            Expr::BeginsWith(path, prefix) => self.call("begins_with", path, Some(prefix)),
            Expr::Contains(path, member) => self.call("contains", path, Some(member)),
        }
    }

    fn joined(&mut self, members: &[Expr], word: &str, needs_parentheses: impl Fn(&Expr) -> bool) {
        for (index, member) in members.iter().enumerate() {
            self.out.push_str(if index == 0 { "" } else { word });
            self.maybe_in_parentheses(member, needs_parentheses(member));
        }
    }

    fn maybe_in_parentheses(&mut self, expr: &Expr, needed: bool) {
        if needed {
            self.out.push('(');
        }
        self.expr(expr);
        if needed {
            self.out.push(')');
        }
    }

    fn call(&mut self, function: &str, path: &Path, operand: Option<&Operand>) {
        self.out.push_str(function);
        self.out.push('(');
        self.path(path);
        if let Some(operand) = operand {
            self.out.push_str(", ");
            self.operand(operand);
        }
        self.out.push(')');
    }

    fn operand(&mut self, operand: &Operand) {
        match operand {
            Operand::Path(path) => self.path(path),
            Operand::Literal(value) => self.leaves.value(value, self.out),
            Operand::Size(path) => self.call("size", path, None),
        }
    }

    fn path(&mut self, path: &Path) {
        self.leaves.name(&path.name, self.out);
        for step in &path.steps {
            match step {
                Step::Name(name) => {
                    self.out.push('.');
                    self.leaves.name(name, self.out);
                }
                Step::Index(index) => self.out.push_str(&format!("[{index}]")),
            }
        }
    }
}

/// Names and values in place: the plan's own spelling.
struct InPlace;

impl Leaves for InPlace {
    fn name(&mut self, name: &str, out: &mut String) {
        if is_bare_name(name) {
            out.push_str(name);
        } else {
            out.push_str(&quoted(name));
        }
    }

    fn value(&mut self, value: &Value, out: &mut String) {
        literal(value, out);
    }
}

/// Words with a special meaning, in any case. As names, they need quotes.
pub(super) const WORDS: [&str; 8] = ["and", "or", "not", "in", "between", "true", "false", "null"];

/// Whether a name may stand without quotes.
pub(super) fn is_bare_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !WORDS.iter().any(|word| word.eq_ignore_ascii_case(name))
}

/// The name of an attribute as an expression writes it: in quotes if it needs them.
#[must_use]
pub fn written_name(name: &str) -> String {
    if is_bare_name(name) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// A text as an expression writes it.
#[must_use]
pub fn written_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name in double quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(value: &Value, out: &mut String) {
    let text = written_text;
    let binary = |bytes: &[u8]| format!("b64'{}'", STANDARD.encode(bytes));
    let set = |members: Vec<String>| format!("<<{}>>", members.join(", "));
    match value {
        Value::S(content) => out.push_str(&text(content)),
        Value::N(number) => out.push_str(&number.compact().to_string()),
        Value::B(bytes) => out.push_str(&binary(bytes)),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Null => out.push_str("null"),
        Value::Ss(members) => out.push_str(&set(members.iter().map(|m| text(m)).collect())),
        Value::Ns(members) => out.push_str(&set(members
            .iter()
            .map(|number| number.compact().to_string())
            .collect())),
        Value::Bs(members) => out.push_str(&set(members.iter().map(|m| binary(m)).collect())),
        Value::L(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                literal(value, out);
            }
            out.push(']');
        }
        Value::M(entries) => {
            out.push('{');
            for (index, (name, value)) in entries.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                out.push_str(&text(name));
                out.push_str(": ");
                literal(value, out);
            }
            out.push('}');
        }
    }
}
