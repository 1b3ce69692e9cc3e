//! The service refuses: which action on which resource, or what is wrong with the credentials.

use crate::shell::{Shell, assert_said, shown};
use crate::support::scripted::{Answer, Request, Scripted};
use crate::tables::PLAN;
use serde_json::json;

const TABLE: &str = "arn:aws:dynamodb:us-east-1:111122223333:table/";

/// A shell whose engine refuses one operation on tables of this name, and otherwise plays a source with a stream, and
/// nothing else.
fn refusing(operation: &'static str, name: &'static str, answer: fn(&str) -> Answer) -> Shell {
    let engine = Scripted::start(move |request| {
        let table = named(request);
        if request.operation == operation && (name.is_empty() || table == name) {
            return answer(&table);
        }
        match request.operation.as_str() {
            "DescribeTable" if table == "Learning" => source(),
            "DescribeTable" | "GetItem" | "Query" => {
                Answer::error("ResourceNotFoundException", "Requested resource not found")
            }
            "CreateTable" => Answer::ok(json!({})),
            _ => Answer::error("UnknownOperationException", ""),
        }
    });
    Shell::new(PLAN).at(engine.endpoint())
}

fn named(request: &Request) -> String {
    let body: serde_json::Value = serde_json::from_str(&request.body).unwrap_or_default();
    body["TableName"].as_str().unwrap_or_default().to_owned()
}

fn source() -> Answer {
    let attribute = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
    let key = |name: &str, kind: &str| json!({ "AttributeName": name, "KeyType": kind });
    Answer::ok(json!({ "Table": {
        "TableName": "Learning",
        "TableArn": format!("{TABLE}Learning"),
        "TableStatus": "ACTIVE",
        "AttributeDefinitions": [attribute("PK"), attribute("SK")],
        "KeySchema": [key("PK", "HASH"), key("SK", "RANGE")],
        "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
        "LatestStreamArn": format!("{TABLE}Learning/stream/2026-11-01T00:00:00.000"),
        "LatestStreamLabel": "2026-11-01T00:00:00.000",
    }}))
}

#[test]
fn a_missing_permission_is_named_with_its_resource() {
    let describe = refusing("DescribeTable", "", |table| {
        Answer::denied("dynamodb:DescribeTable", &format!("{TABLE}{table}"))
    });
    let create = refusing("CreateTable", "dynasplit-learning", |_| {
        Answer::denied("dynamodb:CreateTable", &format!("{TABLE}dynasplit-learning"))
    });
    let read = refusing("GetItem", "", |table| {
        Answer::denied("dynamodb:GetItem", &format!("{TABLE}{table}"))
    });
    let mute = refusing("GetItem", "", |_| Answer::error("AccessDeniedException", ""));
    let said = [
        describe.run("apply plan.yaml").ended(1),
        create.run("apply plan.yaml").ended(1),
        read.run("status plan.yaml").ended(1),
        read.run("replicate plan.yaml").ended(1),
        mute.run("backfill plan.yaml").ended(1),
    ];
    assert_said!("denied", shown(&said));
}

fn expired(_: &str) -> Answer {
    Answer::error(
        "ExpiredTokenException",
        "The security token included in the request is expired",
    )
}

fn unknown(_: &str) -> Answer {
    Answer::error(
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    )
}

#[test]
fn credentials_that_ran_out_or_are_not_known() {
    let old = ["DescribeTable", "GetItem"].map(|operation| refusing(operation, "", expired));
    let wrong = ["DescribeTable", "GetItem"].map(|operation| refusing(operation, "", unknown));
    let said = [
        old[0].run("apply plan.yaml").ended(1),
        old[1].run("status plan.yaml").ended(1),
        wrong[0].run("apply plan.yaml").ended(1),
        wrong[1].run("replicate plan.yaml").ended(1),
    ];
    assert_said!("credentials", shown(&said));
}

/// What STS says.
const NOT_ASSUMED: &str = "\
<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>AccessDenied</Code>\
<Message>User: arn:aws:iam::111122223333:user/ann is not authorized to perform: sts:AssumeRole on resource: \
arn:aws:iam::444455556666:role/split</Message></Error><RequestId>1</RequestId></ErrorResponse>";

#[test]
fn a_role_that_may_not_be_assumed() {
    let engine = Scripted::start(|request| match request.operation.as_str() {
        "AssumeRole" => Answer {
            status: 403,
            body: NOT_ASSUMED.to_owned(),
        },
        "DescribeTable" if named(request) == "Learning" => source(),
        "DescribeTable" => Answer::error("ResourceNotFoundException", "Requested resource not found"),
        _ => Answer::error("UnknownOperationException", ""),
    });
    let plan = PLAN.replace(
        "      name: Courses\n",
        "      name: Courses\n      role: arn:aws:iam::444455556666:role/split\n",
    );
    let shell = Shell::new(&plan).at(engine.endpoint());
    assert_said!("role", shell.run("apply plan.yaml").ended(1).shown());
}
