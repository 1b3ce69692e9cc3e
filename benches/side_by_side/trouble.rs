//! What goes wrong in a benchmark ends it, with words.

use std::error::Error;
use std::fmt;

/// Why the benchmark can't go on.
#[derive(Debug)]
pub struct Trouble(String);

/// A value, or why there is none.
pub type Tried<T> = Result<T, Trouble>;

impl Trouble {
    /// In these words.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Says what was being done when something failed.
pub trait Told<T> {
    /// The value, or the failure with these words before it.
    fn told(self, what: &str) -> Tried<T>;
}

impl<T, E: Error> Told<T> for Result<T, E> {
    fn told(self, what: &str) -> Tried<T> {
        self.map_err(|error| {
            let mut text = format!("{what}: {error}");
            let mut cause = error.source();
            while let Some(next) = cause {
                text.push_str(&format!(": {next}"));
                cause = next.source();
            }
            Trouble(text)
        })
    }
}

impl<T> Told<T> for Option<T> {
    fn told(self, what: &str) -> Tried<T> {
        self.ok_or_else(|| Trouble(what.to_owned()))
    }
}
