#![allow(missing_docs)]
use super::{RunError, Split};
use crate::flow::{desired, is_tombstone};
use crate::verify::{Digest, Held, Mismatch, Report, classify};
use serde::Serialize;
use std::collections::BTreeMap;
#[derive(Default, Clone, Debug)]
pub struct VerifyOptions;
#[derive(Default, Clone, Debug, Serialize)]
pub struct VerifyResult {
    pub report: Report,
    pub mismatches: Vec<Mismatch>,
    pub total_mismatches: u64,
    pub clean: bool,
    pub notes: Vec<String>,
}
pub struct Verify(Split);
impl Verify {
    pub fn new(split: Split, _o: VerifyOptions, _s: tokio_util::sync::CancellationToken) -> (Self, ()) {
        (Self(split), ())
    }
    pub async fn run(self) -> Result<VerifyResult, RunError> {
        let mut r = VerifyResult {
            clean: true,
            ..Default::default()
        };
        let scan = self.0.scan_source(true);
        let mut src = Vec::new();
        let mut after = None;
        loop {
            let p = scan.page(0, 1, after.as_ref()).await?;
            src.extend(p.items);
            after = p.next;
            if after.is_none() {
                break;
            }
        }
        for (service, t) in self.0.services() {
            let mut want = BTreeMap::new();
            for i in &src {
                if let Ok(Some(d)) = desired(service, &self.0.plan.versions, i) {
                    want.insert(d.key.encode(), Digest::of(&d.item));
                }
            }
            let scan =
                crate::source::Scan::new(t.items.clone(), &service.table.name, service.keys.clone(), true);
            let mut got = BTreeMap::new();
            let mut after = None;
            let mut tomb = 0;
            loop {
                let p = scan.page(0, 1, after.as_ref()).await?;
                for i in p.items {
                    if is_tombstone(&i) {
                        tomb += 1;
                    }
                    if let (Held::Live(d), Some(k)) = (classify(&i), service.keys.key_of(&i)) {
                        got.insert(k.encode(), (d, k));
                    }
                }
                after = p.next;
                if after.is_none() {
                    break;
                }
            }
            let missing = want.keys().filter(|k| !got.contains_key(*k)).count();
            let extra = got.keys().filter(|k| !want.contains_key(*k)).count();
            let different = want
                .iter()
                .filter(|(k, d)| got.get(*k).is_some_and(|(g, _)| g != *d))
                .count();
            r.notes.push(format!(
                "{}: want {} got {} missing {missing} extra {extra} different {different} tombstones {tomb}",
                service.name,
                want.len(),
                got.len()
            ));
            if missing + extra + different + tomb > 0 {
                r.clean = false;
                r.total_mismatches += (missing + extra + different) as u64;
            }
        }
        Ok(r)
    }
}
