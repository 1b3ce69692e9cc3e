//! Errors of route expressions.

/// Why a text is no route expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at byte {offset}){}", .hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default())]
pub struct ExprError {
    /// Where it goes wrong: a byte offset into the text, at most its length.
    pub offset: usize,
    /// The problem.
    pub message: String,
    /// What to write instead, if it can be guessed.
    pub hint: Option<String>,
    /// The text ends too early: a part of it may be missing.
    pub incomplete: bool,
}

impl ExprError {
    pub(super) fn new(offset: usize, message: impl Into<String>) -> Self {
        Self {
            offset,
            message: message.into(),
            hint: None,
            incomplete: false,
        }
    }

    pub(super) fn incomplete(mut self) -> Self {
        self.incomplete = true;
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
