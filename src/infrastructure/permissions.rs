//! The permissions that a split needs: which actions on which resources, for exactly what the plan uses.
//! `docs/permissions.md` lists the commands that need each action.

use super::arn::{Account, ArnError};
use super::policy::{Policy, Statement};
use crate::plan::either::WordOr;
use crate::plan::{Channel, Destination, Place, Plan, Service};
use std::collections::BTreeSet;

/// Commands that are run together, and often by the same role.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Task {
    /// `plan`, `status`, `verify`.
    Look,
    /// `apply` and `complete`.
    SetUp,
    /// `replicate`, `backfill`, and repairs.
    Run,
    /// `abandon`, with everything that it may delete.
    GiveUp,
}

/// A KMS key that a policy cannot name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyNote {
    /// The service.
    pub service: String,
    /// The alias of the key, as the plan names it.
    pub alias: String,
}

const LOOK_AT_ITEMS: [&str; 4] = [
    "dynamodb:DescribeTable",
    "dynamodb:DescribeTimeToLive",
    "dynamodb:Scan",
    "dynamodb:GetItem",
];
/// What DynamoDB does with a key on behalf of its caller
/// ([usage notes](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html)).
pub(super) const CREATE_WITH_KEY: [&str; 6] = [
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey*",
    "kms:ReEncrypt*",
];

/// The policy of the role, or user, that runs dynasplit. It reaches tables of other accounts through the roles that the plan
/// names; [`role_policy`] is theirs.
///
/// # Errors
/// If a role of the plan is no ARN.
pub fn tool_policy(plan: &Plan, account: &Account, tasks: &BTreeSet<Task>) -> Result<Policy, ArnError> {
    let mut statements = statements(plan, account, tasks, None)?;
    let mut roles: BTreeSet<String> = roles(plan).into_iter().map(str::to_owned).collect();
    if tasks.contains(&Task::Run) {
        roles.extend(probe_roles(plan));
    }
    statements.push(Statement::new(
        "AssumeTheRolesOfThePlan",
        &["sts:AssumeRole"],
        roles.into_iter().collect(),
    ));
    if tasks.iter().any(|task| *task != Task::GiveUp) {
        statements.extend(notifications(plan));
    }
    if tasks.contains(&Task::Run) {
        statements.extend(events(plan));
    }
    Ok(Policy::of(statements))
}

/// What the notifications of a plan need. Each command that runs for a while sends them. The permissions of a webhook are in its
/// URL.
fn notifications(plan: &Plan) -> [Statement; 2] {
    let (mut topics, mut buses) = (Vec::new(), Vec::new());
    for destination in plan.notify.iter().flat_map(|notify| &notify.to) {
        match destination {
            Destination::Channel(Channel::Topic(arn)) => topics.push(arn.clone()),
            Destination::Channel(Channel::EventBus(arn)) => buses.push(arn.clone()),
            Destination::Channel(Channel::Queue(_)) | Destination::Webhook(_) => {}
        }
    }
    [
        Statement::new("NotifyTopics", &["sns:Publish"], topics),
        Statement::new("NotifyEventBuses", &["events:PutEvents"], buses),
    ]
}

/// What the events of the services need: `replicate` sends them, and `dead-letters reconcile` sends them again.
fn events(plan: &Plan) -> [Statement; 3] {
    let (mut topics, mut queues, mut buses) = (Vec::new(), Vec::new(), Vec::new());
    for (_, events) in plan.with_events() {
        match &events.to {
            Channel::Topic(arn) => topics.push(arn.clone()),
            Channel::Queue(arn) => queues.push(arn.clone()),
            Channel::EventBus(arn) => buses.push(arn.clone()),
        }
    }
    for arns in [&mut topics, &mut queues, &mut buses] {
        arns.sort_unstable();
        arns.dedup();
    }
    [
        Statement::new("SendEventsToTopics", &["sns:Publish"], topics),
        Statement::new(
            "SendEventsToQueues",
            &["sqs:GetQueueUrl", "sqs:SendMessage"],
            queues,
        ),
        Statement::new("SendEventsToEventBuses", &["events:PutEvents"], buses),
    ]
}

/// What the ledger needs. The role that reaches the source reads and writes it.
fn ledger(plan: &Plan, source: &[String], tasks: &BTreeSet<Task>) -> Vec<Statement> {
    let Some(place) = &plan.ledger else {
        return Vec::new();
    };
    // Buckets have no region and no account in their ARN, but the partition of AWS that the table is in.
    let partition = source
        .iter()
        .find_map(|arn| arn.split(':').nth(1))
        .unwrap_or("aws");
    let bucket = format!("arn:{partition}:s3:::{}", place.bucket);
    let objects = format!("{bucket}/{}*", place.prefix);
    let mut statements = Vec::new();
    if tasks.iter().any(|task| *task != Task::GiveUp) {
        statements.push(Statement::new(
            "ReadTheLedger",
            &["s3:GetObject"],
            vec![objects.clone()],
        ));
        statements.push(Statement::new(
            "ListTheLedger",
            &[
                "s3:ListBucket",
                "s3:GetLifecycleConfiguration",
                "s3:GetEncryptionConfiguration",
            ],
            vec![bucket],
        ));
    }
    if tasks.contains(&Task::Run) || tasks.contains(&Task::SetUp) {
        statements.push(Statement::new("WriteTheLedger", &["s3:PutObject"], vec![objects]));
    }
    statements
}

/// The same policy, which also allows to export the source to a folder of a bucket, and to read the export. The role that reaches the source
/// needs this; a prefix is empty, or it ends with a slash.
///
/// # Errors
/// If the role of the source is no ARN.
pub fn with_export(
    policy: Policy,
    plan: &Plan,
    account: &Account,
    bucket: &str,
    prefix: &str,
) -> Result<Policy, ArnError> {
    let source = account.table(&plan.source.place, &plan.source.table)?;
    // Buckets have no region and no account in their ARN, but the partition of AWS that the table is in.
    let partition = source.split(':').nth(1).unwrap_or("aws");
    let objects = format!("arn:{partition}:s3:::{bucket}/{prefix}AWSDynamoDB/*");
    let added = [
        Statement::new(
            "RequestTheExport",
            &["dynamodb:ExportTableToPointInTime"],
            vec![source.clone()],
        ),
        Statement::new(
            "DescribeTheExport",
            &["dynamodb:DescribeExport"],
            vec![format!("{source}/export/*")],
        ),
        // Of a heal.
        Statement::new(
            "ReadTheRestorablePeriod",
            &["dynamodb:DescribeContinuousBackups"],
            vec![source.clone()],
        ),
        Statement::new(
            "WriteAndReadTheExport",
            &[
                "s3:PutObject",
                "s3:PutObjectAcl",
                "s3:AbortMultipartUpload",
                "s3:GetObject",
            ],
            vec![objects],
        ),
    ];
    Ok(Policy::of(policy.statement.into_iter().chain(added)))
}

/// The policy of a role that the plan names: `None` if it names no such role.
///
/// # Errors
/// If a role of the plan is no ARN.
pub fn role_policy(
    plan: &Plan,
    account: &Account,
    tasks: &BTreeSet<Task>,
    role: &str,
) -> Result<Option<Policy>, ArnError> {
    if !roles(plan).contains(role) {
        return Ok(None);
    }
    Ok(Some(Policy::of(statements(plan, account, tasks, Some(role))?)))
}

/// The policy of a service's own role, after the switch: items of its own table and its indexes. It contains neither `Scan`
/// nor PartiQL: add them if the service uses them.
///
/// # Errors
/// If a role of the plan is no ARN.
pub fn service_policy(service: &Service, account: &Account) -> Result<Policy, ArnError> {
    let table = account.table(&service.place, &service.table.name)?;
    let indexes = match service.indexes.is_empty() {
        true => Vec::new(),
        false => vec![format!("{table}/index/*")],
    };
    let mut statements = vec![
        Statement::new(
            "UseTheTable",
            &[
                "dynamodb:GetItem",
                "dynamodb:BatchGetItem",
                "dynamodb:Query",
                "dynamodb:ConditionCheckItem",
                "dynamodb:PutItem",
                "dynamodb:UpdateItem",
                "dynamodb:DeleteItem",
                "dynamodb:BatchWriteItem",
            ],
            vec![table],
        ),
        Statement::new("QueryTheIndexes", &["dynamodb:Query"], indexes),
    ];
    statements.extend(key_statement(
        "UseTheKey",
        &["kms:Decrypt"],
        account,
        std::iter::once(service),
    )?);
    Ok(Policy::of(statements))
}

/// Keys that no policy can name, because the plan names them by an alias.
#[must_use]
pub fn aliases(plan: &Plan) -> Vec<KeyNote> {
    let named = plan.services.iter().filter_map(|service| {
        let alias = key_of(service).filter(|key| key.contains("alias/"))?;
        Some(KeyNote {
            service: service.name.clone(),
            alias: alias.to_owned(),
        })
    });
    named.collect()
}

/// Roles as which the fence of a cutover is tried.
fn probe_roles(plan: &Plan) -> Vec<String> {
    let policies = plan
        .services
        .iter()
        .filter_map(|service| plan.fence_of(service).policy);
    let roles = policies.flat_map(|policy| [policy.probe_roles, policy.target_probe_roles]);
    roles.flatten().collect()
}

fn roles(plan: &Plan) -> BTreeSet<&str> {
    let places = plan.services.iter().map(|service| &service.place);
    places
        .chain([&plan.source.place])
        .filter_map(|place| place.role.as_deref())
        .collect()
}

/// The statements for the tables that are reached as a role of the plan, or without one.
fn statements(
    plan: &Plan,
    account: &Account,
    tasks: &BTreeSet<Task>,
    role: Option<&str>,
) -> Result<Vec<Statement>, ArnError> {
    let reached = |place: &Place| place.role.as_deref() == role;
    let mut source = Vec::new();
    let mut state = Vec::new();
    if reached(&plan.source.place) {
        source.push(account.table(&plan.source.place, &plan.source.table)?);
        state.push(account.table(&plan.source.place, &plan.state_table)?);
    }
    let services: Vec<&Service> = plan
        .services
        .iter()
        .filter(|service| reached(&service.place))
        .collect();
    let resources = Resources {
        stream: source.iter().map(|table| format!("{table}/stream/*")).collect(),
        source,
        state,
        services,
        account,
        has_cutover: plan.has_cutover(),
        plan,
    };
    let mut statements = Vec::new();
    if reached(&plan.source.place) {
        statements.extend(ledger(plan, &resources.source, tasks));
    }
    for task in tasks {
        statements.extend(match task {
            Task::Look => resources.look()?,
            Task::SetUp => resources.set_up()?,
            Task::Run => resources.run()?,
            Task::GiveUp => resources.give_up()?,
        });
    }
    Ok(statements)
}

struct Resources<'a> {
    source: Vec<String>,
    stream: Vec<String>,
    state: Vec<String>,
    services: Vec<&'a Service>,
    account: &'a Account,
    /// The plan says how to cut a service over.
    has_cutover: bool,
    plan: &'a Plan,
}

impl Resources<'_> {
    /// The tables of the services that a condition holds for.
    fn targets(&self, is_meant: impl Fn(&Service) -> bool) -> Result<Vec<String>, ArnError> {
        let meant = self.services.iter().filter(|service| is_meant(service));
        meant
            .map(|service| self.account.table(&service.place, &service.table.name))
            .collect()
    }

    fn look(&self) -> Result<Vec<Statement>, ArnError> {
        let mut statements = vec![
            Statement::new("ReadTheSource", &LOOK_AT_ITEMS, self.source.clone()),
            Statement::new(
                "DescribeTheStream",
                &["dynamodb:DescribeStream"],
                self.stream.clone(),
            ),
            // Of `verify --changed`.
            Statement::new(
                "ReadTheChanges",
                &["dynamodb:GetShardIterator", "dynamodb:GetRecords"],
                self.stream.clone(),
            ),
            Statement::new(
                "KeepTheResults",
                &[
                    "dynamodb:DescribeTable",
                    "dynamodb:GetItem",
                    "dynamodb:Query",
                    "dynamodb:PutItem",
                    "dynamodb:UpdateItem",
                    "dynamodb:DeleteItem",
                ],
                self.state.clone(),
            ),
            Statement::new("ReadTheTargets", &LOOK_AT_ITEMS, self.targets(|_| true)?),
            Statement::new(
                "ReadTheBackupSettings",
                &["dynamodb:DescribeContinuousBackups"],
                self.targets(|service| service.table.point_in_time_recovery.is_some())?,
            ),
            Statement::new(
                "ReadTheTags",
                &["dynamodb:ListTagsOfResource"],
                self.targets(|service| !service.table.tags.is_empty())?,
            ),
        ];
        statements.extend(self.shared_verify());
        statements.extend(key_statement(
            "ReadEncryptedTargets",
            &["kms:Decrypt"],
            self.account,
            self.services.iter().copied(),
        )?);
        Ok(statements)
    }

    /// What processes need that share a verify, if the plan has a bucket for what they read. The role that reaches the source writes,
    /// reads and removes the objects.
    fn shared_verify(&self) -> Vec<Statement> {
        let (Some(place), Some(table)) = (self.plan.s3.as_ref(), self.source.first()) else {
            return Vec::new();
        };
        // Buckets have no region and no account in their ARN, but the partition of AWS that the table is in.
        let partition = table.split(':').nth(1).unwrap_or("aws");
        let bucket = format!("arn:{partition}:s3:::{}", place.bucket);
        let objects = format!("{bucket}/{}{}/verify/*", place.prefix, self.plan.split);
        vec![
            Statement::new(
                "ShareTheVerify",
                &["s3:PutObject", "s3:GetObject", "s3:DeleteObject"],
                vec![objects],
            ),
            Statement::new("ListTheSharedVerify", &["s3:ListBucket"], vec![bucket]),
        ]
    }

    fn set_up(&self) -> Result<Vec<Statement>, ArnError> {
        let created = |service: &Service| !service.table.adopted;
        let mut statements = vec![
            Statement::new(
                "SwitchTheStreamOn",
                &["dynamodb:UpdateTable"],
                self.source.clone(),
            ),
            Statement::new(
                "CreateTheState",
                &["dynamodb:CreateTable", "dynamodb:DeleteItem"],
                self.state.clone(),
            ),
            Statement::new(
                "CreateTheTargets",
                &["dynamodb:CreateTable"],
                self.targets(created)?,
            ),
            Statement::new(
                "SwitchBackupsOn",
                &["dynamodb:UpdateContinuousBackups"],
                self.targets(|service| created(service) && service.table.point_in_time_recovery.is_some())?,
            ),
            Statement::new(
                "TagTheTargets",
                &["dynamodb:TagResource"],
                self.targets(|service| created(service) && !service.table.tags.is_empty())?,
            ),
            Statement::new(
                "RemoveTheStamps",
                &["dynamodb:UpdateItem"],
                self.targets(|_| true)?,
            ),
            Statement::new(
                "SwitchTimeToLiveOn",
                &["dynamodb:UpdateTimeToLive"],
                self.targets(|service| created(service) && service.table.ttl.is_some())?,
            ),
        ];
        let created = self.services.iter().copied().filter(|service| created(service));
        statements.extend(key_statement(
            "CreateEncryptedTargets",
            &CREATE_WITH_KEY,
            self.account,
            created,
        )?);
        Ok(statements)
    }

    fn run(&self) -> Result<Vec<Statement>, ArnError> {
        let mut statements = vec![
            Statement::new(
                "ReadTheStream",
                &["dynamodb:GetShardIterator", "dynamodb:GetRecords"],
                self.stream.clone(),
            ),
            Statement::new(
                "KeepTheProgress",
                &[
                    "dynamodb:UpdateItem",
                    "dynamodb:DeleteItem",
                    "dynamodb:PartiQLInsert",
                ],
                self.state.clone(),
            ),
            Statement::new(
                "WriteTheTargets",
                &[
                    "dynamodb:PutItem",
                    "dynamodb:DeleteItem",
                    "dynamodb:BatchWriteItem",
                    "dynamodb:PartiQLInsert",
                ],
                self.targets(|_| true)?,
            ),
        ];
        statements.push(Statement::new(
            "LookForBackupsOfTheTargets",
            &["dynamodb:DescribeContinuousBackups"],
            self.targets(|service| service.irrelevant.is_some())?,
        ));
        if self.has_cutover {
            statements.extend(self.cut_over()?);
        }
        statements.extend(self.import()?);
        statements.extend(key_statement(
            "WriteEncryptedTargets",
            &["kms:Decrypt"],
            self.account,
            self.services.iter().copied(),
        )?);
        Ok(statements)
    }

    /// What the import order needs, if the plan has a bucket for it. DynamoDB reads the objects on behalf of whoever requests the import.
    fn import(&self) -> Result<Vec<Statement>, ArnError> {
        let Some(place) = self.plan.s3.as_ref() else {
            return Ok(Vec::new());
        };
        let Some(table) = self
            .source
            .first()
            .cloned()
            .or(self.targets(|_| true)?.into_iter().next())
        else {
            return Ok(Vec::new());
        };
        // Buckets have no region and no account in their ARN, but the partition of AWS that the tables are in.
        let partition = table.split(':').nth(1).unwrap_or("aws");
        let bucket = format!("arn:{partition}:s3:::{}", place.bucket);
        let objects = format!("{bucket}/{}{}/*", place.prefix, self.plan.split);
        let mut statements = vec![
            Statement::new(
                "WriteAndReadTheImportedItems",
                &["s3:PutObject", "s3:GetObject"],
                vec![objects],
            ),
            Statement::new("ListTheImportedItems", &["s3:ListBucket"], vec![bucket]),
        ];
        for mut statement in super::imports::targets(&self.services, self.account)? {
            let sid = match statement.sid.as_str() {
                // The same names stand beside `apply`, which may be allowed by the same policy.
                "SwitchBackupsOn" => "SwitchBackupsOfImportsOn",
                "TagTheTargets" => "TagTheImports",
                "SwitchTimeToLiveOn" => continue,
                other => other,
            };
            statement.sid = sid.to_owned();
            statements.push(statement);
        }
        Ok(statements)
    }

    /// What the writes of a service need on their way back to the source.
    fn cut_over(&self) -> Result<Vec<Statement>, ArnError> {
        let streams = self.targets(|_| true)?.into_iter();
        let by_policy = |service: &Service| self.plan.fence_of(service).policy.is_some();
        let mut fenced = self.targets(by_policy)?;
        if self.plan.services.iter().any(by_policy) {
            fenced.extend(self.source.iter().cloned());
        }
        Ok(vec![
            Statement::new(
                "FenceTheWriters",
                &[
                    "dynamodb:GetResourcePolicy",
                    "dynamodb:PutResourcePolicy",
                    "dynamodb:DeleteResourcePolicy",
                ],
                fenced,
            ),
            Statement::new(
                "CarryBackToTheSource",
                &["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"],
                self.source.clone(),
            ),
            Statement::new(
                "LookForBackupsOfTheSource",
                &["dynamodb:DescribeContinuousBackups"],
                self.source.clone(),
            ),
            Statement::new(
                "SwitchTheStreamsOfTheTargetsOn",
                &["dynamodb:UpdateTable"],
                self.targets(|service| !service.table.adopted)?,
            ),
            Statement::new(
                "ReadTheStreamsOfTheTargets",
                &[
                    "dynamodb:DescribeStream",
                    "dynamodb:GetShardIterator",
                    "dynamodb:GetRecords",
                ],
                streams.map(|table| format!("{table}/stream/*")).collect(),
            ),
        ])
    }

    fn give_up(&self) -> Result<Vec<Statement>, ArnError> {
        let mut deleted = self.state.clone();
        deleted.extend(self.targets(|service| !service.table.adopted)?);
        Ok(vec![
            Statement::new("DeleteWhatTheSplitCreated", &["dynamodb:DeleteTable"], deleted),
            Statement::new(
                "SwitchTheStreamOff",
                &["dynamodb:UpdateTable"],
                self.source.clone(),
            ),
        ])
    }
}

/// A statement for the customer managed keys of services, if there are any: only for calls through DynamoDB.
pub(super) fn key_statement<'a>(
    sid: &str,
    actions: &[&str],
    account: &Account,
    services: impl Iterator<Item = &'a Service>,
) -> Result<Option<Statement>, ArnError> {
    let (mut keys, mut callers) = (BTreeSet::new(), BTreeSet::new());
    for service in services {
        let Some(key) = key_of(service) else { continue };
        if let Some(key) = account.kms_key(&service.place, key)? {
            keys.insert(key);
            callers.insert(format!(
                "dynamodb.{}.amazonaws.com",
                account.region(&service.place)
            ));
        }
    }
    if keys.is_empty() {
        return Ok(None);
    }
    let statement = Statement::new(sid, actions, keys.into_iter().collect());
    Ok(Some(
        statement.only_if("kms:ViaService", callers.into_iter().collect()),
    ))
}

fn key_of(service: &Service) -> Option<&str> {
    match &service.table.encryption {
        Some(WordOr::Map(key)) => Some(&key.kms_key),
        _ => None,
    }
}
