//! Where notifications go, as the plan file has it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Notifications of what happens to the split, and what is worth one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NotifySpec {
    /// The destinations. Each of them gets every notification.
    pub to: Vec<DestinationSpec>,
    /// A lane that is so many seconds behind is worth a notification. Default: 3600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<u32>,
    /// Throttling that lasts so many seconds is worth a notification. Default: 1800.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled_seconds: Option<u32>,
}

/// A destination: exactly one of its settings.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct DestinationSpec {
    /// ARN of a topic of Amazon SNS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sns: Option<String>,
    /// ARN of an event bus of Amazon EventBridge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_bus: Option<String>,
    /// A webhook that takes messages in the format of Slack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookSpec>,
}

/// Where the URL of a webhook is: exactly one of these settings. The URL is a secret, so the plan does not contain it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct WebhookSpec {
    /// The environment variable that contains the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
    /// The file that contains the URL. A relative path begins at the folder of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}
