//! Splits a live DynamoDB table into one table per service.

pub mod cli;
pub mod dynamo;
pub mod flow;
pub mod model;
pub mod plan;
pub mod rehearse;
pub mod run;
pub mod source;
pub mod state;
pub mod target;
pub mod verify;
