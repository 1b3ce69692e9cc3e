//! How much the tests do: what takes long is done more often, or within larger bounds, if more is asked for.

/// Names how many times as much as usual is done: 1, unless it is set. `docs/testing.md` says what it changes.
const VARIABLE: &str = "DYNASPLIT_EFFORT";

/// How many times as much as usual is done.
///
/// # Panics
/// Where the variable is not a number above zero.
pub fn effort() -> u64 {
    let Ok(text) = std::env::var(VARIABLE) else {
        return 1;
    };
    let effort: u64 = text
        .parse()
        .unwrap_or_else(|_| panic!("{VARIABLE} is a number, not {text:?}"));
    assert!(effort > 0, "{VARIABLE} is at least 1");
    effort
}
