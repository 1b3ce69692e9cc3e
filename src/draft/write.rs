//! The text of a draft, with its comments and questions.

use super::cluster::{Axis, Cluster, Clusters, divide, patterns};
use super::entry::Entry;
use super::indexes::{keys as keys_text, used};
use super::kind::{Kind, kinds};
use super::limits::{KINDS, NAMES};
use super::name::{Names, last_word, split};
use super::own_keys::own_keys;
use super::report::{Draft, Findings, LeftBehind, ServiceDraft};
use super::sample::Sample;
use super::suspect::Suspect;
use super::suspects;
use super::time::{Role, TimeCandidate, candidates};
use super::type_attribute::{self, TypeAttribute};
use super::yaml::{clean, comment, condition, scalar, shown};
use crate::model::{Item, ItemExt, counted};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// A service with more of the items than this is hardly a part of a table, in percent.
const TOO_MUCH: u64 = 80;

/// Makes a draft of a plan. `file` is the name that the plan will have.
#[must_use]
pub fn draft(sample: &Sample, file: &str) -> Draft {
    let kind = type_attribute::find(&sample.keys, &sample.items);
    let clusters = divide(&sample.keys, &sample.items, kind.as_ref());
    let routed: Vec<&Item> = places(&clusters).map(|place| &sample.items[place]).collect();
    let times = candidates(&sample.keys, &routed);
    let suspects = suspects::find(sample, &clusters, kind.as_ref(), &times);
    let mut writer = Writer {
        sample,
        file,
        split: split(&sample.table),
        clusters: &clusters,
        kind: kind.as_ref(),
        out: String::new(),
        questions: Vec::new(),
        services: Vec::new(),
    };
    writer.top(&suspects);
    writer.timestamp(&times);
    writer.unrouted();
    writer.expiry(&times);
    writer.services();
    let Writer {
        out,
        questions,
        services,
        ..
    } = writer;
    Draft {
        plan: out,
        findings: Findings {
            table: sample.table.clone(),
            keys: sample.keys.clone(),
            items: sample.items.len() as u64,
            bytes: bytes(sample.items.iter()),
            divided_by: clusters.axis,
            left_behind: clusters.left_behind().map(|terms| LeftBehind {
                condition: terms.join(" "),
                items: clusters.left_behind_items().len() as u64,
                takes_everything_else: clusters.leaves_everything_else(),
            }),
            type_attribute: kind,
            services,
            timestamps: times,
            suspects,
            questions,
        },
    }
}

fn places(clusters: &Clusters) -> impl Iterator<Item = usize> {
    clusters
        .services
        .iter()
        .flat_map(|service| service.items.iter().copied())
}

fn bytes<'i>(items: impl Iterator<Item = &'i Item>) -> u64 {
    items.map(|item| item.size() as u64).sum()
}

struct Writer<'a> {
    sample: &'a Sample,
    file: &'a str,
    split: String,
    clusters: &'a Clusters,
    kind: Option<&'a TypeAttribute>,
    out: String,
    questions: Vec<String>,
    services: Vec<ServiceDraft>,
}

impl Writer<'_> {
    fn line(&mut self, text: &str) {
        writeln!(self.out, "{text}").unwrap_or_default();
    }

    fn say(&mut self, indent: usize, text: &str) {
        self.out.push_str(&comment(indent, text));
    }

    fn ask(&mut self, indent: usize, text: String) {
        self.say(indent, &format!("QUESTION: {text}"));
        self.questions.push(text);
    }

    fn top(&mut self, suspects: &[Suspect]) {
        let sample = self.sample;
        let file = clean(self.file);
        let items = counted(sample.items.len() as u64, "item");
        self.say(
            0,
            &format!(
                "A draft of a plan, which `dynasplit init` made from {}: {items}.",
                sample.origin
            ),
        );
        self.say(0, "It is valid, and it copies each item as it is. Decide at each line with QUESTION. Then check the plan:");
        self.line("#");
        self.line(&format!("#     dynasplit plan {file}"));
        self.line("#");
        for note in &sample.notes {
            self.say(0, note);
        }
        if !suspects.is_empty() {
            self.say(
                0,
                "Look at these items of the sample, because they may be mistakes:",
            );
            for suspect in suspects {
                self.say(0, &format!("  {} x {}", suspect.items, suspect.what));
            }
        }
        self.line("version: 1");
        self.line(&format!("split: {}", scalar(&self.split)));
        self.line("\nsource:");
        self.line(&format!("  table: {}", scalar(&sample.table)));
        if sample.keys_guessed {
            let keys = shown(&keys_text(&sample.keys));
            self.ask(
                2,
                format!(
                    "is {keys} the primary key of the table? It is a guess from the names of attributes."
                ),
            );
        }
        self.line(&format!("  keys: {}", keys_text(&sample.keys)));
    }

    fn timestamp(&mut self, times: &[TimeCandidate]) {
        self.line("");
        self.say(
            0,
            "With `none`, the order of the source's stream decides which version of an item is newer. This is always right. An \
             attribute is cheaper, but wrong if one writer does not set it, or sets an earlier time.",
        );
        let (good, others): (Vec<_>, Vec<_>) = times
            .iter()
            .partition(|time| time.role == Role::Updated && time.flaw.is_none());
        if let Some(best) = good.first() {
            let name = shown(&best.attribute);
            self.ask(
                0,
                format!(
                    "does every write of an item set `{name}`, and never to an earlier time, not even if the item is deleted \
                     and created again? All {} items that belong to a service have it in one format. If you are sure, \
                     replace `timestamp: none` by:",
                    best.valid
                ),
            );
            // A comment must not break it, so that it can be copied.
            self.line(&format!("#     timestamp: {}", best.setting()));
        }
        for time in good.iter().skip(1).chain(&others) {
            let why = time
                .flaw
                .as_deref()
                .unwrap_or("its name does not say that it is the time of the last write");
            let format = shown(&time.format);
            self.say(
                0,
                &format!(
                    "  not used: `{}` ({}, {format}): {why}",
                    shown(&time.attribute),
                    time.kind
                ),
            );
        }
        self.line("timestamp: none");
    }

    fn unrouted(&mut self) {
        self.line("");
        let Some(terms) = self.clusters.left_behind() else {
            self.say(
                0,
                "Every item of the sample belongs to a service. Any other item is reported as a dead letter.",
            );
            self.line("unrouted: fail");
            return;
        };
        let items = counted(self.clusters.left_behind_items().len() as u64, "item");
        if self.clusters.leaves_everything_else() {
            self.ask(
                0,
                format!(
                    "no service takes {items} of the sample. Where do they belong? Until you decide, this condition \
                     leaves everything in the old table that no service takes, also kinds of items that your application adds \
                     later. When you have decided, write `unrouted: fail`, or a condition for exactly what may stay."
                ),
            );
        } else {
            self.ask(
                0,
                format!(
                    "{items} of the sample belong to kinds that are too rare for a service. May they stay in the old table? \
                     If not, add them to the condition of a service. If none is left, write `unrouted: fail`."
                ),
            );
        }
        self.line("unrouted:");
        self.out.push_str(&condition(2, "left-behind", &terms));
    }

    /// A file does not say whether its table expires items.
    fn expiry(&mut self, times: &[TimeCandidate]) {
        self.line("");
        let found = times
            .iter()
            .find(|time| time.role == Role::Expiry && time.format == "epoch-seconds");
        if let Some(ttl) = found.filter(|_| !self.sample.settings_known) {
            let name = shown(&ttl.attribute);
            self.ask(
                0,
                format!(
                    "does the table expire items by `{name}`? If it does, write `ttl: {}` under `table` of each service whose \
                     items have it. Otherwise they never expire in the new table.",
                    clean(&scalar(&ttl.attribute))
                ),
            );
        }
    }

    fn services(&mut self) {
        let divided = match self.clusters.axis {
            Axis::Partition => format!(
                "pattern of `{}`, so that items of one partition stay together",
                shown(&self.sample.keys.partition.name)
            ),
            Axis::Sort => "pattern of the sort key".to_owned(),
            Axis::Type => self
                .kind
                .map_or_else(String::new, |kind| format!("attribute `{}`", shown(&kind.name))),
            Axis::Nothing => String::new(),
        };
        if divided.is_empty() {
            self.ask(
                0,
                "neither the keys nor an attribute show several kinds of items, so one service takes everything. Which items \
                 belong to which service? Write one entry for each service, with its condition in `where`."
                    .to_owned(),
            );
        } else {
            let clusters = self.clusters.services.len();
            self.ask(
                0,
                format!(
                    "these {clusters} services are divided by the {divided}. Which of them does one team own? Join them: write \
                     one service whose `where` joins their conditions with OR. Correct the names of services and tables."
                ),
            );
        }
        self.line("services:");
        let mut names = Names::besides(&self.sample.table, &self.split);
        let partition = patterns(
            &self.sample.items.iter().collect::<Vec<_>>(),
            &self.sample.keys.partition.name,
        );
        let homes = homes(self.sample, self.clusters, self.kind);
        for (n, cluster) in self.clusters.services.iter().enumerate() {
            let items: Vec<&Item> = cluster
                .items
                .iter()
                .map(|place| &self.sample.items[*place])
                .collect();
            let kinds = kinds(&self.sample.keys, &items, self.kind, &partition);
            let name = names.service(&words(cluster, &kinds));
            let table = names.table(&self.sample.table, &name);
            if n > 0 {
                self.line("");
            }
            self.about(&items, &kinds);
            self.doubts(cluster, &kinds, &homes);
            let entry = Entry {
                sample: self.sample,
                name: &name,
                table: &table,
                cluster,
                items: &items,
                indexes: used(&self.sample.indexes, &self.sample.keys, &items),
            };
            self.service(&entry, &kinds);
            self.services.push(ServiceDraft {
                name,
                table,
                condition: cluster.condition.clone(),
                items: items.len() as u64,
                bytes: bytes(items.into_iter()),
                kinds,
            });
        }
    }

    fn about(&mut self, items: &[&Item], kinds: &[Kind]) {
        let (count, all) = (items.len() as u64, self.sample.items.len() as u64);
        let each = bytes(items.iter().copied()) / count.max(1);
        let of_kinds = match kinds.len() {
            1 => String::new(),
            n => format!(", of {n} kinds"),
        };
        let percent = count * 100 / all.max(1);
        self.say(
            2,
            &format!(
                "{} of the sample ({percent} %), {each} bytes each on average{of_kinds}:",
                counted(count, "item")
            ),
        );
        for kind in kinds.iter().take(KINDS) {
            let name = kind
                .name
                .as_deref()
                .map_or_else(String::new, |name| format!("{}: ", shown(name)));
            let mut text = format!("  {} x {name}{}", kind.items, shown(&kind.keys));
            for (head, names) in [("; ", &kind.attributes), ("; sometimes ", &kind.optional)] {
                if !names.is_empty() {
                    let mut list: Vec<String> = names.iter().take(NAMES).map(|name| shown(name)).collect();
                    if let Some(more) = names.len().checked_sub(NAMES).filter(|more| *more > 0) {
                        list.push(format!("{more} more"));
                    }
                    write!(text, "{head}{}", list.join(", ")).unwrap_or_default();
                }
            }
            self.say(2, &text);
        }
        if kinds.len() > KINDS {
            self.say(2, &format!("  and {} more kinds", kinds.len() - KINDS));
        }
    }

    fn doubts(&mut self, cluster: &Cluster, kinds: &[Kind], homes: &BTreeMap<&str, usize>) {
        let share = cluster.items.len() as u64 * 100 / (self.sample.items.len() as u64).max(1);
        if share > TOO_MUCH && kinds.len() > 1 && self.clusters.axis == Axis::Partition {
            let by = match (self.kind, &self.sample.keys.sort) {
                (Some(kind), _) => format!(" and a condition on `{}`", shown(&kind.name)),
                (None, Some(sort)) => format!(" and a condition on `{}`", shown(&sort.name)),
                (None, None) => String::new(),
            };
            self.ask(
                2,
                format!(
                    "this service takes {share} % of the items, of {} kinds. Do all of them belong to one team? If not, write \
                     one service for each team, with the same condition{by}.",
                    kinds.len()
                ),
            );
        }
        if self.clusters.axis != Axis::Type {
            let mut elsewhere: Vec<&str> = kinds.iter().filter_map(|kind| kind.name.as_deref()).collect();
            elsewhere.retain(|name| homes.get(name).is_some_and(|homes| *homes > 1));
            elsewhere.dedup();
            if !elsewhere.is_empty() {
                let names: Vec<String> = elsewhere.iter().take(KINDS).map(|name| shown(name)).collect();
                self.ask(
                    2,
                    format!(
                        "other services have items of the same kind: {}. Is this intended?",
                        names.join(", ")
                    ),
                );
            }
        }
        for kind in kinds.iter().take(KINDS) {
            if let Some((one, other)) = &kind.either {
                let list = |names: &[String]| {
                    names
                        .iter()
                        .take(NAMES)
                        .map(|name| shown(name))
                        .collect::<Vec<_>>()
                        .join(", ")
                };
                self.ask(
                    2,
                    format!(
                        "each item `{}` has either {} or {}. Are these two kinds, and do they belong to different teams?",
                        shown(&kind.keys),
                        list(one),
                        list(other)
                    ),
                );
            }
        }
    }

    fn service(&mut self, entry: &Entry<'_>, kinds: &[Kind]) {
        let text = entry.text(None);
        self.out.push_str(&text);
        let pattern = entry
            .cluster
            .pattern
            .as_ref()
            .filter(|_| self.clusters.axis == Axis::Partition);
        let own = pattern.filter(|_| kinds.len() == 1).and_then(|pattern| {
            own_keys(
                &self.sample.keys,
                pattern,
                entry.items,
                &entry.indexes,
                entry.name,
            )
        });
        if let Some(own) = own {
            self.say(2, "Or with keys of its own, instead of the entry above:");
            for line in entry.text(Some(&own)).lines() {
                self.line(&format!("  # {}", line.strip_prefix("  ").unwrap_or(line)));
            }
        }
    }
}

/// In how many clusters the items of each kind are.
fn homes<'k>(
    sample: &'k Sample,
    clusters: &Clusters,
    kind: Option<&TypeAttribute>,
) -> BTreeMap<&'k str, usize> {
    let mut homes = BTreeMap::new();
    let Some(kind) = kind else { return homes };
    for cluster in &clusters.services {
        let values = cluster
            .items
            .iter()
            .filter_map(|place| kind.of(&sample.items[*place]));
        for value in values.collect::<BTreeSet<_>>() {
            *homes.entry(value).or_default() += 1;
        }
    }
    homes
}

/// Words that a service can be named after.
fn words<'c>(cluster: &'c Cluster, kinds: &'c [Kind]) -> Vec<&'c str> {
    let mut names: Vec<&str> = kinds.iter().filter_map(|kind| kind.name.as_deref()).collect();
    names.dedup();
    let mut words = match names[..] {
        // One kind gives its own name; of several, the key names what they have in common.
        [name] if kinds.iter().all(|kind| kind.name.is_some()) => vec![name],
        _ => Vec::new(),
    };
    words.push(last_word(&cluster.word));
    words.extend(names.first());
    words.push("all-items");
    words
}
