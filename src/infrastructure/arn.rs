//! ARNs of the plan's tables.

use crate::plan::Place;

/// The account and region in which a table is, if the plan does not say otherwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// 12 digits.
    pub id: String,
    /// AWS region.
    pub region: String,
}

/// A value that cannot be part of an ARN.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
pub enum ArnError {
    /// Not 12 digits.
    #[error("`{0}` is not an account id: it has 12 digits")]
    Account(String),
    /// Not the ARN of a role.
    #[error("`{0}` is not the ARN of a role: it looks like arn:aws:iam::123456789012:role/NAME")]
    Role(String),
}

impl Account {
    /// An account and a region.
    ///
    /// # Errors
    /// [`ArnError::Account`] if the id does not have 12 digits.
    pub fn new(id: &str, region: &str) -> Result<Self, ArnError> {
        if id.len() == 12 && id.bytes().all(|digit| digit.is_ascii_digit()) {
            return Ok(Self {
                id: id.to_owned(),
                region: region.to_owned(),
            });
        }
        Err(ArnError::Account(id.to_owned()))
    }

    /// The ARN of a table. A role that the plan names for the table is in the table's account.
    pub(super) fn table(&self, place: &Place, name: &str) -> Result<String, ArnError> {
        let id = match &place.role {
            Some(role) => account_of_role(role)?,
            None => self.id.as_str(),
        };
        Ok(self.arn(place, "dynamodb", id, &format!("table/{name}")))
    }

    /// The ARN of a KMS key that the plan names by its id, or by its ARN. `None` for an alias: no policy can name the
    /// key by it.
    pub(super) fn kms_key(&self, place: &Place, key: &str) -> Result<Option<String>, ArnError> {
        if key.starts_with("arn:") {
            return Ok(key.contains(":key/").then(|| key.to_owned()));
        }
        if key.starts_with("alias/") {
            return Ok(None);
        }
        let id = match &place.role {
            Some(role) => account_of_role(role)?,
            None => self.id.as_str(),
        };
        Ok(Some(self.arn(place, "kms", id, &format!("key/{key}"))))
    }

    /// The region of a table.
    pub(super) fn region<'a>(&'a self, place: &'a Place) -> &'a str {
        place.region.as_deref().unwrap_or(&self.region)
    }

    fn arn(&self, place: &Place, service: &str, account: &str, resource: &str) -> String {
        let region = self.region(place);
        format!(
            "arn:{}:{service}:{region}:{account}:{resource}",
            partition(region)
        )
    }
}

/// The account of a role.
fn account_of_role(role: &str) -> Result<&str, ArnError> {
    let mut parts = role.split(':');
    match (parts.next(), parts.nth(1), parts.nth(1)) {
        (Some("arn"), Some("iam"), Some(account)) if !account.is_empty() => Ok(account),
        _ => Err(ArnError::Role(role.to_owned())),
    }
}

/// The partition of a region. See
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>.
fn partition(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}
