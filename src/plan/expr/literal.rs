//! Literal values: scalars, sets, lists and maps.

use super::MAX_DOCUMENT_DEPTH;
use super::error::ExprError;
use super::lexer::Kind;
use super::parser::Parser;
use super::render::quoted;
use crate::model::{Number, Value};
use std::collections::BTreeMap;

impl Parser<'_> {
    /// Whether a literal begins here.
    pub(super) fn at_literal(&self) -> bool {
        match &self.token().kind {
            Kind::Text(_) | Kind::Number(_) | Kind::Binary(_) => true,
            Kind::Symbol(symbol) => matches!(*symbol, "<<" | "[" | "{"),
            Kind::Word(word) => constant(word).is_some(),
            Kind::Quoted(_) | Kind::End => false,
        }
    }

    /// A literal value; `depth` lists and maps are open around it.
    pub(super) fn literal(&mut self, depth: usize) -> Result<Value, ExprError> {
        let start = self.token().start;
        match self.token().kind.clone() {
            Kind::Text(text) => {
                self.advance();
                Ok(Value::S(text))
            }
            Kind::Binary(bytes) => {
                self.advance();
                Ok(Value::B(bytes))
            }
            Kind::Number(text) => {
                self.advance();
                Number::parse(&text)
                    .map(Value::N)
                    .map_err(|error| ExprError::new(start, error.to_string()))
            }
            Kind::Word(word) => match constant(&word) {
                Some((spelling, value)) if spelling == word => {
                    self.advance();
                    Ok(value)
                }
                Some((spelling, _)) => Err(ExprError::new(start, format!("`{word}` is not a literal")).hint(
                    format!(
                        "write `{spelling}`, or {} for an attribute of that name",
                        quoted(&word)
                    ),
                )),
                None => Err(self.no_literal()),
            },
            Kind::Symbol("<<") => self.set(),
            Kind::Symbol("[" | "{") if depth >= MAX_DOCUMENT_DEPTH => Err(ExprError::new(
                start,
                format!("DynamoDB nests lists and maps at most {MAX_DOCUMENT_DEPTH} levels deep"),
            )),
            Kind::Symbol("[") => self.list(depth + 1),
            Kind::Symbol("{") => self.map(depth + 1),
            Kind::Quoted(_) | Kind::Symbol(_) | Kind::End => Err(self.no_literal()),
        }
    }

    fn no_literal(&self) -> ExprError {
        let error = self.expected("a literal value");
        match &self.token().kind {
            Kind::Word(word) | Kind::Quoted(word) => {
                error.hint(format!("write a string as '{}'", word.replace('\'', "''")))
            }
            _ => error,
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, ExprError> {
        self.advance();
        let mut values = Vec::new();
        if self.take("]") {
            return Ok(Value::L(values));
        }
        loop {
            values.push(self.literal(depth)?);
            if self.take("]") {
                return Ok(Value::L(values));
            }
            self.demand(",", "`,` or `]`")?;
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, ExprError> {
        self.advance();
        let mut entries = BTreeMap::new();
        if self.take("}") {
            return Ok(Value::M(entries));
        }
        loop {
            let start = self.token().start;
            let Kind::Text(name) = self.token().kind.clone() else {
                return Err(self
                    .expected("a name in single quotes")
                    .hint("write a map as {'name': 1}"));
            };
            self.advance();
            if name.is_empty() {
                return Err(ExprError::new(start, "DynamoDB accepts no empty name in a map"));
            }
            self.demand(":", "`:`")?;
            let value = self.literal(depth)?;
            if entries.insert(name.clone(), value).is_some() {
                return Err(ExprError::new(start, format!("the map has '{name}' twice")));
            }
            if self.take("}") {
                return Ok(Value::M(entries));
            }
            self.demand(",", "`,` or `}`")?;
        }
    }

    /// A set: members of one type, strings, numbers or binaries, none of them twice.
    fn set(&mut self) -> Result<Value, ExprError> {
        let start = self.token().start;
        self.advance();
        if self.token().kind == Kind::Symbol(">>") {
            return Err(ExprError::new(start, "DynamoDB has no empty sets"));
        }
        let mut members = Vec::new();
        loop {
            let at = self.token().start;
            let member = self.literal(MAX_DOCUMENT_DEPTH)?;
            let same_type = |first: &Value| first.type_name() == member.type_name();
            if !matches!(member, Value::S(_) | Value::N(_) | Value::B(_))
                || !members.first().is_none_or(same_type)
            {
                return Err(ExprError::new(
                    at,
                    "a set contains only strings, only numbers or only binaries",
                ));
            }
            if members.contains(&member) {
                return Err(ExprError::new(at, "the set already contains this member"));
            }
            members.push(member);
            if self.take(">>") {
                return Ok(set_of(members));
            }
            self.demand(",", "`,` or `>>`")?;
        }
    }
}

/// A set of members that are known to be of one type.
fn set_of(members: Vec<Value>) -> Value {
    let mut strings = Vec::new();
    let mut numbers = Vec::new();
    let mut binaries = Vec::new();
    for member in members {
        match member {
            Value::S(text) => strings.push(text),
            Value::N(number) => numbers.push(number),
            Value::B(bytes) => binaries.push(bytes),
            _ => {}
        }
    }
    if !strings.is_empty() {
        Value::string_set(strings)
    } else if !numbers.is_empty() {
        Value::number_set(numbers)
    } else {
        Value::binary_set(binaries)
    }
}

/// The constants, found in any case so that `TRUE` is never taken for an attribute by mistake.
fn constant(word: &str) -> Option<(&'static str, Value)> {
    [
        ("true", Value::Bool(true)),
        ("false", Value::Bool(false)),
        ("null", Value::Null),
    ]
    .into_iter()
    .find(|(spelling, _)| spelling.eq_ignore_ascii_case(word))
}
