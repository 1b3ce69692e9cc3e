//! `shape`: exported items become files of items, one set per service, or nothing.

use crate::shell::{Said, Shell};
use crate::support::{Engine, table};
use aws_sdk_dynamodb::types::AttributeValue;
use dynasplit::dynamo::convert::item_to_sdk;
use dynasplit::model::json::item_from_json;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::io::{Read, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

const PLAN: &str = r#"version: 1
split: learning
source:
  table: Learning
  keys: { partition: PK, sort: SK }
timestamp: { attribute: updatedAt, type: N, format: epoch-millis }
unrouted: { left-behind: "begins_with(PK, 'LOG#')" }
services:
  - name: Courses
    where: begins_with(PK, 'COURSE#') AND SK = 'META'
    table:
      name: Courses
      keys: { partition: courseId }
    transform:
      keys:
        from: { PK: 'COURSE#{course}' }
        to: { courseId: '{course}' }
      drop: [PK, SK, updatedAt]
  - name: Users
    where: begins_with(PK, 'USER#')
    table:
      name: Users
      keys: { partition: PK, sort: SK }
      global-indexes:
        - name: by-email
          keys: { partition: email }
"#;

fn course(number: u32) -> Json {
    json!({
        "PK": {"S": format!("COURSE#{number}")}, "SK": {"S": "META"}, "title": {"S": format!("Course {number}")},
        "size": {"N": "1.5"}, "tags": {"SS": ["b", "a"]}, "updatedAt": {"N": "1700000000000"}
    })
}

fn user(number: u32) -> Json {
    json!({
        "PK": {"S": format!("USER#{number}")}, "SK": {"S": "META"}, "email": {"S": format!("{number}@example.com")},
        "data": {"B": "AAE="}, "updatedAt": {"N": "1700000000000"}
    })
}

fn log() -> Json {
    json!({"PK": {"S": "LOG#1"}, "SK": {"S": "1"}})
}

fn lines(items: &[Json]) -> String {
    items
        .iter()
        .map(|item| format!("{}\n", json!({"Item": item})))
        .collect()
}

fn packed(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

/// The lines of all files of a folder, in the order of their names, and how many files there are.
fn unpacked(folder: &Path) -> (Vec<Json>, usize) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return (Vec::new(), 0);
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut text = String::new();
    for path in &paths {
        let file = std::fs::File::open(path).unwrap();
        let mut unpacked: Box<dyn Read> = match path.extension().and_then(|end| end.to_str()) {
            Some("gz") => Box::new(MultiGzDecoder::new(file)),
            Some("zst") => Box::new(zstd::stream::read::Decoder::new(file).unwrap()),
            _ => Box::new(file),
        };
        unpacked.read_to_string(&mut text).unwrap();
    }
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (lines.collect(), paths.len())
}

/// The names of what is in the folder of the shell, without the plan and the items.
fn left(shell: &Shell) -> Vec<String> {
    let entries = std::fs::read_dir(shell.path(".")).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !["plan.yaml", "items", "data"].contains(&name.as_str()))
        .collect();
    names.sort();
    names
}

fn shell() -> Shell {
    Shell::new(PLAN)
        .without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY")
        .without("AWS_REGION")
}

/// With the data files of an export: one is empty, one is not compressed, and one has two compressed parts.
fn exported() -> Shell {
    let shell = shell();
    let data = shell.path("data");
    std::fs::create_dir(&data).unwrap();
    let courses: Vec<Json> = (1..=20).map(course).collect();
    let users: Vec<Json> = (1..=30).map(user).collect();
    std::fs::write(data.join("a.json.gz"), packed("")).unwrap();
    let parts = [packed(&lines(&courses)), packed(&lines(&users[..10]))].concat();
    std::fs::write(data.join("b.json.gz"), parts).unwrap();
    std::fs::write(data.join("c.json"), lines(&[&users[10..], &[log()]].concat())).unwrap();
    std::fs::write(data.join("manifest.md5"), "not data").unwrap();
    shell
}

#[test]
fn every_item_goes_where_the_plan_says() {
    let shell = exported();
    let said = shell
        .run("shape plan.yaml data --to shaped --output json")
        .ended(0);
    let report: Json = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(report["items"], 51);
    assert_eq!(report["left_behind"], 1);
    assert_eq!(report["refused"], json!([]));
    let written: Json =
        serde_json::from_slice(&std::fs::read(shell.path("shaped/report.json")).unwrap()).unwrap();
    assert_eq!(written, report);
    let (courses, files) = unpacked(&shell.path("shaped/tables/Courses"));
    assert_eq!((courses.len(), files), (20, 1));
    // Neither the dropped attributes nor dynasplit's own remain.
    assert_eq!(
        courses[4],
        json!({"Item": {"courseId": {"S": "5"}, "title": {"S": "Course 5"}, "size": {"N": "1.5"}, "tags": {"SS": ["b", "a"]}}})
    );
    let (users, files) = unpacked(&shell.path("shaped/tables/Users"));
    assert_eq!((users.len(), files), (30, 2));
    assert_eq!(users[29], json!({"Item": user(30)}));
    assert_eq!(left(&shell), ["shaped"]);
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(shell.path("shaped")).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o700, "it holds whole items");
    }
    // The same, whatever the number of threads; small files.
    shell.run("shape plan.yaml data --to one --threads 1").ended(0);
    for service in ["Courses", "Users"] {
        let folder = Path::new("tables").join(service);
        let (one, two) = (
            shell.path("one").join(&folder),
            shell.path("shaped").join(&folder),
        );
        assert_eq!(unpacked(&one), unpacked(&two));
    }
}

#[test]
fn files_are_compressed_as_wanted_and_read_in_each_form() {
    let shell = exported();
    let folder = |to: &str| shell.path(to).join("tables").join("Users");
    shell.run("shape plan.yaml data --to default").ended(0);
    let expected = unpacked(&folder("default"));
    for (form, ending) in [("zstd", ".json.zst"), ("gzip", ".json.gz"), ("none", ".json")] {
        shell
            .run(&format!("shape plan.yaml data --to {form} --compression {form}"))
            .ended(0);
        assert_eq!(unpacked(&folder(form)), expected, "{form}");
        let names = std::fs::read_dir(folder(form)).unwrap();
        for name in names.map(|entry| entry.unwrap().file_name().into_string().unwrap()) {
            assert_eq!(name.split_once('.').unwrap().1, &ending[1..], "{name}");
        }
        // What was written is read again: these users are users.
        let again = format!("shape plan.yaml {form}/tables/Users --to {form}-again");
        shell.run(&again).ended(0);
        let (users, _) = unpacked(&folder(&format!("{form}-again")));
        assert_eq!(users.len(), 30, "{form}");
    }
    let names = std::fs::read_dir(folder("default")).unwrap();
    assert!(
        names
            .into_iter()
            .all(|entry| entry.unwrap().path().extension().unwrap() == "zst")
    );
}

#[test]
fn a_file_in_another_form_than_its_name_says_or_cut_off_is_one_clear_error() {
    let shell = shell();
    std::fs::create_dir(shell.path("data")).unwrap();
    let text = lines(&(1..=2000).map(user).collect::<Vec<_>>());
    let gzip = packed(&text);
    let zstd = zstd::stream::encode_all(text.as_bytes(), 1).unwrap();
    let cases: [(&str, &[u8], &str); 6] = [
        (
            "a.json.gz",
            &zstd,
            "its name says gzip, but it is compressed with zstd",
        ),
        (
            "a.json.gz",
            text.as_bytes(),
            "its name says gzip, but it is not compressed",
        ),
        (
            "a.json.zst",
            &gzip,
            "its name says zstd, but it is compressed with gzip",
        ),
        (
            "a.json.zst",
            text.as_bytes(),
            "its name says zstd, but it is not compressed",
        ),
        (
            "a.json.zst",
            &zstd[..zstd.len() - 7],
            "it ends before its end: a part of it is missing",
        ),
        (
            "a.json.gz",
            &gzip[..gzip.len() - 7],
            "it ends before its end: a part of it is missing",
        ),
    ];
    for (name, bytes, told) in cases {
        std::fs::write(shell.path("data").join(name), bytes).unwrap();
        let said = shell.run("shape plan.yaml data --to shaped").ended(1);
        assert!(
            said.stderr.contains(&format!("{name}: cannot be read: {told}")),
            "{}",
            said.stderr
        );
        assert_eq!(said.stderr.matches("error").count(), 1, "{}", said.stderr);
        assert_eq!(left(&shell), [""; 0], "{name}");
        std::fs::remove_file(shell.path("data").join(name)).unwrap();
    }
}

#[test]
fn a_pipe_gets_one_service() {
    let shell = exported();
    let said = shell.run("shape plan.yaml data --service Users").ended(0);
    let users: Vec<Json> = said
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(users.len(), 30);
    assert_eq!(users[0], json!({"Item": user(1)}));
    assert_eq!(said.stderr, "");
    assert_eq!(left(&shell), [""; 0]);
    let said = shell.run("shape plan.yaml data --service users").ended(2);
    assert!(said.stderr.contains("did you mean 'Users'?"), "{}", said.stderr);
    // Nobody reads the rest.
    let mut running = shell.start("shape plan.yaml data --service Users");
    running.stop_reading();
    running.end().ended(0);
}

#[test]
fn what_cannot_be_written_is_kept_with_its_reason() {
    let shell = shell();
    let mut no_email = user(1);
    no_email["email"] = json!({"N": "1"});
    let unknown = json!({"PK": {"S": "THING#1"}, "SK": {"S": "META"}});
    shell.write(
        "items",
        &lines(&[
            course(1),
            no_email.clone(),
            unknown.clone(),
            user(2),
            unknown.clone(),
        ]),
    );
    let said = shell.run("shape plan.yaml items --to shaped").ended(3);
    let told = said.shown();
    for words in [
        "NOT CLEAN: 3 items refused",
        "Users: 1 item, the first at items:2: index 'by-email'",
        "(no service): 2 items, the first at items:3: it belongs to no service",
        "the refused items are in shaped/refused",
    ] {
        assert!(
            told.replace("\n", " ").contains(words) || told.contains(words),
            "{words}: {told}"
        );
    }
    let (refused, _) = unpacked(&shell.path("shaped/refused"));
    let items: Vec<&Json> = refused.iter().map(|line| &line["Item"]).collect();
    assert_eq!(items, [&no_email, &unknown, &unknown]);
    assert_eq!(refused[0]["service"], "Users");
    assert_eq!(refused[1]["service"], Json::Null);
    assert_eq!(
        (&refused[2]["input"], &refused[2]["line"]),
        (&json!("items"), &json!(5))
    );
    let said = shell.run("shape plan.yaml items --service Courses").ended(3);
    assert_eq!(said.stdout.lines().count(), 1);
    assert!(
        said.stderr.contains("NOT CLEAN: 3 items refused"),
        "{}",
        said.stderr
    );
}

#[test]
fn nothing_remains_of_a_run_that_fails() {
    let refused = |text: &[u8], words: &str| {
        let shell = shell();
        std::fs::write(shell.path("items"), text).unwrap();
        let said: Said = shell.run("shape plan.yaml items --to shaped").ended(1);
        assert!(said.stderr.contains(words), "{}", said.stderr);
        assert!(!said.stderr.contains("secret"), "{}", said.stderr);
        assert_eq!(left(&shell), [""; 0]);
    };
    let good = lines(&[course(1), course(2)]);
    refused(
        format!("{good}{{\"Item\": secret").as_bytes(),
        "items:3: this line is not JSON",
    );
    refused(
        format!("{good}\n[1]").as_bytes(),
        "items:4: an item is expected here",
    );
    refused(
        b"{\"Item\":{\"PK\":{\"S\":1}}}",
        "items:1: PK: S takes a text in quotes",
    );
    refused(
        b"$ion_1_0 {Item:{PK:\"secret",
        "items:1: this line is not Amazon Ion",
    );
    refused(
        b"{\"Metadata\":{},\"Keys\":{}}",
        "items:1: this is a line of an incremental export",
    );
    let whole = packed(&good);
    refused(&whole[..whole.len() - 6], "items: cannot be read: ");
    let mut spoilt = whole.clone();
    let middle = spoilt.len() - 6;
    spoilt[middle] ^= 0xff;
    refused(&spoilt, "items: cannot be read: ");
}

#[test]
fn a_command_line_that_is_wrong_is_refused() {
    let shell = exported();
    let refused = |line: &str, words: &str| {
        let said = shell.run(line).ended(2);
        assert!(said.stderr.contains(words), "{}", said.stderr);
    };
    refused("shape plan.yaml data", "--to <DIRECTORY>");
    refused(
        "shape plan.yaml data --to x --service Users",
        "cannot be used with",
    );
    refused("shape plan.yaml dta --to x", "check the path of the items");
    std::fs::create_dir(shell.path("there")).unwrap();
    refused("shape plan.yaml data --to there", "this exists already");
    refused("shape plan.yaml there --to x", "there is no file *.json");
    let said = shell.run("shape plan.yaml data --to no/such/folder").ended(1);
    assert!(said.stderr.contains("cannot be written"), "{}", said.stderr);
    assert_eq!(left(&shell), ["there"]);
}

#[test]
fn an_interrupted_run_leaves_nothing() {
    let shell = shell();
    // Nobody ever writes to it.
    let made = std::process::Command::new("mkfifo")
        .arg(shell.path("items"))
        .status()
        .unwrap();
    assert!(made.success());
    let running = shell.start("shape plan.yaml items --to shaped");
    let began = Instant::now();
    while left(&shell).is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "{}", running.told());
        std::thread::sleep(Duration::from_millis(20));
    }
    running.interrupt();
    let said = running.end().ended(4);
    assert!(said.stderr.contains("interrupted"), "{}", said.stderr);
    assert_eq!(left(&shell), [""; 0]);
}

/// The files hold exactly what the live split would: `verify` finds no difference when they are imported.
#[tokio::test]
async fn tables_of_shaped_items_pass_verify() {
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    table::create_with(&client, "Learning", &["PK", "SK"], true).await;
    let items: Vec<Json> = (1..=20)
        .map(course)
        .chain((1..=30).map(user))
        .chain([log()])
        .collect();
    for item in &items {
        put(&client, "Learning", item).await;
    }
    let plan = PLAN.replace(
        "      name: Users\n",
        "      name: Users\n      may-hold-items: true\n",
    );
    let shell = Shell::new(&plan).at(engine.endpoint());
    shell.write("items", &lines(&items));
    shell.run("shape plan.yaml items --to shaped").ended(0);
    shell.run("apply plan.yaml").ended(0);
    let tables = BTreeMap::from([("Courses", 20), ("Users", 30)]);
    for (service, count) in &tables {
        let (lines, _) = unpacked(&shell.path("shaped/tables").join(service));
        assert_eq!(lines.len(), *count);
        for line in lines {
            put(&client, service, &line["Item"]).await;
        }
    }
    let said = shell.run("verify plan.yaml --anyway").ended(0);
    let words: Vec<&str> = said.stdout.split_whitespace().collect();
    let told = words.join(" ");
    assert!(told.contains("Courses 20 20 0 0 0 Users 30 30 0 0 0"), "{told}");
}

async fn put(client: &aws_sdk_dynamodb::Client, table: &str, item: &Json) {
    let item = item_from_json(item.clone()).unwrap();
    let item = item_to_sdk::<AttributeValue>(item);
    client
        .put_item()
        .table_name(table)
        .set_item(Some(item))
        .send()
        .await
        .unwrap();
}
