//! What `plan` estimated, from its JSON output.

use serde::{Deserialize, Serialize};

/// The estimate of a split, as `dynasplit plan --output json` printed it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Forecast {
    /// The steps.
    pub lines: Vec<ForecastLine>,
    /// US dollars of all steps that are paid by request.
    pub dollars: f64,
    /// Hours of the backfill.
    pub backfill_hours: f64,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForecastLine {
    /// `backfill: read OnlineLearning`, `backfill: write Content`, ...
    pub what: String,
    /// Read units.
    pub read_units: u64,
    /// Write units.
    pub write_units: u64,
    /// US dollars; `None` if the table is provisioned.
    pub dollars: Option<f64>,
}

#[derive(Deserialize)]
struct Survey {
    estimate: Option<Forecast>,
}

impl Forecast {
    /// Reads the JSON output of `plan`.
    ///
    /// # Errors
    /// If the text is something else: the reason.
    pub fn parse(json: &str) -> Result<Self, String> {
        let survey: Survey = serde_json::from_str(json)
            .map_err(|error| format!("this is no JSON output of `dynasplit plan`: {error}"))?;
        survey
            .estimate
            .ok_or_else(|| "the output of `dynasplit plan` contains no estimate".to_owned())
    }

    /// The step with this name.
    #[must_use]
    pub fn line(&self, what: &str) -> Option<&ForecastLine> {
        self.lines.iter().find(|line| line.what == what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_read_from_the_output_of_plan() {
        let line = r#"{"what":"backfill: read T","read_units":5,"write_units":0,"dollars":null,"hours":1.5,"bound":"x"}"#;
        let text = format!(
            r#"{{"a":1,"estimate":{{"lines":[{line}],"dollars":1.25,"backfill_hours":2.5,"b":[]}}}}"#
        );
        let forecast = Forecast::parse(&text).unwrap();
        assert_eq!(
            forecast.line("backfill: read T").map(|line| line.read_units),
            Some(5)
        );
        assert_eq!(forecast.line("backfill: read"), None);
        assert!(
            Forecast::parse(r#"{"estimate":null}"#)
                .unwrap_err()
                .contains("no estimate")
        );
        assert!(
            Forecast::parse("split: x")
                .unwrap_err()
                .contains("no JSON output")
        );
    }
}
