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
/// No message takes longer.
const SOON: Duration = Duration::from_secs(15);

/// Runs all commands at once: each may wait for a while.
fn all(shell: &Shell) -> Vec<Said> {
    let running: Vec<_> = COMMANDS.iter().map(|line| shell.start(line)).collect();
    let said: Vec<Said> = running
        .into_iter()
        .map(|command| command.end().ended(1))
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
    assert_said!("no_region", shown(&all(&shell)));
}

#[test]
fn without_credentials() {
    let shell = Shell::new(PLAN).without("AWS_ACCESS_KEY_ID");
    let engine = Scripted::start(|_| Answer::error("InternalServerError", "nobody gets this far"));
    let mut said = all(&shell);
    said.truncate(4);
    said.push(shell.run("status plan.yaml --profile nosuch").ended(1));
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
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let shell = Shell::new(PLAN).at(&format!("http://{free}"));
    let mut said = all(&shell);
    said.push(
        shell
            .run(&format!("status plan.yaml --endpoint-url http://{free}"))
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
    assert!(said.stderr.contains("help: check the network"), "{}", said.stderr);
}

#[test]
fn an_engine_that_takes_requests_and_never_answers() {
    let engine = Scripted::silent();
    let shell = Shell::new(PLAN).at(engine.endpoint());
    assert_said!("no_answer", shown(&all(&shell)));
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
    let said = ["apply plan.yaml", "status plan.yaml"].map(|line| shell.run(line).ended(1));
    for said in &said {
        assert!(
            !said.stderr.contains("Request {"),
            "no request is quoted: {}",
            said.stderr
        );
    }
    assert_said!("no_scheme", shown(&said));
}
