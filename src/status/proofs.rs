//! What is proven of each service, for `status` and for a cutover.

use crate::plan::Service;
use crate::state::{
    ChangesRecord, ComparedChanges, Damaged, Proof, ProofRecord, StateError, Stored, VerifyRecord,
};
use crate::worker::Split;
use std::collections::BTreeMap;

/// The newest proof of a service; `None` if its table was not compared, or had faults.
///
/// # Errors
/// If the state can't be read.
pub(crate) async fn proof(split: &Split, service: &Service) -> Result<Option<Proof>, StateError> {
    let whole = split.store.get::<VerifyRecord>(VerifyRecord::NAME).await?;
    let name = ProofRecord::record_name(&service.name);
    let own = split.store.get::<ProofRecord>(&name).await?;
    Ok(Proof::of(
        &service.name,
        &service.fingerprint,
        whole.as_ref().map(|stored| &stored.value),
        own.as_ref().map(|stored| &stored.value),
    ))
}

/// What was compared of a service after its newest proof, because it changed; `None`: nothing.
///
/// # Errors
/// If the state can't be read.
pub(crate) async fn compared_changes(
    split: &Split,
    service: &Service,
    proof: &Proof,
) -> Result<Option<ComparedChanges>, StateError> {
    let whole = split.store.get::<VerifyRecord>(VerifyRecord::NAME).await?;
    let repairs = whole.map_or(0, |stored| stored.value.repairs);
    let name = ChangesRecord::record_name(&service.name);
    let found = split.store.get::<ChangesRecord>(&name).await?;
    let record = found.map(|stored| stored.value);
    Ok(record.and_then(|record| record.added_to(proof, &service.fingerprint, repairs).cloned()))
}

/// What is proven of the services, by their names. Times are in milliseconds since 1970.
#[derive(Default)]
pub(super) struct Proven {
    /// When each service was last found to be exact. A service that was not is missing.
    pub whole_ms: BTreeMap<String, u64>,
    /// When the changes since then were last compared and found to be exact. A service without such a comparison is missing.
    pub changes_ms: BTreeMap<String, u64>,
}

/// What is proven of each service.
pub(super) async fn proven(
    split: &Split,
    whole: Option<&VerifyRecord>,
    damaged: &mut Vec<Damaged>,
) -> Result<Proven, StateError> {
    let found = split.store.list_readable(ProofRecord::PREFIX, damaged).await?;
    let found: Vec<(String, Stored<ProofRecord>)> = found;
    let later = split.store.list_readable(ChangesRecord::PREFIX, damaged).await?;
    let later: Vec<(String, Stored<ChangesRecord>)> = later;
    let repairs = whole.map_or(0, |verify| verify.repairs);
    let mut proven = Proven::default();
    for (service, _) in split.active() {
        let own = found.iter().map(|(_, stored)| &stored.value);
        let own = own.into_iter().find(|own| own.service == service.name);
        let Some(proof) = Proof::of(&service.name, &service.fingerprint, whole, own) else {
            continue;
        };
        let changes = later.iter().map(|(_, stored)| &stored.value);
        let mut changes = changes.filter(|changes| changes.service == service.name);
        let added = changes
            .next()
            .and_then(|changes| changes.added_to(&proof, &service.fingerprint, repairs));
        if let Some(added) = added {
            proven.changes_ms.insert(service.name.clone(), added.started_ms);
        }
        proven.whole_ms.insert(service.name.clone(), proof.started_ms);
    }
    Ok(proven)
}
