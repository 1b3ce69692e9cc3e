//! The prices of a forecast: the built-in list, or a file.

use super::error::RunError;
use crate::plan::Prices;
use std::path::Path;

/// Reads a price file; without one, the built-in prices.
///
/// # Errors
/// If it can't be read, or is wrong.
pub(crate) fn read_prices(path: Option<&Path>) -> Result<Prices, RunError> {
    let Some(path) = path else {
        return Ok(Prices::published());
    };
    let wrong = |cause: String| RunError::NotYet {
        what: format!("the price file can't be used: {cause}"),
        next: "correct it, or leave --prices out for the built-in list".to_owned(),
    };
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| wrong(format!("{file}: {error}")))?;
    Prices::parse(&text, &file).map_err(|error| wrong(error.to_string()))
}
