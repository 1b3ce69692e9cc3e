//! The stream of a table, according to the description of the table.

use aws_sdk_dynamodb::types::{StreamViewType, TableDescription};
use serde::Serialize;

/// The stream of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum StreamState {
    /// No stream. (One that was disabled less than 24 hours ago may still be read, by its old ARN.)
    Off,
    /// Being enabled: it has no ARN yet.
    Starting,
    /// On, with both images.
    On {
        /// Stream ARN.
        arn: String,
        /// Stream label: when it was enabled.
        label: String,
    },
    /// On, but without both images. A split cannot use it.
    WrongView {
        /// Stream ARN.
        arn: String,
        /// Its view type.
        view: String,
    },
}

impl StreamState {
    /// Reads it from a description. The label and ARN alone say nothing: they outlive their stream.
    pub(super) fn of(description: &TableDescription) -> Self {
        let Some(specification) = description
            .stream_specification()
            .filter(|each| each.stream_enabled())
        else {
            return Self::Off;
        };
        let arn = description.latest_stream_arn().map(str::to_owned);
        match (specification.stream_view_type(), arn) {
            (Some(StreamViewType::NewAndOldImages), Some(arn)) => Self::On {
                label: description.latest_stream_label().unwrap_or_default().to_owned(),
                arn,
            },
            (Some(StreamViewType::NewAndOldImages), None) => Self::Starting,
            (view, arn) => Self::WrongView {
                arn: arn.unwrap_or_default(),
                view: view.map_or("unknown", StreamViewType::as_str).to_owned(),
            },
        }
    }
}
