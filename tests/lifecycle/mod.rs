//! A split from `apply` to `complete`, on the genuine engine, and what stands in its way: a table that breaks, items
//! that can't land, a plan that was edited, targets that are not empty.
#![cfg(unix)]

mod at_rest;
mod broken;
mod complete;
mod dead_letters;
mod procedures;
mod refusals;
mod status;
mod switched;
