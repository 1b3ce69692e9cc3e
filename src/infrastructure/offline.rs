//! The permissions of an offline split: they stand alone, because it needs neither a stream nor a state table.

use super::arn::{Account, ArnError};
use super::imports::targets;
use super::permissions::{CREATE_WITH_KEY, key_statement};
use super::policy::{Policy, Statement};
use crate::plan::{Place, Plan, Service};

/// The policy of the role, or user, that runs `offline`, with a folder of a bucket: a prefix is empty, or it ends with a slash. `role` is a
/// role of the plan; without one, the policy is of the caller.
///
/// # Errors
/// If a role of the plan is no ARN.
pub fn offline_policy(
    plan: &Plan,
    account: &Account,
    (bucket, prefix): (&str, &str),
    role: Option<&str>,
) -> Result<Policy, ArnError> {
    let reached = |place: &Place| place.role.as_deref() == role;
    let mut statements = Vec::new();
    if reached(&plan.source.place) {
        statements.extend(source(plan, account)?);
    }
    let services: Vec<&Service> = plan
        .services
        .iter()
        .filter(|service| reached(&service.place))
        .collect();
    statements.extend(targets(&services, account)?);
    // Buckets have no region and no account in their ARN, but the partition of AWS that the table is in.
    let source = account.table(&plan.source.place, &plan.source.table)?;
    let partition = source.split(':').nth(1).unwrap_or("aws");
    let bucket = format!("arn:{partition}:s3:::{bucket}");
    let mut objects = vec!["s3:GetObject"];
    if reached(&plan.source.place) {
        objects.extend(["s3:PutObject", "s3:PutObjectAcl", "s3:AbortMultipartUpload"]);
    }
    statements.push(Statement::new(
        "UseTheFolder",
        &objects,
        vec![format!("{bucket}/{prefix}*")],
    ));
    statements.push(Statement::new("ListTheBucket", &["s3:ListBucket"], vec![bucket]));
    statements.extend(key_statement(
        "CreateEncryptedTargets",
        &CREATE_WITH_KEY,
        account,
        services.into_iter(),
    )?);
    if role.is_none() {
        let roles = plan
            .services
            .iter()
            .map(|service| &service.place)
            .chain([&plan.source.place]);
        let mut roles: Vec<String> = roles.filter_map(|place| place.role.clone()).collect();
        roles.sort();
        roles.dedup();
        statements.push(Statement::new(
            "AssumeTheRolesOfThePlan",
            &["sts:AssumeRole"],
            roles,
        ));
    }
    Ok(Policy::of(statements))
}

fn source(plan: &Plan, account: &Account) -> Result<[Statement; 4], ArnError> {
    let table = account.table(&plan.source.place, &plan.source.table)?;
    let state = account.table(&plan.source.place, &plan.state_table)?;
    Ok([
        Statement::new(
            "RequestTheExport",
            &["dynamodb:ExportTableToPointInTime"],
            vec![table.clone()],
        ),
        Statement::new(
            "DescribeTheExport",
            &["dynamodb:DescribeExport"],
            vec![format!("{table}/export/*")],
        ),
        Statement::new(
            "ReadTheSource",
            &[
                "dynamodb:DescribeTable",
                "dynamodb:DescribeTimeToLive",
                "dynamodb:DescribeContinuousBackups",
                "dynamodb:Scan",
            ],
            vec![table],
        ),
        Statement::new(
            "LookForALiveSplit",
            &["dynamodb:DescribeTable", "dynamodb:GetItem"],
            vec![state],
        ),
    ])
}
