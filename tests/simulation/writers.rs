//! Who writes the source of a run: writers that do everything which a split must stand, or the applications of a shop.

use std::sync::Arc;

use crate::shop::Shop;
use crate::support::mutator::Mutator;

/// Writers at work.
pub enum Writers {
    Mutator(Mutator),
    Shop(Arc<Shop>),
}

impl Writers {
    /// Lets them make a pause, or go on.
    pub fn rest(&self, rest: bool) {
        match self {
            Self::Mutator(mutator) => mutator.rest(rest),
            Self::Shop(shop) => shop.rest(rest),
        }
    }

    /// From now on, a write may be the last one of its key.
    pub fn let_keys_rest(&self) {
        if let Self::Mutator(mutator) = self {
            mutator.let_keys_rest();
        }
    }

    /// How often they have written so far.
    pub fn so_far(&self) -> u64 {
        match self {
            Self::Mutator(mutator) => mutator.so_far().total(),
            Self::Shop(shop) => shop.writes(),
        }
    }

    /// Lets them end what they are at, and says how often they wrote.
    pub async fn end(self) -> u64 {
        match self {
            Self::Mutator(mutator) => mutator.tally().await.total(),
            Self::Shop(shop) => {
                shop.end();
                shop.writes()
            }
        }
    }
}
