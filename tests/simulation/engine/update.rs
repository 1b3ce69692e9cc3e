//! Update expressions: `SET` to a value, `REMOVE`, and `ADD` of numbers.

use super::expression::{Placeholders, Words};
use super::refusal::Refusal;
use super::value::{Item, Value};

/// One change of an item.
#[derive(Clone, Debug)]
enum Change {
    Set(String, Value),
    Remove(String),
    Add(String, Value),
}

/// What an update does.
#[derive(Clone, Debug)]
pub struct Update(Vec<Change>);

impl Update {
    /// Parses a whole expression.
    pub fn of(text: &str, placeholders: &Placeholders<'_>) -> Result<Self, Refusal> {
        let mut words = Words::of(text, placeholders)?;
        let mut changes = Vec::new();
        while words.peek().is_some() {
            let clause = words.next()?.to_ascii_uppercase();
            loop {
                let name = words.attribute()?;
                changes.push(match clause.as_str() {
                    "SET" if words.take("=") => Change::Set(name, words.value()?),
                    "REMOVE" => Change::Remove(name),
                    "ADD" => Change::Add(name, words.value()?),
                    _ => return Err(Refusal::unsupported(format!("the update {text:?}"))),
                });
                if !words.take(",") {
                    break;
                }
            }
        }
        Ok(Self(changes))
    }

    /// The item afterwards; it begins with its key where there was none.
    pub fn applied(&self, item: Option<&Item>, key: &Item) -> Result<Item, Refusal> {
        let mut item = item.unwrap_or(key).clone();
        for change in &self.0 {
            match change {
                Change::Set(name, _) | Change::Remove(name) | Change::Add(name, _)
                    if key.contains_key(name) =>
                {
                    return Err(Refusal::invalid(format!("{name} is part of the key")));
                }
                Change::Set(name, value) => {
                    item.insert(name.clone(), value.clone());
                }
                Change::Remove(name) => {
                    item.remove(name);
                }
                Change::Add(name, Value::N(more)) => match item.get_mut(name) {
                    Some(Value::N(number)) => *number += more,
                    None => {
                        item.insert(name.clone(), Value::N(more.clone()));
                    }
                    Some(other) => {
                        return Err(Refusal::invalid(format!("a number is added to {}", other.kind())));
                    }
                },
                Change::Add(_, other) => {
                    return Err(Refusal::unsupported(format!("ADD of {}", other.kind())));
                }
            }
        }
        Ok(item)
    }
}
