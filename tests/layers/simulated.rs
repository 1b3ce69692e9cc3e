//! What a simulation must decide is asked in one place each: the time of day of the clock of the process, randomness of
//! the seeded source, durations of the runtime. And nothing else is left to chance: who comes first in a `select!` is written down.

use super::sources;

/// Rooms that no simulation runs: they talk to a person, or run engines in real time.
const REAL: [&str; 3] = ["cli", "rehearse", "main"];
/// Texts that may stand in one file only.
const ONE_PLACE: [(&str, &str); 7] = [
    ("SystemTime::now", "dynamo/clock.rs"),
    ("use rand", "dynamo/chance.rs"),
    ("rand::random", "dynamo/chance.rs"),
    ("rand::rng", "dynamo/chance.rs"),
    ("process::id()", "dynamo/chance.rs"),
    ("std::time::Instant", "none: take that of tokio"),
    ("std::time::{Duration, Instant}", "none: take that of tokio"),
];

/// The code of a file that is no test.
fn product() -> Vec<(String, String)> {
    let all = sources().into_iter();
    all.filter(|source| !REAL.contains(&source.module.as_str()))
        .map(|source| {
            let path = source.path.display().to_string().replace('\\', "/");
            let code = source
                .code
                .split("#[cfg(test)]")
                .next()
                .unwrap_or_default()
                .to_owned();
            (path, code)
        })
        .filter(|(path, _)| {
            !path.contains("tests") && !path.ends_with("scripted.rs") && !path.ends_with("strategy.rs")
        })
        .collect()
}

#[test]
fn time_and_chance_come_from_one_place_each() {
    let mut wrong = Vec::new();
    for (path, code) in product() {
        for (text, place) in ONE_PLACE {
            if code.contains(text) && path != place {
                wrong.push(format!("{path} has {text}, which belongs into {place}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_select_draws_its_first_branch() {
    let mut selects = 0;
    for (path, code) in product() {
        for after in code.split("select! {").skip(1) {
            selects += 1;
            assert!(
                after.trim_start().starts_with("biased;"),
                "{path}: a select! without `biased;` draws which branch it asks first"
            );
        }
    }
    assert!(selects > 20, "{selects}");
}
