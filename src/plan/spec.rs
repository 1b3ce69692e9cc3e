//! The plan file as it is written: what serde reads, and what the JSON Schema is generated from.
//!
//! Nothing here is checked beyond its shape; [`super::Plan`] is the checked form that runs.

use super::either::WordOr;
use super::path::Path;
use super::spec_cutover::{FenceSpec, HooksSpec, WrittenDrain};
use super::spec_events::EventsSpec;
use super::spec_ledger::LedgerSpec;
use super::spec_notify::NotifySpec;
use super::spec_s3::BucketSpec;
use crate::model::AttributeKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The split plan: one live source table, and the services that are to own its parts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PlanSpec {
    /// Version of this file format. Always 1.
    #[schemars(extend("const" = 1))]
    pub version: u32,
    /// Name of the split: letters, digits, `-`, `_` and `.`. It names the state table.
    pub split: String,
    /// The live table.
    pub source: SourceSpec,
    /// The origin of an item's version: an attribute that increases with each write, or `none`.
    pub timestamp: WordOr<NoneWord, TimestampSpec>,
    /// What to do with items that no service takes: `fail`, or select those that stay in the source on purpose.
    pub unrouted: WordOr<FailWord, LeftBehindSpec>,
    /// The services, each with a table of its own.
    pub services: Vec<ServiceSpec>,
    /// How a cutover stops the writers of a service. A service may have a fence of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<FenceSpec>,
    /// How a cutover shows that each write from before the fence was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<WrittenDrain>,
    /// Commands of the operator that a cutover or a rollback runs at its steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<HooksSpec>,
    /// Where notifications go: phases, gaps, dead letters, stray writes, lag, throttling, and the steps of cutovers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<NotifySpec>,
    /// A ledger of all changes of the source, in a bucket of S3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<LedgerSpec>,
    /// Where `backfill --order import` keeps the items that DynamoDB imports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<BucketSpec>,
    /// The state table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateSpec>,
    /// Sample data for `dynasplit rehearse`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearse: Option<RehearseSpec>,
    /// Whether `DYNASPLIT_CHAOS` may make requests slow and let them fail: for a staging environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chaos: Option<AllowedWord>,
}

/// The word `allowed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AllowedWord {
    /// Chaos may be switched on.
    Allowed,
}

/// The live table that is split.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SourceSpec {
    /// Table name.
    pub table: String,
    /// Its primary key.
    pub keys: KeysSpec,
    /// Region, if it is not the region of the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// ARN of a role to assume for the source, if it is not the caller's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// A primary key.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KeysSpec {
    /// The partition key: a name (then a string), or name and type.
    pub partition: WordOr<String, KeyAttributeSpec>,
    /// The sort key, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<WordOr<String, KeyAttributeSpec>>,
}

/// A key attribute with its type.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KeyAttributeSpec {
    /// Attribute name.
    pub name: String,
    /// `S`, `N` or `B`.
    #[serde(rename = "type")]
    pub kind: AttributeKind,
}

/// The word `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NoneWord {
    /// No timestamp: `sequence` mode.
    None,
}

/// An attribute whose value increases with each write of an item.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TimestampSpec {
    /// Attribute name, at the top level of the item.
    pub attribute: String,
    /// `N` (any number that increases) or `S` (text of a fixed width).
    #[serde(rename = "type")]
    pub kind: AttributeKind,
    /// For `S`: `iso-8601-seconds`, `iso-8601-millis`, `iso-8601-micros`, `iso-8601-nanos`, or a pattern of fixed
    /// width in which `0` is any digit, `*` any letter or digit, and every other character itself. For `N`:
    /// `epoch-seconds`, `epoch-millis` or `number` (default). It decides what live writers of a rehearsal write; any
    /// number is a version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
}

/// The word `fail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailWord {
    /// An item that no service takes becomes a dead letter.
    Fail,
}

/// Items that are left behind on purpose.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LeftBehindSpec {
    /// A condition, like a service's `where`. An item that no service takes and that it does not match is an error,
    /// as with `fail`.
    pub left_behind: String,
}

/// One service: which items are its own, the table that holds them, and their shape there. It has either `where` or
/// `shapes`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(extend("oneOf" = [
    { "required": ["where"], "not": { "required": ["shapes"] } },
    { "required": ["shapes"], "not": { "anyOf": [
        { "required": ["where"] }, { "required": ["transform"] }, { "required": ["reverse"] }, { "required": ["copy"] }
    ] } },
], "dependentRequired" = { "irrelevant": ["copy"] }))]
pub struct ServiceSpec {
    /// Name of the service: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Which items belong to it: a DynamoDB condition expression with literal values.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// `everything`: its table receives all items of the source, and `where` says which of them belong to the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<CopyWord>,
    /// With `copy: everything`: which of the copied items `dynasplit prune --target` removes when the service is completed. A
    /// condition, like `where`. Items of the service itself always stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub irrelevant: Option<String>,
    /// Its table.
    pub table: TableSpec,
    /// How a source item is shaped for it. Default: items are copied unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<TransformSpec>,
    /// Instead of `where` and `transform`: several kinds of items in one table, each with its own condition and
    /// transform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shapes: Option<Vec<ShapeSpec>>,
    /// What the service owns of its source items: `items`, `nothing`, or some of their attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owns: Option<WordOr<OwnsWord, OwnedAttributesSpec>>,
    /// What a new item of the target is given when it is written to the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverse: Option<ReverseSpec>,
    /// How a cutover stops the writers of this service, instead of the fence of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<FenceSpec>,
    /// Events about its items, sent to a queue, a topic or an event bus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<EventsSpec>,
}

/// The word `everything`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CopyWord {
    /// Items of other services and items that stay behind are copied, too.
    Everything,
}

/// One of several kinds of items of a service.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ShapeSpec {
    /// Which items are of this kind: a condition, like a service's `where`.
    #[serde(rename = "where")]
    pub condition: String,
    /// How they are shaped. Default: items are copied unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<TransformSpec>,
    /// What a new item of this kind is given when it is written to the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverse: Option<ReverseSpec>,
}

/// What a service owns of its source items, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OwnsWord {
    /// The items themselves: only this service creates, changes and deletes them.
    Items,
    /// Nothing: another service owns the items, and this one only receives data.
    Nothing,
}

/// Attributes that a service owns of items that it does not own.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OwnedAttributesSpec {
    /// Their names in the source.
    pub attributes: Vec<String>,
}

/// How items of the target are written to the source.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReverseSpec {
    /// Attributes that the transform does not copy, and their values in new items of the source. Text, numbers,
    /// booleans, null, lists and maps are themselves; a map whose only key is a type name (`N`, `B`, `SS`, `NS`,
    /// `BS`) is DynamoDB JSON.
    pub set: BTreeMap<String, serde_json::Value>,
}

/// A shape as it is written: in the list, or as the only one in the service itself.
pub(super) struct WrittenShape<'s> {
    pub path: Path,
    pub condition: Option<&'s str>,
    pub transform: Option<&'s TransformSpec>,
    pub reverse: Option<&'s ReverseSpec>,
}

impl ServiceSpec {
    /// The shapes as they are written. Without a list there is one, which stands in the service itself.
    pub(super) fn shapes(&self, path: &Path) -> Vec<WrittenShape<'_>> {
        match &self.shapes {
            None => vec![WrittenShape {
                path: path.clone(),
                condition: self.condition.as_deref(),
                transform: self.transform.as_ref(),
                reverse: self.reverse.as_ref(),
            }],
            Some(list) => list
                .iter()
                .enumerate()
                .map(|(n, shape)| WrittenShape {
                    path: path.field("shapes").index(n),
                    condition: Some(shape.condition.as_str()),
                    transform: shape.transform.as_ref(),
                    reverse: shape.reverse.as_ref(),
                })
                .collect(),
        }
    }
}

/// How a source item becomes a target item.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TransformSpec {
    /// Target keys made from the source's keys. Default: attributes of the same names, unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeyTemplatesSpec>,
    /// Only these source attributes are copied (target keys always are). Their names are the source's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Vec<String>>,
    /// These source attributes are not copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop: Option<Vec<String>>,
    /// Source attribute names and their names in the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rename: Option<BTreeMap<String, String>>,
}

/// How target keys are made: source attributes are matched by patterns, whose captures fill the
/// target's templates.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KeyTemplatesSpec {
    /// Source attribute names and patterns: text with captures, like `COURSE#{course}`. A pattern that consists of
    /// one capture takes the whole value, with its type. A capture takes the shortest text up to the text after it;
    /// `{{` and `}}` are braces. An item that does not match is a dead letter.
    pub from: BTreeMap<String, String>,
    /// Target key attribute names and templates: text with the captures, like `{course}#{module}`. A capture that is
    /// the only part keeps its type, and a number inside text is written with all its digits. `{name:N}` as the only
    /// part makes a number from text.
    pub to: BTreeMap<String, String>,
    /// If it can't be proven that two source keys make two target keys: a sentence that names who guarantees that no
    /// two items share a target key during the split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vouch: Option<String>,
}

/// A target table.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TableSpec {
    /// Table name.
    pub name: String,
    /// Its primary key.
    pub keys: KeysSpec,
    /// Someone else's infrastructure code owns the table: it is checked, but never created or changed.
    #[serde(default)]
    pub adopted: bool,
    /// The target may hold items before the split begins. `verify --repair` is then mandatory.
    #[serde(default)]
    pub may_hold_items: bool,
    /// Region, if it is not the region of the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// ARN of a role to assume for this table, for example in the account of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Global secondary indexes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub global_indexes: Vec<GlobalIndexSpec>,
    /// Local secondary indexes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub local_indexes: Vec<LocalIndexSpec>,
    /// `on-demand` (the default), or provisioned units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing: Option<WordOr<OnDemandWord, ThroughputSpec>>,
    /// Upper bounds for on-demand throughput.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_on_demand: Option<ThroughputSpec>,
    /// Throughput that the table can serve from the first moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_throughput: Option<ThroughputSpec>,
    /// Attribute that holds an item's expiry (epoch seconds). TTL is switched on when the split completes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
    /// Point-in-time recovery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point_in_time_recovery: Option<bool>,
    /// Table class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<TableClassSpec>,
    /// Encryption at rest: `owned` (the default), `aws-managed`, or a KMS key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<WordOr<EncryptionWord, KmsKeySpec>>,
    /// Deletion protection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_protection: Option<bool>,
    /// Tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// A global secondary index.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GlobalIndexSpec {
    /// Index name.
    pub name: String,
    /// Its key.
    pub keys: KeysSpec,
    /// Which attributes it holds: `all` (the default), `keys-only`, or a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection: Option<WordOr<ProjectionWord, IncludeSpec>>,
    /// Provisioned units, if the table is provisioned. Default: the units of the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput: Option<ThroughputSpec>,
    /// Throughput that the index can serve from the first moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_throughput: Option<ThroughputSpec>,
}

/// A local secondary index: the table's partition key and another sort key.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LocalIndexSpec {
    /// Index name.
    pub name: String,
    /// Its sort key.
    pub sort: WordOr<String, KeyAttributeSpec>,
    /// Which attributes it holds: `all` (the default), `keys-only`, or a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection: Option<WordOr<ProjectionWord, IncludeSpec>>,
}

/// The attributes of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProjectionWord {
    /// Whole items.
    All,
    /// Keys of the table and of the index.
    KeysOnly,
}

/// Attributes that an index holds in addition to the keys.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct IncludeSpec {
    /// Attribute names.
    pub include: Vec<String>,
}

/// Pay per request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnDemandWord {
    /// Pay per request.
    OnDemand,
}

/// Units of throughput.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ThroughputSpec {
    /// Read units per second.
    pub read: u32,
    /// Write units per second.
    pub write: u32,
}

/// Table class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TableClassSpec {
    /// DynamoDB Standard.
    Standard,
    /// DynamoDB Standard-Infrequent Access.
    InfrequentAccess,
}

/// Who owns the encryption key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EncryptionWord {
    /// A key that DynamoDB owns.
    Owned,
    /// The account's `aws/dynamodb` key.
    AwsManaged,
}

/// A customer-managed KMS key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KmsKeySpec {
    /// ARN, id or alias of the key.
    pub kms_key: String,
}

/// The state table: checkpoints, leases, dead letters. It is in the region and account of the source.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StateSpec {
    /// Table name. Default: `dynasplit-` and the name of the split.
    pub table: String,
}

/// Sample data for `dynasplit rehearse`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RehearseSpec {
    /// Kinds of items.
    pub items: Vec<SampleSpec>,
}

/// One kind of sample items.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SampleSpec {
    /// The weight of this kind among all items. Default: 1.
    #[serde(default = "one")]
    pub weight: u32,
    /// The item. Text may hold `{n}` (1, 2, 3 ... among its kind), `{n/10}`, `{n%10}`, `{now}` (the
    /// plan's timestamp) and `{random}`; numbers, booleans, null, lists and maps are themselves; a map
    /// whose only key is a type name (`N`, `B`, `SS`, `NS`, `BS`) is DynamoDB JSON.
    pub item: BTreeMap<String, serde_json::Value>,
    /// The attributes that a live writer sets when it updates such an item, written like `item`. The timestamp is
    /// always set as well, if the plan has one; without either, an update changes nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub updates: BTreeMap<String, serde_json::Value>,
}

fn one() -> u32 {
    1
}
