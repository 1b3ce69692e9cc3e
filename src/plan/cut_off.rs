//! Key templates that a comment cuts off: the remaining part of `ORDER #{order}` is also a template, but another one.

use super::decode::Decoded;
use super::mark::cut_off_hint;
use super::path::Path;
use super::problem::Finding;
use super::source_map::Node;

/// Refuses templates without quotes if a comment with a capture follows immediately.
pub(super) fn templates(decoded: &mut Decoded, root: &Node, text: &str) {
    let Some(spec) = &decoded.spec else { return };
    let mut cut = vec![];
    for (n, service) in spec.services.iter().enumerate() {
        for shape in service.shapes(&Path::root().field("services").index(n)) {
            let path = shape.path.field("transform").field("keys");
            let Some(keys) = shape.transform.and_then(|transform| transform.keys.as_ref()) else {
                continue;
            };
            let from = keys.from.keys().map(|name| path.field("from").field(name));
            let to = keys.to.keys().map(|name| path.field("to").field(name));
            for path in from.chain(to) {
                if let Some(comment) = root
                    .comment_behind(&path, text)
                    .filter(|comment| is_meant(comment))
                {
                    cut.push((path, cut_off_hint(comment)));
                }
            }
        }
    }
    for (path, hint) in cut {
        decoded.findings.push(Finding {
            shown: path.clone(),
            path: path.clone(),
            place: None,
            offset: None,
            at_name: false,
            incomplete: false,
            message: "a comment cuts off this template".to_owned(),
            hint: Some(hint),
        });
        decoded.faulty.push(path);
    }
}

/// A comment begins with a space as a rule, and says nothing of captures.
fn is_meant(comment: &str) -> bool {
    comment.contains('{') && comment[1..].starts_with(|c: char| !c.is_whitespace() && c != '#')
}
