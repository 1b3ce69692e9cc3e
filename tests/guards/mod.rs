//! Guards on real engines: each expression against the pure predicate that the proofs use, and the writer that
//! relies on both.

mod agreement;
mod cases;
mod every;
mod indexes;
mod markers;
mod sweeps;
mod writer;
