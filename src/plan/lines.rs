//! The lines on which the settings of a plan stand in its file.

use super::path::Path;
use super::source_map::{Data, Node};
use std::collections::BTreeMap;

/// Where the settings of a plan stand in its file.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    pub(super) file: String,
    /// By path. Sample data is left out: it may be long, and is compared with nothing.
    lines: BTreeMap<String, usize>,
}

impl Lines {
    /// Of a file that was read.
    pub fn of(file: &str, root: &Node) -> Self {
        let mut lines = Self {
            file: file.to_owned(),
            lines: BTreeMap::new(),
        };
        lines.note(&Path::root(), root);
        lines
    }

    fn note(&mut self, path: &Path, node: &Node) {
        let mut add = |path: Path, line: usize, node: &Node| {
            self.lines.insert(path.to_string(), line);
            self.note(&path, node);
        };
        match &node.data {
            Data::Map(entries) => {
                let samples = path.0.is_empty();
                for entry in entries
                    .iter()
                    .filter(|entry| !samples || entry.name != "rehearse")
                {
                    add(path.field(&entry.name), entry.at.line, &entry.value);
                }
            }
            Data::List(list) => {
                for (n, node) in list.iter().enumerate() {
                    add(path.index(n), node.at.line, node);
                }
            }
            _ => {}
        }
    }

    /// Whether the file has the setting.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.lines.contains_key(&path.to_string())
    }

    /// The line of a setting, or of its place.
    pub(super) fn line(&self, path: &Path) -> Option<usize> {
        let mut path = path.clone();
        loop {
            if let Some(line) = self.lines.get(&path.to_string()) {
                return Some(*line);
            }
            path.0.pop()?;
        }
    }
}
