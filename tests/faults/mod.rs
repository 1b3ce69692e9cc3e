//! What AWS does and no emulator does, done to the product: see [`crate::support::faulty`]. Each test makes one thing go
//! wrong, shows that it did, and compares the tables with what they should hold.
#![cfg(unix)]

mod abandon;
mod adaptive_read_rate;
mod batches;
mod bulk;
mod copies;
mod course;
mod deleted;
mod denied;
mod engine;
mod exports;
mod final_counts;
mod given_up;
mod heal;
mod held;
mod hot;
mod hot_reads;
mod import_order;
mod landing;
mod ledger;
mod lost;
mod lost_events;
mod offline;
mod random_faults;
mod reading;
mod reasons;
mod restarts;
mod shards;
mod slow;
mod stale;
mod stopped;
mod sweep;
mod switched;
mod throttling;
mod verified_exports;
