//! Parses tokens to a tree, by recursive descent: OR, AND, NOT, then comparisons, in DynamoDB's precedence.
//!
//! Parentheses may contain a condition or an operand, which only their content shows. So every level returns a
//! [`Node`], and a caller that needs one kind asks for it, with the place for the error.

use super::ast::{Comparator, Expr, Operand, TYPE_NAMES};
use super::check;
use super::doubt::Doubts;
use super::error::ExprError;
use super::lexer::{self, Kind, Token};
use super::limits::{MAX_BYTES, MAX_DEPTH, MAX_IN_OPERANDS};
use super::placed::Placed;
use crate::model::Value;

/// Parses a whole condition, and returns its doubts.
pub(super) fn parse(text: &str) -> Result<(Expr, Doubts), ExprError> {
    if text.len() > MAX_BYTES {
        return Err(ExprError::new(
            text.floor_char_boundary(MAX_BYTES),
            format!(
                "the expression is {} bytes long, but at most {MAX_BYTES} are allowed",
                text.len()
            ),
        ));
    }
    let tokens = lexer::tokens(text)?;
    let mut parser = Parser {
        text,
        tokens: &tokens,
        at: 0,
        depth: 0,
        doubts: Doubts::default(),
    };
    if parser.token().kind == Kind::End {
        return Err(ExprError::new(text.len(), "the expression is empty")
            .hint("write a condition, like attribute_exists(PK)")
            .incomplete());
    }
    let expr = parser.or()?.condition()?;
    match parser.token().kind {
        Kind::End => Ok((expr, parser.doubts)),
        Kind::Symbol(")") => Err(ExprError::new(
            parser.token().start,
            "this `)` has no opening parenthesis",
        )),
        _ => Err(parser.expected("AND, OR or the end")),
    }
}

enum Node {
    Condition(Expr, usize),
    Operand(Placed),
}

impl Node {
    fn condition(self) -> Result<Expr, ExprError> {
        match self {
            Self::Condition(expr, _) => Ok(expr),
            Self::Operand(placed) => Err(placed.no_condition()),
        }
    }

    fn operand(self) -> Result<Placed, ExprError> {
        match self {
            Self::Operand(placed) => Ok(placed),
            Self::Condition(_, start) => Err(ExprError::new(start, "a condition cannot be compared")
                .hint("join conditions with AND or OR")),
        }
    }
}

/// The tokens and the place in them.
pub(super) struct Parser<'a> {
    text: &'a str,
    tokens: &'a [Token],
    at: usize,
    /// Parentheses and NOTs that are open.
    depth: usize,
    doubts: Doubts,
}

impl Parser<'_> {
    pub(super) fn token(&self) -> &Token {
        // The last token is the end, and nothing advances past it.
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    pub(super) fn next_token(&self) -> &Token {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)]
    }

    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    /// Skips a symbol if it is next.
    pub(super) fn take(&mut self, symbol: &str) -> bool {
        let found = matches!(self.token().kind, Kind::Symbol(s) if s == symbol);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn demand(&mut self, symbol: &str, what: &str) -> Result<(), ExprError> {
        if self.take(symbol) {
            Ok(())
        } else {
            Err(self.expected(what))
        }
    }

    fn at_keyword(&self, keyword: &str) -> bool {
        matches!(&self.token().kind, Kind::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.at_keyword(keyword);
        if found {
            self.advance();
        }
        found
    }

    /// The error that something else stands here.
    pub(super) fn expected(&self, what: &str) -> ExprError {
        let token = self.token();
        let found = match token.kind {
            Kind::End => "the end".to_owned(),
            _ => format!("`{}`", &self.text[token.start..token.end]),
        };
        let error = ExprError::new(token.start, format!("expected {what}, found {found}"));
        match &token.kind {
            Kind::End => error.incomplete(),
            Kind::Word(word) => match advice(word) {
                Some(hint) => error.hint(hint),
                None => error,
            },
            _ => error,
        }
    }

    /// Runs a step that nests, within the bound on the depth.
    fn nested<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T, ExprError>) -> Result<T, ExprError> {
        if self.depth >= MAX_DEPTH {
            return Err(ExprError::new(
                self.token().start,
                format!("parentheses and NOT are nested more than {MAX_DEPTH} deep"),
            ));
        }
        self.depth += 1;
        let result = step(self);
        self.depth -= 1;
        result
    }

    fn or(&mut self) -> Result<Node, ExprError> {
        self.joined("OR", Self::and, Expr::or)
    }

    fn and(&mut self) -> Result<Node, ExprError> {
        self.joined("AND", Self::not, Expr::and)
    }

    fn joined(
        &mut self,
        keyword: &str,
        member: impl Fn(&mut Self) -> Result<Node, ExprError>,
        join: impl FnOnce(Vec<Expr>) -> Expr,
    ) -> Result<Node, ExprError> {
        let start = self.token().start;
        let first = member(self)?;
        if !self.at_keyword(keyword) {
            return Ok(first);
        }
        let mut members = vec![first.condition()?];
        while self.take_keyword(keyword) {
            members.push(member(self)?.condition()?);
        }
        Ok(Node::Condition(join(members), start))
    }

    fn not(&mut self) -> Result<Node, ExprError> {
        let start = self.token().start;
        if !self.take_keyword("NOT") {
            return self.comparison();
        }
        let inner = self.nested(|parser| parser.not()?.condition())?;
        Ok(Node::Condition(Expr::Not(Box::new(inner)), start))
    }

    fn comparison(&mut self) -> Result<Node, ExprError> {
        let start = self.token().start;
        let left = self.primary()?;
        let comparator = match self.token().kind {
            Kind::Symbol(symbol) => Comparator::ALL.into_iter().find(|c| c.symbol() == symbol),
            _ => None,
        };
        let expr = if let Some(comparator) = comparator {
            self.advance();
            let left = left.operand()?;
            let right = self.primary()?.operand()?;
            check::compare(&left, comparator, &right)?;
            self.doubts.compared(&left, &[&right]);
            Expr::Compare {
                left: left.operand,
                comparator,
                right: right.operand,
            }
        } else if self.take_keyword("BETWEEN") {
            self.between(left.operand()?)?
        } else if self.take_keyword("IN") {
            self.is_in(left.operand()?)?
        } else if self.at_keyword("NOT") {
            return Err(self
                .expected("a comparator")
                .hint("write NOT first: NOT a IN (1, 2)"));
        } else {
            return match left {
                // `(a) = 5` is correct, so the content of a parenthesis is judged when it is closed.
                Node::Operand(placed) if self.depth == 0 || !self.at_close() => Err(self.lone(&placed)),
                other => Ok(other),
            };
        };
        self.unchained()?;
        Ok(Node::Condition(expr, start))
    }

    fn at_close(&self) -> bool {
        self.token().kind == Kind::Symbol(")")
    }

    /// An operand that no comparator makes a condition of.
    fn lone(&self, placed: &Placed) -> ExprError {
        match &self.token().kind {
            Kind::End | Kind::Symbol(")") => placed.no_condition(),
            Kind::Word(_) if self.at_keyword("AND") || self.at_keyword("OR") => placed.no_condition(),
            Kind::Word(word) if advice(word).is_none() => self
                .expected("a comparator, BETWEEN or IN")
                .hint("write a name with spaces in double quotes, and a string in single quotes"),
            _ => self.expected("a comparator, BETWEEN or IN"),
        }
    }

    /// `a < b < c` and `a = b = c` mean something elsewhere.
    fn unchained(&self) -> Result<(), ExprError> {
        let chained = match self.token().kind {
            Kind::Symbol(symbol) => Comparator::ALL.iter().any(|c| c.symbol() == symbol),
            _ => self.at_keyword("BETWEEN") || self.at_keyword("IN"),
        };
        if chained {
            return Err(
                ExprError::new(self.token().start, "comparisons cannot be chained")
                    .hint("write two, joined with AND"),
            );
        }
        Ok(())
    }

    fn between(&mut self, value: Placed) -> Result<Expr, ExprError> {
        let low = self.primary()?.operand()?;
        if !self.take_keyword("AND") {
            return Err(self.expected("AND").hint("write a BETWEEN 1 AND 5"));
        }
        let high = self.primary()?.operand()?;
        check::between(&value, &low, &high)?;
        self.doubts.compared(&value, &[&low, &high]);
        Ok(Expr::Between {
            value: value.operand,
            low: low.operand,
            high: high.operand,
        })
    }

    fn is_in(&mut self, value: Placed) -> Result<Expr, ExprError> {
        if !self.take("(") {
            return Err(self.expected("`(`").hint("write a IN ('x', 'y')"));
        }
        let mut list = Vec::new();
        loop {
            if list.len() == MAX_IN_OPERANDS {
                return Err(ExprError::new(
                    self.token().start,
                    format!("IN accepts at most {MAX_IN_OPERANDS} values"),
                )
                .hint("join two INs with OR"));
            }
            let member = self.primary()?.operand()?;
            check::distinct(&value, &member, "IN")?;
            list.push(member);
            if self.take(")") {
                self.doubts.compared(&value, &list.iter().collect::<Vec<_>>());
                return Ok(Expr::In {
                    value: value.operand,
                    list: list.into_iter().map(|member| member.operand).collect(),
                });
            }
            self.demand(",", "`,` or `)`")?;
        }
    }

    fn primary(&mut self) -> Result<Node, ExprError> {
        let start = self.token().start;
        if self.take("(") {
            let node = self.nested(Self::or)?;
            self.demand(")", "`)`")?;
            return Ok(node);
        }
        if self.at_literal() {
            let operand = Operand::Literal(self.literal(0)?);
            return Ok(Node::Operand(Placed { operand, start }));
        }
        if let Kind::Word(word) = &self.token().kind
            && self.next_token().kind == Kind::Symbol("(")
            && !super::render::WORDS.iter().any(|w| w.eq_ignore_ascii_case(word))
        {
            let function = word.clone();
            return self.function(&function, start);
        }
        let operand = Operand::Path(self.path()?);
        Ok(Node::Operand(Placed { operand, start }))
    }

    fn function(&mut self, function: &str, start: usize) -> Result<Node, ExprError> {
        if !FUNCTIONS.contains(&function) {
            return Err(no_function(function, start));
        }
        self.advance();
        self.advance();
        let at = self.token().start;
        if self.at_literal() {
            return Err(
                ExprError::new(at, format!("{function} needs an attribute, not a literal"))
                    .hint(format!("write {}", usage(function))),
            );
        }
        let path = self.path()?;
        self.doubts.looked_at(&path);
        let mut operand = || -> Result<Placed, ExprError> {
            if !self.take(",") {
                return Err(self.expected("`,`").hint(format!("write {}", usage(function))));
            }
            self.primary()?.operand()
        };
        let expr = match function {
            "attribute_type" => Expr::AttributeType(path, type_name(&operand()?)?),
            "begins_with" | "contains" => {
                let operand = operand()?;
                let first = Placed {
                    operand: Operand::Path(path.clone()),
                    start: at,
                };
                check::distinct(&first, &operand, function)?;
                self.doubts.compared(&first, &[&operand]);
                if function == "contains" {
                    Expr::Contains(path, operand.operand)
                } else {
                    check::prefix(&operand)?;
                    Expr::BeginsWith(path, operand.operand)
                }
            }
            "attribute_exists" => Expr::AttributeExists(path),
            "attribute_not_exists" => Expr::AttributeNotExists(path),
            _ => {
                self.demand(")", "`)`")?;
                let operand = Operand::Size(path);
                return Ok(Node::Operand(Placed { operand, start }));
            }
        };
        if !self.take(")") {
            return Err(self.expected("`)`").hint(format!("write {}", usage(function))));
        }
        Ok(Node::Condition(expr, start))
    }
}

const FUNCTIONS: [&str; 6] = [
    "attribute_exists",
    "attribute_not_exists",
    "attribute_type",
    "begins_with",
    "contains",
    "size",
];

fn usage(function: &str) -> &'static str {
    match function {
        "attribute_exists" => "attribute_exists(name)",
        "attribute_not_exists" => "attribute_not_exists(name)",
        "attribute_type" => "attribute_type(name, 'S')",
        "begins_with" => "begins_with(name, 'prefix')",
        "contains" => "contains(name, 'part')",
        _ => "size(name)",
    }
}

fn no_function(function: &str, start: usize) -> ExprError {
    let lower = function.to_ascii_lowercase();
    let near = FUNCTIONS
        .iter()
        .map(|known| (strsim::jaro_winkler(&lower, known), known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(similarity, _)| *similarity > 0.8);
    let hint = match near {
        Some((_, known)) if *known == lower => format!("write function names in lower case: {known}"),
        Some((_, known)) => format!("did you mean {}?", usage(known)),
        None => format!("the functions are {}", FUNCTIONS.join(", ")),
    };
    ExprError::new(start, format!("there is no function `{function}`")).hint(hint)
}

fn type_name(operand: &Placed) -> Result<&'static str, ExprError> {
    let found = match &operand.operand {
        Operand::Literal(Value::S(name)) => TYPE_NAMES.into_iter().find(|known| known == name),
        _ => None,
    };
    found.ok_or_else(|| {
        ExprError::new(operand.start, "this is not a type of DynamoDB").hint(format!(
            "the types are '{}'; write for example attribute_type(name, 'S')",
            TYPE_NAMES.join("', '")
        ))
    })
}

/// The replacement for operators of SQL.
fn advice(word: &str) -> Option<&'static str> {
    match word.to_ascii_lowercase().as_str() {
        "like" | "startswith" | "starts_with" => Some("write begins_with(name, 'x') or contains(name, 'x')"),
        "is" => Some("write name = null, or attribute_not_exists(name)"),
        "eq" => Some("write `=`"),
        _ => None,
    }
}
