//! The fence of a plan or of a service, and the drain.

use super::names;
use super::report::Report;
use crate::plan::either::WordOr;
use crate::plan::fence::{Drain, DrainBy, Fence, FencePolicy, FenceScope};
use crate::plan::path::Path;
use crate::plan::spec_cutover::{DrainWord, FencePolicySpec, FenceScopeWord, FenceSpec, WrittenDrain};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Seconds for which a fence is watched, and for which a shard is quiet: nobody writes meanwhile.
const PROOF_SECONDS: RangeInclusive<u32> = 1..=600;
/// Most roles of one list: each of them is assumed, and each takes place in the policy.
const MAX_ROLES: usize = 20;
/// Longest text for a person, in characters: it is shown in a line or two.
const MAX_TEXT_CHARS: usize = 500;

/// The fence.
pub(super) fn fence(spec: &FenceSpec, path: &Path, report: &mut Report) -> Fence {
    if spec.manual.is_none() && spec.policy.is_none() && spec.prove_for.is_none() && !report.is_faulty(path) {
        report.at(
            path,
            "the fence has no part",
            "write under `policy` or `manual` what stops the writers, or remove `fence` and write a hook `fence`",
        );
    }
    if let Some(text) = &spec.manual {
        manual(text, &path.field("manual"), report);
    }
    let prove_for = seconds(
        spec.prove_for,
        Fence::PROVE_FOR,
        PROOF_SECONDS,
        &path.field("prove-for"),
        report,
    );
    let policy = spec.policy.as_ref();
    Fence {
        manual: spec.manual.clone(),
        policy: policy.map(|policy| self::policy(policy, &path.field("policy"), report)),
        prove_for,
    }
}

fn manual(text: &str, path: &Path, report: &mut Report) {
    let chars = text.chars().count();
    if text.trim().is_empty() {
        report.at(
            path,
            "the text is empty",
            "say which writers a person has to stop, as in manual: the nightly import",
        );
    } else if chars > MAX_TEXT_CHARS {
        report.at(
            path,
            format!("the text has {chars} characters"),
            format!("write at most {MAX_TEXT_CHARS} characters"),
        );
    } else if text.chars().any(|c| c.is_control() && c != '\n') {
        report.at(path, "the text has a control character", "remove it");
    }
}

fn policy(spec: &FencePolicySpec, path: &Path, report: &mut Report) -> FencePolicy {
    let probes = path.field("probe-roles");
    if spec.probe_roles.is_empty() && !report.is_faulty(&probes) {
        report.at(
            &probes,
            "no role is listed, so nothing could show that the policy holds",
            "list the roles that write the source: probe-roles: ['arn:aws:iam::123456789012:role/shop']",
        );
    }
    let targets = spec.target_probe_roles.as_deref().unwrap_or_default();
    let exempt = spec.exempt.as_deref().unwrap_or_default();
    for (name, list) in [
        ("probe-roles", spec.probe_roles.as_slice()),
        ("target-probe-roles", targets),
        ("exempt", exempt),
    ] {
        roles(list, &path.field(name), report);
    }
    for (n, role) in exempt.iter().enumerate() {
        if spec.probe_roles.contains(role) || targets.contains(role) {
            report.at(
                &path.field("exempt").index(n),
                format!("`{role}` is exempt and a probe, so its writes would never be refused"),
                "remove it from one of the lists",
            );
        }
    }
    FencePolicy {
        scope: match spec.scope {
            FenceScopeWord::Prefix => FenceScope::Prefix,
            FenceScopeWord::Table => FenceScope::Table,
        },
        probe_roles: spec.probe_roles.clone(),
        target_probe_roles: targets.to_vec(),
        exempt: exempt.to_vec(),
    }
}

fn roles(list: &[String], path: &Path, report: &mut Report) {
    if list.len() > MAX_ROLES {
        report.at(
            path,
            format!("{} roles are listed", list.len()),
            format!("list at most {MAX_ROLES}"),
        );
    }
    let mut seen = BTreeSet::new();
    for (n, role) in list.iter().enumerate() {
        let path = path.index(n);
        names::role(role, &path, report);
        if !seen.insert(role) {
            report.at(&path, format!("`{role}` is listed twice"), "remove one");
        }
    }
}

/// The drain.
pub(super) fn drain(written: Option<&WrittenDrain>, path: &Path, report: &mut Report) -> Drain {
    let standard = Drain::default();
    let spec = match written {
        None => return standard,
        Some(WordOr::Word(word)) => {
            return Drain {
                by: by(*word),
                ..standard
            };
        }
        Some(WordOr::Map(spec)) => spec,
    };
    let is_empty = spec.by.is_none() && spec.quiet_for.is_none() && spec.canary_for.is_none();
    if is_empty && !report.is_faulty(path) {
        report.at(
            path,
            "the drain has no setting",
            "write `drain: canary` or `drain: { quiet-for: 5 }`, or remove `drain`",
        );
    }
    let drain = Drain {
        by: spec.by.map_or(standard.by, by),
        quiet_for: seconds(
            spec.quiet_for,
            standard.quiet_for,
            PROOF_SECONDS,
            &path.field("quiet-for"),
            report,
        ),
        canary_for: seconds(
            spec.canary_for,
            standard.canary_for,
            PROOF_SECONDS,
            &path.field("canary-for"),
            report,
        ),
    };
    if spec.canary_for.is_some() && drain.by != DrainBy::Canary {
        report.at(
            &path.field("canary-for"),
            "no markers are written, because the drain is not by `canary`",
            "write `by: canary`, or remove `canary-for`",
        );
    }
    drain
}

fn by(word: DrainWord) -> DrainBy {
    match word {
        DrainWord::Quiet => DrainBy::Quiet,
        DrainWord::Canary => DrainBy::Canary,
    }
}

/// A time in seconds.
pub(super) fn seconds(
    given: Option<u32>,
    standard: Duration,
    allowed: RangeInclusive<u32>,
    path: &Path,
    report: &mut Report,
) -> Duration {
    let Some(seconds) = given else { return standard };
    if !allowed.contains(&seconds) && !report.is_faulty(path) {
        report.at(
            path,
            format!("{seconds} seconds are not possible here"),
            format!(
                "write a number of seconds from {} to {}",
                allowed.start(),
                allowed.end()
            ),
        );
    }
    Duration::from_secs(seconds.into())
}
