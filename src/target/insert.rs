//! A put as a PartiQL `INSERT`, which lands only if the target has no item.

use super::gather::Sent;
use crate::dynamo::convert::value_to_sdk;
use crate::flow::{Guard, Write, WriteKind};
use crate::model::{Item, ItemExt, Key};
use crate::plan::PutCost;
use aws_sdk_dynamodb::types::{AttributeValue, BatchStatementRequest};

/// A put that lands only if the target has no item, as a PartiQL `INSERT`. It is the only conditional write that
/// DynamoDB accepts in batches
/// ([BatchExecuteStatement](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html)).
#[derive(Debug)]
pub struct Insert {
    /// Key in the target. One batch never holds a key twice.
    pub key: Key,
    statement: String,
    parameters: Vec<AttributeValue>,
    /// Bytes of the item, about.
    pub bytes: usize,
    /// Thousandths of write units that it uses, if the engine does not report the use.
    estimated_milliunits: u64,
}

/// Characters that a statement may have
/// ([limits](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementRequest.html)).
const LONGEST_STATEMENT_CHARS: usize = 8192;

impl Insert {
    /// The insert with which a write begins.
    ///
    /// # Errors
    /// The write, if its guard does not allow a write to an empty key, or if a statement can't express it.
    pub fn of(table: &str, cost: &PutCost, write: Write) -> Result<Self, Box<Write>> {
        let Write { key, kind, guard } = write;
        match kind {
            WriteKind::Put(item)
                if matches!(guard, Guard::Absent | Guard::Older(_))
                    && let Some(statement) = statement(table, &item) =>
            {
                Ok(Self {
                    key,
                    statement,
                    bytes: item.size(),
                    estimated_milliunits: cost.milliunits(&item),
                    parameters: item.into_values().map(value_to_sdk).collect(),
                })
            }
            kind => Err(Box::new(Write { key, kind, guard })),
        }
    }

    /// As the SDK's requests take it.
    #[must_use]
    pub fn into_request(self) -> Option<(Sent, BatchStatementRequest)> {
        let request = BatchStatementRequest::builder()
            .statement(self.statement)
            .set_parameters(Some(self.parameters))
            .build();
        let sent = Sent {
            key: self.key,
            estimated_milliunits: self.estimated_milliunits,
        };
        Some((sent, request.ok()?))
    }
}

/// `INSERT INTO "table" VALUE {'name': ?, ...}`. Names are quoted; one that would need an escape, on which engines
/// differ, is left to the single put.
fn statement(table: &str, item: &Item) -> Option<String> {
    let mut text = format!("INSERT INTO \"{table}\" VALUE {{");
    for (place, name) in item.keys().enumerate() {
        if name.contains(['\'', '"', '\\', '?']) || name.chars().any(char::is_control) {
            return None;
        }
        if place > 0 {
            text.push(',');
        }
        text.push('\'');
        text.push_str(name);
        text.push_str("':?");
    }
    text.push('}');
    (text.chars().count() <= LONGEST_STATEMENT_CHARS).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Value, Version};

    fn write(names: &[&str], guard: Guard) -> Write {
        let item: Item = names
            .iter()
            .map(|name| ((*name).to_owned(), Value::s("x")))
            .collect();
        let key = Key {
            partition: Value::s("x"),
            sort: None,
        };
        Write {
            key,
            kind: WriteKind::Put(item),
            guard,
        }
    }

    #[test]
    fn a_put_of_the_backfill_is_an_insert() {
        let made = Insert::of("T.1", &PutCost::default(), write(&["id", "a b"], Guard::Absent)).unwrap();
        assert_eq!(made.statement, r#"INSERT INTO "T.1" VALUE {'a b':?,'id':?}"#);
        assert_eq!(made.parameters.len(), 2);
        let older = Guard::Older(Version::Text("5".into()));
        assert!(Insert::of("T", &PutCost::default(), write(&["id"], older)).is_ok());
    }

    #[test]
    fn what_may_land_on_something_is_none() {
        for guard in [Guard::Any, Guard::NotNewer(Version::Text("5".into()))] {
            assert!(Insert::of("T", &PutCost::default(), write(&["id"], guard)).is_err());
        }
        let mut removal = write(&["id"], Guard::Absent);
        removal.kind = WriteKind::Remove(None);
        assert!(Insert::of("T", &PutCost::default(), removal).is_err());
    }

    #[test]
    fn what_a_statement_can_not_say_is_put_alone() {
        for odd in ["it's", "a\"b", "a\\b", "a\nb", "a?"] {
            assert!(
                Insert::of("T", &PutCost::default(), write(&["id", odd], Guard::Absent)).is_err(),
                "{odd}"
            );
        }
        let names: Vec<String> = (0..1000).map(|n| format!("attribute-{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(Insert::of("T", &PutCost::default(), write(&names, Guard::Absent)).is_err());
        assert!(Insert::of("T", &PutCost::default(), write(&names[..400], Guard::Absent)).is_ok());
    }
}
