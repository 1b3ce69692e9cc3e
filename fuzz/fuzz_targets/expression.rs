//! Any text as a route expression, held against any item: the expression, a zero byte, and what the item is made of.
#![no_main]

use dynasplit_fuzz::Bytes;
use dynasplit_fuzz::plan::Condition;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let Ok(text) = str::from_utf8(&data[..end]) else {
        return;
    };
    match Condition::parse(text) {
        Ok(condition) => {
            let rendered = condition.to_string();
            let again =
                Condition::parse(&rendered).unwrap_or_else(|error| panic!("{text}: {rendered}: {error}"));
            assert_eq!(again, condition, "{text}");
            assert_eq!(again.to_string(), rendered, "{text}");
            let filter = condition.to_filter();
            assert!(filter.expression.len() <= 4096, "{text}");
            let names = condition.attributes();
            let item = Bytes(data.get(end + 1..).unwrap_or_default()).item(names.iter().map(String::as_str));
            let holds = condition.matches(&item);
            // What is read off the top of a condition is a promise about every item that it takes.
            for name in names {
                if let Some(value) = condition.pinned(&name) {
                    assert!(!holds || item.get(&name) == Some(value), "{text}");
                }
                if let Some(prefix) = condition.prefix(&name) {
                    let begins = |value| matches!(value, &dynasplit_fuzz::model::Value::S(ref s) if s.starts_with(prefix));
                    assert!(!holds || item.get(&name).is_some_and(begins), "{text}");
                }
            }
        }
        Err(error) => {
            assert!(
                error.offset <= text.len() && text.is_char_boundary(error.offset),
                "{text}: {error}"
            );
            assert!(!error.message.is_empty());
        }
    }
});
