//! What a rehearsal imported, from the records of its split.

use super::error::RehearseError;
use crate::state::{BackfillRecord, ImportsRecord, SegmentRecord};
use crate::worker::{RunError, Split};
use serde::Serialize;
use std::collections::BTreeMap;

/// The import part of a rehearsal.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ImportRehearsal {
    /// Items that went through an import.
    pub items: u64,
    /// Objects that were imported.
    pub objects: u64,
    /// Their bytes before compression: what DynamoDB bills an import by.
    pub bytes: u64,
    /// Their bytes in S3.
    pub stored_bytes: u64,
    /// The same for each service.
    pub services: BTreeMap<String, ImportedService>,
    /// The order was given up: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_up: Option<String>,
}

/// The import of one service.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ImportedService {
    /// Items.
    pub items: u64,
    /// Objects.
    pub objects: u64,
    /// Bytes before compression.
    pub bytes: u64,
    /// Bytes in S3.
    pub stored_bytes: u64,
}

impl ImportRehearsal {
    /// Reads the records.
    pub(super) async fn of(split: &Split) -> Result<Self, RehearseError> {
        let store = &split.store;
        let imports = store.get::<ImportsRecord>(ImportsRecord::NAME).await;
        let imports = imports.map_err(RunError::from)?;
        let imports = imports.map_or_else(ImportsRecord::default, |found| found.value);
        let segments = store.list::<SegmentRecord>(SegmentRecord::PREFIX).await;
        let mut found = Self::default();
        for (_, segment) in segments.map_err(RunError::from)? {
            for (service, progress) in segment.value.services {
                // Only a table that is ready was made of its objects.
                if progress.objects.is_empty() || !imports.is_ready(&service) {
                    continue;
                }
                let of_service = found.services.entry(service).or_default();
                for object in &progress.objects {
                    of_service.items += object.items;
                    of_service.objects += 1;
                    of_service.bytes += object.bytes;
                    of_service.stored_bytes += object.size;
                }
            }
        }
        for service in found.services.values() {
            found.items += service.items;
            found.objects += service.objects;
            found.bytes += service.bytes;
            found.stored_bytes += service.stored_bytes;
        }
        let backfill = store.get::<BackfillRecord>(BackfillRecord::NAME).await;
        let backfill = backfill.map_err(RunError::from)?;
        found.given_up = backfill
            .filter(|found| found.value.order != crate::state::Order::Import)
            .map(|found| found.value.order_reason);
        Ok(found)
    }
}
