//! `--listen`: metrics and health while a command runs; and `--log-format json`.

use crate::shell::{Running, Shell};
use crate::support::{Engine, table};
use crate::tables::PLAN;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

const TOKEN: &str = "0123456789abcdef";
/// An answer that has not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(120);

pub async fn split() -> (Engine, Shell) {
    let engine = Engine::embedded().await;
    table::create(&engine.dynamodb(), "Learning").await;
    let shell = Shell::new(PLAN).at(engine.endpoint());
    shell.run("apply plan.yaml").ended(0);
    (engine, shell)
}

/// Where a command listens, as it says.
pub fn address(running: &Running) -> SocketAddr {
    running.until_told("listening on http://");
    let told = running.told();
    let (_, rest) = told.split_once("listening on http://").unwrap();
    let address = rest.split_whitespace().next().unwrap();
    address.replace("0.0.0.0", "127.0.0.1").parse().unwrap()
}

/// The status and the rest of the answer to a request.
fn ask(address: SocketAddr, line: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "{line} HTTP/1.1\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{answer}")), answer)
}

fn get(address: SocketAddr, path: &str) -> (u16, String) {
    ask(address, &format!("GET {path}"), "Host: localhost\r\n")
}

/// Waits until the metrics contain something.
fn until_metrics(address: SocketAddr, what: &str) -> String {
    let waited = Instant::now();
    loop {
        let (status, text) = get(address, "/metrics");
        assert_eq!(status, 200, "{text}");
        if text.contains(what) {
            return text;
        }
        assert!(waited.elapsed() < PATIENCE, "no {what} in\n{text}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Waits until a report has charts.
pub fn until_charted(shell: &Shell) {
    let waited = Instant::now();
    loop {
        shell.run("report plan.yaml --html page.html").ended(0);
        let page = std::fs::read_to_string(shell.path("page.html")).unwrap();
        if page.contains("polyline") {
            return;
        }
        assert!(waited.elapsed() < PATIENCE, "no chart in\n{page}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicate_serves_metrics_and_health_until_it_ends() {
    let (_engine, shell) = split().await;
    let first = shell.start("replicate plan.yaml --listen 0");
    let address_of_first = address(&first);
    assert_eq!(get(address_of_first, "/livez").0, 200);
    let time_left = r#"dynasplit_stream_time_left_seconds{split="learning",lane="Courses"} 8"#;
    let text = until_metrics(address_of_first, time_left);
    assert!(text.contains("content-type: text/plain; version=0.0.4"), "{text}");
    assert!(text.contains("dynasplit_state_readable 1\n"), "{text}");
    assert_eq!(get(address_of_first, "/readyz").0, 200);
    assert_eq!(get(address_of_first, "/nowhere").0, 404);
    let (status, page) = get(address_of_first, "/");
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("content-type: text/html"), "{page}");
    assert!(
        page.contains("content-security-policy: default-src 'none'; "),
        "{page}"
    );
    for shown in ["<h1>learning</h1>", "Courses", "This page updates itself."] {
        assert!(page.contains(shown), "{shown} is missing in\n{page}");
    }
    // The same in a file, with the charts that the process measured.
    until_charted(&shell);
    assert_eq!(
        ask(address_of_first, "POST /metrics", "Host: localhost\r\n").0,
        405
    );
    assert_eq!(
        ask(address_of_first, "GET /metrics", "Host: evil.example\r\n").0,
        403
    );
    // Any process serves the whole split.
    let second = shell.start("replicate plan.yaml --listen 0");
    until_metrics(address(&second), time_left);
    until_metrics(
        address(&second),
        r#"dynasplit_workers{split="learning",kind="tail",state="alive"} 2"#,
    );
    first.interrupt();
    first.end().ended(0);
    assert!(
        TcpStream::connect(address_of_first).is_err(),
        "nobody listens any more"
    );
    second.interrupt();
    second.end().ended(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_misbehave_keep_nobody_from_an_answer() {
    let (_engine, shell) = split().await;
    let running = shell.start("replicate plan.yaml --listen 0");
    let address = address(&running);
    for bytes in [
        &b"\x16\x03\x01\x02\x00"[..],
        b"GET",
        b"\r\n\r\n\r\n",
        &[b'A'; 100_000],
    ] {
        // It may cut the connection off before it has read everything.
        let _ = TcpStream::connect(address).unwrap().write_all(bytes);
    }
    // More than it serves at once: they are cut off, because they send nothing.
    let idle: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(address).unwrap()).collect();
    assert_eq!(get(address, "/livez").0, 200);
    drop(idle);
    running.until_told("following the stream");
    running.interrupt();
    running.end().ended(0);
}

#[test]
fn a_port_in_use_is_told_before_anything_is_done() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    // No engine listens there: the command does not come so far.
    let shell = Shell::new(PLAN).at("http://127.0.0.1:1");
    let moved = "--service Courses --yes";
    for command in [
        "replicate",
        "backfill",
        "verify",
        &format!("cutover {moved}"),
        &format!("rollback {moved}"),
    ] {
        let said = shell
            .run(&format!("{command} plan.yaml --listen {port}"))
            .ended(1);
        let what = format!("cannot listen on 127.0.0.1:{port}, because another process listens there");
        assert!(said.stderr.contains(&what), "{}", said.stderr);
        assert!(
            said.stderr.contains("name another port with --listen"),
            "{}",
            said.stderr
        );
    }
}

#[test]
fn other_machines_need_a_token_which_is_no_option() {
    let shell = Shell::new(PLAN).at("http://127.0.0.1:1");
    let said = shell.run("replicate plan.yaml --listen 0.0.0.0:0").ended(2);
    assert!(
        said.stderr.contains("an access token is necessary"),
        "{}",
        said.stderr
    );
    assert!(said.stderr.contains("DYNASPLIT_LISTEN_TOKEN"), "{}", said.stderr);
    let missing = shell
        .run("replicate plan.yaml --listen 0 --listen-token-file none")
        .ended(2);
    assert!(
        missing.stderr.contains("none, cannot be read"),
        "{}",
        missing.stderr
    );
    shell.run("replicate plan.yaml --listen-token-file none").ended(2);
    shell.run("replicate plan.yaml --listen example.org:80").ended(2);
    let short = Shell::new(PLAN).with("DYNASPLIT_LISTEN_TOKEN", "short");
    let said = short.run("replicate plan.yaml --listen 0").ended(2);
    assert!(
        said.stderr.contains("at least 16 are necessary"),
        "{}",
        said.stderr
    );
    assert!(
        !said.stderr.contains("short"),
        "the token is a secret: {}",
        said.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_metrics_and_health_is_open() {
    let (_engine, shell) = split().await;
    shell.write("token", &format!("{TOKEN}\n"));
    let running = shell.start("replicate plan.yaml --listen 0.0.0.0:0 --listen-token-file token");
    let address = address(&running);
    let (status, refused) = get(address, "/metrics");
    assert_eq!(status, 401);
    assert!(!refused.contains("learning"), "{refused}");
    let with = |token: &str| format!("Host: anything\r\nAuthorization: Bearer {token}\r\n");
    assert_eq!(ask(address, "GET /metrics", &with("0123456789abcdeF")).0, 401);
    assert_eq!(ask(address, "GET /metrics", &with(TOKEN)).0, 200);
    assert_eq!(get(address, "/livez").0, 200);
    running.until_told("following the stream");
    running.interrupt();
    let said = running.end().ended(0);
    assert!(
        !said.stderr.contains(TOKEN),
        "the token is a secret: {}",
        said.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn with_json_logs_each_line_is_an_object() {
    let (_engine, shell) = split().await;
    let running = shell.start("replicate plan.yaml --log-format json -vv");
    running.until_told("following the stream");
    running.interrupt();
    let said = running.end().ended(0);
    let lines: Vec<serde_json::Value> = said
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert!(lines.len() > 3, "{}", said.stderr);
    for line in &lines {
        for field in ["timestamp", "level", "message"] {
            assert!(line[field].is_string(), "{field} is missing: {line}");
        }
    }
    assert!(
        lines.iter().any(|line| line["shard"].is_string()),
        "logs, too: {}",
        said.stderr
    );
    let said = shell.run("apply nowhere.yaml --log-format json").ended(2);
    let error: serde_json::Value = serde_json::from_str(said.stderr.trim()).unwrap();
    assert_eq!(error["level"], "ERROR", "{error}");
    assert!(
        error["message"].as_str().unwrap().contains("nowhere.yaml"),
        "{error}"
    );
}
