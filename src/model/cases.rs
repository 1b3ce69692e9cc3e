//! How many cases a property test tries, and texts to try.

use proptest::test_runner::Config;

/// So many, unless the environment says otherwise (`PROPTEST_CASES`, which a plain `with_cases` overrules).
pub(crate) fn cases(ordinary: u32) -> Config {
    let set = std::env::var_os("PROPTEST_CASES").is_some();
    let config = Config::default();
    if set {
        config
    } else {
        Config {
            cases: ordinary,
            ..config
        }
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
