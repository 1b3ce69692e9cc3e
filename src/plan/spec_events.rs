//! The events of a service, as the plan file has them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Events about the items of a service.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EventsSpec {
    /// Where they go.
    pub to: EventsTargetSpec,
    /// Which images of an item an event contains: `keys` (default) for none, `new`, or `new-and-old`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<EventImagesWord>,
    /// How often the destination may refuse an event before it becomes a dead letter. Default: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
}

/// The destination of events: exactly one of its settings.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct EventsTargetSpec {
    /// ARN of a queue of Amazon SQS. If it ends with `.fifo`, the events of an item stay in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqs: Option<String>,
    /// ARN of a topic of Amazon SNS. If it ends with `.fifo`, the events of an item stay in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sns: Option<String>,
    /// ARN of an event bus of Amazon EventBridge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_bus: Option<String>,
}

/// The images in an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EventImagesWord {
    /// None: only the key of the item.
    Keys,
    /// The item after the change.
    New,
    /// The item after the change, and before it.
    NewAndOld,
}
