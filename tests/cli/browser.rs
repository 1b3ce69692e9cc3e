//! The page of a split in a real browser: tests/browser/look.mjs says what is checked.

use crate::listen::{address, split};
use crate::shell::Shell;
use crate::support::fetch;
use crate::support::long::in_the_long_run;
use crate::tables::PLAN;
use std::path::Path;
use std::process::{Command, Output};

/// Names another browser, for example on a machine that is no Linux on x86-64.
const BROWSER_VARIABLE: &str = "DYNASPLIT_CHROMIUM";

/// Looks at a page, and answers how that ended.
fn look(page: &str) -> Output {
    let mut command = Command::new("node");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/look.mjs"));
    command.arg(page);
    match std::env::var(BROWSER_VARIABLE) {
        Ok(browser) => command.env("CHROMIUM", browser),
        Err(_) => {
            let directory = fetch::chromium().unwrap_or_else(|reason| {
                panic!("no browser: {reason}. {BROWSER_VARIABLE} can name one that is installed")
            });
            command
                .env("CHROMIUM", directory.join("chromium"))
                .env("LD_LIBRARY_PATH", directory.join("lib"))
        }
    };
    command.output().unwrap()
}

fn in_order(page: &str) {
    let seen = look(page);
    let (said, problems) = (
        String::from_utf8_lossy(&seen.stdout),
        String::from_utf8_lossy(&seen.stderr),
    );
    assert!(seen.status.success(), "{page}: {said}\n{problems}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_in_a_file_is_in_order_whatever_the_plan_is_called() {
    let (_engine, shell) = split().await;
    let name = r#""><script>console.log(1)<&'.yaml"#;
    shell.write(name, PLAN);
    shell.run(&format!("report {name} --html page.html")).ended(0);
    let page = std::fs::read_to_string(shell.path("page.html")).unwrap();
    assert!(
        page.contains("&lt;script&gt;console.log(1)"),
        "the name is shown: {page}"
    );
    in_order(&shell.path("page.html").display().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_page_updates_itself_and_is_in_order() {
    let (_engine, shell) = split().await;
    let running = shell.start("replicate plan.yaml --listen 0");
    let address = address(&running);
    running.until_told("following the stream");
    in_order(&format!("http://{address}/"));
    running.interrupt();
    running.end().ended(0);
}

#[test]
fn a_page_that_is_not_in_order_is_noticed() {
    in_the_long_run!(a_page_that_is_not_in_order_is_noticed);
    let shell = Shell::new(PLAN);
    let wrong = r#"<title>x</title><p style="width: 2000px; color: #ddd">faint</p><button></button>
        <script>console.log("said")</script><img src="http://127.0.0.1:9/x.png">"#;
    shell.write("page.html", wrong);
    let seen = look(&shell.path("page.html").display().to_string());
    assert!(!seen.status.success());
    let problems = String::from_utf8_lossy(&seen.stderr);
    for noticed in [
        "at a width of 360",
        "the contrast of P \"faint\"",
        "no landmark for the content",
        "1 of the role button have no name",
        "the console says: said",
        "http://127.0.0.1:9/x.png was requested",
    ] {
        assert!(problems.contains(noticed), "{noticed} is missing in\n{problems}");
    }
}
