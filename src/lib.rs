//! Splits a live DynamoDB table into one table per service.

pub mod dynamo;
pub mod model;
pub mod plan;
pub mod rehearse;
pub mod source;
pub mod state;
pub mod target;
pub mod verify;
