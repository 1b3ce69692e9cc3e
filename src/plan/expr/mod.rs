//! Route expressions: a small subset that stands in until the whole grammar is there.
//!
//! `AND`, `OR`, parentheses, `name = 'text'`, `begins_with(name, 'text')` and `attribute_exists(name)`.

use crate::model::{Item, Value};
use std::collections::BTreeSet;
use std::fmt;

/// A condition on an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// All hold.
    And(Vec<Condition>),
    /// Any holds.
    Or(Vec<Condition>),
    /// Equality with a literal.
    Equals(String, Value),
    /// Text that begins with a literal.
    BeginsWith(String, String),
    /// The attribute is there.
    Exists(String),
}

/// Why a text is no condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExprError {
    /// Byte offset in the expression.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Condition {
    /// Reads an expression.
    ///
    /// # Errors
    /// Where the text is no expression of this grammar.
    pub fn parse(text: &str) -> Result<Self, ExprError> {
        let mut parser = Parser {
            text,
            at: 0,
            depth: 0,
        };
        let condition = parser.any()?;
        parser.space();
        if parser.at < text.len() {
            return Err(parser.error("expected AND, OR or the end"));
        }
        Ok(condition)
    }

    /// Whether the item satisfies the condition.
    #[must_use]
    pub fn matches(&self, item: &Item) -> bool {
        match self {
            Self::And(all) => all.iter().all(|c| c.matches(item)),
            Self::Or(any) => any.iter().any(|c| c.matches(item)),
            Self::Equals(name, value) => item.get(name) == Some(value),
            Self::BeginsWith(name, prefix) => {
                matches!(item.get(name), Some(Value::S(text)) if text.starts_with(prefix.as_str()))
            }
            Self::Exists(name) => item.contains_key(name),
        }
    }

    fn conjuncts(&self) -> &[Self] {
        match self {
            Self::And(all) => all,
            other => std::slice::from_ref(other),
        }
    }

    /// The literal that a top-level conjunct pins the attribute to.
    #[must_use]
    pub fn pinned(&self, attribute: &str) -> Option<&Value> {
        self.conjuncts().iter().find_map(|c| match c {
            Self::Equals(name, value) if name == attribute => Some(value),
            _ => None,
        })
    }

    /// The prefix that a top-level conjunct asks of the attribute.
    #[must_use]
    pub fn prefix(&self, attribute: &str) -> Option<&str> {
        self.conjuncts().iter().find_map(|c| match c {
            Self::BeginsWith(name, prefix) if name == attribute => Some(prefix.as_str()),
            _ => None,
        })
    }

    /// Attributes that the condition reads.
    #[must_use]
    pub fn attributes(&self) -> BTreeSet<String> {
        match self {
            Self::And(list) | Self::Or(list) => list.iter().flat_map(Self::attributes).collect(),
            Self::Equals(name, _) | Self::BeginsWith(name, _) | Self::Exists(name) => {
                BTreeSet::from([name.clone()])
            }
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, list: &[Self], word: &str| {
            for (n, condition) in list.iter().enumerate() {
                f.write_str(if n > 0 { word } else { "" })?;
                write!(f, "({condition})")?;
            }
            Ok(())
        };
        match self {
            Self::And(all) => list(f, all, " AND "),
            Self::Or(any) => list(f, any, " OR "),
            Self::Equals(name, Value::S(text)) => write!(f, "{name} = '{text}'"),
            Self::Equals(name, Value::N(number)) => write!(f, "{name} = {number}"),
            Self::Equals(name, other) => write!(f, "{name} = {}", other.type_name()),
            Self::BeginsWith(name, prefix) => write!(f, "begins_with({name}, '{prefix}')"),
            Self::Exists(name) => write!(f, "attribute_exists({name})"),
        }
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn error(&self, message: &str) -> ExprError {
        ExprError {
            offset: self.at,
            message: message.to_owned(),
            hint: None,
        }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        self.space();
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn any(&mut self) -> Result<Condition, ExprError> {
        let mut list = vec![self.all()?];
        while self.take("OR") {
            list.push(self.all()?);
        }
        Ok(if list.len() == 1 {
            list.remove(0)
        } else {
            Condition::Or(list)
        })
    }

    fn all(&mut self) -> Result<Condition, ExprError> {
        let mut list = vec![self.one()?];
        while self.take("AND") {
            list.push(self.one()?);
        }
        Ok(if list.len() == 1 {
            list.remove(0)
        } else {
            Condition::And(list)
        })
    }

    fn one(&mut self) -> Result<Condition, ExprError> {
        self.depth += 1;
        if self.depth > 50 {
            return Err(self.error("too deep"));
        }
        let condition = if self.take("(") {
            let inner = self.any()?;
            self.expect(")")?;
            inner
        } else if self.take("begins_with(") {
            let name = self.name()?;
            self.expect(",")?;
            let prefix = self.string()?;
            self.expect(")")?;
            Condition::BeginsWith(name, prefix)
        } else if self.take("attribute_exists(") {
            let name = self.name()?;
            self.expect(")")?;
            Condition::Exists(name)
        } else {
            let name = self.name()?;
            self.expect("=")?;
            self.space();
            let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
            let value = match self.rest()[..digits].parse::<i64>() {
                Ok(number) => Value::N(number.into()),
                Err(_) => Value::s(self.string()?),
            };
            self.at += if matches!(value, Value::N(_)) { digits } else { 0 };
            Condition::Equals(name, value)
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn expect(&mut self, token: &str) -> Result<(), ExprError> {
        if self.take(token) {
            Ok(())
        } else {
            Err(self.error(&format!("expected `{token}`")))
        }
    }

    fn name(&mut self) -> Result<String, ExprError> {
        self.space();
        let length = self
            .rest()
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
            .count();
        if length == 0 {
            return Err(self.error("expected an attribute name"));
        }
        let name = self.rest()[..length].to_owned();
        self.at += length;
        Ok(name)
    }

    fn string(&mut self) -> Result<String, ExprError> {
        self.expect("'")?;
        let Some(end) = self.rest().find('\'') else {
            return Err(self.error("the text has no closing quote"));
        };
        let text = self.rest()[..end].to_owned();
        self.at += end + 1;
        Ok(text)
    }
}
