//! Decodes the nodes of the file to a [`PlanSpec`], and collects every problem of structure.
//!
//! Serde stops at its first error. So the node of the error is recorded and repaired in the tree (a misspelt name is
//! corrected, anything else becomes a hole that reads as any value), and the tree is read again. Consequences of a
//! repair are not reported.

use super::node_reader::{Fault, FaultKind, NodeReader};
use super::path::{Path, Step};
use super::problem::Finding;
use super::source_map::{Data, Entry, Node};
use super::spec::PlanSpec;
use saphyr_parser::ScalarStyle;
use serde::Deserialize;

/// Most problems of structure that are gathered: each costs a reading of the whole plan.
const MAX_FAULTS: usize = 100;

/// The part that could be read, and the repairs that it needed.
pub(super) struct Decoded {
    pub spec: Option<PlanSpec>,
    /// Settings that became holes, or were taken out.
    pub faulty: Vec<Path>,
    pub findings: Vec<Finding>,
}

/// Reads the plan. The tree is repaired in place, so that later findings point at the right lines.
pub(super) fn decode(root: &mut Node) -> Decoded {
    let mut decoded = Decoded {
        spec: None,
        faulty: vec![],
        findings: vec![],
    };
    for _ in 0..MAX_FAULTS {
        match PlanSpec::deserialize(NodeReader(root)) {
            Ok(spec) => {
                decoded.spec = Some(spec);
                break;
            }
            Err(fault) => {
                if !decoded.repair(root, &fault) {
                    break;
                }
            }
        }
    }
    decoded
}

impl Decoded {
    /// Records the fault and repairs the tree; false if that is impossible.
    fn repair(&mut self, root: &mut Node, fault: &Fault) -> bool {
        let path = fault.path();
        // The problem of a hole was reported when it became one.
        let silent = self.faulty.iter().any(|known| path.is_within(known));
        if let FaultKind::UnknownField { field, expected } = &fault.kind {
            return self.unknown_field(root, &path, field, expected);
        }
        let (hole_at, message, hint) = match &fault.kind {
            FaultKind::MissingField(field) => {
                let message = format!("`{field}` is missing");
                (path.field(field), message, missing_hint(field))
            }
            FaultKind::UnknownWord { word, expected } => {
                let message = format!("`{word}` is not a known value here");
                (path.clone(), message, Some(one_of(word, expected, path.0.last())))
            }
            FaultKind::WrongType { found, expected } => {
                let message = format!("expected {}, found {found}", plainly(expected));
                (path.clone(), message, type_hint(found, expected))
            }
            FaultKind::Other(message) => (path.clone(), message.clone(), None),
            FaultKind::UnknownField { .. } => return false,
        };
        if !silent {
            // The mark is taken now, because a hole shows less of the original text.
            let place = Some(root.mark(&path, false));
            let finding = Self::finding(path, message, hint, false);
            self.findings.push(Finding { place, ..finding });
        }
        // A hole that does not help a second time never will.
        let repaired = make_hole(root, &hole_at) && !self.faulty.contains(&hole_at);
        self.faulty.push(hole_at);
        repaired
    }

    fn unknown_field(&mut self, root: &mut Node, path: &Path, field: &str, expected: &[&str]) -> bool {
        let Some((Step::Field(name), above)) = path.0.split_last() else {
            return false;
        };
        let Some(Node {
            data: Data::Map(entries),
            ..
        }) = root.find_mut(above)
        else {
            return false;
        };
        let Some(at) = entries.iter().position(|e| e.name == *name) else {
            return false;
        };
        let meant = closest(field, expected).filter(|word| entries.iter().all(|e| e.name != *word));
        let hint = match (meant, expected) {
            (Some(word), _) => format!("did you mean `{word}`?"),
            (None, []) => "remove it".to_owned(),
            (None, _) => format!("known here: {}", list(expected)),
        };
        // Noted before the name is put right, so that its line is found either way.
        let finding = Self::finding(
            path.clone(),
            "dynasplit has no such setting".to_owned(),
            Some(hint),
            true,
        );
        match meant {
            Some(word) => {
                entries[at].name = word.to_owned();
                self.findings.push(Finding {
                    path: Path(above.to_vec()).field(word),
                    ..finding
                });
            }
            None => {
                let removed = entries.remove(at);
                self.findings.push(Finding {
                    place: Some(removed.at),
                    ..finding
                });
                self.faulty.push(path.clone());
            }
        }
        true
    }

    fn finding(path: Path, message: String, hint: Option<String>, at_name: bool) -> Finding {
        Finding {
            shown: path.clone(),
            path,
            place: None,
            offset: None,
            at_name,
            incomplete: false,
            message,
            hint,
        }
    }
}

/// Puts a hole at the path, or the default word if only certain words can be read.
fn make_hole(root: &mut Node, path: &Path) -> bool {
    let data = match path.to_string().as_str() {
        "timestamp" => Data::Text("none".to_owned(), ScalarStyle::Plain),
        "unrouted" => Data::Text("fail".to_owned(), ScalarStyle::Plain),
        _ => Data::Hole,
    };
    if let Some(node) = root.find_mut(&path.0) {
        node.data = data;
        return true;
    }
    let Some((Step::Field(name), above)) = path.0.split_last() else {
        return false;
    };
    match root.find_mut(above) {
        Some(Node {
            at,
            data: Data::Map(entries),
        }) => {
            let value = Node { at: *at, data };
            entries.push(Entry {
                name: name.clone(),
                at: *at,
                value,
            });
            true
        }
        _ => false,
    }
}

/// The known word that was probably meant.
fn closest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    let fold = |text: &str| text.to_lowercase().replace('_', "-");
    let (word, length) = (fold(word), word.chars().count());
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, candidate), *candidate))
        .min_by_key(|(distance, _)| *distance)
        // A third of the letters may differ, as in `tabel`, `transfrom`, `globalIndexes`.
        .filter(|(distance, _)| *distance <= length / 3)
        .map(|(_, candidate)| candidate)
        .or_else(|| {
            let squeezed = word.replace('-', "");
            known
                .iter()
                .copied()
                .find(|candidate| candidate.replace('-', "") == squeezed)
        })
}

fn one_of(word: &str, known: &[&str], setting: Option<&Step>) -> String {
    if let Some(meant) = closest(word, known) {
        return format!("did you mean `{meant}`?");
    }
    let long_form = match setting {
        Some(Step::Field(name)) => match name.as_str() {
            "timestamp" => ", or { attribute: updatedAt, type: S, format: iso-8601-millis }",
            "unrouted" => ", or { left-behind: \"begins_with(PK, 'SESSION#')\" }",
            "billing" => ", or units: { read: 10, write: 10 }",
            "encryption" => ", or a key: { kms-key: alias/orders }",
            "projection" => ", or a list: { include: [name] }",
            "owns" => ", or a list: { attributes: [name] }",
            _ => "",
        },
        _ => "",
    };
    format!("known here: {}{long_form}", list(known))
}

fn list(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn plainly(expected: &str) -> &str {
    match expected {
        "a string" => "text",
        "a sequence" => "a list",
        "a map" => "a mapping",
        other => other.strip_prefix("struct ").map_or(other, |_| "a mapping"),
    }
}

fn type_hint(found: &str, expected: &str) -> Option<String> {
    match (found, expected) {
        ("nothing", _) => Some("write a value, or remove the line".to_owned()),
        ("a mapping", "text") => Some("text with braces needs quotes: '{course}'".to_owned()),
        (_, "text") => Some("put it in quotes".to_owned()),
        ("a number in quotes" | "a word in quotes", _) => Some("remove the quotes".to_owned()),
        ("text", "a list") => {
            Some("write it as [one, two], or write one entry per line after `- `".to_owned())
        }
        _ => None,
    }
}

fn missing_hint(field: &str) -> Option<String> {
    let hint = match field {
        "version" => "begin the plan with `version: 1`",
        "timestamp" => "name the attribute that increases with each write, or write `timestamp: none`",
        "unrouted" => {
            "write `unrouted: fail`, or select the items that stay in the source: `unrouted: { left-behind: \
             \"...\" }`"
        }
        "where" => "write which items belong to the service: where: begins_with(PK, 'COURSE#')",
        "keys" => "give its primary key: keys: { partition: id }, and `sort` if it has one",
        "from" => "write how the source's keys are read: from: { PK: 'COURSE#{course}' }",
        "to" => "write how the target's keys are made: to: { courseId: '{course}' }",
        "set" => "give the attributes that new items get: set: { type: Course }",
        "run" => "write the program and its arguments: run: [./switch.sh, '10']",
        "scope" => {
            "write `prefix` to deny only keys of the service, or `table` to stop the writers of all services"
        }
        "probe-roles" => {
            "list the roles that write the source: probe-roles: ['arn:aws:iam::123456789012:role/shop']"
        }
        "attributes" => "list their names in the source: attributes: [name]",
        "name" => "give it a name",
        "type" => "write the type: `S` (text), `N` (number) or `B` (binary)",
        "split" => "name the split, as in `split: online-learning`",
        _ => return None,
    };
    Some(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::source_map::read;

    fn decoded(text: &str) -> Decoded {
        let (node, flaws) = read(text);
        assert!(flaws.is_empty(), "{flaws:?}");
        decode(&mut node.unwrap())
    }

    fn said(decoded: &Decoded) -> Vec<String> {
        let line = |f: &Finding| {
            let hint = f.hint.as_deref().unwrap_or("-");
            format!("{}: {} ({hint})", f.shown, f.message)
        };
        decoded.findings.iter().map(line).collect()
    }

    const GOOD: &str = "
version: 1
split: s
source: { table: old, keys: { partition: PK, sort: SK } }
timestamp: none
unrouted: fail
services:
  - name: a
    where: PK = 'a'
    table: { name: ta, keys: { partition: PK, sort: SK } }
  - name: b
    where: PK = 'b'
    table: { name: tb, keys: { partition: PK, sort: { name: SK, type: N } } }
";

    #[test]
    fn a_good_plan_is_read() {
        let decoded = decoded(GOOD);
        assert_eq!(said(&decoded), Vec::<String>::new());
        let spec = decoded.spec.unwrap();
        assert_eq!(spec.services.len(), 2);
    }

    #[test]
    fn several_problems_are_gathered_and_nothing_that_follows_from_them() {
        let broken = GOOD
            .replace("version: 1", "version: one")
            .replace("timestamp: none", "timestamp: nope")
            .replace("  - name: a\n    where: PK = 'a'", "  - nmae: a\n    whatever: 7")
            .replace("type: N", "type: X");
        let decoded = decoded(&broken);
        let lines = said(&decoded);
        let expect = [
            "version: expected a whole number, found text (-)",
            "timestamp: `nope` is not a known value here (did you mean `none`?)",
            "services[0].nmae: dynasplit has no such setting (did you mean `name`?)",
            "services[0].whatever: dynasplit has no such setting (known here: `name`, `where`, `copy`, `irrelevant`, `table`, \
             `transform`, `shapes`, `owns`, `reverse`, `fence`, `events`)",
            "services[1].table.keys.sort.type: `X` is not a known value here (known here: `S`, `N`, `B`)",
        ];
        for line in expect {
            assert!(lines.iter().any(|l| l == line), "{line}\nin {lines:#?}");
        }
        assert_eq!(lines.len(), expect.len(), "{lines:#?}");
        assert!(decoded.spec.is_some());
    }

    #[test]
    fn nothing_at_all_is_many_missing_settings() {
        for text in ["{}", "{ source: 5 }"] {
            let decoded = decoded(text);
            assert!(decoded.spec.is_some(), "{:#?}", said(&decoded));
            assert_eq!(decoded.findings.len(), 6, "{:#?}", said(&decoded));
        }
        assert_eq!(decoded("[1]").findings.len(), 1);
        assert_eq!(decoded("just text").findings.len(), 1);
    }

    #[test]
    fn names_that_were_meant() {
        let known = ["global-indexes", "local-indexes", "name", "table", "ttl"];
        for (word, meant) in [
            ("globalIndexes", Some("global-indexes")),
            ("global_indexes", Some("global-indexes")),
            ("tabel", Some("table")),
            ("Name", Some("name")),
            ("tlt", Some("ttl")),
            ("billing", None),
            ("x", None),
        ] {
            assert_eq!(closest(word, &known), meant, "{word}");
        }
    }
}
