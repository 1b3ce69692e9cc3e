//! What is right in the grammar and probably not meant.

use super::*;

fn warned(text: &str) -> Vec<Problem> {
    let plan = Plan::parse(text, "plan.yaml").unwrap_or_else(|error| panic!("{error}"));
    plan.warnings.list().to_vec()
}

fn with_where(condition: &str) -> String {
    GOOD.replace(
        "    where: begins_with(PK, 'USER#')",
        &format!("    where: >-\n      {condition}"),
    )
}

#[test]
fn a_string_in_the_quotes_of_a_name_is_warned_about() {
    for (condition, pointed_at, hint) in [
        (r#"begins_with(PK, "CLAIM#")"#, r#""CLAIM#""#, "'CLAIM#'"),
        ("type = Claim", "Claim", "'Claim'"),
        (
            "begins_with(PK, 'USER#') AND type = Claim AND a = 1",
            "Claim",
            "'Claim'",
        ),
        (r#""CLAIM#1" = PK"#, r#""CLAIM#1""#, "'CLAIM#1'"),
        ("type IN ('Claim', Order)", "Order", "'Order'"),
        (r#"SK BETWEEN "A" AND 'B'"#, r#""A""#, "'A'"),
        (r#"contains(tags, "vi'deo")"#, r#""vi'deo""#, "'vi''deo'"),
        (r#"payload.kind <> Claim"#, "Claim", "'Claim'"),
        (r#"NOT (type = Claim)"#, "Claim", "'Claim'"),
    ] {
        let text = with_where(condition);
        let list = warned(&text);
        assert_eq!(list.len(), 1, "{condition}: {list:#?}");
        let found = &list[0];
        assert_eq!(found.path, "services[1].where");
        let line = text.lines().nth(found.line - 1).unwrap();
        assert!(
            line[found.column - 1..].starts_with(pointed_at),
            "{condition}: {found:?}"
        );
        assert!(
            found.hint.as_deref().unwrap().ends_with(hint),
            "{condition}: {found:?}"
        );
    }
    let text = GOOD.replace("\"PK = 'x'\"", "PK = Session");
    assert_eq!(warned(&text)[0].path, "unrouted.left-behind");
}

#[test]
fn a_tag_with_characters_that_are_refused_is_warned_about() {
    let with = |tags: &str| {
        let table = "{ name: Users, keys: { partition: PK, sort: SK } }";
        assert!(GOOD.contains(table));
        let tagged = format!("{{ name: Users, keys: {{ partition: PK, sort: SK }}, tags: {{ {tags} }} }}");
        warned(&GOOD.replace(table, &tagged))
    };
    assert_eq!(with("'cost center': 'Ümläut 1 + - = . _ : / @'"), []);
    let list = with("team: 'a, b', 'who?': me");
    assert_eq!(list.len(), 2, "{list:#?}");
    assert!(list[0].message.contains("',' in the value of a tag"), "{list:#?}");
    assert_eq!(list[0].path, "services[1].table.tags.team");
    assert!(list[1].message.contains("'?' in the name of a tag"), "{list:#?}");
}

#[test]
fn values_that_are_compared_with_each_other_are_warned_about() {
    for (condition, hint) in [
        ("'type' = 'Claim'", r#"without single quotes: "type""#),
        (
            "begins_with(PK, 'x') OR 'SK' IN ('a', 'b')",
            r#"without single quotes: "SK""#,
        ),
        ("1 = 2", "compare an attribute"),
        ("5 BETWEEN 1 AND 7", "compare an attribute"),
    ] {
        let list = warned(&with_where(condition));
        assert_eq!(list.len(), 1, "{condition}: {list:#?}");
        assert!(list[0].message.contains("the same for every item"));
        assert!(
            list[0].hint.as_deref().unwrap().contains(hint),
            "{condition}: {list:#?}"
        );
    }
}

#[test]
fn attributes_that_the_plan_names_elsewhere_are_compared_on_purpose() {
    assert_eq!(warned(GOOD), []);
    for condition in [
        "PK = SK",
        "createdAt = at",
        "type = state",
        "st = junk",
        "begins_with(SK, other) AND attribute_exists(other)",
        "kind = other AND other <> 'x'",
        "a.b = c.d",
        "size(tags) > size(other)",
        "3 IN (low, high)",
    ] {
        assert_eq!(warned(&with_where(condition)), [], "{condition}");
    }
    for plan in [LEARNING, CLIENTS] {
        assert_eq!(warned(plan), []);
    }
}

#[test]
fn warnings_read_like_problems() {
    let plan = Plan::parse(
        &GOOD.replace("begins_with(PK, 'USER#')", "type = User"),
        "shop.yaml",
    )
    .unwrap();
    assert_eq!(
        plan.warnings.to_string(),
        "shop.yaml:21:19: services[1].where: this compares the attribute `type` with the attribute `User`, which nothing \
         else in the plan names\n   21 |     where: type = User\n      |                   ^\n      = help: if you mean the \
         text, write it in single quotes: 'User'\n\n1 warning in shop.yaml"
    );
}

#[test]
fn a_condition_that_a_comment_cuts_off_is_explained() {
    let cut = |condition: &str| {
        let text = GOOD.replace("where: begins_with(PK, 'USER#')", &format!("where: {condition}"));
        let list = problems(&text);
        assert_eq!(list.len(), 1, "{condition}: {list:#?}");
        assert_eq!(list[0].line, 21);
        list[0].hint.clone().unwrap_or_default()
    };
    for (condition, comment) in [
        ("begins_with(PK, 'A') AND #type = 'Course'", "#type = 'Course'"),
        ("PK = 'ORDER #1'", "#1'"),
        ("PK IN ('a', # both\n", "# both"),
        ("# nothing but this", ""),
        ("begins_with(PK,\t#x", "#x"),
    ] {
        if comment.is_empty() {
            let text = GOOD.replace("where: begins_with(PK, 'USER#')", &format!("where: {condition}"));
            assert!(problems(&text)[0].message.contains("found nothing"));
            continue;
        }
        let hint = cut(condition);
        assert!(
            hint.contains(&format!("YAML reads `{comment}` as a comment")),
            "{condition}: {hint}"
        );
    }
    // A comment that cuts nothing off is not to blame, and in quotes there is none.
    for condition in [
        "type == 'x' # courses",
        "\"PK = 'a' AND #type = 'x'\"",
        "PK = 'a' AND",
    ] {
        assert!(!cut(condition).contains("comment"), "{condition}");
    }
}

#[test]
fn a_pattern_that_a_comment_cuts_off_is_refused() {
    let block = "from:\n          PK: ORDER #{order}\n          SK: 'LINE#{line}' # as it is\n        to:\n          orderId: '{order}'\n          line: x #{line}\n";
    let text = GOOD.replace(
        "from: { PK: 'ORDER#{order}', SK: 'LINE#{line}' }\n        to: { orderId: '{order}', line: '{line}' }\n",
        block,
    );
    let list = problems(&text);
    let said: Vec<_> = list.iter().map(|p| (p.line, p.path.as_str())).collect();
    assert_eq!(
        said,
        [
            (17, "services[0].transform.keys.from.PK"),
            (21, "services[0].transform.keys.to.line")
        ],
        "{list:#?}"
    );
    assert!(
        list[0]
            .hint
            .as_deref()
            .unwrap()
            .contains("YAML reads `#{order}` as a comment")
    );
}
