//! What happens by itself: shards split and roll, records are trimmed, items expire, DynamoDB throttles, and somebody
//! switches the stream off and on.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::{StreamSpecification, StreamViewType, TimeToLiveSpecification};
use rand::Rng;
use tokio::time::sleep;

use crate::network::Throttling;
use crate::world::World;

/// The stream keeps its records for so long.
const KEPT_MS: u64 = 24 * 60 * 60 * 1000;
/// Between two looks for records that are too old.
const TRIMMED_EVERY: Duration = Duration::from_secs(10 * 60);

impl World {
    /// Begins everything that happens by itself.
    pub fn begin_events(self: &Arc<Self>) {
        let mut crew = self.crew.lock().expect("no thread panicked");
        if self.cast.shards_end {
            crew.spawn(Arc::clone(self).shards());
        }
        if self.cast.away_minutes.is_some() || self.cast.outage.is_some() {
            crew.spawn(Arc::clone(self).trimming());
        }
        if self.cast.expires {
            crew.spawn(Arc::clone(self).expiry());
        }
        if self.cast.throttles {
            crew.spawn(Arc::clone(self).throttlings());
        }
        if self.cast.turns_stream {
            crew.spawn(Arc::clone(self).stream_turns());
        }
    }

    /// Shards of the source's stream split and roll.
    async fn shards(self: Arc<Self>) {
        let mut rng = self.rng(2);
        loop {
            // Each new shard costs requests, and in calm it shows little.
            let (least, most) = self.cast.shard_ends_ms;
            let pause_ms = if self.is_calm() { 5000..40_000 } else { least..most };
            sleep(Duration::from_millis(rng.random_range(pause_ms))).await;
            self.everybody_is_back().await;
            let (splits, draw) = (rng.random::<bool>(), rng.random::<u32>() as usize);
            let table = self.streamed(draw);
            let done = self.network.with_engine(|engine, now_ms| {
                let stream = engine.stream(table)?;
                let open = stream.open_shards();
                let id = open.get(draw % open.len().max(1))?.clone();
                if splits && open.len() < self.cast.most_shards {
                    stream.split_shard(now_ms, &id);
                    Some(("splits", id))
                } else {
                    stream.roll_shard(now_ms, &id);
                    Some(("rolls", id))
                }
            });
            if let Some((what, id)) = done {
                self.network.count(&format!("a shard {what}"));
                self.network.note(|| format!("{id} {what}"));
            }
        }
    }

    /// A table whose stream is read: in a run with cutovers, also one of the services.
    fn streamed(&self, draw: usize) -> &str {
        let trial = &self.trial;
        let tables = [&trial.source, &trial.orders, &trial.source, &trial.invoices];
        match self.shop {
            Some(_) => tables[draw % tables.len()],
            None => &trial.source,
        }
    }

    /// Records that are too old are forgotten.
    async fn trimming(self: Arc<Self>) {
        loop {
            sleep(TRIMMED_EVERY).await;
            let table = &self.trial.source;
            let trimmed = self.network.with_engine(|engine, now_ms| {
                let stream = engine.stream(table)?;
                Some(stream.trim(now_ms.saturating_sub(KEPT_MS)))
            });
            if trimmed.is_some_and(|records| records > 0) {
                self.network.count("records trimmed");
                self.network.note(|| format!("{trimmed:?} records are trimmed"));
            }
        }
    }

    /// Lets the source's items expire, or no more, if the run is about that.
    pub async fn expire_items(&self, expire: bool) {
        if !self.cast.expires {
            return;
        }
        let specification = TimeToLiveSpecification::builder()
            .attribute_name("expires")
            .enabled(expire)
            .build()
            .expect("it is complete");
        let update = self.hand().update_time_to_live().table_name(&self.trial.source);
        let update = update.time_to_live_specification(specification);
        update.send().await.expect("TTL is switched");
    }

    /// Items whose time has come are removed, some time later. After the end of the split, targets do so, too.
    async fn expiry(self: Arc<Self>) {
        let mut rng = self.rng(3);
        loop {
            sleep(Duration::from_millis(rng.random_range(500..9000))).await;
            let removed = self
                .network
                .with_engine(|engine, now_ms| engine.expire(&self.trial.source, now_ms));
            for _ in 0..removed {
                self.network.count("item expired");
            }
        }
    }

    /// Times of throttling.
    async fn throttlings(self: Arc<Self>) {
        let mut rng = self.rng(4);
        let trial = &self.trial;
        let state = trial.state_table();
        let tables = [
            trial.source.as_str(),
            &trial.orders,
            &trial.invoices,
            &trial.names,
            &state,
        ];
        loop {
            sleep(Duration::from_millis(rng.random_range(500..15_000))).await;
            self.everybody_is_back().await;
            if self.is_calm() {
                continue;
            }
            let cast = &self.cast;
            let has_objects = cast.imports || cast.ledger || cast.exports || cast.heals;
            self.network.throttle(match has_objects && rng.random() {
                true => Throttling::of_objects(&mut rng),
                false => Throttling::drawn(&mut rng, &tables),
            });
        }
    }

    /// Somebody switches the stream off, and on again after a while.
    async fn stream_turns(self: Arc<Self>) {
        let mut rng = self.rng(5);
        sleep(Duration::from_millis(rng.random_range(2000..20_000))).await;
        self.everybody_is_back().await;
        if self.is_calm() {
            return;
        }
        self.network.count("stream off and on");
        self.turn_stream(false).await;
        sleep(Duration::from_millis(rng.random_range(20..9000))).await;
        // The operator may have been faster.
        self.turn_stream(true).await;
    }

    async fn turn_stream(&self, on: bool) {
        self.network
            .note(|| format!("somebody switches the stream: on is {on}"));
        let specification = StreamSpecification::builder().stream_enabled(on);
        let specification = match on {
            true => specification.stream_view_type(StreamViewType::NewAndOldImages),
            false => specification,
        };
        let update = self.hand().update_table().table_name(&self.trial.source);
        let update = update.stream_specification(specification.build().expect("it is complete"));
        let _ = update.send().await;
    }
}
