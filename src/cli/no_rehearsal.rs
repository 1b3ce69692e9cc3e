//! In place of the command `rehearse`, in a build without its engine.

use super::args::{Global, Rehearse};
use super::exit::Exit;
use super::failure::Failed;
use crate::model::BuildPart;
use tokio_util::sync::CancellationToken;

/// Refuses.
pub async fn run(_: &Global, _: &Rehearse, _: CancellationToken) -> Result<Exit, Failed> {
    let needed = BuildPart::Rehearse.needed();
    needed.map_err(|missing| Failed::of(Exit::Usage, missing.to_string()))?;
    Ok(Exit::Done)
}
