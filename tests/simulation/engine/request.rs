//! The members of a request. A member that the engine does not know is refused.

use serde_json::Value as Json;

use super::refusal::Refusal;
use super::value::{Item, item_of};

/// The body of a request, of which every member is known.
pub struct Request<'a>(pub &'a Json);

impl<'a> Request<'a> {
    /// Refuses members other than these.
    pub fn of(body: &'a Json, known: &[&str]) -> Result<Self, Refusal> {
        let members = body
            .as_object()
            .ok_or_else(|| Refusal::invalid("the body is no object"))?;
        match members.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(Refusal::unsupported(format!("the member {name}"))),
            None => Ok(Self(body)),
        }
    }

    /// A text that must be there.
    pub fn text(&self, name: &str) -> Result<&'a str, Refusal> {
        self.optional(name)
            .ok_or_else(|| Refusal::invalid(format!("{name} is missing")))
    }

    /// A text that may be there.
    pub fn optional(&self, name: &str) -> Option<&'a str> {
        self.0.get(name)?.as_str()
    }

    /// A member that must be there.
    pub fn member(&self, name: &str) -> Result<&'a Json, Refusal> {
        self.0
            .get(name)
            .ok_or_else(|| Refusal::invalid(format!("{name} is missing")))
    }

    /// An item that must be there.
    pub fn item(&self, name: &str) -> Result<Item, Refusal> {
        item_of(self.member(name)?)
    }

    /// A number that may be there.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.as_u64()
    }

    /// Whether a member is there and true.
    pub fn is(&self, name: &str) -> bool {
        self.0.get(name).and_then(Json::as_bool).unwrap_or(false)
    }

    /// Whether a member is there and has this text. Another text is refused, but for the defaults.
    pub fn says(&self, name: &str, word: &str) -> Result<bool, Refusal> {
        match self.optional(name) {
            Some(said) if said == word => Ok(true),
            None | Some("NONE") => Ok(false),
            Some(said) => Err(Refusal::unsupported(format!("{name} {said}"))),
        }
    }
}
