//! Why a rehearsal could not be held.

use super::buckets_error::BucketsError;
use super::engine::EngineError;
use super::generate::GenerateError;
use super::load::LoadError;
use super::sample::SampleError;
use super::writer_error::WriterError;
use crate::dynamo::{ConfigError, Failure};
use crate::worker::RunError;

/// Why a rehearsal could not be held.
#[derive(Debug, thiserror::Error)]
pub enum RehearseError {
    /// The plan has no sample items, and no file of them was given.
    #[error(
        "the plan has no `rehearse:` section: add one (docs/plan.md), or name a file of your own items with \
         --sample FILE"
    )]
    NoSample,
    /// No service can be cut over.
    #[error("no service of the plan can be cut over with a way back: {}", reasons.join("; "))]
    NoCutover {
        /// The reason of each service.
        reasons: Vec<String>,
    },
    /// The engine is AWS.
    #[error(
        "the endpoint is one of AWS, where an import costs money and needs a bucket: leave out --endpoint-url, and the rehearsal \
         imports within this process"
    )]
    ImportsOfAws,
    /// The S3 server of the rehearsal.
    #[error(transparent)]
    Buckets(#[from] BucketsError),
    /// The embedded engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The plan's templates.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// The sample file.
    #[error(transparent)]
    Sample(#[from] SampleError),
    /// Loading.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The live writers.
    #[error(transparent)]
    Writer(#[from] WriterError),
    /// The split itself.
    #[error(transparent)]
    Run(Box<RunError>),
    /// The configuration of the AWS clients.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A request to the engine.
    #[error(transparent)]
    Request(#[from] Failure),
    /// A part of the rehearsal broke off.
    #[error("a part of the rehearsal ended unexpectedly: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl From<RunError> for RehearseError {
    fn from(error: RunError) -> Self {
        Self::Run(Box::new(error))
    }
}
