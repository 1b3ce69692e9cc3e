//! How many cases a property test tries.

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
