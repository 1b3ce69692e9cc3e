//! Names of services and tables, made of words from the table.

use std::collections::BTreeSet;

const LONGEST_SERVICE: usize = 40;
const LONGEST_PLAN_NAME: usize = 100;
const LONGEST_SOURCE_PART: usize = 200;
const SHORTEST_TABLE: usize = 3;

/// Lower case, with hyphens between words: `MallStore` and `MALL_STORE` become `mall-store`.
pub(super) fn kebab(text: &str) -> String {
    let mut out = String::new();
    let mut before = ' ';
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            if c.is_ascii_uppercase() && before.is_ascii_lowercase() {
                out.push('-');
            }
            out.push(c.to_ascii_lowercase());
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
        before = c;
    }
    out.truncate(LONGEST_SERVICE);
    out.trim_matches('-').to_owned()
}

/// The name of the split.
pub(super) fn split(table: &str) -> String {
    let name = kebab(table);
    match name.is_empty() {
        true => "split".to_owned(),
        false => name.chars().take(LONGEST_PLAN_NAME).collect(),
    }
}

/// Whether a name is one that DynamoDB accepts for a table or an index.
pub(super) fn is_table(name: &str) -> bool {
    (SHORTEST_TABLE..=255).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

/// Names that are given out: none twice.
#[derive(Debug, Default)]
pub(super) struct Names {
    services: BTreeSet<String>,
    tables: BTreeSet<String>,
}

impl Names {
    /// With the tables that no service may have.
    pub fn besides(source: &str, split: &str) -> Self {
        Self {
            services: BTreeSet::new(),
            tables: [source.to_owned(), format!("dynasplit-{split}")].into(),
        }
    }

    /// A service's name, of the first word that can be one.
    pub fn service(&mut self, words: &[&str]) -> String {
        let name = words.iter().map(|word| kebab(word)).find(|name| !name.is_empty());
        unused(&mut self.services, &name.unwrap_or_else(|| "service".to_owned()))
    }

    /// The name of a service's table.
    pub fn table(&mut self, source: &str, service: &str) -> String {
        let source: String = source.chars().take(LONGEST_SOURCE_PART).collect();
        unused(&mut self.tables, &format!("{source}-{service}"))
    }
}

fn unused(taken: &mut BTreeSet<String>, wanted: &str) -> String {
    let mut name = wanted.to_owned();
    let mut n = 2;
    while !taken.insert(name.clone()) {
        name = format!("{wanted}-{n}");
        n += 1;
    }
    name
}

/// The last word of a key pattern: `$app#employee_` becomes `employee`.
pub(super) fn last_word(pattern: &str) -> &str {
    pattern
        .trim_end_matches(|c: char| !c.is_ascii_alphanumeric())
        .rsplit(['#', '|', ':', '/'])
        .next()
        .unwrap_or_default()
}
