//! One message, in a form that each kind of destination takes.

/// The source of the events, which rules of EventBridge match.
pub const EVENT_SOURCE: &str = "dynasplit";

/// A message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// The same if the same message is sent again, and in no other one: FIFO destinations drop a second one by it.
    pub id: String,
    /// Within a group, FIFO destinations keep the order.
    pub group: String,
    /// What it is about, in words: the detail type of EventBridge.
    pub kind: &'static str,
    /// The document for programs.
    pub body: String,
    /// The forms for the protocols of SNS, as its JSON structure; `None`: all of them get the document.
    pub forms: Option<String>,
    /// The subject of an e-mail.
    pub subject: Option<String>,
    /// What subscribers can filter by, without reading the document.
    pub attributes: Vec<(&'static str, String)>,
    /// When it happened, in milliseconds since 1970, if it is not now.
    pub time_ms: Option<u64>,
}

impl Message {
    /// Bytes that count towards the limits of the destinations, at most: each destination counts another part of them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        /// The names of fields, the source, and the time.
        const REST: usize = 256;
        let attributes = self.attributes.iter();
        let attributes = attributes.map(|(name, value)| name.len() + value.len() + "String".len());
        self.forms.as_ref().unwrap_or(&self.body).len() + self.kind.len() + attributes.sum::<usize>() + REST
    }
}
