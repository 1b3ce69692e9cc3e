//! Options of a survey.

use std::path::PathBuf;

/// Options of a survey.
#[derive(Clone, Debug)]
pub struct SurveyOptions {
    /// Read every item instead of a sample.
    pub all: bool,
    /// Items to read, spread over the table.
    pub sample: u64,
    /// Read units per second on the source, for the survey itself and in the forecast. Without it, the survey takes
    /// no more than half of the units of a provisioned source.
    pub read_units: Option<f64>,
    /// Write units a second on each service's table, in the forecast.
    pub write_units: Option<f64>,
    /// A price file in the place of the built-in prices: see `Prices::parse`.
    pub prices: Option<PathBuf>,
}

/// Enough to show a kind of item that is one in a hundred; some hundred read units if items are small.
const SAMPLE: u64 = 2000;

impl Default for SurveyOptions {
    fn default() -> Self {
        Self {
            all: false,
            sample: SAMPLE,
            read_units: None,
            write_units: None,
            prices: None,
        }
    }
}
