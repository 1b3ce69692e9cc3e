//! The statement of a fence: added to a policy, and removed from it.

use super::{ARN, TOOL};
use crate::fence::policy::{
    Denied, InvalidPolicy, Without, has_statement, sid, statement, with_statement, without_statement,
};
use crate::fence::principal;
use serde_json::{Value, json};

/// A policy as a person wrote it.
const OWN: &str = "{\n  \"Version\": \"2012-10-17\",\n  \"Id\": \"shop\",\n  \"Statement\": {\n    \"Sid\": \"Partner\", \"Effect\": \"Allow\",\n    \
                   \"Principal\": { \"AWS\": \"210987654321\" }, \"Action\": \"dynamodb:GetItem\", \"Resource\": \"*\"\n  }\n}\n";

fn of(service: &str, leading_keys: Option<&[String]>) -> Value {
    statement(&Denied {
        table_arn: ARN,
        split: "shop",
        service,
        exempt: &[TOOL.to_owned()],
        leading_keys,
    })
}

#[test]
fn a_statement_denies_writes_and_nothing_else() {
    let all = of("orders", None);
    assert_eq!(
        (&all["Effect"], &all["Principal"], &all["Resource"]),
        (&json!("Deny"), &json!("*"), &json!(ARN))
    );
    let exempt = all["Condition"]["ArnNotLike"]["aws:PrincipalArn"]
        .as_array()
        .unwrap();
    assert_eq!(exempt[0], TOOL);
    assert_eq!(
        exempt[1],
        "arn:aws:iam::123456789012:role/aws-service-role/replication.dynamodb.amazonaws.com/AWSServiceRoleForDynamoDBReplication"
    );
    for action in all["Action"].as_array().unwrap() {
        let action = action.as_str().unwrap();
        // The owner of the table can still read it, and change its policy.
        for free in [
            "GetItem",
            "Query",
            "Scan",
            "PutResourcePolicy",
            "DeleteResourcePolicy",
            "UpdateTable",
            "DeleteTable",
        ] {
            let pattern = action.strip_prefix("dynamodb:").unwrap().trim_matches('*');
            assert!(!free.contains(pattern), "{action} also denies {free}");
        }
    }
    let keys = ["ORDER#*".to_owned()];
    let some = of("orders", Some(&keys));
    assert_eq!(
        some["Condition"]["ForAnyValue:StringLike"],
        json!({ "dynamodb:LeadingKeys": ["ORDER#*"] })
    );
}

#[test]
fn each_service_has_a_statement_of_its_own() {
    let names = [
        sid("shop", "orders"),
        sid("shop", "users"),
        sid("shoporders", ""),
        sid("sho", "porders"),
    ];
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
    assert!(
        names.iter().all(|name| name.chars().all(char::is_alphanumeric)),
        "{names:?}"
    );
}

#[test]
fn a_policy_gets_the_statement_and_is_restored_byte_for_byte() {
    for before in [
        OWN,
        &OWN.replace("\"Statement\": {", "\"Statement\": [{")
            .replace("  }\n}\n", "  }]\n}\n"),
    ] {
        let fenced = with_statement(Some(before), &of("orders", None)).unwrap();
        assert!(has_statement(&fenced, &of("orders", None)) && !has_statement(before, &of("orders", None)));
        let read: Value = serde_json::from_str(&fenced).unwrap();
        assert_eq!(read["Statement"][0]["Sid"], "Partner");
        assert_eq!(read["Id"], "shop");
        let without = without_statement(&fenced, &sid("shop", "orders"), Some(before)).unwrap();
        assert_eq!(without, Without::Rest(before.to_owned()));
        let again = with_statement(Some(&fenced), &of("orders", None)).unwrap();
        assert_eq!(again, fenced, "it is there once");
    }
    let alone = with_statement(None, &of("orders", None)).unwrap();
    assert_eq!(
        without_statement(&alone, &sid("shop", "orders"), None).unwrap(),
        Without::Nothing
    );
    assert_eq!(
        without_statement(OWN, &sid("shop", "orders"), None).unwrap(),
        Without::Unchanged
    );
}

#[test]
fn a_statement_of_somebody_else_stays() {
    let first = with_statement(Some(OWN), &of("orders", None)).unwrap();
    let both = with_statement(Some(&first), &of("users", None)).unwrap();
    // The first is lifted first: its former policy would take the second one's statement away.
    let Without::Rest(rest) = without_statement(&both, &sid("shop", "orders"), Some(OWN)).unwrap() else {
        panic!("something is left")
    };
    assert!(has_statement(&rest, &of("users", None)) && !has_statement(&rest, &of("orders", None)));
    let last = without_statement(&rest, &sid("shop", "users"), Some(&first)).unwrap();
    let Without::Rest(last) = last else {
        panic!("something is left")
    };
    assert!(last.contains("Partner") && !last.contains("Deny"));
}

#[test]
fn a_policy_that_cannot_be_added_to_is_refused() {
    for text in [
        "",
        "no JSON",
        "[]",
        "{}",
        "{\"Statement\": 5}",
        "{\"Statement\": \"x\"}",
    ] {
        let refused = with_statement(Some(text), &of("orders", None));
        assert!(matches!(refused, Err(InvalidPolicy::NotUnderstood(_))), "{text}");
    }
    let long = format!(
        "{{\"Version\":\"2012-10-17\",\"Id\":\"{}\",\"Statement\":[]}}",
        "x".repeat(20_000)
    );
    assert!(long.len() < 20 * 1024);
    let refused = with_statement(Some(&long), &of("orders", None));
    assert!(
        matches!(refused, Err(InvalidPolicy::TooLarge(bytes)) if bytes > 20 * 1024),
        "{refused:?}"
    );
}

#[test]
fn a_caller_is_exempt_by_its_role_or_its_user() {
    let role = principal("arn:aws:sts::123456789012:assumed-role/dynasplit/ann").unwrap();
    assert_eq!(role, [TOOL, "arn:aws:iam::123456789012:role/*/dynasplit"]);
    for same in [
        "arn:aws:iam::123456789012:user/ops/ann",
        "arn:aws-cn:iam::123456789012:root",
        TOOL,
    ] {
        assert_eq!(principal(same).unwrap(), [same]);
    }
    for unknown in [
        "",
        "ann",
        "arn:aws:sts::123456789012:assumed-role",
        "arn:aws:s3:::bucket/x",
    ] {
        assert_eq!(principal(unknown), None, "{unknown}");
    }
}
