//! The repair of a service that has switched with a way back: what the source does not hold as the service wrote it is listed as
//! stray writes. `reverse settle` brings it to the source, by the rules of reverse writes.

use crate::state::{DeadLetter, DeadLetters};
use crate::verify::chunks::Chunks;
use crate::verify::point_reader::PointReader;
use crate::verify::recheck::Settled;
use crate::worker::{RunError, Split};

/// Mismatches that are in memory at once.
const CHUNK: usize = 256;
/// Why a write is listed.
const FOUND: &str = "verify found that the source does not hold what the service wrote";

/// Lists the confirmed mismatches. Returns how many there are.
pub(super) async fn list_strays(
    split: &Split,
    readers: &[PointReader],
    settled: Vec<Settled>,
) -> Result<u64, RunError> {
    let strays = DeadLetters::strays(split.store.clone());
    let mut listed = 0;
    for (reader, settled) in readers.iter().zip(settled) {
        let service = &reader.service().name;
        let epoch = split.cutover(service).map_or(0, |cutover| cutover.epoch);
        let mut chunks = Chunks::of(settled.repairable, CHUNK);
        loop {
            let chunk = chunks.next().await?;
            if chunk.is_empty() {
                break;
            }
            for key in chunk
                .iter()
                .flat_map(|found| reader.source_keys(&found.candidate))
            {
                strays
                    .keep(&DeadLetter {
                        service: service.clone(),
                        key: split.key_json(&key),
                        reason: FOUND.to_owned(),
                        origin: format!("{epoch}/verify"),
                        at_ms: split.now_ms(),
                        image: None,
                        old_image: None,
                    })
                    .await?;
                listed += 1;
            }
        }
    }
    Ok(listed)
}
