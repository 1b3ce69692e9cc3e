//! The tests that send most to DynamoDB Local, in one process, so that it is started once. (In `together`, they would hold up
//! the tests that wait.)

#[path = "../support/mod.rs"]
mod support;

#[path = "../engines/mod.rs"]
mod engines;
#[path = "../expressions/mod.rs"]
mod expressions;
#[path = "../guards/mod.rs"]
mod guards;
