//! Condition expressions: parsed and evaluated. Written from DynamoDB's documentation, and shares nothing with the
//! product's guards, which it is there to judge. It knows the forms that the product sends, and refuses others.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::refusal::Refusal;
use super::value::{Item, Value};

/// Names that expressions may have as they are. DynamoDB reserves many others.
const PLAIN: [&str; 3] = ["pk", "sk", "revision"];

/// The placeholders of a request, and which of them were used: DynamoDB refuses unused ones.
pub struct Placeholders<'a> {
    names: Option<&'a Json>,
    values: Option<&'a Json>,
    used: RefCell<BTreeSet<String>>,
}

/// A condition.
#[derive(Clone, Debug)]
pub enum Condition {
    Or(Vec<Condition>),
    And(Vec<Condition>),
    Not(Box<Condition>),
    Exists(String),
    Absent(String),
    OfType(String, String),
    BeginsWith(String, String),
    Compare(Operand, Comparator, Operand),
}

/// One side of a comparison.
#[derive(Clone, Debug)]
pub enum Operand {
    Attribute(String),
    Value(Value),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug)]
pub enum Comparator {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl<'a> Placeholders<'a> {
    /// Of a request's body.
    pub fn of(body: &'a Json) -> Self {
        Self {
            names: body.get("ExpressionAttributeNames"),
            values: body.get("ExpressionAttributeValues"),
            used: RefCell::default(),
        }
    }

    fn name(&self, word: &str) -> Result<String, Refusal> {
        if PLAIN.contains(&word) {
            return Ok(word.to_owned());
        }
        if !word.starts_with('#') {
            return Err(Refusal::unsupported(format!(
                "the name {word}, which may be reserved"
            )));
        }
        self.used.borrow_mut().insert(word.to_owned());
        let name = self.names.and_then(|names| names[word].as_str());
        name.map(str::to_owned)
            .ok_or_else(|| Refusal::invalid(format!("the name {word} is not defined")))
    }

    fn value(&self, word: &str) -> Result<Value, Refusal> {
        self.used.borrow_mut().insert(word.to_owned());
        let value = self.values.and_then(|values| values.get(word));
        Value::of(value.ok_or_else(|| Refusal::invalid(format!("the value {word} is not defined")))?)
    }

    /// Refuses placeholders that no expression used.
    pub fn all_used(&self) -> Result<(), Refusal> {
        let used = self.used.borrow();
        let defined = [self.names, self.values].into_iter().flatten();
        let unused = defined
            .filter_map(Json::as_object)
            .flat_map(|each| each.keys())
            .find(|word| !used.contains(*word));
        match unused {
            Some(word) => Err(Refusal::invalid(format!("{word} is unused in expressions"))),
            None => Ok(()),
        }
    }
}

/// The words of an expression, one after another.
pub struct Words<'a> {
    words: Vec<String>,
    at: usize,
    placeholders: &'a Placeholders<'a>,
}

impl<'a> Words<'a> {
    /// Cuts a text into words.
    pub fn of(text: &str, placeholders: &'a Placeholders<'a>) -> Result<Self, Refusal> {
        let (mut words, mut rest) = (Vec::new(), text.trim_start());
        while let Some(first) = rest.chars().next() {
            let is_word = |c: char| c.is_ascii_alphanumeric() || "_#:".contains(c);
            let length = match rest {
                _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                _ if ["<=", ">="].iter().any(|symbol| rest.starts_with(symbol)) => 2,
                _ if "()=<>,".contains(first) && !rest.starts_with("<>") => 1,
                _ => return Err(Refusal::unsupported(format!("{rest:?} in an expression"))),
            };
            words.push(rest[..length].to_owned());
            rest = rest[length..].trim_start();
        }
        Ok(Self {
            words,
            at: 0,
            placeholders,
        })
    }

    /// The next word, left where it is.
    pub fn peek(&self) -> Option<&str> {
        self.words.get(self.at).map(String::as_str)
    }

    /// The next word.
    pub fn next(&mut self) -> Result<String, Refusal> {
        let word = self
            .peek()
            .ok_or_else(|| Refusal::invalid("an expression ends too early"))?
            .to_owned();
        self.at += 1;
        Ok(word)
    }

    /// Takes a word, if it is the next one.
    pub fn take(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|next| next.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, word: &str) -> Result<(), Refusal> {
        if self.take(word) {
            return Ok(());
        }
        Err(Refusal::invalid(format!(
            "{word:?} is expected, and {:?} found",
            self.peek()
        )))
    }

    /// An attribute's name.
    pub fn attribute(&mut self) -> Result<String, Refusal> {
        let word = self.next()?;
        if word.starts_with(|c: char| c == '#' || c.is_ascii_alphabetic()) {
            return self.placeholders.name(&word);
        }
        Err(Refusal::unsupported(format!(
            "{word:?} in place of an attribute's name"
        )))
    }

    /// A value.
    pub fn value(&mut self) -> Result<Value, Refusal> {
        let word = self.next()?;
        if word.starts_with(':') {
            return self.placeholders.value(&word);
        }
        Err(Refusal::unsupported(format!("{word:?} in place of a value")))
    }

    fn text(&mut self) -> Result<String, Refusal> {
        match self.value()? {
            Value::S(text) => Ok(text),
            other => Err(Refusal::invalid(format!("{other:?} in place of a text"))),
        }
    }

    fn operand(&mut self) -> Result<Operand, Refusal> {
        if self.peek().is_some_and(|word| word.starts_with(':')) {
            Ok(Operand::Value(self.value()?))
        } else {
            Ok(Operand::Attribute(self.attribute()?))
        }
    }

    fn any_of(&mut self) -> Result<Condition, Refusal> {
        let mut parts = vec![self.all_of()?];
        while self.take("OR") {
            parts.push(self.all_of()?);
        }
        Ok(single(parts, Condition::Or))
    }

    fn all_of(&mut self) -> Result<Condition, Refusal> {
        let mut parts = vec![self.one()?];
        while self.take("AND") {
            parts.push(self.one()?);
        }
        Ok(single(parts, Condition::And))
    }

    fn one(&mut self) -> Result<Condition, Refusal> {
        if self.take("NOT") {
            return Ok(Condition::Not(Box::new(self.one()?)));
        }
        if self.take("(") {
            let inner = self.any_of()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let is_call = self.words.get(self.at + 1).is_some_and(|word| word == "(");
        if is_call {
            return self.call();
        }
        let left = self.operand()?;
        let comparator = match self.next()?.as_str() {
            "=" => Comparator::Equal,
            "<" => Comparator::Less,
            "<=" => Comparator::LessOrEqual,
            ">" => Comparator::Greater,
            ">=" => Comparator::GreaterOrEqual,
            other => return Err(Refusal::unsupported(format!("the comparator {other:?}"))),
        };
        let right = self.operand()?;
        for side in [&left, &right] {
            if let (Operand::Value(value), false) = (side, matches!(comparator, Comparator::Equal))
                && !value.has_order()
            {
                return Err(Refusal::invalid(format!(
                    "values of type {} have no order",
                    value.kind()
                )));
            }
        }
        Ok(Condition::Compare(left, comparator, right))
    }

    fn call(&mut self) -> Result<Condition, Refusal> {
        let function = self.next()?;
        self.expect("(")?;
        let attribute = self.attribute()?;
        let condition = match function.as_str() {
            "attribute_exists" => Condition::Exists(attribute),
            "attribute_not_exists" => Condition::Absent(attribute),
            "attribute_type" => {
                self.expect(",")?;
                Condition::OfType(attribute, self.text()?)
            }
            "begins_with" => {
                self.expect(",")?;
                Condition::BeginsWith(attribute, self.text()?)
            }
            other => return Err(Refusal::unsupported(format!("the function {other}"))),
        };
        self.expect(")")?;
        Ok(condition)
    }
}

fn single(mut parts: Vec<Condition>, make: impl FnOnce(Vec<Condition>) -> Condition) -> Condition {
    match parts.len() {
        1 => parts.remove(0),
        _ => make(parts),
    }
}

impl Condition {
    /// Parses a whole expression.
    pub fn of(text: &str, placeholders: &Placeholders<'_>) -> Result<Self, Refusal> {
        let mut words = Words::of(text, placeholders)?;
        let condition = words.any_of()?;
        match words.peek() {
            None => Ok(condition),
            Some(rest) => Err(Refusal::invalid(format!(
                "{rest:?} behind the end of an expression"
            ))),
        }
    }

    /// Whether it holds for what is there. A missing attribute makes every comparison false.
    pub fn holds(&self, item: Option<&Item>) -> bool {
        let found = |name: &String| item.and_then(|item| item.get(name));
        match self {
            Self::Or(parts) => parts.iter().any(|part| part.holds(item)),
            Self::And(parts) => parts.iter().all(|part| part.holds(item)),
            Self::Not(part) => !part.holds(item),
            Self::Exists(name) => found(name).is_some(),
            Self::Absent(name) => found(name).is_none(),
            Self::OfType(name, kind) => found(name).is_some_and(|value| value.kind() == kind),
            Self::BeginsWith(name, prefix) => {
                matches!(found(name), Some(Value::S(text)) if text.starts_with(prefix))
            }
            Self::Compare(left, comparator, right) => {
                let side = |operand: &Operand| match operand {
                    Operand::Attribute(name) => found(name).cloned(),
                    Operand::Value(value) => Some(value.clone()),
                };
                match (side(left), side(right)) {
                    (Some(left), Some(right)) => comparator.holds(&left, &right),
                    _ => false,
                }
            }
        }
    }
}

impl Comparator {
    fn holds(self, left: &Value, right: &Value) -> bool {
        if matches!(self, Self::Equal) {
            return left == right;
        }
        if left.kind() != right.kind() || !left.has_order() {
            return false;
        }
        match self {
            Self::Equal => left == right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

impl Condition {
    /// The partition that a key condition names: `partition = :value AND begins_with(sort, :prefix)`, or without the
    /// prefix.
    pub fn partition(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Compare(Operand::Attribute(attribute), Comparator::Equal, Operand::Value(value))
                if attribute == name =>
            {
                Some(value)
            }
            Self::And(parts) => match parts.as_slice() {
                [partition, Self::BeginsWith(..)] => partition.partition(name),
                _ => None,
            },
            _ => None,
        }
    }
}
