//! Sends messages to topics of SNS, queues of SQS and event buses of EventBridge, several at once. Notifications and the events
//! of services go this way. A request is sent once: the caller decides when it is repeated.

mod message;
mod publisher;
#[cfg(feature = "messages")]
mod requests;
mod sent;
#[cfg(feature = "messages")]
mod way;
#[cfg(not(feature = "messages"))]
#[path = "no_way.rs"]
mod way;

pub use message::{EVENT_SOURCE, Message};
pub use publisher::{ATTEMPT, Publisher};
pub use sent::Sent;
