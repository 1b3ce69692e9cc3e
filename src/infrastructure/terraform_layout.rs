//! The layout that `terraform fmt` gives a document, so that the check of a pipeline (`terraform fmt -check`) accepts it.

/// Aligns the values of attributes that follow each other in one block, each in one line.
pub(super) fn aligned(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut laid_out = String::with_capacity(text.len() + text.len() / 8);
    let mut at = 0;
    while at < lines.len() {
        let group: Vec<(&str, &str)> = lines[at..].iter().map_while(|line| attribute(line)).collect();
        if group.is_empty() {
            laid_out.push_str(lines[at]);
            laid_out.push('\n');
            at += 1;
            continue;
        }
        let width = group
            .iter()
            .map(|(name, _)| name.chars().count())
            .max()
            .unwrap_or(0);
        for (name, value) in &group {
            laid_out.push_str(&format!("{name:width$} = {value}\n"));
        }
        at += group.len();
    }
    laid_out
}

/// The name, with what stands before it, and the value of an attribute in one line.
fn attribute(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(" = ")?;
    let begins_a_block = value.ends_with(['{', '[', '(']);
    let bare = name.trim_start();
    // The ` = ` may stand inside the name of a tag.
    let is_whole = match bare.strip_prefix('"') {
        Some(rest) => rest
            .strip_suffix('"')
            .is_some_and(|inside| !inside.contains(['"', '\\'])),
        None => !bare.is_empty() && !bare.contains('"') && !bare.starts_with('#'),
    };
    (is_whole && !begins_a_block).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_neighbours_stand_below_each_other() {
        let text = "# a = b\nblock \"x\" {\n  name = \"a = b\"\n  billing_mode = \"c\"\n  tags = {\n    \"a\" = \"b\"\n    \"long\" = \"c\"\n  }\n\n  x = 1\n}\n";
        let expected = "# a = b\nblock \"x\" {\n  name         = \"a = b\"\n  billing_mode = \"c\"\n  tags = {\n    \"a\"    = \"b\"\n    \"long\" = \"c\"\n  }\n\n  x = 1\n}\n";
        assert_eq!(aligned(text), expected);
        assert_eq!(aligned(expected), expected, "it stays as it is");
        for name in [r#""a = b""#, r#""a\" = b""#] {
            let tags = format!("tags = {{\n  {name} = \"c\"\n  \"long enough\" = \"d\"\n}}\n");
            assert!(
                aligned(&tags).contains(&format!("  {name} = \"c\"\n")),
                "the name of a tag stays: {name}"
            );
        }
    }
}
