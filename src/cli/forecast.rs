//! Files that `plan` made or that people wrote: an estimate, and prices.

use super::exit::Exit;
use super::failure::Failed;
use crate::plan::Prices;
use crate::report::Forecast;
use std::path::Path;

/// The estimate in the JSON output of `plan`.
pub fn forecast(file: &Path) -> Result<Forecast, Failed> {
    Forecast::parse(&read(file)?).map_err(|reason| {
        Failed::of(Exit::Usage, format!("{}: {reason}", file.display()))
            .hint("make the file with `dynasplit plan PLAN --output json`")
    })
}

/// The prices of a file, or those that were published.
pub fn prices(file: Option<&Path>) -> Result<Prices, Failed> {
    match file {
        Some(file) => Ok(Prices::parse(&read(file)?, &file.display().to_string())?),
        None => Ok(Prices::published()),
    }
}

fn read(file: &Path) -> Result<String, Failed> {
    std::fs::read_to_string(file)
        .map_err(|error| Failed::of(Exit::Usage, format!("{} cannot be read: {error}", file.display())))
}
