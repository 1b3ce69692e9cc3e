//! One service: its name, its table and its shapes.

use super::condition::condition;
use super::names::place;
use super::report::Report;
use super::{copies, events, fence, keys, names, reverse, shape, shapes, table};
use crate::model::{Item, KeySchema};
use crate::plan::path::Path;
use crate::plan::spec::{ServiceSpec, WrittenShape};
use crate::plan::{Attributes, Condition, KeyMapping, OwnItems, Service, Shape, Source, Versions};

/// Most shapes of a service: each is compared with each other one, and each may match an item.
const MAX_SHAPES: usize = 100;

/// The context of the parts of a shape.
struct Around<'a> {
    source: Option<&'a Source>,
    versions: &'a Versions,
    keys: &'a KeySchema,
    table: &'a Path,
    keys_are_known: bool,
    /// The condition of everything, if everything is copied.
    everything: Option<Condition>,
}

/// A shape, as far as it could be read.
struct Read {
    path: Path,
    condition: Option<Condition>,
    attributes: Attributes,
    /// Whether its transform is the one in the file.
    is_known: bool,
    /// The condition of everything, if everything is copied.
    everything: Option<Condition>,
    mapping: Option<KeyMapping>,
    given: Item,
}

impl Read {
    /// What is copied, where it is known.
    fn as_copied<'a>(&'a self, source: Option<&'a Source>) -> copies::Copied<'a> {
        copies::Copied {
            own: self.condition.as_ref().filter(|_| self.everything.is_some()),
            attributes: self.is_known.then_some(&self.attributes),
            source,
        }
    }
}

/// Checks a service. Each part is checked even if others are wrong; only consequences of a wrong or unreadable part
/// are left out.
pub(super) fn check(
    spec: &ServiceSpec,
    source: Option<&Source>,
    versions: &Versions,
    path: &Path,
    report: &mut Report,
) -> Option<Service> {
    names::plan_name(&spec.name, "service", &path.field("name"), report);
    one_of_both(spec, path, report);
    let everything = copies::everything(spec, source, path, report);
    let table_path = path.field("table");
    let keys = keys::schema(&spec.table.keys, &table_path.field("keys"), report);
    let place = place(
        spec.table.region.as_deref(),
        spec.table.role.as_deref(),
        &table_path,
        report,
    );
    let indexes = table::check(&spec.table, &keys, &table_path, report);
    let around = Around {
        source,
        versions,
        keys: &keys,
        table: &table_path,
        keys_are_known: !report.is_faulty(&table_path.field("keys")),
        everything,
    };
    let known = if spec.shapes.is_some() {
        &["where", "transform", "reverse"][..]
    } else {
        &[
            "where",
            "transform",
            "reverse",
            "name",
            "table",
            "owns",
            "fence",
            "copy",
            "irrelevant",
            "events",
        ]
    };
    let read: Vec<Read> = spec
        .shapes(path)
        .into_iter()
        .take(MAX_SHAPES)
        .map(|written| one(&written, known, &around, report))
        .collect();
    let copied = read.iter().all(|shape| shape.is_known);
    let copied: Option<Vec<&Attributes>> =
        copied.then(|| read.iter().map(|shape| &shape.attributes).collect());
    let owns = reverse::owns(spec, source, copied.as_deref(), path, report);
    if around.keys_are_known && read.iter().all(|shape| shape.is_known) {
        let attributes: Vec<&Attributes> = read.iter().map(|shape| &shape.attributes).collect();
        table::check_visible(&spec.table, &keys, &indexes, &attributes, &table_path, report);
    }
    let irrelevant = copies::irrelevant(spec, path, report);
    if let (Some(condition), [only]) = (&irrelevant, &read[..]) {
        copies::irrelevant_fits(
            condition,
            only.as_copied(source),
            &path.field("irrelevant"),
            report,
        );
    }
    let fence = spec.fence.as_ref();
    let fence = fence.map(|fence| fence::fence(fence, &path.field("fence"), report));
    let events = spec.events.as_ref();
    let events = events.and_then(|events| events::events(events, &path.field("events"), report));
    let shapes = read.into_iter().map(finished).collect::<Option<Vec<_>>>()?;
    let shapes_are_disjoint = shapes::check(&shapes, report);
    let shapes: Vec<Shape> = shapes.into_iter().map(|(_, shape)| shape).collect();
    Some(Service {
        name: spec.name.clone(),
        fingerprint: Service::fingerprint_of(&shapes, &keys, &spec.table),
        shapes,
        shapes_are_disjoint,
        owns,
        irrelevant,
        fence,
        events,
        table: spec.table.clone(),
        place,
        keys,
        indexes,
    })
}

/// A service has either `where` or `shapes`.
fn one_of_both(spec: &ServiceSpec, path: &Path, report: &mut Report) {
    let Some(shapes) = &spec.shapes else {
        if spec.condition.is_none() && !report.is_faulty(&path.field("where")) {
            report.at(
                path,
                "`where` is missing",
                "write which items belong to the service: where: begins_with(PK, 'COURSE#')",
            );
        }
        return;
    };
    let list = path.field("shapes");
    for (name, is_there) in [
        ("where", spec.condition.is_some()),
        ("transform", spec.transform.is_some()),
        ("reverse", spec.reverse.is_some()),
        ("copy", spec.copy.is_some()),
    ] {
        if is_there {
            report.at_name(
                &path.field(name),
                format!("a service with `shapes` must not have `{name}` beside them"),
                match name {
                    "copy" => "remove `copy`: with it, all items have one form".to_owned(),
                    _ => format!("move `{name}` into a shape of the list, or remove `shapes`"),
                },
            );
        }
    }
    if shapes.is_empty() {
        report.at(
            &list,
            "the list of shapes is empty",
            "add a shape with `where`, and with `transform` if it needs one",
        );
    } else if shapes.len() > MAX_SHAPES {
        report.at(
            &list,
            format!("the service has {} shapes, more than {MAX_SHAPES}", shapes.len()),
            "join shapes that have the same transform with OR",
        );
    }
}

fn one(written: &WrittenShape<'_>, settings: &[&str], around: &Around<'_>, report: &mut Report) -> Read {
    let path = written.path.clone();
    let condition = written
        .condition
        .and_then(|text| condition(text, &path.field("where"), report));
    let transform_path = path.field("transform");
    let transform = written.transform.cloned().unwrap_or_default();
    let attributes = shape::check(&transform, around.keys, around.versions, &transform_path, report);
    let is_known = !report.is_faulty(&transform_path)
        && (written.transform.is_some() || !report.lost_beside(&path, settings));
    let source = around.source.filter(|_| is_known && around.keys_are_known);
    let mapping = source.and_then(|source| {
        let subject = keys::Subject {
            source: &source.keys,
            target: around.keys,
            condition: around.everything.as_ref().or(condition.as_ref()),
            everything: around.everything.is_some(),
            path: &path,
            table: around.table,
        };
        let before = report.findings.len();
        let mapping = keys::mapping(transform.keys.as_ref(), &subject, report);
        // A problem of the mapping would be reported again when the shapes are compared.
        mapping.filter(|_| report.findings.len() == before)
    });
    let everything = around.everything.clone();
    if let (Some(_), Some(condition), Some(source)) = (&everything, &condition, around.source)
        && is_known
    {
        copies::shown(condition, &attributes, source, &path.field("where"), report);
    }
    let around = reverse::Around {
        source: around.source,
        attributes: is_known.then_some(&attributes),
        condition: condition.as_ref(),
        path: &path,
    };
    let given = reverse::given(written.reverse, &around, report);
    Read {
        path,
        condition,
        attributes,
        is_known,
        everything,
        mapping,
        given,
    }
}

fn finished(read: Read) -> Option<(Path, Shape)> {
    let (condition, keys) = (read.condition?, read.mapping?);
    let domain = keys.source_extents_of(&condition);
    let (condition, domain, own) = match read.everything {
        None => (condition, domain, None),
        Some(everything) => {
            let all = keys.source_extents_of(&everything);
            (everything, all, Some(OwnItems { condition, domain }))
        }
    };
    let shape = Shape {
        domain,
        condition,
        own,
        keys,
        attributes: read.attributes,
        given: read.given,
    };
    Some((read.path, shape))
}
