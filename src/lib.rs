//! Splits a live DynamoDB table into one table per service.
#![forbid(unsafe_code)]

pub mod model;
pub mod plan;
pub mod verify;
