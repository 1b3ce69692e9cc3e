//! What became of a message.

/// What became of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sent {
    /// The destination has it.
    Accepted,
    /// The destination refuses this message, for this reason. The reason contains nothing of the message.
    Refused(String),
    /// It was not accepted, for a reason that passes, or that a person has to remove.
    Later(String),
}

impl Sent {
    /// By the error code of one entry. `is_senders`: the destination says that it is not its own fault.
    #[cfg(feature = "messages")]
    pub(super) fn refused_with(code: &str, is_senders: bool, action: &str, to: &str) -> Self {
        let reason = format!("{action} on {to} failed: {code}");
        match is_senders && !passes(code) {
            true => Self::Refused(reason),
            false => Self::Later(reason),
        }
    }

    /// Of an entry of which the answer says nothing.
    #[cfg(feature = "messages")]
    pub(super) fn unanswered(action: &str, to: &str) -> Self {
        Self::Later(format!(
            "{action} on {to}: the answer says nothing about an entry"
        ))
    }
}

/// Whether an error code of an entry says nothing about the message itself: it passes, or it is about permissions.
#[cfg(feature = "messages")]
fn passes(code: &str) -> bool {
    [
        "Throttl",
        "Internal",
        "Unavailable",
        "Timeout",
        "AccessDenied",
        "NotAuthorized",
        "AuthorizationError",
        "Kms",
        "KMS",
    ]
    .iter()
    .any(|part| code.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_refused_only_for_what_it_contains() {
        let of = |code, is_senders| Sent::refused_with(code, is_senders, "a", "b");
        for code in ["MalformedDetail", "InvalidParameterValue"] {
            assert!(matches!(of(code, true), Sent::Refused(_)), "{code}");
            assert!(matches!(of(code, false), Sent::Later(_)), "{code}");
        }
        for code in ["ThrottlingException", "InternalFailure", "AccessDeniedException"] {
            assert!(matches!(of(code, true), Sent::Later(_)), "{code}");
        }
    }
}
