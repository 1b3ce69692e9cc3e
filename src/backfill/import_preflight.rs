//! Before a backfill begins in the import order: whether it may, and whether the bucket does what the order needs.

use super::order::{Chosen, Forecast, ImportForecast, OrderChoice, lasting};
use super::worker::Backfill;
use crate::dynamo::Tables;
use crate::import::{MOST_OBJECTS, RegionalImports, refuse_existing, refuse_plan};
use crate::model::{count, counted};
use crate::plan::Service;
use crate::s3::{Bucket, PutIf};
use crate::source::SourceFacts;
use crate::state::{ImportFolder, Order, SplitRecord};
use crate::target::running_imports;
use crate::worker::{RunError, unless_stopped};
use std::collections::BTreeMap;

/// Least bytes of an object before compression. Mid-sized objects are imported fastest.
const OBJECT_BYTES: u64 = 64 << 20;
/// With larger sources, objects are larger, so that an import has at most so many of them (beside the last one of each segment).
const OBJECTS: u64 = 20_000;
/// No object has this ETag.
const NO_ETAG: &str = "00000000000000000000000000000000";

impl Backfill {
    /// Decides about the import order. `None`: the tables exist, so that another order is chosen, or the operator chose one.
    pub(super) async fn choose_import(
        &self,
        choice: OrderChoice,
        facts: &SourceFacts,
        added: bool,
    ) -> Result<Option<Chosen>, RunError> {
        let record = SplitRecord::read(&self.split.store).await?.value;
        let refused = |what: &str, next: &str| {
            Err(RunError::NotYet {
                what: what.into(),
                next: next.into(),
            })
        };
        match (choice, record.awaiting_import.is_empty()) {
            (OrderChoice::Only(Order::Concurrent), _) => return Ok(None),
            (OrderChoice::Only(Order::Import), true) => {
                return refused(
                    "the import order is not possible: no table is left to an import, and an import makes new tables",
                    "leave out --order; or begin a split with `dynasplit apply --for-import`, which creates no tables",
                );
            }
            (_, true) => return Ok(None),
            (OrderChoice::Only(Order::Bulk), false) => {
                return refused(
                    "the bulk order is not possible: the tables are left to an import",
                    "use `--order import`, or `--order concurrent`, which creates the tables",
                );
            }
            (OrderChoice::Auto | OrderChoice::Only(Order::Import), false) => {}
        }
        match Box::pin(self.import_obstacle(&record, choice, facts, added)).await? {
            Ok(reason) => {
                let folder = self.import_folder(facts)?;
                unless_stopped(&self.stop, Box::pin(self.probe_bucket(&folder))).await?;
                Ok(Some(Chosen {
                    order: Order::Import,
                    reason,
                }))
            }
            Err((what, _)) if choice == OrderChoice::Auto => Ok(Some(Chosen {
                order: Order::Concurrent,
                reason: format!("concurrent, because the import order is not possible: {what}"),
            })),
            Err((what, next)) => Err(RunError::NotYet {
                what: format!("the import order is not possible: {what}"),
                next: format!("{next}; or use `--order concurrent`, which creates the tables"),
            }),
        }
    }

    /// The reason for the import order; the inner error is what is in its way, with the next step.
    async fn import_obstacle(
        &self,
        record: &SplitRecord,
        choice: OrderChoice,
        facts: &SourceFacts,
        added: bool,
    ) -> Result<Result<String, (String, String)>, RunError> {
        let no = |what: String, next: &str| Ok(Err((what, next.to_owned())));
        let active: Vec<&Service> = self.split.active().map(|(service, _)| service).collect();
        let there = active
            .iter()
            .find(|service| !record.awaiting_import.contains(&service.name));
        if added {
            return no(
                "it copies a service that was added to the plan".into(),
                "leave out --order",
            );
        }
        if let Some(service) = there {
            return no(
                format!("the table {} of {} exists", service.table.name, service.name),
                "an import makes the tables of all services",
            );
        }
        if self.split.plan.s3.is_none() {
            return no(
                "the plan has no section `s3`, which names the bucket".into(),
                "add it (docs/plan.md)",
            );
        }
        if let Err(error) = refuse_plan(
            &self.split.plan,
            "the plan has tables that no import can make",
            "use the concurrent order",
        ) {
            return no(error.to_string(), "correct the plan");
        }
        unless_stopped(&self.stop, Box::pin(refuse_existing(&self.split, |_| true))).await?;
        let (lag_ms, gap) = self.places(record).await?;
        if let Some(gap) = gap {
            return no(
                format!("a lane lost records ({gap})"),
                "run `dynasplit replicate --restart-tail`",
            );
        }
        let json_bytes = ImportForecast::json_bytes(facts.bytes);
        let objects = u64::from(self.segments_of(facts)) + json_bytes / object_bytes(facts);
        if objects > MOST_OBJECTS as u64 {
            return no(
                format!("{objects} objects would be imported at once, and an import takes {MOST_OBJECTS}"),
                "use fewer segments (--segments)",
            );
        }
        if let Some(exceeded) = self.exceeded_quotas(facts, json_bytes).await? {
            let next = "use the concurrent order";
            if choice == OrderChoice::Auto {
                return no(exceeded, next);
            }
            // AWS may have raised the quotas of this account: then DynamoDB decides.
            tracing::warn!(
                "{exceeded}; if AWS has not raised the quotas of this account, DynamoDB will refuse these imports"
            );
        }
        let reading = Forecast::reading(facts, self.budgets.source().rate());
        let import_ms = ImportForecast::import_ms(json_bytes);
        let takes = format!(
            "{}, {} MB: about {} to write them to S3 ({}), and about {} for the import of the largest table, if it received every item",
            counted(facts.item_count, "item"),
            count(facts.bytes.div_ceil(1_000_000)),
            lasting(reading.ms()),
            reading.slowest,
            lasting(import_ms)
        );
        let lag = lasting(lag_ms);
        if ImportForecast::is_too_late(lag_ms.saturating_add(reading.ms()), import_ms) {
            return no(
                format!(
                    "{takes}; an import may take twice as long, and with the lag of the lanes ({lag}), this is more than half of the 24 \
                     hours for which the stream keeps its records"
                ),
                "use a larger budget (--read-units) if the source serves it",
            );
        }
        Ok(Ok(format!(
            "import: {takes}; with the lag of the lanes ({lag}), this is well within the 24 hours for which the stream keeps its records"
        )))
    }

    /// The quotas that the imports would exceed, in each region with tables. Each region counts as if it received every item once.
    async fn exceeded_quotas(
        &self,
        facts: &SourceFacts,
        json_bytes: u64,
    ) -> Result<Option<String>, RunError> {
        let of_source = facts.arn.split(':').nth(3).unwrap_or_default();
        let mut regions: BTreeMap<&str, (u64, &Tables)> = BTreeMap::new();
        for (service, tables) in self.split.active() {
            let region = service.place.region.as_deref().unwrap_or(of_source);
            regions.entry(region).or_insert((0, tables)).0 += 1;
        }
        let mut exceeded = Vec::new();
        for (region, (count, tables)) in regions {
            let running = unless_stopped(&self.stop, Box::pin(running_imports(&tables.control))).await?;
            let imports = RegionalImports {
                region,
                bytes: json_bytes,
                tables: count,
                running,
            };
            exceeded.extend(imports.exceeded());
        }
        Ok((!exceeded.is_empty()).then(|| exceeded.join("; ")))
    }

    /// A folder that no other backfill has.
    pub(super) fn import_folder(&self, facts: &SourceFacts) -> Result<ImportFolder, RunError> {
        let Some(place) = &self.split.plan.s3 else {
            return Err(RunError::Failed("the plan has no section `s3`".into()));
        };
        let plan = &self.split.plan;
        let account = facts.arn.split(':').nth(4).unwrap_or_default();
        Ok(ImportFolder {
            bucket: place.bucket.clone(),
            prefix: format!("{}{}/{}/", place.prefix, plan.split, self.began_ms),
            region: place.region.clone(),
            owner: place.owner.clone().or_else(|| known_account(account)),
            object_bytes: self.options.object_bytes.unwrap_or_else(|| object_bytes(facts)),
            compression: self.options.compression,
        })
    }

    /// Tries everything that the order needs of the bucket, and that each role which imports may read it.
    async fn probe_bucket(&self, folder: &ImportFolder) -> Result<(), RunError> {
        let of = |tables| {
            Bucket::new(
                tables,
                folder.region.as_deref(),
                &folder.bucket,
                folder.owner.clone(),
            )
        };
        let bucket = of(&self.split.source);
        let key = format!(
            "{}probe/{:032x}",
            folder.prefix,
            crate::dynamo::chance::any::<u128>()
        );
        let (copy, other) = (format!("{key}-copy"), format!("{key}-other"));
        let etag = bucket.put_new(&key, b"dynasplit").await?;
        let is_ignored = bucket.put(&key, b"another", PutIf::Absent).await?.is_some()
            || bucket.copy(&key, NO_ETAG, &other).await?.is_some();
        if is_ignored {
            return Err(RunError::NotYet {
                what: format!(
                    "the S3 server of s3://{} ignores the conditions of writes and copies, so that an object could be another one than \
                     was written",
                    folder.bucket
                ),
                next: "use AWS, or a server that knows If-None-Match and x-amz-copy-source-if-match".into(),
            });
        }
        let is_copied = bucket.copy(&key, &etag, &copy).await?.is_some();
        let listed = bucket.list(&format!("{key}-")).await?;
        if !is_copied || listed.len() != 1 {
            return Err(RunError::Failed(format!(
                "the S3 server of s3://{} does not list what was copied to it",
                folder.bucket
            )));
        }
        let mut roles = BTreeMap::new();
        for (service, tables) in self.split.services() {
            roles.entry(service.place.role.clone()).or_insert(tables);
        }
        for tables in roles.into_values() {
            bucket_of(tables, folder).etag(&copy).await?;
        }
        Ok(())
    }
}

fn bucket_of(tables: &Tables, folder: &ImportFolder) -> Bucket {
    let region = folder.region.as_deref();
    Bucket::new(tables, region, &folder.bucket, folder.owner.clone())
}

/// Bytes of an object before compression.
fn object_bytes(facts: &SourceFacts) -> u64 {
    OBJECT_BYTES.max(ImportForecast::json_bytes(facts.bytes).div_ceil(OBJECTS))
}

/// The account that must own the bucket. Emulators show one that no AWS account has.
fn known_account(account: &str) -> Option<String> {
    let is_one = account.len() == 12 && account != "000000000000";
    is_one.then(|| account.to_owned())
}
