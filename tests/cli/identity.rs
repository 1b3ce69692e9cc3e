//! Which account, region and caller a command works with: told first, and the one that was asked for.

use crate::shell::{Said, Shell};
use crate::support::scripted::{Answer, Scripted};
use crate::tables::PLAN;
use std::time::Duration;

const ANN: &str = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
<GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:user/ann</Arn><UserId>ANN</UserId>\
<Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";
const REFUSED: &str = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
<Code>AccessDenied</Code><Message>not you</Message></Error><RequestId>1</RequestId></ErrorResponse>";
const WRITES: [&str; 8] = [
    "plan plan.yaml",
    "apply plan.yaml",
    "replicate plan.yaml",
    "backfill plan.yaml",
    "verify plan.yaml",
    "complete plan.yaml --yes",
    "dead-letters reconcile plan.yaml",
    "tune plan.yaml --workers 4",
];
const LOOKS: [&str; 4] = [
    "status plan.yaml",
    "dead-letters list plan.yaml",
    "dead-letters show plan.yaml 1",
    "tune plan.yaml",
];

/// An engine without tables, and an STS.
fn engine(status: u16, identity: &'static str) -> Scripted {
    Scripted::start(move |request| match request.operation.as_str() {
        "GetCallerIdentity" => Answer {
            status,
            body: identity.into(),
        },
        _ => Answer::error("ResourceNotFoundException", "Requested resource not found"),
    })
}

/// A shell for which each service has an endpoint of its own, STS too: who has one wants to be asked.
fn asking(plan: &str, engine: &Scripted) -> Shell {
    Shell::new(plan)
        .with("AWS_ENDPOINT_URL_DYNAMODB", engine.endpoint())
        .with("AWS_ENDPOINT_URL_DYNAMODB_STREAMS", engine.endpoint())
        .with("AWS_ENDPOINT_URL_STS", engine.endpoint())
}

fn first(said: &Said) -> &str {
    said.stderr.lines().next().unwrap_or_default()
}

#[test]
fn commands_that_write_say_first_who_they_are() {
    let engine = engine(200, ANN);
    let shell = asking(PLAN, &engine);
    let running: Vec<_> = WRITES.iter().map(|line| shell.start(line)).collect();
    for said in running.into_iter().map(|command| command.end().ended(1)) {
        let told = first(&said);
        assert!(
            told.starts_with("using account 111122223333, "),
            "{}",
            said.shown()
        );
        assert!(told.contains("region us-east-1"), "{told}");
        assert!(told.ends_with("as arn:aws:iam::111122223333:user/ann"), "{told}");
        assert_eq!(said.stdout, "", "results go there");
    }
    let running: Vec<_> = LOOKS.iter().map(|line| shell.start(line)).collect();
    for said in running.into_iter().map(|command| command.end().ended(1)) {
        assert!(!said.stderr.contains("using "), "{}", said.stderr);
    }
}

#[test]
fn a_caller_that_is_not_known_stops_nothing() {
    let denying = engine(403, REFUSED);
    let said = asking(PLAN, &denying).run("apply plan.yaml").ended(1);
    assert!(
        first(&said).contains("the account is not known, because sts:GetCallerIdentity"),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr.contains("the source table `Learning` was not found"),
        "{}",
        said.stderr
    );
    let silent = Scripted::silent();
    let said = asking(PLAN, &denying).with("AWS_ENDPOINT_URL_STS", silent.endpoint());
    let said = said.run("apply plan.yaml").ended(1);
    assert!(first(&said).contains("no answer in time"), "{}", said.stderr);
    assert!(said.took < Duration::from_secs(45), "{:?}", said.took);
    assert!(
        said.stderr.contains("the source table `Learning` was not found"),
        "{}",
        said.stderr
    );
}

#[test]
fn an_engine_that_is_not_aws_has_no_account_and_the_real_sts_is_not_asked() {
    let engine = engine(200, ANN);
    let said = Shell::new(PLAN)
        .at(engine.endpoint())
        .run("apply plan.yaml")
        .ended(1);
    let told = format!(
        "using {}, region us-east-1; no account is known",
        engine.endpoint()
    );
    assert!(first(&said).starts_with(&told), "{}", said.stderr);
    assert!(!engine.asked().contains(&"GetCallerIdentity".to_owned()));
}

#[test]
fn places_with_a_role_or_another_region_are_told_too() {
    let plan = PLAN.replace(
        "      name: Courses\n",
        "      name: Courses\n      role: arn:aws:iam::444455556666:role/split\n      region: eu-west-1\n",
    );
    let engine = engine(200, ANN);
    let said = asking(&plan, &engine).run("apply plan.yaml").ended(1);
    let told = "using account 444455556666, region eu-west-1, by the role arn:aws:iam::444455556666:role/split for 'Courses'";
    assert!(said.stderr.lines().any(|line| line == told), "{}", said.stderr);
}

#[test]
fn a_profile_wins_over_the_environment_and_one_that_does_not_exist_is_an_error() {
    let engine = Scripted::start(|request| Answer::error("AccessDeniedException", &request.access_key));
    let shell = Shell::new(PLAN).at(engine.endpoint());
    let said = shell.run("status plan.yaml --profile prod").ended(2);
    assert!(
        said.stderr
            .contains("there are no profiles in ~/.aws/config and ~/.aws/credentials"),
        "{}",
        said.stderr
    );
    std::fs::create_dir(shell.path(".aws")).unwrap();
    shell.write(".aws/config", "[profile other]\nregion = eu-west-1\n");
    shell.write(
        ".aws/credentials",
        "[prod]\naws_access_key_id = OFPROD\naws_secret_access_key = x\n",
    );
    let said = shell.run("status plan.yaml --profile prod").ended(1);
    assert!(
        said.stderr.contains("AccessDeniedException: OFPROD"),
        "{}",
        said.stderr
    );
    let said = shell.run("status plan.yaml").ended(1);
    assert!(
        said.stderr.contains("AccessDeniedException: test"),
        "{}",
        said.stderr
    );
    let by_variable = Shell::new(PLAN)
        .at(engine.endpoint())
        .with("HOME", &shell.path("").display().to_string())
        .with("AWS_PROFILE", "nosuch");
    for (said, origin) in [
        (shell.run("apply plan.yaml --profile nosuch"), "--profile"),
        (by_variable.run("apply plan.yaml"), "AWS_PROFILE"),
    ] {
        let said = said.ended(2);
        let told = format!("the profile 'nosuch' ({origin}) does not exist: the profiles in");
        assert!(said.stderr.contains(&told), "{}", said.stderr);
        assert!(said.stderr.contains("are other, prod"), "{}", said.stderr);
    }
}

#[test]
fn one_service_at_an_engine_and_the_other_at_aws_is_told() {
    let engine = engine(200, ANN);
    let shell = Shell::new(PLAN).with("AWS_ENDPOINT_URL_DYNAMODB", engine.endpoint());
    let said = shell.run("status plan.yaml").ended(1);
    assert!(
        first(&said).starts_with("warning: DynamoDB is asked at http://127.0.0.1:"),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr.contains("AWS_ENDPOINT_URL_DYNAMODB_STREAMS"),
        "{}",
        said.stderr
    );
}
