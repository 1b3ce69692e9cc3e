//! The tail on the genuine engine, whose shards roll, whose iterators expire and whose records are forgotten: it
//! follows without a loss where nothing was lost, and says so where something was.
#![cfg(unix)]

mod gap;
mod shards;
mod ttl;
