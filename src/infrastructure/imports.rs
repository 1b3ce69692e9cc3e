//! The permissions of imports: for the offline split, and for the import order.

use super::arn::{Account, ArnError};
use super::policy::Statement;
use crate::plan::Service;

/// What DynamoDB writes for the caller of an import, to name the items with errors.
const LOG: [&str; 6] = [
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:DescribeLogGroups",
    "logs:DescribeLogStreams",
    "logs:PutLogEvents",
    "logs:PutRetentionPolicy",
];

/// What imports of these tables need, and what they cannot set.
pub fn targets(services: &[&Service], account: &Account) -> Result<Vec<Statement>, ArnError> {
    let arns = |is_meant: fn(&Service) -> bool| {
        let meant = services.iter().filter(|service| is_meant(service));
        meant
            .map(|service| account.table(&service.place, &service.table.name))
            .collect::<Result<Vec<_>, _>>()
    };
    let tables = arns(|_| true)?;
    let imports = tables.iter().map(|table| format!("{table}/import/*")).collect();
    let mut groups: Vec<String> = tables
        .iter()
        .map(|table| {
            let place: Vec<&str> = table.split(':').take(5).collect();
            format!(
                "{}:log-group:/aws-dynamodb/*",
                place.join(":").replacen(":dynamodb:", ":logs:", 1)
            )
        })
        .collect();
    groups.sort();
    groups.dedup();
    let everything = if tables.is_empty() {
        Vec::new()
    } else {
        vec!["*".to_owned()]
    };
    Ok(vec![
        Statement::new(
            "ImportTheTargets",
            &[
                "dynamodb:ImportTable",
                "dynamodb:CreateTable",
                "dynamodb:DescribeTable",
                "dynamodb:DescribeTimeToLive",
                "dynamodb:UpdateTable",
                "dynamodb:Scan",
            ],
            tables.clone(),
        ),
        Statement::new("DescribeTheImports", &["dynamodb:DescribeImport"], imports),
        Statement::new("FindTheImports", &["dynamodb:ListImports"], everything),
        Statement::new("LogTheImports", &LOG, groups),
        Statement::new(
            "SwitchBackupsOn",
            &[
                "dynamodb:DescribeContinuousBackups",
                "dynamodb:UpdateContinuousBackups",
            ],
            arns(|service| service.table.point_in_time_recovery.is_some())?,
        ),
        Statement::new(
            "TagTheTargets",
            &["dynamodb:ListTagsOfResource", "dynamodb:TagResource"],
            arns(|service| !service.table.tags.is_empty())?,
        ),
        Statement::new(
            "SwitchTimeToLiveOn",
            &["dynamodb:UpdateTimeToLive"],
            arns(|service| service.table.ttl.is_some())?,
        ),
        // Only for --delete-partial.
        Statement::new("DeletePartialTables", &["dynamodb:DeleteTable"], tables),
    ])
}
