//! Key schemas, and the templates that make target keys.

use super::report::Report;
use super::{copies, names};
use crate::model::{AttributeKind, KeyAttribute, KeySchema, Value};
use crate::plan::Condition;
use crate::plan::either::WordOr;
use crate::plan::key_mapping::{KeyMapping, TypeFlaw};
use crate::plan::key_proof::Loss;
use crate::plan::path::Path;
use crate::plan::spec::{KeyAttributeSpec, KeyTemplatesSpec, KeysSpec};
use crate::plan::template::{Template, TemplateFlaw};
use std::collections::BTreeMap;

/// The context of a service's key mapping.
pub(super) struct Subject<'a> {
    pub source: &'a KeySchema,
    pub target: &'a KeySchema,
    /// Which items are copied, if that could be read.
    pub condition: Option<&'a Condition>,
    /// All of them are: `where` fixes no key.
    pub everything: bool,
    /// The service, or its shape.
    pub path: &'a Path,
    /// The service's table.
    pub table: &'a Path,
}

/// A key attribute in its short or long form.
pub(super) fn attribute(
    spec: &WordOr<String, KeyAttributeSpec>,
    path: &Path,
    report: &mut Report,
) -> KeyAttribute {
    let (name, kind, path) = match spec {
        WordOr::Word(name) => (name, AttributeKind::S, path.clone()),
        WordOr::Map(spec) => (&spec.name, spec.kind, path.field("name")),
    };
    names::attribute(name, &path, report);
    KeyAttribute {
        name: name.clone(),
        kind,
    }
}

/// A primary key.
pub(super) fn schema(spec: &KeysSpec, path: &Path, report: &mut Report) -> KeySchema {
    let partition = attribute(&spec.partition, &path.field("partition"), report);
    let sort = spec
        .sort
        .as_ref()
        .map(|sort| attribute(sort, &path.field("sort"), report));
    if sort.as_ref().is_some_and(|sort| sort.name == partition.name) {
        let message = format!("`{}` is both partition key and sort key", partition.name);
        report.at(
            &path.field("sort"),
            message,
            "leave `sort` out, or name another attribute",
        );
    }
    KeySchema { partition, sort }
}

/// The service's key mapping. `None` if a problem was reported.
pub(super) fn mapping(
    spec: Option<&KeyTemplatesSpec>,
    subject: &Subject<'_>,
    report: &mut Report,
) -> Option<KeyMapping> {
    let pinned = pinned(subject, report);
    if let Some(spec) = spec.filter(|_| subject.everything) {
        let from = subject.path.field("transform").field("keys").field("from");
        if !copies::takes_every_key(spec, subject.source, &from, report) {
            return None;
        }
    }
    let mapping = match spec {
        None => identity(subject, pinned, report)?,
        Some(spec) => compile(spec, subject, pinned, report)?,
    };
    for flaw in mapping.type_flaws() {
        type_flaw(&flaw, subject, report);
    }
    if let Some(condition) = subject.condition {
        contradictions(&mapping, condition, subject, report);
        if mapping.vouched().is_none() {
            for loss in mapping.losses() {
                explain(loss, spec, subject, report);
            }
        }
    }
    Some(mapping)
}

/// Source key attributes that the service's condition pins to one value.
fn pinned(subject: &Subject<'_>, report: &mut Report) -> BTreeMap<String, Value> {
    let mut pinned = BTreeMap::new();
    for attribute in subject.source.attributes() {
        let Some(value) = subject
            .condition
            .and_then(|condition| condition.pinned(&attribute.name))
        else {
            continue;
        };
        if attribute.kind.holds(value) {
            pinned.insert(attribute.name.clone(), value.clone());
        } else {
            report.at(
                &subject.path.field("where"),
                format!(
                    "`{}` has type {} in the source's key, so it never equals a value of type {}",
                    attribute.name,
                    attribute.kind,
                    value.type_name()
                ),
                "write text in quotes and numbers without quotes, or correct the type of the key under \
                 `source.keys`",
            );
        }
    }
    pinned
}

/// Without templates, the target's keys are attributes of the source's key.
fn identity(
    subject: &Subject<'_>,
    pinned: BTreeMap<String, Value>,
    report: &mut Report,
) -> Option<KeyMapping> {
    let Subject {
        source,
        target,
        table,
        ..
    } = subject;
    let mut fine = true;
    for (attribute, place) in target.attributes().zip(["partition", "sort"]) {
        let path = table.field("keys").field(place);
        let (message, hint) = match source.attributes().find(|key| key.name == attribute.name) {
            Some(key) if key.kind == attribute.kind => continue,
            Some(key) => (
                format!(
                    "`{}` has type {} in the source and type {} here",
                    key.name, key.kind, attribute.kind
                ),
                "use the source's type, or another name with a template under `transform.keys`".to_owned(),
            ),
            None => (
                format!(
                    "`{}` is not a key of the source, and the plan has no template for it",
                    attribute.name
                ),
                format!(
                    "add `transform.keys`, as in: keys: {{ from: {{ {}: 'PREFIX#{{id}}' }}, to: {{ {}: '{{id}}' }} }}",
                    source.partition.name, attribute.name
                ),
            ),
        };
        report.at(&path, message, hint);
        fine = false;
    }
    fine.then(|| KeyMapping::identity(source, target, pinned))
}

fn compile(
    spec: &KeyTemplatesSpec,
    subject: &Subject<'_>,
    pinned: BTreeMap<String, Value>,
    report: &mut Report,
) -> Option<KeyMapping> {
    let path = subject.path.field("transform").field("keys");
    let before = report.findings.len();
    let findings_since = |before: usize, report: &Report| report.findings.len() - before;
    if let Some(vouch) = &spec.vouch
        && vouch.split_whitespace().count() < 3
    {
        report.at(
            &path.field("vouch"),
            "a vouch must be a sentence that names who guarantees that no two items share a target key",
            "example: vouch: the sign-up service gives each e-mail address to one user only",
        );
    }
    let to = parse(&spec.to, &path.field("to"), report);
    let all_of_to = (to.len() == spec.to.len()).then_some(&to);
    let before_from = report.findings.len();
    let from = parse(&spec.from, &path.field("from"), report);
    check_from(&from, all_of_to, subject.source, &path.field("from"), report);
    // A wrong pattern may be intended to contain the capture that a template uses.
    let captured = (from.len() == spec.from.len() && findings_since(before_from, report) == 0)
        .then(|| from.values().flat_map(Template::captures).collect::<Vec<_>>());
    check_to(
        &to,
        spec,
        captured.as_deref(),
        subject.target,
        &path.field("to"),
        report,
    );
    let complete = from.len() == spec.from.len() && findings_since(before, report) == 0;
    complete.then(|| {
        KeyMapping::new(
            subject.source,
            subject.target,
            &from,
            &to,
            pinned,
            spec.vouch.clone(),
        )
    })
}

fn parse(spec: &BTreeMap<String, String>, path: &Path, report: &mut Report) -> BTreeMap<String, Template> {
    let mut templates = BTreeMap::new();
    for (name, text) in spec {
        names::attribute(name, &path.field(name), report);
        match Template::parse(text) {
            Ok(template) => _ = templates.insert(name.clone(), template),
            Err(flaw) => template_flaw(flaw, &path.field(name), report),
        }
    }
    templates
}

fn template_flaw(flaw: TemplateFlaw, path: &Path, report: &mut Report) {
    report.within(path, flaw.offset, flaw.message, flaw.hint);
}

fn check_from(
    from: &BTreeMap<String, Template>,
    to: Option<&BTreeMap<String, Template>>,
    source: &KeySchema,
    path: &Path,
    report: &mut Report,
) {
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, template) in from {
        let path = path.field(name);
        if let Err(flaw) = template.check_pattern() {
            template_flaw(flaw, &path, report);
            continue;
        }
        if let Some((capture, offset)) = template.number() {
            report.within(
                &path,
                offset,
                format!("`{{{capture}:N}}` makes a number, but a pattern under `from` only takes text apart"),
                Some(format!(
                    "write `{{{capture}}}` here, and `{{{capture}:N}}` under `to`"
                )),
            );
        }
        for capture in template.captures() {
            if let Some(first) = taken.insert(capture, name) {
                let message = format!("`{{{capture}}}` is already captured from `{first}`");
                report.at(&path, message, "give this one another name");
            }
        }
        match source.attributes().find(|key| key.name == *name) {
            Some(key) if key.kind != AttributeKind::S && template.lone().is_none() => report.at(
                &path,
                format!("`{name}` has type {}, but patterns match only text", key.kind),
                format!(
                    "capture the whole value: {name}: '{{{}}}'",
                    template.captures().next().unwrap_or("value")
                ),
            ),
            Some(_) => {}
            // A template that could not be read may well use it.
            None if to.is_none_or(|to| {
                to.values()
                    .flat_map(Template::captures)
                    .any(|used| template.captures().any(|own| own == used))
            }) => {}
            None => report.at(
                &path,
                format!("`{name}` is not a key of the source, and no target key uses it"),
                format!(
                    "remove it; the source's key is {}",
                    list(source.attributes().map(|key| key.name.as_str()))
                ),
            ),
        }
    }
}

fn check_to(
    to: &BTreeMap<String, Template>,
    spec: &KeyTemplatesSpec,
    captured: Option<&[&str]>,
    target: &KeySchema,
    path: &Path,
    report: &mut Report,
) {
    for attribute in target.attributes().filter(|key| !spec.to.contains_key(&key.name)) {
        report.at_name(
            path,
            format!("the target's key `{}` has no template", attribute.name),
            format!("add a template: {}: '...'", attribute.name),
        );
    }
    for name in spec
        .to
        .keys()
        .filter(|name| target.attributes().all(|key| key.name != **name))
    {
        report.at_name(
            &path.field(name),
            format!("`{name}` is not a key of the target"),
            format!(
                "the target's key is {}; other attributes are copied, or renamed under `rename`",
                list(target.attributes().map(|key| key.name.as_str()))
            ),
        );
    }
    let Some(captured) = captured else {
        return;
    };
    for (name, template) in to {
        if let Some((capture, offset)) = template.number().filter(|_| template.lone().is_none()) {
            report.within(
                &path.field(name),
                offset,
                format!("`{{{capture}:N}}` makes a number, which cannot be part of a text"),
                Some(format!(
                    "write it as the only part of its template, or write `{{{capture}}}`"
                )),
            );
        }
        for capture in template.captures().filter(|capture| !captured.contains(capture)) {
            let hint = match captured {
                [] => "no pattern under `from` captures anything".to_owned(),
                some => format!("captured under `from`: {}", list(some.iter().copied())),
            };
            report.at(
                &path.field(name),
                format!("no pattern under `from` captures `{{{capture}}}`"),
                hint,
            );
        }
    }
}

fn type_flaw(flaw: &TypeFlaw, subject: &Subject<'_>, report: &mut Report) {
    let to = subject.path.field("transform").field("keys").field("to");
    match flaw {
        TypeFlaw::Makes { attribute, made } => report.at(
            &to.field(&attribute.name),
            format!(
                "this makes a value of type {made}, but `{}` has type {}",
                attribute.name, attribute.kind
            ),
            match (made, attribute.kind) {
                (AttributeKind::S, AttributeKind::N) => {
                    "to make a number from text with digits, use the \
                     capture as the only part and write `:N` after its name: '{epoch:N}'"
                }
                _ => {
                    "a capture keeps its type if it is the only part of its pattern and of its template; \
                     otherwise the value is text (S)"
                }
            },
        ),
        TypeFlaw::BinaryInText { attribute, capture } => report.at(
            &to.field(&attribute.name),
            format!("`{{{capture}}}` is binary, which cannot be part of a text or become a number"),
            "write it as the only part of its template",
        ),
    }
}

/// A condition and a pattern that no source key satisfies both.
fn contradictions(mapping: &KeyMapping, condition: &Condition, subject: &Subject<'_>, report: &mut Report) {
    for key in subject.source.attributes() {
        let path = subject
            .path
            .field("transform")
            .field("keys")
            .field("from")
            .field(&key.name);
        let hint = "every item of this service would be invalid; make the two agree";
        if let Some(Value::S(text)) = condition.pinned(&key.name) {
            if !mapping.could_match(&key.name, text, true) {
                report.at(
                    &path,
                    format!("`where` selects only '{text}', and this pattern does not match it"),
                    hint,
                );
            }
        } else if let Some(prefix) = condition.prefix(&key.name)
            && !mapping.could_match(&key.name, prefix, false)
        {
            report.at(
                &path,
                format!(
                    "`where` selects only keys that begin with '{prefix}', and this pattern does not \
                     match them"
                ),
                hint,
            );
        }
    }
}

/// Explains why two items could share a target key, and what helps.
fn explain(loss: &Loss, spec: Option<&KeyTemplatesSpec>, subject: &Subject<'_>, report: &mut Report) {
    let keys = subject.path.field("transform").field("keys");
    let user = |capture: &str| {
        let user = spec.and_then(|spec| {
            let text = format!("{{{capture}}}");
            spec.to
                .iter()
                .find(|(_, template)| template.contains(&text))
                .map(|(name, _)| name)
        });
        user.map_or(keys.field("to"), |name| keys.field("to").field(name))
    };
    let vouch = "or write under `vouch` who guarantees that no two items ever share a target key";
    match loss {
        Loss::Unread { attribute } => report.at_name(
            &if spec.is_some() {
                keys.field("from")
            } else {
                subject.table.field("keys")
            },
            format!(
                "two items could share a target key, because the target key does not use `{attribute}` \
                 of the source's key"
            ),
            if subject.everything {
                "capture it under `from` and use it under `to`: with `copy: everything`, `where` fixes the value of no key"
                    .to_owned()
            } else {
                format!(
                    "capture it under `from` and use it under `to`, or fix its value: where: ... AND \
                     {attribute} = '...'; {vouch}"
                )
            },
        ),
        Loss::Unused { capture, attribute } => report.at(
            &keys.field("from").field(attribute),
            format!(
                "two items could share a target key, because the target key does not use \
                 `{{{capture}}}` of the source's key `{attribute}`"
            ),
            format!("use `{{{capture}}}` in a template under `to`; {vouch}"),
        ),
        Loss::Foreign { capture, attribute } => report.at(
            &user(capture),
            format!(
                "an item's target key could change, and two items could share one, because `{{{capture}}}` \
                 comes from `{attribute}`, which is not in the source's key"
            ),
            format!(
                "make the key only from {}, {vouch}",
                list(subject.source.attributes().map(|key| key.name.as_str()))
            ),
        ),
        Loss::Ambiguous {
            capture,
            attribute,
            delimiter,
        } => report.at(
            &user(capture),
            format!(
                "two items could share a target key, because nothing in it marks the end of \
                 `{{{capture}}}`"
            ),
            match delimiter {
                Some(end) => format!(
                    "write the same text after it as in `{attribute}`: {{{capture}}}{end}, or put it last; \
                     {vouch}"
                ),
                None => format!("put it last, as in `{attribute}`; {vouch}"),
            },
        ),
    }
}

fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
