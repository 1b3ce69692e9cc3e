//! A put as a PartiQL `INSERT`, which lands only if the target has no item.

use super::gather::Sent;
use super::put_item::PutItem;
use crate::flow::{Guard, Write, WriteKind};
use crate::model::Key;
use crate::model::raw::write_text;
use crate::plan::PutCost;

/// A put that lands only if the target has no item, as a PartiQL `INSERT`. It is the only conditional write that
/// DynamoDB accepts in batches
/// ([BatchExecuteStatement](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html)).
#[derive(Debug)]
pub struct Insert {
    /// Key in the target. One batch never holds a key twice.
    pub key: Key,
    statement: String,
    item: PutItem,
    /// Bytes of the item, about.
    pub bytes: usize,
    /// Thousandths of write units that it uses, if the engine does not report it.
    estimated_milliunits: u64,
}

/// A statement and its parameters.
#[derive(Debug)]
pub struct Statement {
    pub(super) text: String,
    pub(super) item: PutItem,
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
        let item = match kind {
            WriteKind::Put(item) => PutItem::Whole(item),
            WriteKind::PutRaw(item) => PutItem::Raw(item),
            kind @ WriteKind::Remove(_) => return Err(Box::new(Write { key, kind, guard })),
        };
        if matches!(guard, Guard::Absent | Guard::Older(_))
            && let Some(statement) = statement(table, item.names())
        {
            return Ok(Self {
                key,
                statement,
                bytes: item.size(),
                estimated_milliunits: item.milliunits(cost),
                item,
            });
        }
        let kind = item.into_kind();
        Err(Box::new(Write { key, kind, guard }))
    }

    /// Its part of the request.
    #[must_use]
    pub fn into_request(self) -> (Sent, Statement) {
        let sent = Sent {
            key: self.key,
            estimated_milliunits: self.estimated_milliunits,
        };
        let statement = Statement {
            text: self.statement,
            item: self.item,
        };
        (sent, statement)
    }
}

/// `INSERT INTO "table" VALUE {'name': ?, ...}`. Names are quoted; one that would need an escape, on which engines
/// differ, is left to the single put.
fn statement<'a>(table: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut text = format!("INSERT INTO \"{table}\" VALUE {{");
    for (place, name) in names.enumerate() {
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

/// The body of a request with these statements.
#[must_use]
pub(super) fn statements_body(statements: &[Statement]) -> Vec<u8> {
    let bytes: usize = statements
        .iter()
        .map(|one| one.text.len() + one.item.text_bytes())
        .sum();
    let mut body = Vec::with_capacity(bytes + 128);
    body.extend_from_slice(br#"{"Statements":["#);
    for (place, Statement { text, item }) in statements.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        body.extend_from_slice(br#"{"Statement":"#);
        write_text(text, &mut body);
        body.extend_from_slice(br#","Parameters":["#);
        item.write_values(&mut body);
        body.extend_from_slice(b"]}");
    }
    body.extend_from_slice(br#"],"ReturnConsumedCapacity":"TOTAL"}"#);
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Item, Value, Version};

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
        assert_eq!(made.item.names().count(), 2);
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
