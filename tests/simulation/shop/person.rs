//! The person who stops an application and moves it, as the commands ask for it.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;

use super::goods::{FencedBy, Kind, SOURCE, Side};
use super::{Ordering, Shop, after};
use crate::check::Wrong;
use crate::engine::Item;

/// An application has stopped after so many milliseconds. The proof of a fence takes longer.
const STOPS_MS: u64 = 1500;
/// Or after so many: the proof sees what it writes until then.
const STOPS_SLOWLY_MS: u64 = 8000;
/// Forgotten instances write for so many milliseconds at most, from then on.
const STRAYS_MS: u64 = 60_000;
/// A policy that takes effect late may let a write through while the fence is proven, and the step after it is told later. What
/// was written before is from before the proof.
const PROVING: Duration = Duration::from_secs(10);

impl Shop {
    /// What a command asks for before it goes on: the writers of a service have stopped.
    pub fn confirm(&self, asked: &str) -> bool {
        let service = asked
            .strip_prefix("stop these writers of ")
            .and_then(|rest| rest.split(' ').next());
        let Some(kind) = service.and_then(Kind::named) else {
            self.fails(Wrong::because("a question that nobody understands", asked));
            return false;
        };
        let mut person = self.person.lock().expect("no thread panicked");
        let mut application = self.application(kind);
        self.network
            .note(|| format!("shop: {} is told to stop", kind.name()));
        if application.stops.is_none() {
            let most = if self.slow_person {
                STOPS_SLOWLY_MS
            } else {
                STOPS_MS
            };
            application.stops = Some(after(person.random_range(0..most)));
        }
        application.late.clear();
        if application.official == Side::Source && self.has_strays && person.random_bool(0.5) {
            application.strays_until = Some(after(person.random_range(0..STRAYS_MS)));
        }
        true
    }

    /// What a command tells: some of it is for the person who runs the applications.
    pub fn tell(&self, said: &str) {
        let Some((service, side)) = moved(said) else {
            if let Some((kind, step)) = begun(said) {
                self.step_begins(kind, step);
            }
            return;
        };
        let kind = Kind::named(service).expect("only these are cut over");
        self.network.note(|| format!("shop: {said}"));
        if self.application(kind).official != side {
            let found = match side {
                Side::Target => self.switches(kind),
                Side::Source => self.goes_back(kind),
            };
            if let Err(wrong) = found {
                self.fails(wrong);
            }
        }
        let mut person = self.person.lock().expect("no thread panicked");
        let mut application = self.application(kind);
        let goes_back = application.official == Side::Target && side == Side::Source;
        if goes_back && self.has_strays && person.random_bool(0.5) {
            application.table_strays_until = Some(after(person.random_range(0..STRAYS_MS)));
        }
        application.official = side;
        application.stops = None;
        application.is_fenced = false;
    }

    /// A command begins a step.
    fn step_begins(&self, kind: Kind, step: &str) {
        let mut application = self.application(kind);
        match step {
            "fence" | "fence-target" => {
                application.is_fenced = false;
                if self.layout.fenced_by == FencedBy::Policy {
                    application.late.clear();
                }
            }
            "drain" | "drain-back" if self.layout.fenced_by == FencedBy::Policy => {
                application.is_fenced = true;
                let since = Instant::now() - PROVING;
                let late = application.written.iter().filter(|(_, at)| **at >= since);
                let late: Vec<usize> = late.map(|(number, _)| *number).collect();
                application.late.extend(late);
            }
            _ => {}
        }
        drop(application);
        let table = match step {
            "fence" | "drain" => SOURCE,
            "fence-target" | "drain-back" => kind.name(),
            _ => "",
        };
        self.network.with_engine(|engine, _| {
            for name in [SOURCE, kind.name()] {
                let is_late = self.layout.has_markers && name == table;
                if let Some(stream) = engine.stream(name) {
                    stream.late_ms = if is_late { self.late_ms } else { 0 };
                }
            }
        });
    }

    /// Whether the tables were compared by a command that began then, and agree.
    pub fn verified(&self, began: Instant) {
        for kind in self.kinds() {
            if self.phase(kind) == "replicating" {
                self.application(kind).table_strays.retain(|_, at| *at >= began);
            }
        }
    }

    /// Somebody stops the instances that write tables of services that write the source.
    pub fn stop_table_strays(&self) {
        for kind in self.kinds() {
            self.application(kind).table_strays_until = None;
        }
    }

    /// The copies that a service does not need were removed.
    pub fn pruned(&self) {
        self.pruned.store(true, Ordering::Relaxed);
    }

    /// The application writes its own table from now on. The table holds all writes that were accepted before the fence.
    fn switches(&self, kind: Kind) -> Result<(), Wrong> {
        let mut application = self.application(kind);
        let target = self.items(kind, Side::Target);
        application.table_strays.clear();
        application.table_strays_until = None;
        for number in application.numbers() {
            let known = application.truth.get(&number);
            let held = target.get(&number);
            if known.map(|item| kind.shaped(Side::Target, number, item)).as_ref() == held {
                continue;
            }
            if !application.late.contains(&number) {
                let what =
                    "a service has switched, and its table lacks a write that was accepted before the fence";
                return Err(self.differs(what, kind, Side::Target, number, known, held));
            }
            // The write of a forgotten instance. Whether it is listed is seen later.
            let item = held.map(|held| kind.unshaped(number, held, known));
            application.disputed.insert(number);
            application.loose.insert(number);
            match item {
                Some(item) => application.truth.insert(number, item),
                None => application.truth.remove(&number),
            };
        }
        Ok(())
    }

    /// The application writes the source again. The source holds all writes that were accepted by the service's own table.
    fn goes_back(&self, kind: Kind) -> Result<(), Wrong> {
        let mut application = self.application(kind);
        let source = self.items(kind, Side::Source);
        let listed = self.listed(kind);
        for number in application.numbers() {
            let known = application.truth.get(&number);
            let held = source.get(&number);
            let is_loose = application.loose.contains(&number);
            if same(known, held, is_loose) || application.late.contains(&number) {
                continue;
            }
            if !(application.disputed.contains(&number) && listed(number)) {
                let what = "a service has gone back, and the source lacks a write that its table accepted";
                return Err(self.differs(what, kind, Side::Source, number, known, held));
            }
        }
        // What the table accepted too late is in the table alone, until a verify finds it.
        for number in std::mem::take(&mut application.late) {
            application.table_strays.insert(number, Instant::now());
        }
        application.truth = source;
        application.disputed = BTreeSet::new();
        application.loose = BTreeSet::new();
        Ok(())
    }

    /// Somebody stops the forgotten instances of a service, and perhaps does what they wrote in its own table, too.
    pub fn apply_strays(&self, kind: Kind, applies: bool) {
        let mut application = self.application(kind);
        application.strays_until = None;
        if application.official == Side::Source || !applies {
            return;
        }
        let source = self.items(kind, Side::Source);
        for number in application.disputed.clone() {
            let (held, known) = (source.get(&number), application.truth.get(&number));
            let act = match held {
                Some(item) if !same(Some(item), known, true) => super::goods::Act::Put(item.clone()),
                None if known.is_some() => super::goods::Act::Delete,
                _ => continue,
            };
            self.accepted(&mut application, Side::Target, number, &act);
        }
    }
}

/// Whether two items of the source are the same, perhaps but for the attribute that a table lacks.
pub(super) fn same(one: Option<&Item>, other: Option<&Item>, is_loose: bool) -> bool {
    let without = |item: Option<&Item>| {
        item.cloned().map(|mut item| {
            if is_loose {
                item.remove("note");
            }
            item
        })
    };
    without(one) == without(other)
}

/// The service of which a step begins, and the step.
fn begun(said: &str) -> Option<(Kind, &str)> {
    let (service, rest) = said.split_once(": ")?;
    let (_, step) = rest.strip_suffix(')')?.rsplit_once('(')?;
    Some((Kind::named(service)?, step))
}

/// The service whose application writes from now on, and where.
fn moved(said: &str) -> Option<(&str, Side)> {
    if let Some(rest) = said.strip_prefix("let ") {
        let (service, rest) = rest.split_once(" write ")?;
        let side = if rest.starts_with("the source again") {
            Side::Source
        } else {
            Side::Target
        };
        return Some((service, side));
    }
    let rest = said.strip_prefix("the writers of ")?;
    let (service, rest) = rest.split_once(" that a person stopped may write ")?;
    let table = rest.strip_suffix(" again")?;
    let side = if table == SOURCE {
        Side::Source
    } else {
        Side::Target
    };
    Some((service, side))
}

#[test]
fn the_person_understands_what_is_told() {
    let told = [
        (
            "let orders write its own table now: orders",
            Some(("orders", Side::Target)),
        ),
        (
            "let orders write the source again: source",
            Some(("orders", Side::Source)),
        ),
        (
            "the writers of invoices that a person stopped may write source again",
            Some(("invoices", Side::Source)),
        ),
        ("orders: checks the copy (check)", None),
    ];
    for (said, meant) in told {
        assert_eq!(moved(said), meant, "{said}");
    }
    assert_eq!(
        begun("orders: waits until the forward lane has applied every write (drain)"),
        Some((Kind::Orders, "drain"))
    );
}
