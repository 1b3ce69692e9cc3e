//! Nobody answers, or not who should: told soon, with where and what to do.

use crate::shell::{Said, Shell, assert_said, shown};
use crate::support::scripted::{Answer, Scripted};
use crate::tables::PLAN;
use std::time::Duration;

/// Commands that need the engine; `complete` and the letters go the way of `status`.
const COMMANDS: [&str; 8] = [
    "apply plan.yaml",
    "replicate plan.yaml",
    "backfill plan.yaml",
    "status plan.yaml",
    "dead-letters list plan.yaml",
    "complete plan.yaml --yes",
    "plan plan.yaml",
    "verify plan.yaml",
];
/// No message takes longer. By the product's own limits, each is there after 12 s; if all was tried as often as when the
/// engine has answered before, it would be more than a minute.
const SOON: Duration = Duration::from_secs(45);
/// Nobody listens there, and no test is given it as a free port: it is none of those that the system gives away.
const CLOSED: &str = "http://127.0.0.1:1";

/// Runs all commands at once: each may wait for a while.
fn all(shell: &Shell, code: i32) -> Vec<Said> {
    let running: Vec<_> = COMMANDS.iter().map(|line| shell.start(line)).collect();
    let said: Vec<Said> = running
        .into_iter()
        .map(|command| command.end().ended(code))
        .collect();
    for said in &said {
        assert!(said.took < SOON, "{:?}: {}", said.took, said.shown());
        assert_eq!(said.stdout, "");
    }
    said
}

#[test]
fn without_a_region() {
    let shell = Shell::new(PLAN).without("AWS_REGION");
    assert_said!("no_region", shown(&all(&shell, 2)));
}

#[test]
fn without_credentials() {
    let shell = Shell::new(PLAN).without("AWS_ACCESS_KEY_ID");
    let engine = Scripted::start(|_| Answer::error("InternalServerError", "nobody gets this far"));
    let mut said = all(&shell, 1);
    said.truncate(4);
    said.push(shell.run("status plan.yaml --profile nosuch").ended(2));
    said.push(
        shell
            .run(&format!("status plan.yaml --endpoint-url {}", engine.endpoint()))
            .ended(1),
    );
    assert_said!("no_credentials", shown(&said));
    assert_eq!(engine.asked(), Vec::<String>::new());
}

#[test]
fn a_port_where_nobody_listens() {
    let shell = Shell::new(PLAN).at(CLOSED);
    let mut said = all(&shell, 1);
    said.push(
        shell
            .run(&format!("status plan.yaml --endpoint-url {CLOSED}"))
            .ended(1),
    );
    assert_said!("nobody_listens", shown(&said));
}

#[test]
fn a_host_that_does_not_exist() {
    let shell = Shell::new(PLAN).at("http://nosuchhost.invalid:8000");
    let said = shell.run("status plan.yaml").ended(1);
    assert!(said.took < SOON, "{:?}", said.took);
    assert!(said.stderr.contains("dns error"), "{}", said.stderr);
    let help = "help: check that the engine runs at http://nosuchhost.invalid:8000";
    assert!(said.stderr.contains(help), "{}", said.stderr);
}

#[test]
fn an_engine_that_takes_requests_and_never_answers() {
    let engine = Scripted::silent();
    let shell = Shell::new(PLAN).at(engine.endpoint());
    let said = all(&shell, 1);
    for progress in [
        "tailing: connecting",
        "backfill: connecting",
        "plan: reading the source",
        "verify: connecting",
    ] {
        let told = said.iter().filter(|said| said.stderr.contains(progress));
        assert_eq!(told.count(), 1, "who waits is told for what: {progress}");
    }
    assert_said!("no_answer", shown(&said));
}

#[test]
fn a_first_answer_is_waited_for_however_short_the_lease_is() {
    let engine = Scripted::start(|_| {
        // As an engine that has just started.
        std::thread::sleep(Duration::from_secs(2));
        Answer::error("ResourceNotFoundException", "Requested resource not found")
    });
    let shell = Shell::new(PLAN).at(engine.endpoint());
    let said = shell.run("status plan.yaml --lease-seconds 1").ended(1);
    assert!(
        said.stderr.contains("run `dynasplit apply plan.yaml` first"),
        "{}",
        said.shown()
    );
}

#[test]
fn something_that_is_not_dynamodb() {
    let shell = |status| {
        let engine = Scripted::start(move |_| Answer {
            status,
            body: "<html>Welcome to the guest network</html>".into(),
        });
        Shell::new(PLAN).at(engine.endpoint())
    };
    let (portal, gateway) = (shell(403), shell(502));
    let said = ["apply plan.yaml", "status plan.yaml"].map(|line| portal.run(line).ended(1));
    let busy = gateway.run("apply plan.yaml").ended(1);
    assert_said!("not_dynamodb", shown(&said) + "\n" + &busy.shown());
}

#[test]
fn an_endpoint_of_the_environment_without_a_scheme() {
    let shell = Shell::new(PLAN).at("localhost:8000");
    let said = ["apply plan.yaml", "status plan.yaml"].map(|line| shell.run(line).ended(2));
    for said in &said {
        assert!(
            !said.stderr.contains("Request {"),
            "no request is quoted: {}",
            said.stderr
        );
    }
    assert_said!("no_scheme", shown(&said));
}
