//! The files of one input: those of each service, and what is refused.

use super::error::ShapeError;
use super::exported::Exported;
use super::output::{Files, Written};
use super::refused::Reason;
use super::report::Counts;
use super::shaper::{Shaped, shape};
use crate::model::Item;
use crate::model::json::item_to_json;
use crate::plan::Plan;
use serde_json::json;
use std::path::{Path, PathBuf};

/// The folder with a folder for each service.
pub const TABLES: &str = "tables";
/// The folder of what is refused.
pub const REFUSED: &str = "refused";

/// Writes the files of one input below a folder. Their names and their content depend only on the plan, the input and the size of a
/// file.
#[derive(Debug)]
pub struct InputFiles {
    counts: Counts,
    services: Vec<Files>,
    refused: Files,
    line: Vec<u8>,
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
    /// Of the input at this place among all of them. A file has at most so many bytes before compression.
    #[must_use]
    pub fn new(plan: &Plan, folder: &Path, place: usize, file_bytes: u64) -> Self {
        let files = |path: PathBuf| Files::new(&path, place, file_bytes);
        let tables = folder.join(TABLES);
        let names = plan.services.iter().map(|service| service.name.as_str());
        Self {
            counts: Counts::of(plan),
            services: names.map(|name| files(tables.join(name))).collect(),
            refused: files(folder.join(REFUSED)),
            line: Vec::new(),
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
        shape(plan, item, unreadable, |shaped| match shaped {
            Shaped::LeftBehind => {
                self.counts.left_behind += 1;
                Ok(())
            }
            Shaped::For(place, item) => {
                let count = &mut self.counts.services[place];
                count.items += 1;
                count.bytes += item.size() as u64;
                item.write_line(&mut self.line);
                self.services[place].add(&self.line)
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
