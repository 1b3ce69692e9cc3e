//! Tests of the fence.

mod hooks;
