//! How many cases a property test tries, and texts to try.

use proptest::test_runner::Config;

/// So many, times `DYNASPLIT_EFFORT`, unless the environment says otherwise (`PROPTEST_CASES`, which a plain `with_cases`
/// overrules).
pub(crate) fn cases(ordinary: u32) -> Config {
    let config = Config::default();
    if std::env::var_os("PROPTEST_CASES").is_some() {
        return config;
    }
    let effort = std::env::var("DYNASPLIT_EFFORT")
        .map_or(1, |text| text.parse().expect("DYNASPLIT_EFFORT is a number"));
    Config {
        cases: ordinary.saturating_mul(effort),
        ..config
    }
}

/// All texts over `ab#` with up to so many characters.
pub(crate) fn texts(length: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut from = 0;
    for _ in 0..length {
        let to = all.len();
        for n in from..to {
            all.extend(["a", "b", "#"].map(|c| format!("{}{c}", all[n])));
        }
        from = to;
    }
    all
}
