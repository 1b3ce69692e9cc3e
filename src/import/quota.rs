//! The quotas of imports. Pure. They are those of every account; AWS raises them on request, and no request tells what they are.
//! See [Import format quotas](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataImport.Validation.html).

use crate::model::{count, counted};

/// Imports that an account makes at the same time in a region.
const MOST_IMPORTS: u64 = 50;
const TERABYTE: u64 = 1_000_000_000_000;
/// Regions in which an account may import more at the same time.
const LARGE_REGIONS: [&str; 3] = ["us-east-1", "us-west-2", "eu-west-1"];

/// Bytes that an account imports at the same time in a region.
const fn most_bytes(is_large: bool) -> u64 {
    if is_large { 15 * TERABYTE } else { TERABYTE }
}

/// The imports that one region would make at the same time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegionalImports<'a> {
    /// The region.
    pub region: &'a str,
    /// Bytes of JSON, by a forecast.
    pub bytes: u64,
    /// Tables to import.
    pub tables: u64,
    /// Imports of the account that run already. Their size is unknown.
    pub running: u64,
}

impl RegionalImports<'_> {
    /// The quotas that would be exceeded, in words.
    #[must_use]
    pub fn exceeded(&self) -> Option<String> {
        let most = most_bytes(LARGE_REGIONS.contains(&self.region));
        let mut found = Vec::new();
        if self.bytes > most {
            found.push(format!(
                "the imports in {} may have {} GB of JSON, and an account imports at most {} GB at the same time there",
                self.region,
                count(self.bytes.div_ceil(1_000_000_000)),
                count(most / 1_000_000_000)
            ));
        }
        if self.tables + self.running > MOST_IMPORTS {
            found.push(format!(
                "{} would be imported at the same time in {}, where {} of the account {} already, and an account makes at most {MOST_IMPORTS}",
                counted(self.tables, "table"),
                self.region,
                counted(self.running, "import"),
                if self.running == 1 { "runs" } else { "run" },
            ));
        }
        (!found.is_empty()).then(|| found.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(region: &str, bytes: u64, tables: u64, running: u64) -> Option<String> {
        let found = RegionalImports {
            region,
            bytes,
            tables,
            running,
        };
        found.exceeded()
    }

    #[test]
    fn three_regions_import_fifteen_terabytes_and_the_others_one() {
        for region in LARGE_REGIONS {
            assert_eq!(imports(region, 15 * TERABYTE, 4, 0), None);
            let told = imports(region, 15 * TERABYTE + 1, 4, 0).unwrap();
            assert!(told.contains("15,001 GB") && told.contains("15,000 GB"), "{told}");
        }
        assert_eq!(imports("eu-central-1", TERABYTE, 4, 0), None);
        let told = imports("eu-central-1", TERABYTE + 1, 4, 0).unwrap();
        assert!(
            told.contains("eu-central-1") && told.contains("at most 1,000 GB"),
            "{told}"
        );
    }

    #[test]
    fn imports_of_others_count() {
        assert_eq!(imports("eu-west-1", 1, 4, 46), None);
        let told = imports("eu-west-1", 1, 4, 47).unwrap();
        assert!(
            told.contains("4 tables") && told.contains("47 imports of the account run"),
            "{told}"
        );
        assert!(imports("eu-west-1", 1, 51, 0).is_some());
        let both = imports("eu-central-1", 2 * TERABYTE, 50, 1).unwrap();
        assert!(
            both.contains("; 50 tables") && both.contains("1 import of the account runs"),
            "{both}"
        );
    }
}
