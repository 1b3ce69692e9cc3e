//! Certificates and regions: trusted as the user says, and refused in words.

use crate::shell::{Shell, assert_said, shown};
use crate::support::scripted::{Answer, Scripted};
use crate::support::tls;
use crate::tables::PLAN;
use std::io::Write;
use std::net::TcpListener;

fn engine() -> Scripted {
    Scripted::start_tls(|_| Answer::error("ResourceNotFoundException", "Requested resource not found"))
}

#[test]
fn a_bundle_of_certificates_is_trusted() {
    let engine = engine();
    let shell = Shell::new(PLAN).at(engine.endpoint());
    let untrusted = [shell.run("status plan.yaml"), shell.run("apply plan.yaml")].map(|said| said.ended(1));
    assert_eq!(engine.asked(), Vec::<String>::new());
    assert_said!("untrusted", shown(&untrusted));
    let trusting = Shell::new(PLAN)
        .at(engine.endpoint())
        .with("AWS_CA_BUNDLE", &tls::authority());
    let said = trusting.run("status plan.yaml").ended(1);
    assert!(
        said.stderr.contains("the split has no state yet"),
        "{}",
        said.stderr
    );
    let said = trusting.run("apply plan.yaml").ended(1);
    assert!(
        said.stderr.contains("the source table `Learning` was not found"),
        "{}",
        said.stderr
    );
    // As the AWS CLI has it, a profile may name it.
    std::fs::create_dir(shell.path(".aws")).unwrap();
    shell.write(
        ".aws/config",
        &format!("[profile proxied]\nca_bundle = {}\n", tls::authority()),
    );
    let said = shell.run("status plan.yaml --profile proxied");
    assert!(!said.stderr.contains("certificate"), "{}", said.stderr);
}

#[test]
fn a_bundle_that_cannot_be_used() {
    let bundle = |path: &str| {
        Shell::new(PLAN)
            .at("http://127.0.0.1:1")
            .with("AWS_CA_BUNDLE", path)
    };
    let said = [
        bundle("nosuch.pem").run("apply plan.yaml"),
        bundle("plan.yaml").run("status plan.yaml"),
    ];
    assert_said!("bundles", shown(&said.map(|said| said.ended(2))));
}

#[test]
fn tls_where_none_is_spoken() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // The test looks at what the other side makes of it.
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let said = Shell::new(PLAN).at(&endpoint).run("status plan.yaml").ended(1);
    assert!(
        said.stderr.contains("the server does not speak TLS"),
        "{}",
        said.stderr
    );
}

#[test]
fn what_is_not_a_region() {
    let region = |name: &str| Shell::new(PLAN).with("AWS_REGION", name);
    let of_plan = PLAN.replace(
        "      name: Courses\n",
        "      name: Courses\n      region: frankfurt\n",
    );
    let said = [
        region("not a region").run("status plan.yaml"),
        region("not a region")
            .at("http://127.0.0.1:1")
            .run("plan plan.yaml"),
        Shell::new(PLAN).run("apply plan.yaml --region frankfurt"),
        Shell::new(&of_plan).run("apply plan.yaml"),
    ];
    assert_said!("regions", shown(&said.map(|said| said.ended(2))));
}
