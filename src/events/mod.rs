//! Events about the items of a service: their documents, and their way to a queue, a topic or an event bus. A lane of the tail
//! sends them, and `dead-letters reconcile` sends those again that were refused.

mod document;
mod outbox;
mod resend;

pub use document::{Occurred, document, message};
pub use outbox::{Outbox, Outgoing, Progress};
pub use resend::{SentAgain, resend};
