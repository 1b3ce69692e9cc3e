//! Pins every lane's positions in the stream of the present generation, for a command that reads no stream itself.

use super::capture::capture_lanes;
use crate::lifecycle::current_stream;
use crate::source::StreamSource;
use crate::worker::{RunError, Split};

/// Pins the positions of every lane that has none in the present generation, as the first worker of `replicate` does. Idempotent, also
/// beside workers that do the same. Returns the generation.
///
/// # Errors
/// If the source has another stream, or something can't be reached.
pub(crate) async fn pin_lanes(split: &Split) -> Result<u32, RunError> {
    let (generation, stream) = current_stream(split).await?;
    let keys = split.plan.source.keys.clone();
    let source = StreamSource::new(split.source.streams.clone(), &stream.arn, generation, keys);
    capture_lanes(split, &source).await?;
    Ok(generation)
}
