//! The command line, above the library: arguments, commands, and what people see.

pub mod survey;
