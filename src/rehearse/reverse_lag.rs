//! How far the source is behind what the services write to their own tables: the time from the answer to such a write until the
//! source holds it.

use super::application::{Application, Carried};
use super::pauses::percentile;
use crate::dynamo::Failure;
use crate::model::ItemExt;
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two looks at the source.
const LOOK: Duration = Duration::from_millis(10);

/// How long writes of the services' own tables took to arrive in the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct ReverseLag {
    /// The writes that were followed.
    pub writes: u64,
    /// Half of them took no longer, in milliseconds.
    pub median_ms: u64,
    /// 99 in 100 of them took no longer, in milliseconds. With fewer than 100 writes, this is the longest one.
    pub p99_ms: u64,
    /// The longest one, in milliseconds.
    pub longest_ms: u64,
}

impl ReverseLag {
    fn of(mut lags: Vec<u64>) -> Option<Self> {
        lags.sort_unstable();
        Some(Self {
            writes: lags.len() as u64,
            median_ms: percentile(&lags, 50)?,
            p99_ms: percentile(&lags, 99)?,
            longest_ms: *lags.last()?,
        })
    }
}

/// Follows one write after the other.
#[derive(Clone, Default)]
pub(super) struct LagProbe {
    lags: Arc<Mutex<Vec<u64>>>,
}

impl LagProbe {
    /// The result so far.
    pub fn result(&self) -> Option<ReverseLag> {
        ReverseLag::of(self.lags.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Takes the latest write of a service's own table, waits until the source holds it, and takes the next one, until it is
    /// stopped. A write whose item is written again meanwhile, or whose service is moved, is left out.
    pub async fn follow(&self, application: &Application, stop: &CancellationToken) -> Result<(), Failure> {
        let mut last = None;
        while !stop.is_cancelled() {
            let Some(carried) = application.carried().filter(|next| Some(next.at) != last) else {
                tokio::time::sleep(LOOK).await;
                continue;
            };
            last = Some(carried.at);
            if let Some(lag) = arrives(application, &carried, stop).await? {
                let mut lags = self.lags.lock().unwrap_or_else(PoisonError::into_inner);
                lags.push(u64::try_from(lag.as_millis()).unwrap_or(u64::MAX));
            }
        }
        Ok(())
    }
}

/// How long a write took; `None` if its item was written again.
async fn arrives(
    application: &Application,
    carried: &Carried,
    stop: &CancellationToken,
) -> Result<Option<Duration>, Failure> {
    let Carried { key, item, at } = carried;
    let wanted = item.as_ref().map(ItemExt::encode);
    loop {
        let found = application.read_source_item(key).await?;
        if found.as_ref().map(ItemExt::encode) == wanted {
            return Ok(Some(at.elapsed()));
        }
        if stop.is_cancelled() || application.item(key).as_ref().map(ItemExt::encode) != wanted {
            return Ok(None);
        }
        tokio::time::sleep(LOOK).await;
    }
}
