//! What is proven of each service, for `status` and for a cutover.

use crate::plan::Service;
use crate::state::{Damaged, Proof, ProofRecord, StateError, Stored, VerifyRecord};
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

/// When each service was last found to be exact, in milliseconds since 1970. A service that was not is missing.
pub(super) async fn proven(
    split: &Split,
    whole: Option<&VerifyRecord>,
    damaged: &mut Vec<Damaged>,
) -> Result<BTreeMap<String, u64>, StateError> {
    let found = split.store.list_readable(ProofRecord::PREFIX, damaged).await?;
    let found: Vec<(String, Stored<ProofRecord>)> = found;
    let proofs = split.active().filter_map(|(service, _)| {
        let own = found.iter().map(|(_, stored)| &stored.value);
        let own = own.into_iter().find(|own| own.service == service.name);
        let proof = Proof::of(&service.name, &service.fingerprint, whole, own)?;
        Some((service.name.clone(), proof.started_ms))
    });
    Ok(proofs.collect())
}
