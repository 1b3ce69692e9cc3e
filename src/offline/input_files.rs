//! The files of one input: those of each service, and what is refused.

use super::error::ShapeError;
use super::exported::Exported;
use super::output::{Files, Written};
use super::refused::Reason;
use super::report::Counts;
use super::shaper::{Shaped, Shaper};
use crate::model::json::item_to_json;
use crate::model::{Compression, Item};
use crate::plan::Plan;
use serde_json::json;
use std::path::{Path, PathBuf};

/// The folder with a folder for each service.
pub const TABLES: &str = "tables";
/// The folder of what is refused.
pub const REFUSED: &str = "refused";

/// Writes the files of one input below a folder. Their names and their content depend only on the plan, the input and the
/// form of a file.
#[derive(Debug)]
pub struct InputFiles {
    counts: Counts,
    services: Vec<Files>,
    refused: Files,
    shaper: Shaper,
}

/// The form of the files.
#[derive(Clone, Copy, Debug)]
pub struct FileForm {
    /// Most bytes of a file before compression.
    pub bytes: u64,
    /// How it is compressed.
    pub compression: Compression,
}

/// The files of an input that is complete.
#[derive(Debug)]
pub struct ShapedInput {
    /// What was in it.
    pub counts: Counts,
    /// The files of each service, in the order of the plan.
    pub services: Vec<Vec<Written>>,
    /// The files of what is refused.
    pub refused: Vec<Written>,
}

impl InputFiles {
    /// Of the input at this place among all of them.
    #[must_use]
    pub fn new(plan: &Plan, folder: &Path, place: usize, form: FileForm) -> Self {
        let files = |path: PathBuf| Files::new(&path, place, form.bytes, form.compression);
        let tables = folder.join(TABLES);
        let names = plan.services.iter().map(|service| service.name.as_str());
        Self {
            counts: Counts::of(plan),
            services: names.map(|name| files(tables.join(name))).collect(),
            refused: files(folder.join(REFUSED)),
            shaper: Shaper::new(plan),
        }
    }

    /// Shapes an item, which stands in this line of the input.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn add(&mut self, plan: &Plan, item: &Exported, input: &str, number: u64) -> Result<(), ShapeError> {
        self.counts.items += 1;
        let unreadable = |problem| ShapeError::Line {
            input: input.to_owned(),
            line: number,
            problem,
        };
        self.shaper.shape(plan, item, unreadable, |shaped| match shaped {
            Shaped::LeftBehind => {
                self.counts.left_behind += 1;
                Ok(())
            }
            Shaped::For(place, shaped) => {
                let count = &mut self.counts.services[place];
                count.items += 1;
                count.bytes += shaped.bytes as u64;
                self.services[place].add(shaped.line)
            }
            Shaped::Refused(place, reason) => {
                let service = place.map(|place| plan.services[place].name.as_str());
                self.counts
                    .refused
                    .add(service, &reason, || format!("{input}:{number}"));
                let whole = item.whole().map_err(unreadable)?;
                let line = refused_line(&whole, service, &reason, input, number);
                self.refused.add(line.as_bytes())
            }
        })
    }

    /// Completes the files.
    ///
    /// # Errors
    /// If one cannot be written.
    pub fn end(mut self) -> Result<ShapedInput, ShapeError> {
        for files in self.services.iter_mut().chain([&mut self.refused]) {
            files.end()?;
        }
        for (count, files) in self.counts.services.iter_mut().zip(&self.services) {
            count.files = files.written().len() as u64;
        }
        Ok(ShapedInput {
            counts: self.counts,
            services: self
                .services
                .iter()
                .map(|files| files.written().to_vec())
                .collect(),
            refused: self.refused.written().to_vec(),
        })
    }
}

fn refused_line(item: &Item, service: Option<&str>, reason: &Reason, input: &str, number: u64) -> String {
    let document = json!({
        "service": service,
        "reason": reason.to_string(),
        "line": number,
        "input": input,
        "Item": item_to_json(item),
    });
    format!("{document}\n")
}
