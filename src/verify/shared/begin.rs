//! Begins a shared verify, or joins the one of the same name.

use super::folder::Folder;
use super::outcomes::Beginning;
use crate::dynamo::chance;
use crate::fault;
use crate::state::{KnownSwitches, SharedVerifyRecord, SplitRecord, StateError, Stored, VerifyTerms};
use crate::verify::record::Baseline;
use crate::verify::verification::Verify;
use crate::worker::RunError;

/// Segments of each scan, unless an option says otherwise: as many as four processes read at once.
const SEGMENTS: u32 = 64;
/// The same of a table that one process reads in no time.
const FEW_SEGMENTS: u32 = 16;
/// A source from this size on is worth many segments.
const LARGE_BYTES: u64 = 1 << 30;
/// A range is made of so many bytes of the source: it is compared in the memory and on the disk of one process.
const BYTES_A_RANGE: u64 = 1 << 30;
/// Fewer would leave processes without work.
const LEAST_RANGES: u64 = 8;
/// With more, the spans of a block are too short.
const MOST_RANGES: u64 = 512;
/// With more, the records of the tasks take too long to read.
const MOST_SEGMENTS: u32 = 4096;

/// The shared verify that a process takes part in.
pub(super) struct Joined {
    pub folder: Folder,
    pub verify: SharedVerifyRecord,
}

/// The error of a process whose verify was given up.
pub(super) fn replaced(name: &str) -> RunError {
    RunError::Stopped(format!(
        "the shared verify '{name}' was given up, because another one was begun with --replace"
    ))
}

/// What a process does about the record that it finds.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Choice {
    /// Takes part.
    Join,
    /// Begins another one.
    Begin,
    /// Refuses: what, and what to do.
    Refuse(String, String),
}

/// Segments of each scan, and ranges of the keys, for a source of so many bytes.
fn parts(bytes: u64, segments: Option<u32>) -> (u32, u32) {
    let usual = if bytes < LARGE_BYTES {
        FEW_SEGMENTS
    } else {
        SEGMENTS
    };
    let ranges = bytes.div_ceil(BYTES_A_RANGE).clamp(LEAST_RANGES, MOST_RANGES);
    (
        segments.unwrap_or(usual),
        u32::try_from(ranges).unwrap_or(u32::MAX),
    )
}

/// What to do about the present record, if a verify of this name is asked for.
fn choose(
    found: Option<&SharedVerifyRecord>,
    name: &str,
    terms: &VerifyTerms,
    services: &[String],
    replace: bool,
) -> Choice {
    let Some(found) = found else {
        return Choice::Begin;
    };
    let anew = || {
        "run `dynasplit verify --shared NAME --replace` with a new name, which begins another one".to_owned()
    };
    if found.name != name {
        return match (&found.end, replace) {
            (Some(_), _) | (None, true) => Choice::Begin,
            (None, false) => Choice::Refuse(
                format!("the shared verify '{}' is under way", found.name),
                format!(
                    "take part with `dynasplit verify --shared {}`, or add --replace to give it up and begin '{name}'",
                    found.name
                ),
            ),
        };
    }
    let differs = [
        (
            "the services (--service)",
            found.terms.asked != terms.asked || found.services != services,
        ),
        ("--anyway", found.terms.anyway != terms.anyway),
        ("--patience", found.terms.patience_ms != terms.patience_ms),
        (
            "--segments",
            terms.segments.is_some_and(|segments| segments != found.segments),
        ),
        ("the section `s3` of the plan", found.terms.folder != terms.folder),
        ("the plan", found.terms.plan != terms.plan),
        (
            "the services that have switched",
            found.terms.switches != terms.switches,
        ),
    ];
    match differs.into_iter().find(|(_, differs)| *differs) {
        // Its result is what it was, whatever has become of the split since.
        Some((what, _)) if found.end.is_none() => Choice::Refuse(
            format!("the shared verify '{name}' began with other settings than this process has: {what}"),
            format!("give all its processes the same, or {}", anew()),
        ),
        _ => Choice::Join,
    }
}

impl Verify {
    /// Takes part in the shared verify of this name, or begins it.
    pub(super) async fn join(
        &self,
        name: &str,
        record: &SplitRecord,
        places: &[usize],
    ) -> Result<Joined, RunError> {
        let folder = Folder::of(&self.split).await?;
        let services: Vec<String> = places
            .iter()
            .map(|place| self.split.plan.services[*place].name.clone())
            .collect();
        let terms = self.terms(record, places, &folder);
        let store = &self.split.store;
        loop {
            let found = store.get::<SharedVerifyRecord>(SharedVerifyRecord::NAME).await?;
            let known = found.as_ref().map(|found| &found.value);
            match choose(known, name, &terms, &services, self.options.replace) {
                Choice::Refuse(what, next) => return Err(RunError::NotYet { what, next }),
                Choice::Join => {
                    if let Some(Stored { value: verify, .. }) = found {
                        return Ok(Joined { folder, verify });
                    }
                }
                Choice::Begin => {
                    let revision = found.as_ref().map_or(0, |found| found.revision);
                    let former = found.map(|found| found.value.id);
                    let verify = self
                        .beginning(name, record, &services, terms.clone(), &folder, former)
                        .await?;
                    fault::moment("verify.beginning").await;
                    match store.put(SharedVerifyRecord::NAME, verify, revision).await {
                        Ok(Stored { value: verify, .. }) => return Ok(Joined { folder, verify }),
                        // Another process was faster: this one takes part, if it may.
                        Err(StateError::Conflict { .. }) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
    }

    /// Whether the shared verify of this name has ended: then its result is shown, whatever the split is like now.
    pub(in crate::verify) async fn has_ended(&self, name: &str) -> Result<bool, StateError> {
        let store = &self.split.store;
        let found = store.get::<SharedVerifyRecord>(SharedVerifyRecord::NAME).await?;
        Ok(found.is_some_and(|found| found.value.name == name && found.value.end.is_some()))
    }

    fn terms(&self, record: &SplitRecord, places: &[usize], folder: &Folder) -> VerifyTerms {
        let plan = &self.split.plan;
        let services = places
            .iter()
            .map(|place| plan.services[*place].fingerprint.clone());
        let mut asked = self.options.services.clone();
        asked.iter_mut().for_each(|names| names.sort_unstable());
        VerifyTerms {
            asked,
            anyway: self.options.anyway,
            patience_ms: self
                .options
                .patience
                .map(|patience| u64::try_from(patience.as_millis()).unwrap_or(u64::MAX)),
            segments: self.options.segments.map(|segments| segments.min(MOST_SEGMENTS)),
            plan: std::iter::once(plan.fingerprint()).chain(services).collect(),
            folder: folder.name(),
            switches: KnownSwitches::of(record),
        }
    }

    /// Reads what the verdict rests on, before anything is compared.
    async fn beginning(
        &self,
        name: &str,
        record: &SplitRecord,
        services: &[String],
        terms: VerifyTerms,
        folder: &Folder,
        former: Option<String>,
    ) -> Result<SharedVerifyRecord, RunError> {
        let id = format!("{:032x}", chance::any::<u128>());
        let baseline = Baseline::read(&self.split, record, None).await?.shared();
        let compared: Vec<_> = services
            .iter()
            .filter_map(|name| self.split.plan.service(name))
            .collect();
        let early = self.options.anyway || record.completed_ms.is_some();
        let notes = match early {
            true => Vec::new(),
            false => self.lanes(record, &compared).await?.notes,
        };
        let beginning = Beginning {
            baseline,
            notes,
            epoch: record.switch.epoch(),
        };
        let key = format!("{}beginning", folder.of_verify(&id));
        let (segments, ranges) = parts(folder.source_bytes, terms.segments);
        Ok(SharedVerifyRecord {
            segments,
            ranges,
            name: name.to_owned(),
            began_ms: self.split.now_ms(),
            services: services.to_owned(),
            terms,
            beginning: folder.write_json(key, &beginning).await?,
            former,
            end: None,
            id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{SharedVerifyEnd, StoredRef};

    fn stored() -> StoredRef {
        StoredRef {
            key: "k".into(),
            etag: "e".into(),
        }
    }

    fn terms() -> VerifyTerms {
        VerifyTerms {
            asked: None,
            anyway: false,
            patience_ms: None,
            segments: None,
            plan: vec!["p".into()],
            folder: "s3://b/verify/".into(),
            switches: KnownSwitches::default(),
        }
    }

    fn found(ended: bool) -> SharedVerifyRecord {
        SharedVerifyRecord {
            name: "one".into(),
            id: "1".into(),
            began_ms: 1,
            services: vec!["a".into()],
            segments: 4,
            ranges: 2,
            terms: terms(),
            beginning: stored(),
            former: None,
            end: ended.then(|| SharedVerifyEnd {
                ended_ms: 2,
                result: stored(),
                clean: true,
                removed: false,
            }),
        }
    }

    fn chosen(found: &SharedVerifyRecord, name: &str, terms: &VerifyTerms, replace: bool) -> Choice {
        choose(Some(found), name, terms, &["a".into()], replace)
    }

    #[test]
    fn processes_with_the_same_name_and_the_same_terms_share_one() {
        assert_eq!(choose(None, "one", &terms(), &[], false), Choice::Begin);
        for replace in [false, true] {
            assert_eq!(chosen(&found(false), "one", &terms(), replace), Choice::Join);
            assert_eq!(chosen(&found(true), "one", &terms(), replace), Choice::Join);
            assert_eq!(chosen(&found(true), "two", &terms(), replace), Choice::Begin);
        }
        assert_eq!(chosen(&found(false), "two", &terms(), true), Choice::Begin);
        let Choice::Refuse(what, next) = chosen(&found(false), "two", &terms(), false) else {
            panic!("it is under way");
        };
        assert!(
            what.contains("'one' is under way") && next.contains("--replace"),
            "{what}: {next}"
        );
    }

    #[test]
    fn a_large_source_has_more_parts() {
        const GIB: u64 = 1 << 30;
        assert_eq!(parts(0, None), (16, 8));
        assert_eq!(parts(100 * GIB, None), (64, 100));
        assert_eq!(parts(100_000 * GIB, None), (64, 512));
        assert_eq!(parts(10 * GIB, Some(4)), (4, 10));
    }

    #[test]
    fn whatever_the_verdict_depends_on_must_be_the_same() {
        type Edit = fn(&mut VerifyTerms);
        let edits: [(&str, Edit); 7] = [
            ("--service", |terms| terms.asked = Some(vec!["a".into()])),
            ("--anyway", |terms| terms.anyway = true),
            ("--patience", |terms| terms.patience_ms = Some(1)),
            ("--segments", |terms| terms.segments = Some(5)),
            ("`s3`", |terms| terms.folder = "s3://c/".into()),
            ("the plan", |terms| terms.plan = vec!["q".into()]),
            ("have switched", |terms| {
                terms.switches = serde_json::from_str(r#"{"switched":{"a":1},"carried_back":{}}"#).unwrap();
            }),
        ];
        for (named, edit) in edits {
            let mut other = terms();
            edit(&mut other);
            match chosen(&found(false), "one", &other, true) {
                Choice::Refuse(what, next) => {
                    assert!(what.contains(named), "{named}: {what}");
                    assert!(next.contains("--replace"), "{next}");
                }
                choice => panic!("{named}: {choice:?}"),
            }
            assert_eq!(
                chosen(&found(true), "one", &other, false),
                Choice::Join,
                "{named}: it is over"
            );
        }
        let same = VerifyTerms {
            segments: Some(4),
            ..terms()
        };
        assert_eq!(
            chosen(&found(false), "one", &same, false),
            Choice::Join,
            "as it began"
        );
        let other = choose(Some(&found(false)), "one", &terms(), &["b".into()], false);
        assert!(matches!(other, Choice::Refuse(..)), "{other:?}");
    }
}
