//! Throttling as AWS words it:
//! <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ThrottlingReason.html>.

use serde_json::{Value, json};

/// The error that carries a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Throttle {
    /// `ProvisionedThroughputExceededException`.
    Provisioned,
    /// `ThrottlingException`. Its member for reasons begins with a small letter, unlike the others'.
    Throttling,
    /// `RequestLimitExceeded`.
    RequestLimit,
}

/// Why a request is throttled: `{Table,Index}{Read,Write}{limit}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// `Table` or `Index`.
    pub resource: &'static str,
    /// `Read` or `Write`.
    pub operation: &'static str,
    /// Which limit.
    pub limit: &'static str,
}

const LIMITS: [&str; 4] = [
    "ProvisionedThroughputExceeded",
    "AccountLimitExceeded",
    "KeyRangeThroughputExceeded",
    "MaxOnDemandThroughputExceeded",
];

impl Reason {
    /// One that is about a table, not an index.
    pub const fn of_table(operation: &'static str, limit: &'static str) -> Self {
        Self {
            resource: "Table",
            operation,
            limit,
        }
    }

    /// All sixteen.
    pub fn all() -> impl Iterator<Item = Self> {
        let resources = ["Table", "Index"].into_iter();
        let operations =
            resources.flat_map(|resource| ["Read", "Write"].map(|operation| (resource, operation)));
        operations.flat_map(|(resource, operation)| {
            LIMITS.map(|limit| Self {
                resource,
                operation,
                limit,
            })
        })
    }

    /// Those that a reading, or a writing, request may be given.
    pub fn of(write: bool) -> impl Iterator<Item = Self> {
        Self::all().filter(move |reason| (reason.operation == "Write") == write)
    }

    /// As AWS writes it.
    pub fn name(&self) -> String {
        format!("{}{}{}", self.resource, self.operation, self.limit)
    }

    /// What it is about.
    pub fn arn(&self, table: &str) -> String {
        let table = format!("arn:aws:dynamodb:us-east-1:111122223333:table/{table}");
        match self.resource {
            "Index" => format!("{table}/index/by-date"),
            _ => table,
        }
    }
}

impl Throttle {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Provisioned, Self::Throttling, Self::RequestLimit];

    /// Its name on the wire.
    pub fn code(self) -> &'static str {
        match self {
            Self::Provisioned => "ProvisionedThroughputExceededException",
            Self::Throttling => "ThrottlingException",
            Self::RequestLimit => "RequestLimitExceeded",
        }
    }

    /// The body of the answer.
    pub fn body(self, reason: Reason, table: &str) -> Value {
        let space = match self {
            Self::Throttling => "com.amazon.coral.availability",
            Self::Provisioned | Self::RequestLimit => "com.amazonaws.dynamodb.v20120810",
        };
        let member = match self {
            Self::Throttling => "throttlingReasons",
            Self::Provisioned | Self::RequestLimit => "ThrottlingReasons",
        };
        json!({
            "__type": format!("{space}#{}", self.code()),
            "message": "Throughput exceeds the current capacity of your table or index.",
            member: [{ "reason": reason.name(), "resource": reason.arn(table) }],
        })
    }
}
