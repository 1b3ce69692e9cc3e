//! Cutovers and rollbacks of a service with an application that writes all the time, by the product's own processes: the whole
//! way, each way back, and deaths at every step.

mod application;
mod beside_a_copy;
mod cancelled;
mod changed;
mod checked_back;
mod completed;
mod deaths;
mod everything;
mod held;
mod hooks;
mod marked;
mod other_tools;
mod policy;
mod prepared;
mod pruned;
mod refused;
mod seeded;
mod shop;
mod there_and_back;
