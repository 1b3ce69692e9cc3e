//! Splits a text into tokens. Common mistakes (`==`, `&&`, `:value`, `follower#`) are found here, with the correct
//! spelling.

use super::error::ExprError;
use super::render::quoted;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A token and the bytes that it spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name without quotes, a keyword, or a function: the parser decides by the context.
    Word(String),
    /// A name in double quotes.
    Quoted(String),
    /// A string in single quotes.
    Text(String),
    /// A number in its written form.
    Number(String),
    /// `b64'...'`, decoded.
    Binary(Vec<u8>),
    /// Everything else.
    Symbol(&'static str),
    /// After the last.
    End,
}

/// Longest first, so that `<=` is never read as `<`, `=`.
const SYMBOLS: [&str; 18] = [
    "<<", ">>", "<>", "<=", ">=", "<", ">", "=", "(", ")", "[", "]", "{", "}", ",", ".", ":", "#",
];

/// Spellings of other languages.
const FOREIGN: [(&str, &str, &str); 8] = [
    ("==", "`==` is not an operator", "write `=`"),
    ("!=", "`!=` is not an operator", "write `<>`"),
    ("&&", "`&&` is not an operator", "write `AND`"),
    ("||", "`||` is not an operator", "write `OR`"),
    ("!", "`!` is not an operator", "write `NOT`"),
    (
        "\u{2018}",
        "this is a typographic quote",
        "write strings in plain single quotes: 'text'",
    ),
    (
        "\u{2019}",
        "this is a typographic quote",
        "write strings in plain single quotes: 'text'",
    ),
    (
        "`",
        "backquotes have no meaning here",
        "write attribute names in double quotes: \"name\"",
    ),
];

/// Splits a text into tokens, the last of which is [`Kind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, ExprError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next()?;
        let end = token.kind == Kind::End;
        tokens.push(token);
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn next(&mut self) -> Result<Token, ExprError> {
        self.at += self.rest().len() - self.rest().trim_start().len();
        let start = self.at;
        let kind = self.kind()?;
        Ok(Token {
            kind,
            start,
            end: self.at,
        })
    }

    fn kind(&mut self) -> Result<Kind, ExprError> {
        let start = self.at;
        let Some(first) = self.rest().chars().next() else {
            return Ok(Kind::End);
        };
        match first {
            '\'' => self.until_quote('\'', "string").map(Kind::Text),
            '"' => self.quoted_name(),
            'b' if self.rest().starts_with("b64'") => self.binary(),
            _ if first.is_ascii_digit() => self.number(),
            '-' | '+' if self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number(),
            _ if first.is_alphabetic() || first == '_' => self.word(),
            _ => {
                if let Some((_, message, hint)) = FOREIGN.iter().find(|f| self.rest().starts_with(f.0)) {
                    return Err(ExprError::new(start, *message).hint(*hint));
                }
                if let Some(&symbol) = SYMBOLS.iter().find(|s| self.rest().starts_with(**s)) {
                    self.at += symbol.len();
                    return Ok(Kind::Symbol(symbol));
                }
                Err(
                    ExprError::new(start, format!("`{}` has no meaning here", first.escape_debug())).hint(
                        "write attribute names with such characters in double quotes, and strings in \
                         single quotes",
                    ),
                )
            }
        }
    }

    /// Reads from an opening quote to the closing one; two in a row are one of the content.
    fn until_quote(&mut self, quote: char, what: &str) -> Result<String, ExprError> {
        let start = self.at;
        self.at += 1;
        let mut content = String::new();
        loop {
            let Some(end) = self.rest().find(quote) else {
                return Err(
                    ExprError::new(start, format!("this {what} has no closing {quote}"))
                        .hint(format!("write a {quote} inside twice: {quote}{quote}"))
                        .incomplete(),
                );
            };
            content.push_str(&self.rest()[..end]);
            self.at += end + 1;
            if !self.rest().starts_with(quote) {
                return Ok(content);
            }
            content.push(quote);
            self.at += 1;
        }
    }

    fn quoted_name(&mut self) -> Result<Kind, ExprError> {
        let start = self.at;
        let name = self.until_quote('"', "attribute name")?;
        if name.is_empty() {
            return Err(ExprError::new(start, "an attribute name cannot be empty")
                .hint("write the empty string as ''"));
        }
        Ok(Kind::Quoted(name))
    }

    fn binary(&mut self) -> Result<Kind, ExprError> {
        let start = self.at;
        self.at += "b64".len();
        let encoded = self.until_quote('\'', "binary literal")?;
        STANDARD.decode(&encoded).map(Kind::Binary).map_err(|error| {
            ExprError::new(start, format!("this is not base64: {error}"))
                .hint("write binary literals in base64 with padding, like b64'AQI='")
        })
    }

    fn digits(&self, from: usize) -> usize {
        self.text[from..].bytes().take_while(u8::is_ascii_digit).count()
    }

    /// A sign, digits, a fraction, an exponent; the value is checked when it is used.
    fn number(&mut self) -> Result<Kind, ExprError> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start + usize::from(matches!(bytes[start], b'-' | b'+'));
        end += self.digits(end);
        if bytes.get(end) == Some(&b'.') && self.digits(end + 1) > 0 {
            end += 1 + self.digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let signed = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
            if self.digits(signed) > 0 {
                end = signed + self.digits(signed);
            }
        }
        self.at = end;
        if self.rest().starts_with(in_name) {
            let word =
                &self.text[start..end + self.rest().find(|c| !in_name(c)).unwrap_or(self.rest().len())];
            return Err(
                ExprError::new(start, format!("`{word}` is neither a number nor a plain name")).hint(
                    format!(
                        "write an attribute of that name as {}, and a string as '{word}'",
                        quoted(word)
                    ),
                ),
            );
        }
        Ok(Kind::Number(self.text[start..end].to_owned()))
    }

    fn word(&mut self) -> Result<Kind, ExprError> {
        let start = self.at;
        let rest = self.rest();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = rest.find(|c| !plain(c)).unwrap_or(rest.len());
        // `aws:rep:deleting` is a name; the colon after a map's key is not part of it.
        let reach = rest.find(|c| !in_name(c)).unwrap_or(rest.len());
        let reach = rest[..reach].trim_end_matches(':').len();
        if reach > end {
            let name = &rest[..reach];
            return Err(ExprError::new(start, format!("the name `{name}` needs quotes"))
                .hint(format!("write {}", quoted(name))));
        }
        if rest[end..].starts_with('\'') {
            return Err(
                ExprError::new(start, format!("`{}'` does not begin a literal", &rest[..end]))
                    .hint("write strings as 'text', and binaries as b64'AQI='"),
            );
        }
        let word = rest[..end].to_owned();
        self.at += end;
        Ok(Kind::Word(word))
    }
}

/// Characters of attribute names; only some of them are allowed without quotes.
fn in_name(c: char) -> bool {
    c.is_alphanumeric() || "_-#$@/%~^\\+:".contains(c)
}
