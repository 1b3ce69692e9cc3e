//! Places in the plan file, and flaws of the YAML itself.

use saphyr_parser::Marker;

/// A place in the file: line and column, from 1, in characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mark {
    pub line: usize,
    pub column: usize,
}

impl From<Marker> for Mark {
    fn from(marker: Marker) -> Self {
        Self {
            line: marker.line().max(1),
            column: marker.col() + 1,
        }
    }
}

/// Something wrong with the YAML itself.
#[derive(Clone, Debug)]
pub(super) struct Flaw {
    pub at: Mark,
    pub message: String,
    pub hint: Option<String>,
}

pub(super) fn flaw(at: Mark, message: impl Into<String>, hint: impl Into<String>) -> Flaw {
    Flaw {
        at,
        message: message.into(),
        hint: Some(hint.into()),
    }
}

/// How to fix a text that a comment cuts off.
pub(super) fn cut_off_hint(comment: &str) -> String {
    const SHOWN: usize = 40;
    let mut shown: String = comment.trim_end().chars().take(SHOWN).collect();
    if comment.trim_end().chars().count() > SHOWN {
        shown.push_str("...");
    }
    format!(
        "YAML reads `{shown}` as a comment, because a space is before `#`: put the whole text in quotes, or \
         write it as a block after `>-`"
    )
}
