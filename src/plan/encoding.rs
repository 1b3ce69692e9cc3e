//! Plan files that are not UTF-8: the position of the first wrong byte, and how to fix the file.

use super::problem::{Problem, Problems};
use std::string::FromUtf8Error;

/// Says which byte of the file is not UTF-8.
pub(super) fn problems(file: &str, error: &FromUtf8Error) -> Problems {
    let bytes = error.as_bytes();
    let before = error.utf8_error().valid_up_to();
    let text = String::from_utf8_lossy(bytes);
    let read = plain_line_breaks(text.get(..before).unwrap_or_default());
    let line = read.rsplit('\n').next().unwrap_or_default();
    let problem = Problem {
        line: read.matches('\n').count() + 1,
        column: line.chars().count() + 1,
        path: String::new(),
        message: match bytes.get(before) {
            Some(byte) => format!("the byte 0x{byte:02X} is not UTF-8 text"),
            None => "the file is not UTF-8 text".to_owned(),
        },
        hint: Some(hint(bytes).to_owned()),
    };
    Problems::new(file, &plain_line_breaks(&text), vec![problem])
}

fn hint(bytes: &[u8]) -> &'static str {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        "the file looks like UTF-16; save it as UTF-8"
    } else {
        "save the file as UTF-8; to find this place, open the file with its present encoding"
    }
}

/// To YAML a lone carriage return ends a line too; nothing else here would count it as one, and every problem behind
/// it would point at a wrong line.
pub(super) fn plain_line_breaks(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n").into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bytes: &[u8]) -> (usize, usize, String) {
        let error = String::from_utf8(bytes.to_vec()).unwrap_err();
        let found = problems("plan.yaml", &error);
        assert!(found.to_string().starts_with("plan.yaml:"), "{found}");
        let problem = &found.list[0];
        let hint = problem.hint.clone().unwrap();
        (
            problem.line,
            problem.column,
            format!("{}; {hint}", problem.message),
        )
    }

    #[test]
    fn the_byte_that_is_not_utf_8_has_a_place() {
        for (bytes, line, column, said) in [
            (&b"version: 1\nsplit: caf\xe9\n"[..], 2, 11, "0xE9"),
            (b"a: \xc3\xa9\xff", 1, 5, "0xFF"),
            (b"a: 1\r\nb: 2\rc: \x80", 3, 4, "0x80"),
            (b"a: \xc3", 1, 4, "0xC3"),
            (&[0xff, 0xfe, 0x00], 1, 1, "UTF-16"),
        ] {
            let found = told(bytes);
            assert_eq!((found.0, found.1), (line, column), "{bytes:?}");
            assert!(found.2.contains(said), "{found:?}");
        }
    }
}
