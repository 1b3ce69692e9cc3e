//! Prices of requests: a dated table, and a file that replaces it.

use super::node_reader::{FaultKind, NodeReader};
use super::problem::{PlanError, Problem, Problems};
use super::source_map;
use serde::{Deserialize, Serialize};

/// Prices of requests, in US dollars. They change, and differ by region and contract. So the table has a date and a
/// region, and a file can replace it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Prices {
    /// Of when, as in `2026-10`.
    pub as_of: String,
    /// Of which region.
    pub region: String,
    /// Where they are published, or whose they are.
    #[serde(default = "own")]
    pub source: String,
    /// Tables of the class Standard, on demand.
    pub standard: RequestPrices,
    /// Tables of the class Standard-Infrequent Access, on demand.
    #[serde(default = "infrequent_access")]
    pub infrequent_access: RequestPrices,
    /// A million reads of a stream (`GetRecords`).
    #[serde(default = "stream_reads")]
    pub stream_reads_per_million: f64,
    /// A gigabyte of an import from S3, before compression.
    #[serde(default = "imports")]
    pub import_per_gb: f64,
    /// A gigabyte of an export to S3; of an incremental one, a gigabyte of changes.
    #[serde(default = "exports")]
    pub export_per_gb: f64,
}

/// Prices of a table class, on demand.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RequestPrices {
    /// A million read request units.
    pub read_per_million: f64,
    /// A million write request units.
    pub write_per_million: f64,
}

fn own() -> String {
    "a price file".to_owned()
}

fn infrequent_access() -> RequestPrices {
    Prices::published().infrequent_access
}

fn stream_reads() -> f64 {
    Prices::published().stream_reads_per_million
}

fn imports() -> f64 {
    Prices::published().import_per_gb
}

fn exports() -> f64 {
    Prices::published().export_per_gb
}

impl Prices {
    /// AWS's list prices in us-east-1, as they were in October 2026.
    /// See [on-demand prices](https://aws.amazon.com/dynamodb/pricing/on-demand/).
    #[must_use]
    pub fn published() -> Self {
        Self {
            as_of: "2026-10".to_owned(),
            region: "us-east-1".to_owned(),
            source: "https://aws.amazon.com/dynamodb/pricing/on-demand/".to_owned(),
            standard: RequestPrices {
                read_per_million: 0.125,
                write_per_million: 0.625,
            },
            infrequent_access: RequestPrices {
                read_per_million: 0.155,
                write_per_million: 0.78,
            },
            stream_reads_per_million: 0.20,
            import_per_gb: 0.15,
            export_per_gb: 0.10,
        }
    }

    /// Reads a price file, YAML or JSON. `as-of`, `region` and `standard` are mandatory; other missing prices are as
    /// published.
    ///
    /// # Errors
    /// With the problem and its place.
    pub fn parse(text: &str, file: &str) -> Result<Self, PlanError> {
        let (root, flaws) = source_map::read(text);
        let mut problems: Vec<Problem> = flaws.into_iter().map(Problem::from).collect();
        if let Some(root) = root {
            match Self::deserialize(NodeReader(&root)) {
                Ok(prices) if problems.is_empty() => match prices.impossible() {
                    None => return Ok(prices),
                    Some(problem) => problems.push(problem),
                },
                Ok(_) => {}
                Err(fault) => {
                    let mark = root.mark(&fault.path(), false);
                    problems.push(Problem {
                        line: mark.line,
                        column: mark.column,
                        path: fault.path().to_string(),
                        message: say(&fault.kind),
                        hint: Some(HINT.to_owned()),
                    });
                }
            }
        }
        if problems.is_empty() {
            problems.push(at_start("the file contains no prices".to_owned()));
        }
        Err(PlanError::Invalid(Problems::new(file, text, problems)))
    }

    /// The prices of a table class, as AWS names it.
    #[must_use]
    pub fn of_class(&self, infrequent_access: bool) -> RequestPrices {
        if infrequent_access {
            self.infrequent_access
        } else {
            self.standard
        }
    }

    fn impossible(&self) -> Option<Problem> {
        let each = [
            ("standard.read-per-million", self.standard.read_per_million),
            ("standard.write-per-million", self.standard.write_per_million),
            (
                "infrequent-access.read-per-million",
                self.infrequent_access.read_per_million,
            ),
            (
                "infrequent-access.write-per-million",
                self.infrequent_access.write_per_million,
            ),
            ("stream-reads-per-million", self.stream_reads_per_million),
            ("import-per-gb", self.import_per_gb),
            ("export-per-gb", self.export_per_gb),
        ];
        let (name, price) = each
            .into_iter()
            .find(|(_, price)| !price.is_finite() || *price < 0.0)?;
        Some(at_start(format!("{name}: {price} is not a price")))
    }
}

const HINT: &str = "write it like { as-of: 2026-10, region: eu-west-1, standard: { read-per-million: 0.14, \
                    write-per-million: 0.71 } }, in US dollars";

fn at_start(message: String) -> Problem {
    Problem {
        line: 1,
        column: 1,
        path: String::new(),
        message,
        hint: Some(HINT.to_owned()),
    }
}

fn say(kind: &FaultKind) -> String {
    match kind {
        FaultKind::UnknownField { field, .. } => format!("a price file has no setting `{field}`"),
        FaultKind::MissingField(field) => format!("`{field}` is missing"),
        FaultKind::UnknownWord { word, .. } => format!("`{word}` is not a known value here"),
        FaultKind::WrongType { found, expected } => format!("expected {expected}, found {found}"),
        FaultKind::Other(message) => message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_takes_the_place_of_the_list() {
        let text =
            "as-of: 2027-01\nregion: eu-west-1\nstandard: { read-per-million: 1, write-per-million: 2.5 }\n";
        let prices = Prices::parse(text, "prices.yaml").unwrap();
        assert_eq!(
            (prices.as_of.as_str(), prices.region.as_str()),
            ("2027-01", "eu-west-1")
        );
        assert_eq!(prices.of_class(false).write_per_million, 2.5);
        assert_eq!(prices.of_class(true), Prices::published().infrequent_access);
        let json = serde_json::to_string(&prices).unwrap();
        assert_eq!(Prices::parse(&json, "prices.json").unwrap(), prices);
    }

    #[test]
    fn what_is_wrong_is_told_at_its_line() {
        for (text, expected) in [
            ("", "prices.yaml:1:1: the file contains no prices"),
            ("region: x\n", "`as-of` is missing"),
            (
                "as-of: a\nregion: x\nstandart: 5\n",
                "a price file has no setting `standart`",
            ),
            (
                "as-of: a\nregion: x\nstandard: { read-per-million: cheap, write-per-million: 1 }\n",
                "prices.yaml:3:",
            ),
            (
                "as-of: a\nregion: x\nstandard: { read-per-million: -1, write-per-million: 1 }\n",
                "is not a price",
            ),
        ] {
            let error = Prices::parse(text, "prices.yaml").unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
