//! Divides the entries of a segment by ranges of the keys, and writes them to S3.

use super::folder::Folder;
use super::outcomes::Block;
use crate::verify::compare::{Divider, VerifyError};
use crate::verify::pages::{SourceEntry, TargetEntry};
use crate::verify::sorting::{Entries, blocking};
use crate::worker::RunError;
use std::sync::Arc;
use tokio::sync::Mutex;

/// The entries of one segment. Clones fill the same blocks.
#[derive(Clone)]
pub(super) struct Divided {
    folder: Folder,
    /// What the keys of the objects of this claim begin with.
    claim: String,
    /// Bytes of entries in memory.
    most: usize,
    state: Arc<Mutex<State>>,
}

struct State {
    divider: Divider,
    blocks: Vec<Block>,
}

impl Divided {
    pub fn new(folder: &Folder, claim: &str, most: usize, divider: Divider) -> Self {
        Self {
            folder: folder.clone(),
            claim: claim.to_owned(),
            most,
            state: Arc::new(Mutex::new(State {
                divider,
                blocks: Vec::new(),
            })),
        }
    }

    /// For the entries of one service.
    pub fn part(&self, service: usize) -> Part {
        Part {
            service,
            divided: self.clone(),
        }
    }

    /// Adds entries. The scan waits while a block is written, so that memory is bounded.
    async fn add(
        &self,
        push: impl FnOnce(&mut Divider) -> Result<(), VerifyError> + Send + 'static,
    ) -> Result<(), RunError> {
        let mut state = Arc::clone(&self.state).lock_owned().await;
        let most = self.most;
        let mut state = blocking(move || {
            push(&mut state.divider)?;
            Ok(state)
        })
        .await?;
        match state.divider.bytes() >= most {
            true => self.write(&mut state).await,
            false => Ok(()),
        }
    }

    async fn write(&self, state: &mut State) -> Result<(), RunError> {
        let Some(block) = state.divider.take() else {
            return Ok(());
        };
        let key = format!("{}block-{:06}", self.claim, state.blocks.len());
        let object = self.folder.write(key, &block.bytes).await?;
        state.blocks.push(Block {
            object,
            ends: block.ends,
        });
        Ok(())
    }

    /// Writes the rest. All blocks.
    pub async fn finish(&self) -> Result<Vec<Block>, RunError> {
        let mut state = self.state.lock().await;
        self.write(&mut state).await?;
        Ok(std::mem::take(&mut state.blocks))
    }
}

/// The entries of one service.
pub(super) struct Part {
    service: usize,
    divided: Divided,
}

impl Entries<TargetEntry> for Part {
    async fn send(&self, batch: Vec<TargetEntry>) -> Result<(), RunError> {
        let service = self.service;
        let push = move |divider: &mut Divider| {
            let mut entries = batch.iter();
            entries.try_for_each(|(key, held)| divider.push_target(service, key, *held))
        };
        self.divided.add(push).await
    }
}

impl Entries<SourceEntry> for Part {
    async fn send(&self, batch: Vec<SourceEntry>) -> Result<(), RunError> {
        let service = self.service;
        let push = move |divider: &mut Divider| {
            let mut entries = batch.iter();
            entries.try_for_each(|(target, source, digest)| {
                divider.push_source(service, target, source, *digest)
            })
        };
        self.divided.add(push).await
    }
}
