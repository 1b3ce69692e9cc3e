//! Holds a condition against an item, by DynamoDB's rules.
//!
//! The rules that surprise, each as the genuine engine behaves: a missing attribute makes every
//! comparator false but `<>`, which it makes true; values of two types are unequal and have no order;
//! only strings, numbers and binaries have an order (text by its UTF-8 bytes); `size` of text counts
//! UTF-16 code units, and numbers, booleans and null have no size, as if they were missing.

use super::ast::{Comparator, Expr, Operand, Path, Step};
use crate::model::{Item, Number, Value};
use std::borrow::Cow;
use std::cmp::Ordering;

/// Whether the condition holds for the item.
pub(super) fn holds(expr: &Expr, item: &Item) -> bool {
    match expr {
        Expr::And(members) => members.iter().all(|member| holds(member, item)),
        Expr::Or(members) => members.iter().any(|member| holds(member, item)),
        Expr::Not(inner) => !holds(inner, item),
        Expr::Compare {
            left,
            comparator,
            right,
        } => compare(value_of(left, item), *comparator, value_of(right, item)),
        Expr::Between { value, low, high } => {
            let value = value_of(value, item);
            compare(value.clone(), Comparator::Ge, value_of(low, item))
                && compare(value, Comparator::Le, value_of(high, item))
        }
        Expr::In { value, list } => {
            let value = value_of(value, item);
            list.iter()
                .any(|member| compare(value.clone(), Comparator::Eq, value_of(member, item)))
        }
        Expr::AttributeExists(path) => find(path, item).is_some(),
        Expr::AttributeNotExists(path) => find(path, item).is_none(),
        Expr::AttributeType(path, name) => find(path, item).is_some_and(|value| value.type_name() == *name),
        Expr::BeginsWith(path, prefix) => find(path, item)
            .zip(value_of(prefix, item))
            .is_some_and(|(value, prefix)| begins_with(value, &prefix)),
        Expr::Contains(path, member) => find(path, item)
            .zip(value_of(member, item))
            .is_some_and(|(value, member)| contains(value, &member)),
    }
}

/// The value at a path, if there is one.
fn find<'a>(path: &Path, item: &'a Item) -> Option<&'a Value> {
    let mut value = item.get(&path.name)?;
    for step in &path.steps {
        value = match (step, value) {
            (Step::Name(name), Value::M(entries)) => entries.get(name)?,
            (Step::Index(index), Value::L(values)) => values.get(usize::try_from(*index).ok()?)?,
            _ => return None,
        };
    }
    Some(value)
}

fn value_of<'a>(operand: &'a Operand, item: &'a Item) -> Option<Cow<'a, Value>> {
    match operand {
        Operand::Literal(value) => Some(Cow::Borrowed(value)),
        Operand::Path(path) => find(path, item).map(Cow::Borrowed),
        Operand::Size(path) => {
            let size = i64::try_from(size(find(path, item)?)?).ok()?;
            Some(Cow::Owned(Value::N(Number::from(size))))
        }
    }
}

/// What `size` gives. AWS speaks of a string's length only; the engines, AWS's own included, count
/// UTF-16 code units, so that an emoji is two.
fn size(value: &Value) -> Option<usize> {
    match value {
        Value::S(text) => Some(text.encode_utf16().count()),
        Value::B(bytes) => Some(bytes.len()),
        Value::L(values) => Some(values.len()),
        Value::M(entries) => Some(entries.len()),
        Value::Ss(members) => Some(members.len()),
        Value::Ns(members) => Some(members.len()),
        Value::Bs(members) => Some(members.len()),
        Value::N(_) | Value::Bool(_) | Value::Null => None,
    }
}

fn compare(left: Option<Cow<'_, Value>>, comparator: Comparator, right: Option<Cow<'_, Value>>) -> bool {
    let equal = || matches!((&left, &right), (Some(left), Some(right)) if left == right);
    let ordering = || order(left.as_deref()?, right.as_deref()?);
    match comparator {
        Comparator::Eq => equal(),
        Comparator::Ne => !equal(),
        Comparator::Lt => ordering().is_some_and(Ordering::is_lt),
        Comparator::Le => ordering().is_some_and(Ordering::is_le),
        Comparator::Gt => ordering().is_some_and(Ordering::is_gt),
        Comparator::Ge => ordering().is_some_and(Ordering::is_ge),
    }
}

/// The order of two values of one type that has an order.
pub(super) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        // Rust compares text by its UTF-8 bytes, as DynamoDB does.
        (Value::S(left), Value::S(right)) => Some(left.cmp(right)),
        (Value::N(left), Value::N(right)) => Some(left.cmp(right)),
        (Value::B(left), Value::B(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

fn begins_with(value: &Value, prefix: &Value) -> bool {
    match (value, prefix) {
        (Value::S(value), Value::S(prefix)) => value.starts_with(prefix.as_str()),
        (Value::B(value), Value::B(prefix)) => value.starts_with(prefix),
        _ => false,
    }
}

/// Text within text, bytes within bytes, a member of a set, or an element of a list.
fn contains(value: &Value, member: &Value) -> bool {
    match (value, member) {
        (Value::S(value), Value::S(part)) => value.contains(part.as_str()),
        (Value::B(value), Value::B(part)) => {
            part.is_empty() || value.windows(part.len()).any(|window| window == part)
        }
        (Value::Ss(members), Value::S(member)) => members.contains(member),
        (Value::Ns(members), Value::N(member)) => members.contains(member),
        (Value::Bs(members), Value::B(member)) => members.contains(member),
        (Value::L(values), member) => values.contains(member),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{Item, Number, Value};
    use crate::plan::expr::Condition;

    fn n(text: &str) -> Value {
        Value::N(Number::parse(text).unwrap())
    }

    fn item() -> Item {
        Item::from([
            ("text".into(), Value::s("COURSE#é😀")),
            ("empty".into(), Value::s("")),
            ("one".into(), n("1.0")),
            ("bytes".into(), Value::B(vec![1, 255, 2])),
            ("flag".into(), Value::Bool(true)),
            ("nothing".into(), Value::Null),
            ("tags".into(), Value::string_set(vec!["b".into(), "a".into()])),
            (
                "list".into(),
                Value::L(vec![n("7"), Value::Null, Value::L(vec![Value::s("in")])]),
            ),
            (
                "map".into(),
                Value::M([("a.b".into(), n("2")), ("list".into(), Value::L(vec![n("3")]))].into()),
            ),
        ])
    }

    #[track_caller]
    fn check(text: &str, expected: bool) {
        let condition = Condition::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(condition.matches(&item()), expected, "{text}");
    }

    #[test]
    fn a_missing_attribute_fails_every_comparator_but_unequal() {
        for comparator in ["=", "<", "<=", ">", ">="] {
            check(&format!("gone {comparator} 1"), false);
            check(&format!("NOT gone {comparator} 1"), true);
            check(&format!("gone {comparator} \"gone-too\""), false);
        }
        check("gone <> 1", true);
        check("gone <> \"gone-too\"", true);
        check("gone IN (1, 'a')", false);
        check("gone BETWEEN 1 AND 2", false);
        check("size(gone) = 0", false);
        check(
            "contains(gone, 'a') OR begins_with(gone, '') OR attribute_type(gone, 'S')",
            false,
        );
    }

    #[test]
    fn types_are_never_converted() {
        check(
            "one = 1 AND one <> '1' AND NOT one < '2' AND NOT one >= '0'",
            true,
        );
        check("text > 0 OR text <= 0", false);
        check("bytes >= b64'AQ==' AND bytes < b64'Ag=='", true);
        check("flag = true AND flag <> false AND flag <> 'true'", true);
        check(
            "nothing = null AND attribute_exists(nothing) AND attribute_type(nothing, 'NULL')",
            true,
        );
        check("one BETWEEN 0.5 AND 1e0", true);
        check("text BETWEEN 0 AND 1", false);
        check("one IN ('1', 1.00)", true);
    }

    #[test]
    fn documents_and_sets_are_compared_whole() {
        check("tags = <<'a', 'b'>>", true);
        check("tags = <<'a'>> OR tags = ['a', 'b']", false);
        check("list = [7, null, ['in']]", true);
        check("list = [null, 7, ['in']]", false);
        check("map = {'list': [3.0], 'a.b': 2}", true);
        check("map.\"a.b\" = 2 AND map.list[0] = 3", true);
        check(
            "attribute_exists(map.a.b) OR attribute_exists(list[3]) OR attribute_exists(text[0])",
            false,
        );
    }

    #[test]
    fn contains_looks_into_text_bytes_sets_and_lists() {
        check(
            "contains(text, 'SE#é') AND contains(text, '') AND contains(bytes, b64'/wI=')",
            true,
        );
        check(
            "contains(tags, 'a') AND contains(list, null) AND contains(list, ['in'])",
            true,
        );
        check(
            "contains(tags, <<'a'>>) OR contains(list, 'in') OR contains(map, 'list')",
            false,
        );
        check("contains(one, 1) OR contains(text, 1)", false);
        check("contains(bytes, b64'AgE=') OR contains(bytes, b64'Aw==')", false);
        let sets = Item::from([
            ("numbers".to_owned(), Value::number_set(vec![1.into(), 7.into()])),
            ("blobs".to_owned(), Value::binary_set(vec![vec![], vec![1, 2]])),
        ]);
        for (text, expected) in [
            (
                "contains(numbers, 7.0) AND contains(blobs, b64'AQI=') AND contains(blobs, b64'')",
                true,
            ),
            (
                "contains(numbers, 17) OR contains(numbers, '7') OR contains(blobs, b64'AQ==')",
                false,
            ),
        ] {
            assert_eq!(Condition::parse(text).unwrap().matches(&sets), expected, "{text}");
        }
    }

    #[test]
    fn size_counts_utf_16_units_bytes_and_members() {
        check("size(text) = 10 AND size(empty) = 0 AND size(bytes) = 3", true);
        check(
            "size(tags) = 2 AND size(list) = 3 AND size(map) = size(tags)",
            true,
        );
        check("size(one) > -1 OR size(flag) > -1 OR size(nothing) > -1", false);
        check("size(one) <> 1 AND NOT size(one) < 100", true);
    }

    #[test]
    fn text_is_ordered_by_its_bytes() {
        let item = Item::from([("a".to_owned(), Value::s("\u{ffee}"))]);
        // In UTF-16, where the emoji begins with 0xD83D, this would be false.
        assert!(Condition::parse("a < '😀'").unwrap().matches(&item));
    }

    #[test]
    fn and_binds_tighter_than_or_and_not_tightest() {
        check("one = 1 OR gone = 1 AND gone = 2", true);
        check("(one = 1 OR gone = 1) AND gone = 2", false);
        check("NOT gone = 1 AND one = 1", true);
        check("NOT (gone = 1 OR one = 1)", false);
    }

    #[test]
    fn a_beginning_is_of_the_values_own_type() {
        check(
            "begins_with(text, 'COURSE#') AND begins_with(text, '') AND begins_with(empty, '')",
            true,
        );
        check(
            "begins_with(text, 'OURSE') OR begins_with(text, 'COURSE#é😀!')",
            false,
        );
        check(
            "begins_with(bytes, b64'Af8=') AND begins_with(bytes, b64'')",
            true,
        );
        check("begins_with(bytes, b64'/w==') OR begins_with(bytes, 'a')", false);
        check(
            "begins_with(text, b64'Qw==') OR begins_with(one, '1') OR begins_with(tags, 'a')",
            false,
        );
        check("begins_with(text, text2) OR begins_with(text, one)", false);
    }

    #[test]
    fn between_takes_both_bounds_and_nothing_beyond_either() {
        check("one BETWEEN 1 AND 1", true);
        check("one BETWEEN 1 AND 2 AND one BETWEEN 0 AND 1", true);
        check("one BETWEEN 2 AND 3", false);
        check("one BETWEEN -2 AND 0", false);
        check("one BETWEEN gone AND 2 OR one BETWEEN 0 AND gone", false);
        check("one BETWEEN '0' AND '2'", false);
        check("bytes BETWEEN b64'AQ==' AND b64'Af8D'", true);
    }

    #[test]
    fn orders_are_strict_where_they_say_so() {
        check("one <= 1 AND one >= 1 AND NOT one < 1 AND NOT one > 1", true);
        check("one < 2 AND one <= 2 AND NOT one > 2 AND NOT one >= 2", true);
        check(
            "one > 0.5 AND one >= 0.5 AND NOT one < 0.5 AND NOT one <= 0.5",
            true,
        );
    }
}
