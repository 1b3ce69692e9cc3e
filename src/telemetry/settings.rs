//! What the standard environment variables of OpenTelemetry ask for. The exporters themselves read the rest: endpoints, headers,
//! intervals, the resource. See
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>.

/// What to export to a collector.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    /// Metrics.
    pub metrics: bool,
    /// Traces.
    pub traces: bool,
}

/// A variable whose value dynasplit does not support.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SettingsError {
    /// Another protocol.
    #[error("{variable} is '{value}', and dynasplit speaks only http/protobuf to a collector")]
    Protocol {
        /// The variable.
        variable: String,
        /// Its value.
        value: String,
    },
    /// Not a URL.
    #[error("{variable} is not a URL that begins with http:// or https://")]
    Endpoint {
        /// The variable.
        variable: String,
    },
}

const PROTOCOL: &str = "http/protobuf";

impl Settings {
    /// By the variables. Nothing is exported if no endpoint is set.
    ///
    /// # Errors
    /// If a variable asks for something that dynasplit does not support.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let is_disabled =
            variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if is_disabled {
            return Ok(Self::default());
        }
        let wanted = |signal: &str| {
            let exporter = variable(&format!("OTEL_{signal}_EXPORTER"));
            if exporter.is_some_and(|exporter| exporter.eq_ignore_ascii_case("none")) {
                return Ok(false);
            }
            let first = |suffix: &str| {
                let names = [
                    format!("OTEL_EXPORTER_OTLP_{signal}_{suffix}"),
                    format!("OTEL_EXPORTER_OTLP_{suffix}"),
                ];
                names.into_iter().find_map(|name| Some((variable(&name)?, name)))
            };
            let Some((url, name)) = first("ENDPOINT") else {
                return Ok(false);
            };
            if !["http://", "https://"]
                .iter()
                .any(|scheme| url.starts_with(scheme))
            {
                return Err(SettingsError::Endpoint { variable: name });
            }
            match first("PROTOCOL") {
                Some((value, variable)) if value != PROTOCOL => {
                    Err(SettingsError::Protocol { variable, value })
                }
                _ => Ok(true),
            }
        };
        Ok(Self {
            metrics: wanted("METRICS")?,
            traces: wanted("TRACES")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<(bool, bool), SettingsError> {
        let found = |name: &str| {
            let mut variables = variables.iter();
            variables
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Settings::of(found).map(|settings| (settings.metrics, settings.traces))
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");

    #[test]
    fn nothing_is_exported_unless_an_endpoint_is_set() {
        assert_eq!(of(&[]), Ok((false, false)));
        assert_eq!(of(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]), Ok((false, false)));
        assert_eq!(of(&[ENDPOINT]), Ok((true, true)));
        assert_eq!(of(&[ENDPOINT, ("OTEL_SDK_DISABLED", "true")]), Ok((false, false)));
        assert_eq!(
            of(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]),
            Ok((true, false))
        );
        let traces = (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "https://a.example/v1/traces",
        );
        assert_eq!(of(&[traces]), Ok((false, true)));
    }

    #[test]
    fn another_protocol_is_refused_and_a_part_of_an_address_too() {
        let grpc = of(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
        assert!(
            grpc.unwrap_err()
                .to_string()
                .contains("speaks only http/protobuf")
        );
        assert_eq!(
            of(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", PROTOCOL)]),
            Ok((true, true))
        );
        let wrong = of(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318")]);
        assert!(matches!(wrong, Err(SettingsError::Endpoint { .. })));
    }
}
