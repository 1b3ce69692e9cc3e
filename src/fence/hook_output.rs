//! The output of a command: its end, without secrets of the environment and without control characters.

/// Most bytes of output that are kept while a command runs.
const MOST_READ: usize = 64 * 1024;
/// Most bytes of output that are kept at last: several of them fit into a record.
pub const MOST_KEPT: usize = 4 * 1024;
/// Parts of the names of environment variables whose values are secret.
const SECRET_NAMES: [&str; 8] = [
    "SECRET",
    "TOKEN",
    "PASSWORD",
    "PASSWD",
    "CREDENTIAL",
    "PRIVATE",
    "API_KEY",
    "APIKEY",
];
/// A shorter value is found in ordinary texts, too.
const LEAST_SECRET: usize = 8;

/// The end of what a command wrote.
#[derive(Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    cut: bool,
}

impl Tail {
    pub fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > MOST_READ {
            self.bytes.drain(..self.bytes.len() - MOST_READ);
            self.cut = true;
        }
    }

    /// The text that may be kept. `environment` are names and values that the command saw.
    pub fn text(self, environment: impl Iterator<Item = (String, String)>) -> String {
        let mut text = String::from_utf8_lossy(&self.bytes).into_owned();
        let mut longest = 0;
        let mut secrets: Vec<(String, String)> = environment
            .filter(|(name, value)| is_secret(name, value))
            .collect();
        // A secret that contains another one is replaced as a whole.
        secrets.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        for (name, value) in secrets {
            longest = longest.max(value.len());
            text = text.replace(&value, &format!("[{name}]"));
        }
        let text: String = text
            .chars()
            .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
            .collect();
        // What was read may begin in the middle of a secret.
        let first = if self.cut { longest.min(text.len()) } else { 0 };
        let start = first.max(text.len().saturating_sub(MOST_KEPT));
        let start = (start..=text.len())
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(text.len());
        match start {
            0 => text.trim_end().to_owned(),
            start => format!("(the beginning is left out)\n{}", text[start..].trim_end()),
        }
    }
}

fn is_secret(name: &str, value: &str) -> bool {
    let name = name.to_uppercase();
    value.len() >= LEAST_SECRET && SECRET_NAMES.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(parts: &[&str], environment: &[(&str, &str)]) -> String {
        let mut tail = Tail::default();
        parts.iter().for_each(|part| tail.add(part.as_bytes()));
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        tail.text(environment)
    }

    const KEY: (&str, &str) = ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG");

    #[test]
    fn secrets_of_the_environment_are_not_kept() {
        let environment = [
            KEY,
            ("db_password", "correct horse"),
            ("HOME", "/home/ann"),
            ("X_TOKEN", "short"),
        ];
        let text = kept(
            &["key wJalrXUtn", "FEMI/K7MDENG correct horse /home/ann short"],
            &environment,
        );
        assert_eq!(text, "key [AWS_SECRET_ACCESS_KEY] [db_password] /home/ann short");
    }

    #[test]
    fn half_a_secret_at_the_cut_is_not_kept() {
        let text = kept(&[KEY.1, &"x".repeat(MOST_READ - 10)], &[KEY]);
        assert!(!text.contains(&KEY.1[KEY.1.len() - 10..]), "{text}");
        let lines = kept(&[KEY.1, &"\n".repeat(MOST_READ - 10)], &[KEY]);
        assert!(!lines.contains("MDENG"), "{lines}");
    }

    #[test]
    fn what_is_kept_is_bounded_and_cannot_steer_a_terminal() {
        let text = kept(&[&"ä".repeat(MOST_READ), "\u{1b}[31mend\u{7}\n"], &[]);
        assert!(
            text.len() <= MOST_KEPT + 40 && text.ends_with("ä[31mend"),
            "{}",
            text.len()
        );
        assert!(text.starts_with("(the beginning is left out)\n"));
        assert_eq!(kept(&["one\ttwo\r\n\n"], &[]), "one\ttwo");
    }
}
