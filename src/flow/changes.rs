//! What the write path takes: the changes of one source item, read or not.

use super::coalesce::Group;
use super::effects::{Effects, effects};
use super::stop::Stop;
use crate::model::Origin;
use crate::plan::{Service, Versions};
use std::borrow::Cow;

/// The changes of one source item.
pub trait Changes: Send + Sync {
    /// How many there are.
    fn count(&self) -> u64;

    /// Where the last one was read.
    fn origin(&self) -> Option<&Origin>;

    /// What they do to a service.
    fn effects(&self, service: &Service, versions: &Versions) -> Effects;

    /// The changes with whole images: for whatever is more than a plain put.
    ///
    /// # Errors
    /// If an image cannot be read.
    fn group(&self) -> Result<Cow<'_, Group>, Stop>;
}

impl Changes for Group {
    fn count(&self) -> u64 {
        self.changes.len() as u64
    }

    fn origin(&self) -> Option<&Origin> {
        self.changes.last().map(|change| &change.origin)
    }

    fn effects(&self, service: &Service, versions: &Versions) -> Effects {
        effects(service, versions, self)
    }

    fn group(&self) -> Result<Cow<'_, Group>, Stop> {
        Ok(Cow::Borrowed(self))
    }
}
