//! Walks JSON text without making values of it.

use super::kind::Kind;
use std::borrow::Cow;

/// The text is not in the form that DynamoDB answers in, or holds something that this version does not know.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the text is not DynamoDB JSON of this version")]
pub struct Unreadable;

/// How deeply values may be nested. DynamoDB takes 32 levels, each of which is two in JSON.
const DEEPEST: usize = 80;
/// Bytes that are looked at together: the compiler makes one instruction for all of them.
const AT_ONCE: usize = 16;

/// A place in a text.
#[derive(Debug)]
pub(super) struct Cursor<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

/// A string of the text, without its quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted<'t> {
    /// As it is written.
    pub raw: &'t str,
    /// Where it begins in the text.
    pub start: usize,
    /// It has escapes, so that it is not what it says.
    pub is_escaped: bool,
}

impl<'t> Quoted<'t> {
    /// What it says, without a copy if it has no escapes.
    pub fn said(self) -> Result<Cow<'t, str>, Unreadable> {
        match self.is_escaped {
            false => Ok(Cow::Borrowed(self.raw)),
            true => self.to_text().map(Cow::Owned),
        }
    }

    /// Its escapes are right.
    fn check(self) -> Result<(), Unreadable> {
        match self.is_escaped {
            true => self.to_text().map(|_| ()),
            false => Ok(()),
        }
    }

    /// What it says.
    pub fn to_text(self) -> Result<String, Unreadable> {
        if !self.is_escaped {
            return Ok(self.raw.to_owned());
        }
        serde_json::from_str(&format!("\"{}\"", self.raw)).map_err(|_| Unreadable)
    }
}

impl<'t> Cursor<'t> {
    /// At the beginning of a text, or at a place inside.
    pub fn at(text: &'t str, at: usize) -> Self {
        Self { text, at, depth: 0 }
    }

    /// The same text at another place.
    pub fn again(&self, at: usize) -> Self {
        Self::at(self.text, at)
    }

    /// The place.
    pub fn place(&self) -> usize {
        self.at
    }

    /// The text from a place to here.
    pub fn since(&self, start: usize) -> &'t str {
        &self.text[start..self.at]
    }

    /// The next byte that is no space.
    pub fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// Passes a byte if it is the next one.
    pub fn passes(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Passes a byte that must be the next one.
    pub fn expect(&mut self, byte: u8) -> Result<(), Unreadable> {
        self.passes(byte).then_some(()).ok_or(Unreadable)
    }

    /// Passes a word like `true`.
    pub fn word(&mut self, word: &str) -> Result<(), Unreadable> {
        self.peek();
        let is_next = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        self.at += if is_next { word.len() } else { 0 };
        is_next.then_some(()).ok_or(Unreadable)
    }

    /// Passes a string.
    pub fn string(&mut self) -> Result<Quoted<'t>, Unreadable> {
        self.expect(b'"')?;
        let (start, bytes) = (self.at, self.text.as_bytes());
        let mut is_escaped = false;
        loop {
            let rest = bytes.get(self.at..).ok_or(Unreadable)?;
            self.at += plain(rest);
            match bytes.get(self.at) {
                Some(b'"') => break,
                // Whatever it stands for is found out by whoever reads the text.
                Some(b'\\') => (is_escaped, self.at) = (true, self.at + 2),
                // A character that must be escaped, or the end.
                _ => return Err(Unreadable),
            }
        }
        let raw = self.since(start);
        self.at += 1;
        Ok(Quoted {
            raw,
            start,
            is_escaped,
        })
    }

    /// Passes a number.
    pub fn number(&mut self) -> Result<f64, Unreadable> {
        self.peek();
        let start = self.at;
        let bytes = &self.text.as_bytes()[start..];
        let end = bytes
            .iter()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
        self.at += end.unwrap_or(bytes.len());
        self.since(start).parse().map_err(|_| Unreadable)
    }

    /// Passes an object; `each` passes the value of each name.
    pub fn object(
        &mut self,
        mut each: impl FnMut(&mut Self, Quoted<'t>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        self.expect(b'{')?;
        self.within(b'}', |cursor| {
            let name = cursor.string()?;
            cursor.expect(b':')?;
            each(cursor, name)
        })
    }

    /// Passes an array; `each` passes each value.
    pub fn array(&mut self, each: impl FnMut(&mut Self) -> Result<(), Unreadable>) -> Result<(), Unreadable> {
        self.expect(b'[')?;
        self.within(b']', each)
    }

    fn within(
        &mut self,
        end: u8,
        mut each: impl FnMut(&mut Self) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        if self.passes(end) {
            return Ok(());
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Unreadable);
        }
        loop {
            each(self)?;
            if !self.passes(b',') {
                self.depth -= 1;
                return self.expect(end);
            }
        }
    }

    /// Passes an object with one name, which is the type of a value: `of` passes its content.
    pub fn typed<T>(
        &mut self,
        of: impl FnOnce(&mut Self, Kind) -> Result<T, Unreadable>,
    ) -> Result<T, Unreadable> {
        let kind = self.kind()?;
        let made = of(self, kind)?;
        self.expect(b'}')?;
        Ok(made)
    }

    /// Passes the beginning of a value up to its content, and returns its type.
    fn kind(&mut self) -> Result<Kind, Unreadable> {
        // As DynamoDB writes nearly all values.
        if let Some([b'{', b'"', letter, b'"', b':']) = self.text.as_bytes().get(self.at..self.at + 5)
            && let Some(kind) = Kind::of_letter(*letter)
        {
            self.at += 5;
            return Ok(kind);
        }
        self.expect(b'{')?;
        let kind = self.string()?;
        self.expect(b':')?;
        Kind::of_name(kind.raw).ok_or(Unreadable)
    }

    /// Passes any value.
    pub fn skip(&mut self) -> Result<(), Unreadable> {
        match self.peek().ok_or(Unreadable)? {
            b'"' => self.string()?.check(),
            b'{' => self.object(|cursor, name| name.check().and_then(|()| cursor.skip())),
            b'[' => self.array(Self::skip),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number().map(|_| ()),
        }
    }

    /// Nothing may follow.
    pub fn end(&mut self) -> Result<(), Unreadable> {
        self.peek().is_none().then_some(()).ok_or(Unreadable)
    }
}

/// How many bytes of a string come before its end, an escape, or a character that must be escaped.
fn plain(bytes: &[u8]) -> usize {
    let ends = |byte: u8| byte == b'"' || byte == b'\\' || byte < b' ';
    let mut at = 0;
    // Most strings are short.
    while at < AT_ONCE
        && let Some(next) = bytes.get(at..).and_then(|rest| rest.first_chunk())
    {
        if let Some(found) = first_end(u64::from_le_bytes(*next)) {
            return at + found;
        }
        at += size_of::<u64>();
    }
    while let Some(next) = bytes.get(at..at + AT_ONCE)
        && !next.iter().fold(false, |found, byte| found | ends(*byte))
    {
        at += AT_ONCE;
    }
    while let Some(next) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        if let Some(found) = first_end(u64::from_le_bytes(*next)) {
            return at + found;
        }
        at += size_of::<u64>();
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| ends(*byte)).unwrap_or(rest.len())
}

/// The place of the first of eight bytes at which a string ends, or must be looked at. Of each sum below, the lowest bit that is set
/// belongs to such a byte: only above it, a borrow may set others.
fn first_end(bytes: u64) -> Option<usize> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    let below = |bytes: u64, limit: u64| bytes.wrapping_sub(limit * EACH) & !bytes & HIGH;
    let is = |byte: u8| below(bytes ^ (u64::from(byte) * EACH), 1);
    let found = is(b'"') | is(b'\\') | below(bytes, b' '.into());
    (found != 0).then_some(found.trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Also of texts that are no JSON.
        #[test]
        fn skips_what_is_json_and_nothing_else(text in r#"([ -~]|\PC|["\\{}\[\],:0-9tfn]){0,40}"#) {
            let mut cursor = Cursor::at(&text, 0);
            let passed = cursor.skip().and_then(|()| cursor.end());
            if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
                prop_assert_eq!(passed, Ok(()));
            }
        }

        /// Wherever it stands among bytes that are looked at together.
        #[test]
        fn a_string_ends_at_the_first_byte_that_may_end_it(bytes in prop::collection::vec(any::<u8>(), 0..70), letters in 0..70usize) {
            let mut bytes = bytes;
            bytes.iter_mut().take(letters).for_each(|byte| *byte = b'!' + *byte % 2 * 200);
            let ends = |byte: &u8| *byte == b'"' || *byte == b'\\' || *byte < b' ';
            prop_assert_eq!(plain(&bytes), bytes.iter().position(ends).unwrap_or(bytes.len()));
        }

        #[test]
        fn a_string_is_what_was_written(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            let mut cursor = Cursor::at(&json, 0);
            prop_assert_eq!(cursor.string().unwrap().to_text().unwrap(), text);
            prop_assert_eq!(cursor.end(), Ok(()));
        }
    }

    #[test]
    fn what_is_cut_off_is_unreadable() {
        let text = r#" {"a": [1.5e3, "x\"é", true, false, null, {}], "b":{"c":""}} "#;
        let mut whole = Cursor::at(text, 0);
        assert_eq!(whole.skip().and_then(|()| whole.end()), Ok(()));
        for (at, _) in text.char_indices().filter(|(at, _)| *at < text.len() - 1) {
            assert_eq!(Cursor::at(&text[..at], 0).skip(), Err(Unreadable), "{at}");
        }
        let deep = "[".repeat(1_000_000);
        assert_eq!(Cursor::at(&deep, 0).skip(), Err(Unreadable));
        assert_eq!(Cursor::at("\"a\nb\"", 0).skip(), Err(Unreadable));
    }
}
