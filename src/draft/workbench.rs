//! Models of NoSQL Workbench: tables with sample data, as JSON.

use crate::model::json::{JsonError, item_from_json};
use crate::model::{AttributeKind, IndexFacts, Item, KeyAttribute, KeySchema, Projected};
use serde_json::Value as Json;

/// A table of a model.
#[derive(Clone, Debug)]
pub struct Model {
    /// Name of the table.
    pub table: String,
    /// Its primary key.
    pub keys: KeySchema,
    /// Its indexes.
    pub indexes: Vec<IndexFacts>,
    /// Its sample data, with the sample data of its facets.
    pub items: Vec<Item>,
    /// The names of its facets.
    pub facets: Vec<String>,
}

/// Why a model cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// No table of this name, or none at all.
    #[error("the model has no table '{wanted}'; its tables are: {tables}")]
    NoTable {
        /// The name.
        wanted: String,
        /// The names that it has.
        tables: String,
    },
    /// Several tables, and no name was given.
    #[error("the model has several tables: {0}. Name one of them before --from-file")]
    Several(String),
    /// The table has no key.
    #[error("the table '{0}' of the model has no partition key with a name and a type")]
    NoKey(String),
    /// No sample data.
    #[error("the table '{0}' of the model has no sample data, so its kinds of items are not known")]
    NoData(String),
    /// An item is no DynamoDB JSON.
    #[error("item {number} of the table '{table}' cannot be read: {source}")]
    Item {
        /// The table.
        table: String,
        /// The place of the item, from 1.
        number: usize,
        /// The problem.
        source: JsonError,
    },
}

/// Whether a document is a model.
#[must_use]
pub fn is_model(document: &Json) -> bool {
    document["DataModel"].is_array()
}

/// The table of this name in a model, or its only table.
///
/// # Errors
/// See [`ModelError`].
pub fn model(document: &Json, wanted: Option<&str>) -> Result<Model, ModelError> {
    let tables = list(&document["DataModel"]);
    let name = |table: &Json| text(&table["TableName"]);
    let names = || tables.iter().map(name).collect::<Vec<_>>().join(", ");
    let table = match (wanted, tables) {
        (None, [table]) => table,
        (None, [_, _, ..]) => return Err(ModelError::Several(names())),
        (wanted, tables) => {
            let wanted = wanted.unwrap_or_default().to_owned();
            let found = tables.iter().find(|table| name(table) == wanted);
            found.ok_or_else(|| ModelError::NoTable {
                wanted,
                tables: names(),
            })?
        }
    };
    let name = name(table);
    let keys = keys(&table["KeyAttributes"]).ok_or_else(|| ModelError::NoKey(name.clone()))?;
    let facets = list(&table["TableFacets"]);
    let data = list(&table["TableData"])
        .iter()
        .chain(facets.iter().flat_map(|facet| list(&facet["TableData"])));
    let mut items = Vec::new();
    for (n, item) in data.enumerate() {
        let item = item_from_json(item.clone()).map_err(|source| ModelError::Item {
            table: name.clone(),
            number: n + 1,
            source,
        })?;
        // A facet repeats items of the table.
        if !items.contains(&item) {
            items.push(item);
        }
    }
    if items.is_empty() {
        return Err(ModelError::NoData(name));
    }
    Ok(Model {
        indexes: indexes(table, &keys),
        facets: facets.iter().map(|facet| text(&facet["FacetName"])).collect(),
        table: name,
        keys,
        items,
    })
}

fn list(json: &Json) -> &[Json] {
    json.as_array().map_or(&[], Vec::as_slice)
}

fn text(json: &Json) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

fn attribute(json: &Json) -> Option<KeyAttribute> {
    let kind = match json["AttributeType"].as_str()? {
        "S" => AttributeKind::S,
        "N" => AttributeKind::N,
        "B" => AttributeKind::B,
        _ => return None,
    };
    let name = json["AttributeName"]
        .as_str()
        .filter(|name| !name.is_empty())?
        .to_owned();
    Some(KeyAttribute { name, kind })
}

fn keys(json: &Json) -> Option<KeySchema> {
    Some(KeySchema {
        partition: attribute(&json["PartitionKey"])?,
        sort: attribute(&json["SortKey"]),
    })
}

fn indexes(table: &Json, of_table: &KeySchema) -> Vec<IndexFacts> {
    let global = list(&table["GlobalSecondaryIndexes"])
        .iter()
        .map(|index| (index, false));
    let local = list(&table["LocalSecondaryIndexes"])
        .iter()
        .map(|index| (index, true));
    let both = global.chain(local);
    both.filter_map(|(index, local)| {
        let mut keys = match keys(&index["KeyAttributes"]) {
            Some(keys) => keys,
            None if local => KeySchema {
                partition: of_table.partition.clone(),
                sort: attribute(&index["KeyAttributes"]["SortKey"]),
            },
            None => return None,
        };
        if keys
            .sort
            .as_ref()
            .is_some_and(|sort| sort.name == keys.partition.name)
        {
            keys.sort = None;
        }
        let projected = match index["Projection"]["ProjectionType"].as_str() {
            Some("KEYS_ONLY") => Projected::Keys,
            Some("INCLUDE") => Projected::These(
                list(&index["Projection"]["NonKeyAttributes"])
                    .iter()
                    .map(text)
                    .collect(),
            ),
            _ => Projected::All,
        };
        Some(IndexFacts {
            name: text(&index["IndexName"]),
            keys,
            projected,
            local,
        })
    })
    .collect()
}
