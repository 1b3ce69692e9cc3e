//! What somebody wrote for each service: how many items, and a sum of them in which their order does not count.

use crate::trouble::{Told, Tried, Trouble};
use flate2::read::MultiGzDecoder;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// By service.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written(BTreeMap<String, (u64, u64)>);

const SERVICES: [&str; 4] = ["CourseCatalog", "Content", "Progress", "Users"];

impl Written {
    /// Reads all files below a folder: each is in a folder with the name of its service (on Spark, behind `service=`).
    pub fn below(folder: &Path) -> Tried<Self> {
        let mut written = Self::default();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).told("the shaped files")? {
                let path = entry.told("the shaped files")?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path
                    .extension()
                    .is_some_and(|end| ["gz", "json", "zst"].iter().any(|known| end == *known))
                    && !path.ends_with("report.json")
                {
                    let name = folder.file_name().unwrap_or_default().to_string_lossy();
                    let service = name.trim_start_matches("service=");
                    written.add(service, &path)?;
                }
            }
        }
        match written.0.keys().map(String::as_str).eq(sorted()) {
            true => Ok(written),
            false => Err(Trouble::new(format!(
                "files of {:?} were written",
                written.0.keys()
            ))),
        }
    }

    fn add(&mut self, service: &str, path: &Path) -> Tried<()> {
        let sum = self.0.entry(service.to_owned()).or_default();
        let packed = File::open(path).told("a shaped file")?;
        let text: Box<dyn Read> = match path.extension().and_then(|end| end.to_str()) {
            Some("gz") => Box::new(MultiGzDecoder::new(packed)),
            Some("zst") => Box::new(zstd::stream::read::Decoder::new(packed).told("a shaped file")?),
            _ => Box::new(packed),
        };
        for line in BufReader::new(text).lines() {
            let line: Value = serde_json::from_str(&line.told("a shaped file")?).told("a shaped item")?;
            sum.0 += 1;
            sum.1 = sum.1.wrapping_add(hash(&line));
        }
        Ok(())
    }

    /// How many items there are.
    pub fn items(&self) -> u64 {
        self.0.values().map(|(items, _)| items).sum()
    }

    /// Whether every service has items, and one of them fewer than by a plan that gives it all.
    pub fn is_part_of(&self, all: &Self) -> Tried<()> {
        let fewer = |(service, (items, sum)): (&String, &(u64, u64))| match all.0.get(service) {
            Some(of_all) if service == "Users" => *items < of_all.0,
            of_all => of_all == Some(&(*items, *sum)),
        };
        match self.0.len() == all.0.len() && self.0.iter().all(fewer) {
            true => Ok(()),
            false => Err(Trouble::new(format!("{:?} is no part of {:?}", self.0, all.0))),
        }
    }

    /// Whether somebody else wrote the same.
    pub fn compare(&self, other: &Self, who: &str) -> Tried<()> {
        match self == other {
            true => Ok(()),
            false => Err(Trouble::new(format!(
                "{who} wrote other items than dynasplit: {:?} instead of {:?}",
                other.0, self.0
            ))),
        }
    }
}

fn sorted() -> impl Iterator<Item = &'static str> {
    let mut names = SERVICES;
    names.sort_unstable();
    names.into_iter()
}

/// The order of attributes does not count.
fn hash(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    match value {
        Value::Object(entries) => {
            let sum = entries.iter().fold(0u64, |sum, (name, value)| {
                let mut entry = DefaultHasher::new();
                (name, hash(value)).hash(&mut entry);
                sum.wrapping_add(entry.finish())
            });
            ("object", entries.len(), sum).hash(&mut hasher);
        }
        Value::Array(values) => {
            values.len().hash(&mut hasher);
            values.iter().for_each(|value| hash(value).hash(&mut hasher));
        }
        other => other.to_string().hash(&mut hasher),
    }
    hasher.finish()
}
