//! What the project and the AWS SDK have to tell each other.

pub mod convert;
#[cfg(test)]
pub(crate) mod scripted;
