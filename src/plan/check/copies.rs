//! `copy: everything`.

use super::condition::condition;
use super::report::Report;
use crate::model::KeySchema;
use crate::plan::either::WordOr;
use crate::plan::path::Path;
use crate::plan::spec::{KeyTemplatesSpec, ServiceSpec};
use crate::plan::template::Template;
use crate::plan::{Attributes, Condition, Source};

/// The condition of everything, if the service copies everything.
pub(super) fn everything(
    spec: &ServiceSpec,
    source: Option<&Source>,
    path: &Path,
    report: &mut Report,
) -> Option<Condition> {
    spec.copy?;
    if let Some(WordOr::Map(_)) = spec.owns {
        report.at_name(
            &path.field("copy"),
            "a service that copies everything owns whole items, or nothing",
            "write `owns: items` or `owns: nothing`, or remove `copy`",
        );
    }
    let partition = &source?.keys.partition.name;
    // Every item has its key.
    let text = format!("attribute_exists(\"{}\")", partition.replace('"', "\"\""));
    Condition::parse(&text).ok()
}

/// The table has to show which of its items belong to the service: a condition reads nothing that is not copied.
pub(super) fn shown(
    condition: &Condition,
    attributes: &Attributes,
    source: &Source,
    path: &Path,
    report: &mut Report,
) {
    let is_key = |name: &str| source.keys.attributes().any(|key| key.name == name);
    let read = condition.attributes().into_iter();
    let hidden = read.filter(|name| !is_key(name) && attributes.target_name(name).is_none());
    for name in hidden {
        report.at(
            path,
            format!(
                "with `copy: everything`, the table has to show which of its items are meant, and `{name}` is not copied"
            ),
            format!("copy `{name}`; it may be renamed"),
        );
    }
}

/// What is copied, as far as it is known.
pub(super) struct Copied<'a> {
    /// Which of the items belong to the service, if everything is copied.
    pub own: Option<&'a Condition>,
    pub attributes: Option<&'a Attributes>,
    pub source: Option<&'a Source>,
}

/// Which of the copied items are removed when the service is completed.
pub(super) fn irrelevant(spec: &ServiceSpec, path: &Path, report: &mut Report) -> Option<Condition> {
    let text = spec.irrelevant.as_deref()?;
    let at = path.field("irrelevant");
    if spec.copy.is_none() && !report.is_faulty(&path.field("copy")) {
        report.at_name(
            &at,
            "the table receives only items of the service, so none of them is irrelevant",
            "add `copy: everything`, or remove `irrelevant`",
        );
    }
    condition(text, &at, report)
}

/// The table has to show which items are irrelevant, and those of the service itself are not.
pub(super) fn irrelevant_fits(irrelevant: &Condition, copied: Copied<'_>, path: &Path, report: &mut Report) {
    if let (Some(attributes), Some(source), Some(_)) = (copied.attributes, copied.source, copied.own) {
        shown(irrelevant, attributes, source, path, report);
    }
    if copied.own.is_some_and(|own| irrelevant.covers(own)) {
        report.at(
            path,
            "this matches every item of the service itself, which always stays",
            "match only items of others: NOT begins_with(PK, 'ORDER#')",
        );
    }
}

/// Whether the patterns under `from` fit every key of the source.
pub(super) fn takes_every_key(
    spec: &KeyTemplatesSpec,
    source: &KeySchema,
    from: &Path,
    report: &mut Report,
) -> bool {
    let mut all = true;
    for (name, text) in &spec.from {
        let is_whole = |template: Template| template.lone().is_some();
        if Template::parse(text).map_or(true, is_whole) {
            continue;
        }
        all = false;
        let is_key = source.attributes().any(|key| key.name == *name);
        report.at(
            &from.field(name),
            "`copy: everything` copies items with every key, and this pattern matches only some of them",
            match is_key {
                true => format!("capture the whole value: {name}: '{{value}}'"),
                false => "remove it, and make the key only of the source's key".to_owned(),
            },
        );
    }
    all
}
