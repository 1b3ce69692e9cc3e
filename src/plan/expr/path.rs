//! Document paths: names, steps into maps and lists, and common mistakes.

use super::ast::{Path, Step};
use super::check;
use super::error::ExprError;
use super::lexer::Kind;
use super::parser::Parser;
use super::render::{is_bare_name, quoted};

impl Parser<'_> {
    /// A document path: a name, then steps into maps and lists.
    pub(super) fn path(&mut self) -> Result<Path, ExprError> {
        let start = self.token().start;
        let mut path = Path {
            name: self.name()?,
            steps: Vec::new(),
        };
        loop {
            if self.take(".") {
                path.steps.push(Step::Name(self.name()?));
            } else if self.take("[") {
                path.steps.push(Step::Index(self.index()?));
                self.demand("]", "`]`")?;
            } else {
                check::path(&path, start)?;
                return Ok(path);
            }
        }
    }

    fn name(&mut self) -> Result<String, ExprError> {
        let name = match &self.token().kind {
            Kind::Quoted(name) => name.clone(),
            Kind::Word(word) if is_bare_name(word) => word.clone(),
            Kind::Word(word) => {
                return Err(ExprError::new(
                    self.token().start,
                    format!("expected an attribute or a value, found `{word}`"),
                )
                .hint(format!("write an attribute of that name as {}", quoted(word))));
            }
            Kind::Symbol(sign @ (":" | "#")) => return Err(self.placeholder(sign)),
            Kind::Number(number) => {
                return Err(self
                    .expected("an attribute name")
                    .hint(format!("write an attribute of that name as {}", quoted(number))));
            }
            _ => return Err(self.expected("an attribute or a value")),
        };
        self.advance();
        Ok(name)
    }

    fn placeholder(&self, sign: &str) -> ExprError {
        let start = self.token().start;
        let name = match &self.next_token().kind {
            Kind::Word(word) | Kind::Number(word) => word.as_str(),
            _ => "",
        };
        let hint = if sign == ":" {
            "write values directly: type = 'Course'"
        } else {
            "write names directly, in double quotes if necessary: \"GSI1-PK\""
        };
        ExprError::new(start, format!("a plan has no placeholders like `{sign}{name}`")).hint(hint)
    }

    /// The index of a list element, as DynamoDB takes it.
    fn index(&mut self) -> Result<u32, ExprError> {
        let Kind::Number(text) = self.token().kind.clone() else {
            let error = self.expected("the index of a list element");
            return Err(match &self.token().kind {
                Kind::Text(name) => error.hint(format!("write an entry of a map as .{}", quoted(name))),
                _ => error,
            });
        };
        let plain = text == "0" || (text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0'));
        match text.parse::<u32>() {
            Ok(index) if plain && i32::try_from(index).is_ok() => {
                self.advance();
                Ok(index)
            }
            _ => Err(ExprError::new(
                self.token().start,
                format!("`{text}` is not the index of a list element"),
            )
            .hint("indexes are whole numbers from 0 to 2147483647, without leading zeros")),
        }
    }
}
