//! Tests of the expression language.

use super::*;
use crate::model::Number;
use crate::model::{Item, Value};
use proptest::prelude::*;

fn parse(text: &str) -> Condition {
    Condition::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[track_caller]
fn refused(text: &str, offset: usize, message: &str, hint: &str) {
    let error = Condition::parse(text).expect_err(text);
    assert!(error.message.contains(message), "{text}: {error}");
    assert!(
        error.hint.as_deref().unwrap_or("").contains(hint),
        "{text}: {error:?}"
    );
    assert_eq!(error.offset, offset, "{text}: {error}");
}

#[test]
fn canonical_text() {
    for (text, canonical) in [
        ("a=1", "a = 1"),
        ("a<>'x'or not(b<=2)and c>3", "a <> 'x' OR NOT b <= 2 AND c > 3"),
        ("(a=1 OR b=2) and c=3", "(a = 1 OR b = 2) AND c = 3"),
        ("a=1 AND (b=2 AND c=3)", "a = 1 AND b = 2 AND c = 3"),
        ("((a)) = (5)", "a = 5"),
        ("a Between 1.0 aNd +2e0", "a BETWEEN 1 AND 2"),
        ("a IN('it''s',\"b\".\"c.d\"[0])", "a IN ('it''s', b.\"c.d\"[0])"),
        ("size ( a . b [ 3 ] ) > size(c)", "size(a.b[3]) > size(c)"),
        (
            "begins_with(\"a\"\"b\", b64'AQI=')",
            "begins_with(\"a\"\"b\", b64'AQI=')",
        ),
        ("contains(\"and\", <<2, 1.0>>)", "contains(\"and\", <<1, 2>>)"),
        ("'x' = type", "'x' = type"),
        (
            "a = { 'b' : [1,null,false,{}] }",
            "a = {'b': [1, null, false, {}]}",
        ),
        ("attribute_type(a,'NULL')", "attribute_type(a, 'NULL')"),
        (
            "size = 1 AND contains = 2 AND true_ = status",
            "size = 1 AND contains = 2 AND true_ = status",
        ),
        (
            "NOT NOT attribute_not_exists(\"a b\")",
            "NOT NOT attribute_not_exists(\"a b\")",
        ),
    ] {
        let condition = parse(text);
        assert_eq!(condition.to_string(), canonical, "{text}");
        assert_eq!(parse(canonical), condition);
    }
}

#[test]
fn literals_are_what_they_say() {
    let n = |text| Number::parse(text).unwrap();
    for (literal, value) in [
        ("'it''s ''é'''", Value::s("it's 'é'")),
        ("''", Value::s("")),
        ("-0.50E+2", Value::N(n("-50"))),
        ("b64'AQL/'", Value::B(vec![1, 2, 255])),
        ("b64''", Value::B(vec![])),
        ("false", Value::Bool(false)),
        ("null", Value::Null),
        ("<<'b', 'a'>>", Value::Ss(vec!["a".into(), "b".into()])),
        ("<<2, 1>>", Value::Ns(vec![n("1"), n("2")])),
        ("<<b64'Ag==', b64'AQ=='>>", Value::Bs(vec![vec![1], vec![2]])),
        ("[1, []]", Value::L(vec![Value::N(n("1")), Value::L(vec![])])),
        (
            "{'a''b': null}",
            Value::M([("a'b".to_owned(), Value::Null)].into()),
        ),
    ] {
        let condition = parse(&format!("x = {literal}"));
        assert_eq!(condition.pinned("x"), Some(&value), "{literal}");
    }
}

#[test]
fn what_people_write_by_habit_gets_a_hint() {
    refused(
        "follower# = 'x'",
        0,
        "`follower#` needs quotes",
        "write \"follower#\"",
    );
    refused(
        "a = 1 AND GSI1-PK = 'x'",
        10,
        "`GSI1-PK` needs quotes",
        "\"GSI1-PK\"",
    );
    refused(
        "aws:rep:deleting = true",
        0,
        "needs quotes",
        "\"aws:rep:deleting\"",
    );
    refused("naïve = 1", 0, "needs quotes", "\"naïve\"");
    refused("first name = 1", 6, "found `name`", "double quotes");
    refused("a == 1", 2, "`==`", "write `=`");
    refused("a != 1", 2, "`!=`", "write `<>`");
    refused("a = 1 && b = 2", 6, "`&&`", "write `AND`");
    refused("a = 1|| b = 2", 5, "`||`", "write `OR`");
    refused("!a = 1", 0, "`!`", "write `NOT`");
    refused("type = :t", 7, "`:t`", "write values directly");
    refused("#type = 'x'", 0, "`#type`", "write names directly");
    refused("begins_with(#p, 'x')", 12, "`#p`", "\"GSI1-PK\"");
    refused("a = \u{2018}x\u{2019}", 4, "typographic quote", "'text'");
    refused("a = TRUE", 4, "`TRUE`", "write `true`, or \"TRUE\"");
    refused("not = 1", 4, "expected an attribute or a value", "");
    refused("a = in", 4, "found `in`", "\"in\"");
    refused(
        "Begins_With(a, 'x')",
        0,
        "no function `Begins_With`",
        "lower case: begins_with",
    );
    refused("starts_with(a, 'x')", 0, "no function", "");
    refused(
        "attribute_exist(a)",
        0,
        "no function",
        "did you mean attribute_exists(name)",
    );
    for (near, usage) in [
        ("attribute_exist", "attribute_exists(name)"),
        ("attribute_not_exist", "attribute_not_exists(name)"),
        ("attribut_type", "attribute_type(name, 'S')"),
        ("begin_with", "begins_with(name, 'prefix')"),
        ("contain", "contains(name, 'part')"),
        ("sizee", "size(name)"),
    ] {
        refused(
            &format!("{near}(a)"),
            0,
            "no function",
            &format!("did you mean {usage}?"),
        );
    }
    refused("a eq 1", 2, "found `eq`", "write `=`");
    refused("a startswith 'x'", 2, "found `startswith`", "begins_with");
    refused("frobnicate(a)", 0, "no function", "the functions are");
    refused("a NOT IN (1)", 2, "found `NOT`", "NOT a IN (1, 2)");
    refused("a LIKE 'x%'", 2, "found `LIKE`", "begins_with");
    refused("a IS null", 2, "found `IS`", "attribute_not_exists");
    refused("a = 2024-01-01", 4, "`2024-01-01`", "'2024-01-01'");
    refused("a.5 = 1", 2, "expected an attribute name", "\"5\"");
    refused("a['b'] = 1", 2, "index", ".\"b\"");
    refused("1 < a < 3", 6, "chained", "AND");
    refused("a = 1 IN (1)", 6, "chained", "AND");
    refused("a = 1 BETWEEN 1 AND 2", 6, "chained", "AND");
    refused(
        "begins_with('x', PK)",
        12,
        "not a literal",
        "begins_with(name, 'prefix')",
    );
}

#[test]
fn malformed_text_is_refused_in_its_place() {
    refused("", 0, "empty", "attribute_exists");
    refused("  ", 2, "empty", "");
    refused("a = 1 b = 2", 6, "expected AND, OR or the end, found `b`", "");
    refused("a = 1)", 5, "has no opening parenthesis", "");
    refused("(a = 1", 6, "expected `)`, found the end", "");
    refused("a = 'x", 4, "no closing '", "''");
    refused("\"a = 1", 0, "no closing \"", "\"\"");
    refused("\"\" = 1", 0, "cannot be empty", "''");
    refused("a", 0, "an attribute, not a condition", "compare it");
    refused("NOT (a)", 5, "an attribute, not a condition", "");
    refused("a = 1 AND 'x'", 10, "a value, not a condition", "");
    refused("size(a)", 0, "a number, not a condition", "size(...) > 0");
    refused("(a = 1) = true", 1, "a condition cannot be compared", "");
    refused("attribute_exists(a) = true", 0, "cannot be compared", "");
    refused("a = attribute_exists(b)", 4, "cannot be compared", "");
    refused("a IN 1", 5, "expected `(`", "");
    refused("a IN ()", 6, "expected an attribute or a value", "");
    refused("a BETWEEN 1, 2", 11, "expected AND", "BETWEEN 1 AND 5");
    refused("a = b64'x'", 4, "not base64", "b64'AQI='");
    refused("a = x'00'", 4, "not begin a literal", "b64");
    refused("a[01] = 1", 2, "not the index", "leading zeros");
    refused("a[2147483648] = 1", 2, "not the index", "");
    refused("a[-1] = 1", 2, "not the index", "");
    refused("a = 1e126", 4, "outside the range", "");
    refused(&format!("a = {}", "1".repeat(39)), 4, "38 significant digits", "");
    refused("a = {b: 1}", 5, "name in single quotes", "{'name': 1}");
    refused("a = [b]", 5, "expected a literal", "'b'");
    refused("a = {'': 1}", 5, "empty name", "");
    refused("a = {'x': 1, 'x': 2}", 13, "twice", "");
    refused(
        "attribute_type(a)",
        16,
        "expected `,`",
        "attribute_type(name, 'S')",
    );
    refused("size(a, b) = 1", 6, "expected `)`", "");
    refused("a AND b = 1", 0, "an attribute, not a condition", "compare it");
    refused("a OR b = 1", 0, "an attribute, not a condition", "compare it");
    refused("(a AND b = 1)", 1, "an attribute, not a condition", "compare it");
    refused("a)", 0, "an attribute, not a condition", "compare it");
    refused(
        "(a b)",
        3,
        "expected a comparator, BETWEEN or IN, found `b`",
        "name with spaces",
    );
    refused("(a 'b')", 3, "expected a comparator, BETWEEN or IN", "");
    refused("a = -", 4, "`-` has no meaning here", "");
    refused("a = + 1", 4, "`+` has no meaning here", "");
    refused("a = 1.", 5, "found `.`", "");
    refused("a = 1e", 4, "`1e` is neither a number", "");
    refused("a = 1e+", 4, "`1e+` is neither a number", "");
    refused("a = 1.5e- AND b = 1", 4, "`1.5e-` is neither a number", "");
}

#[test]
fn what_dynamodb_refuses_statically_is_refused() {
    refused("a = a", 4, "same attribute", "attribute_exists");
    refused("a.b[1] <> a.b[1]", 10, "same attribute", "");
    refused("a IN (1, a)", 9, "same attribute", "");
    refused("a BETWEEN 1 AND a", 16, "same attribute", "");
    refused("contains(a, a)", 12, "same attribute", "");
    refused("begins_with(a, a)", 15, "same attribute", "");
    refused("a < true", 4, "type BOOL", "= or <>");
    refused("[1] >= a", 0, "type L", "");
    refused("size(a) < null", 10, "type NULL", "");
    refused("a BETWEEN <<1>> AND b", 10, "type NS", "");
    refused("true BETWEEN a AND b", 0, "type BOOL", "");
    refused("a BETWEEN 1 AND '2'", 16, "two types, N and S", "");
    refused("a BETWEEN 2 AND 1", 10, "above", "lower bound first");
    refused("a BETWEEN 'b' AND 'a'", 10, "above", "");
    refused("begins_with(a, 1)", 15, "not N", "");
    refused("begins_with(a, size(b))", 15, "not N", "");
    refused("attribute_type(a, 'X')", 18, "not a type", "'BOOL'");
    refused("attribute_type(a, b)", 18, "not a type", "");
    refused("a = << >>", 4, "no empty sets", "");
    refused("a = <<1, 'a'>>", 9, "only strings", "");
    refused("a = <<1, 1.0>>", 9, "already", "");
    refused("a = <<true>>", 6, "only strings", "");
    // The same attribute by its size, or within itself, is another operand.
    for text in [
        "size(a) = size(a)",
        "a.b = a",
        "size(a) IN (a)",
        "1 = 1",
        "a BETWEEN b AND b",
    ] {
        parse(text);
    }
}

#[test]
fn limits() {
    let listed = |n: usize| format!("a IN ({})", vec!["1"; n].join(","));
    parse(&listed(100));
    refused(&listed(101), 6 + 200, "100 values", "OR");

    let nested = |n: usize| format!("{}a = 1{}", "(".repeat(n), ")".repeat(n));
    parse(&nested(64));
    refused(&nested(65), 65, "nested more than 64", "");
    parse(&format!("{}a = 1", "NOT ".repeat(64)));
    refused(
        &format!("{}a = 1", "not ".repeat(65)),
        65 * 4,
        "nested more than 64",
        "",
    );

    let steps = |n: usize| format!("a{} = 1", "[0]".repeat(n));
    parse(&steps(31));
    refused(&steps(32), 0, "32 elements", "");
    let list = |n: usize| format!("a = {}{}", "[".repeat(n), "]".repeat(n));
    parse(&list(32));
    refused(&list(33), 4 + 32, "32 levels", "");

    let map = |n: usize| format!("a = {}1{}", "{'a':".repeat(n), "}".repeat(n));
    parse(&map(32));
    refused(&map(33), 4 + 32 * 5, "32 levels", "");
    // Side by side they are no deeper.
    parse(&vec!["(a=1)"; 100].join(" OR "));
    parse(&vec!["NOT a=1"; 100].join(" OR "));
    parse(&format!("a IN ({})", vec!["[[1]]"; 90].join(",")));

    let joined = |n: usize| vec!["a=1"; n].join(" OR ");
    parse(&joined(150));
    refused(&joined(151), 0, "301 operators", "IN");
    refused(&vec!["size(a)=1"; 101].join(" OR "), 0, "302 operators", "");

    let long = |n: usize| format!("a = '{}'", "x".repeat(n - 6));
    parse(&long(4096));
    refused(&long(4097), 4096, "4097 bytes", "");
    refused(
        &format!("a = [{}]", vec!["1e39"; 200].join(",")),
        0,
        "canonical form",
        "",
    );
    refused(&"(".repeat(4096), 65, "nested", "");
    refused(&format!("a = {}", "[".repeat(4000)), 4 + 32, "levels", "");
}

#[test]
fn operators_are_counted_as_dynamodb_does() {
    for (text, operators) in [
        ("a = 1", 1),
        ("size(a) = 1", 2),
        ("size(a) = size(b)", 3),
        ("a = 1 AND b = 2 AND c = 3", 5),
        ("a = 1 OR b = 2", 3),
        ("NOT a = 1", 2),
        ("NOT NOT size(a) = 1", 4),
        ("a BETWEEN 1 AND 2", 1),
        ("size(a) BETWEEN size(b) AND size(c)", 4),
        ("a IN (1, 2, 3)", 1),
        ("size(a) IN (size(b), 1, size(c))", 4),
        ("attribute_exists(a)", 1),
        ("attribute_not_exists(a) AND attribute_type(a, 'S')", 3),
        ("begins_with(a, 'x') OR contains(a, 'x')", 3),
        ("contains(a, size(b))", 2),
    ] {
        assert_eq!(parse(text).expr.operators(), operators, "{text}");
    }
    // 300 are taken, and one more is not.
    let joined = vec!["a=1"; 150].join(" OR ");
    parse(&format!("NOT {joined}"));
    refused(&format!("NOT NOT {joined}"), 0, "301 operators", "IN");
}

#[test]
fn the_form_for_dynamodb_is_held_to_its_limit() {
    // Placeholders are longer than short names: 2,000 bytes here, more than 4,096 there.
    let path = vec!["a"; 32].join(".");
    let text = vec![format!("{path}=1"); 44].join(" OR ");
    assert!(text.len() < 4096);
    refused(&text, 0, "DynamoDB's form", "");
}

#[test]
fn pins_and_prefixes_are_read_off_the_top() {
    let condition = parse(
        "begins_with(PK, 'COURSE#') AND type = 'Course' AND 7 = (n) AND (a = 1 OR b = 2) \
         AND NOT c = 3 AND m.x = 4 AND d <> 5 AND begins_with(e, f) AND begins_with(g, b64'AQ==')",
    );
    assert_eq!(condition.prefix("PK"), Some("COURSE#"));
    assert_eq!(condition.pinned("type"), Some(&Value::s("Course")));
    assert_eq!(condition.pinned("n"), Some(&Value::N(Number::from(7))));
    for unpinned in ["PK", "a", "b", "c", "m", "x", "d"] {
        assert_eq!(condition.pinned(unpinned), None, "{unpinned}");
    }
    for unprefixed in ["type", "e", "f", "g"] {
        assert_eq!(condition.prefix(unprefixed), None, "{unprefixed}");
    }
    let names: Vec<_> = condition.attributes().into_iter().collect();
    assert_eq!(names, ["PK", "a", "b", "c", "d", "e", "f", "g", "m", "n", "type"]);
    assert_eq!(parse("a = 1").pinned("a"), Some(&Value::N(Number::from(1))));
    assert_eq!(parse("a = 1 OR a = 1").pinned("a"), None);
    let names: Vec<_> = parse("size(a.b) IN (1, size(c), d[0].e)")
        .attributes()
        .into_iter()
        .collect();
    assert_eq!(names, ["a", "c", "d"]);
}

#[test]
fn an_error_tells_what_where_and_what_to_write() {
    let error = Condition::parse("a == 1").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`==` is not an operator (at byte 2); write `=`"
    );
}

/// Fragments that make texts which get past the first token.
fn fragments() -> impl Strategy<Value = String> {
    let fragment = prop::sample::select(vec![
        "a",
        "\"b c\"",
        "'x'",
        "1",
        "-1.5e3",
        "<<",
        ">>",
        "[",
        "]",
        "{",
        "}",
        "(",
        ")",
        ",",
        ".",
        ":",
        "=",
        "<>",
        "<",
        "AND",
        "OR",
        "NOT",
        "IN",
        "BETWEEN",
        "size(",
        "contains(",
        "begins_with(",
        "b64'AQ=='",
        "true",
        "null",
        "attribute_type(",
        "'S'",
        "\u{1F600}",
        "#",
        "é",
        "'",
        "\"",
    ]);
    prop::collection::vec((fragment, prop::sample::select(vec!["", " "])), 0..30)
        .prop_map(|parts| parts.into_iter().map(|(a, b)| format!("{a}{b}")).collect())
}

proptest! {
    #[test]
    fn no_text_panics(text in prop_oneof![any::<String>(), fragments()]) {
        match Condition::parse(&text) {
            Ok(condition) => {
                let _ = condition.matches(&Item::new());
                prop_assert_eq!(parse(&condition.to_string()), condition);
            }
            Err(error) => prop_assert!(error.offset <= text.len() && text.is_char_boundary(error.offset)),
        }
    }

    #[test]
    fn canonical_text_parses_back(expr in strategy::expr()) {
        let condition = Condition { expr };
        let text = condition.to_string();
        if condition::limits(&condition).is_ok() {
            let parsed = Condition::parse(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
            prop_assert_eq!(&parsed, &condition);
            prop_assert_eq!(parsed.to_string(), text);
        }
    }
}
