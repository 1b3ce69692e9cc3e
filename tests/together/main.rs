//! The tests that wait most of the time, in one process: while those of one folder wait, those of another work. (Cargo runs
//! one binary after the other, and each ends with its slowest test.)

#[path = "../support/mod.rs"]
mod support;

#[path = "../apply/mod.rs"]
mod apply;
#[cfg(unix)]
#[path = "../cutover/mod.rs"]
mod cutover;
#[path = "../faults/mod.rs"]
mod faults;
#[path = "../lifecycle/mod.rs"]
mod lifecycle;
#[path = "../peers/mod.rs"]
mod peers;
#[path = "../pipeline/mod.rs"]
mod pipeline;
#[cfg(unix)]
#[path = "../reverse/mod.rs"]
mod reverse;
#[path = "../tail/mod.rs"]
mod tail;
#[path = "../verify/mod.rs"]
mod verify;
