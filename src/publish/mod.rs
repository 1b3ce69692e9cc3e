//! Sends messages to topics of SNS, queues of SQS and event buses of EventBridge, several at once. Notifications and the events
//! of services go this way. A request is sent once: the caller decides when it is repeated.

mod message;
mod publisher;
mod requests;
mod sent;

pub use message::Message;
pub use publisher::{ATTEMPT, Publisher};
pub use requests::EVENT_SOURCE;
pub use sent::Sent;
