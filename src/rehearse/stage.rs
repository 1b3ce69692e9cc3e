//! Where a rehearsal is held: its engine, its S3, what stands in for features that they lack, and the plan as it is rehearsed there.

use super::buckets::{EmbeddedObjects, EngineBucket};
use super::engine::EmbeddedEngine;
use super::error::RehearseError;
use super::imports::Imports;
use super::options::RehearseOptions;
use super::passing_time::PassingTime;
use super::stand_in::RehearsalStandIn;
use super::tables::drop_tables;
use crate::dynamo::{Clients, Endpoint, StandIn, Tables, Timing};
use crate::import::refuse_plan;
use crate::plan::Plan;
use crate::worker::Split;
use std::sync::Arc;

/// The bucket of the S3 server of a rehearsal.
const BUCKET: &str = "rehearsal";

/// What replaces `ImportTable`.
const OF_IMPORTS: &str = "imports: the engine has no ImportTable, so the rehearsal makes a table of the objects by itself; it shows \
                          neither how long DynamoDB takes nor its errors";
/// What replaces S3.
const OF_OBJECTS: &str = "S3: a server within the rehearsal keeps the objects in memory";
/// What replaces the days of an outage.
const OF_TIME: &str = "time: the clock of the split is set forward, and the stream forgets records that are 24 hours old by this clock";

/// See the module.
pub(super) struct Stage {
    /// The plan as it is rehearsed.
    pub plan: Plan,
    /// Clients of the application, which nothing stands before.
    pub application: Tables,
    /// The split.
    pub split: Split,
    /// What stands between the split and the engine.
    pub stand_in: Arc<RehearsalStandIn>,
    /// What was replaced, in words.
    pub stand_ins: Vec<String>,
    engine: Option<EmbeddedEngine>,
    _objects: Option<EmbeddedObjects>,
    bucket: Option<EngineBucket>,
    /// The split without its stand-in, on an engine that others may use.
    shared: Option<Split>,
}

impl Stage {
    /// Starts what the rehearsal needs.
    ///
    /// # Errors
    /// If an engine cannot be started, or not be used.
    pub async fn open(plan: Plan, options: &RehearseOptions) -> Result<Self, RehearseError> {
        let imports = options.imports();
        if imports {
            let cannot = "the plan has tables that no import can make";
            refuse_plan(&plan, cannot, "rehearse another order")?;
        }
        let engine = match &options.endpoint {
            None => Some(EmbeddedEngine::start().await?),
            Some(_) => None,
        };
        let (mut endpoint, plan) = match (&engine, &options.endpoint) {
            (Some(engine), _) => (of_embedded(engine), plan),
            // On an engine that others may use, the tables get names of their own.
            (None, Some(endpoint)) => (with_region(endpoint), plan.prefixed(&own_prefix())),
            (None, None) => (Endpoint::default(), plan),
        };
        let has_imports = imports && options.endpoint.is_some() && {
            let clients = Clients::load(&endpoint, options.timing).await?;
            EngineBucket::has_imports(&clients).await?
        };
        let mut stand_ins = Vec::new();
        let needs_objects = options.ledger.is_some() || (imports && !has_imports);
        let objects = match needs_objects {
            true => Some(EmbeddedObjects::start(BUCKET).await?),
            false => None,
        };
        if let Some(objects) = &objects {
            endpoint.objects = Some(Arc::new(objects.store()));
            stand_ins.push(OF_OBJECTS.to_owned());
        }
        let application = Clients::load(&endpoint, options.timing).await?;
        let application = (application.at(None, None).await, application);
        let bucket = match has_imports && objects.is_none() {
            true => Some(EngineBucket::create(&application.0, &own_prefix()).await?),
            false => None,
        };
        let name = bucket.as_ref().map_or(BUCKET, EngineBucket::name);
        let plan = plan.with_own_objects(name, imports, options.ledger.is_some());
        let stands = imports && !(has_imports && objects.is_none());
        let stand_in = Arc::new(RehearsalStandIn::new(
            stands.then(|| Imports::new(application.0.clone(), options.seed)),
            options.ledger.map(|_| PassingTime::new()),
        ));
        if stands {
            stand_ins.push(OF_IMPORTS.to_owned());
        }
        if stand_in.time.is_some() {
            stand_ins.push(OF_TIME.to_owned());
        }
        let shared = match engine.is_none() && !options.keep {
            true => Some(Split::open(plan.clone(), &application.1).await),
            false => None,
        };
        endpoint.chaos = options.chaos;
        endpoint.stand_in = stand_in
            .is_needed()
            .then(|| Arc::clone(&stand_in) as Arc<dyn StandIn>);
        let timing = stand_in.time.as_ref().map_or(options.timing, |time| Timing {
            clock: time.clock(),
            ..options.timing
        });
        let clients = Clients::load(&endpoint, timing).await?;
        Ok(Self {
            split: Split::open(plan.clone(), &clients).await,
            plan,
            application: application.0,
            stand_in,
            stand_ins,
            engine,
            _objects: objects,
            bucket,
            shared,
        })
    }

    /// Removes what the rehearsal created on an engine that others may use, and stops its own.
    ///
    /// # Errors
    /// If its own engine had failed.
    pub async fn close(self) -> Result<(), RehearseError> {
        if let Some(shared) = &self.shared {
            drop_tables(shared).await;
            if let Some(bucket) = &self.bucket {
                bucket.remove(&self.application).await;
            }
        }
        if let Some(engine) = self.engine {
            engine.stop().await?;
        }
        Ok(())
    }
}

fn own_prefix() -> String {
    format!("rehearsal-{:08x}-", rand::random::<u32>())
}

fn of_embedded(engine: &EmbeddedEngine) -> Endpoint {
    Endpoint {
        url: Some(engine.endpoint().to_owned()),
        anonymous: true,
        ..Endpoint::default()
    }
}

fn with_region(endpoint: &Endpoint) -> Endpoint {
    let unset = std::env::var_os("AWS_REGION").is_none();
    let region = endpoint.region.clone();
    Endpoint {
        region: region.or_else(|| unset.then(|| "us-east-1".into())),
        ..endpoint.clone()
    }
}
