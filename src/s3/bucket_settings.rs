//! What a bucket does with objects: whether a rule removes them, and how they are encrypted. Asked, and never changed.

use serde::Serialize;

/// What is known of a setting.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Setting {
    /// This is it, in words.
    Known(String),
    /// Nothing is set.
    Absent,
    /// It cannot be asked, for this reason.
    Unknown(String),
}

/// What a bucket does with the objects of a folder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct BucketSettings {
    /// Rules that remove objects of the folder, or move them to where they cannot be read at once.
    pub removal: Setting,
    /// How new objects are encrypted.
    pub encryption: Setting,
}

#[cfg(feature = "s3")]
mod asked {
    use super::{BucketSettings, Setting};
    use crate::dynamo::{Failure, retry_transient};
    use crate::s3::{Bucket, ExportError};
    use aws_sdk_s3::types::{ExpirationStatus, LifecycleRule, LifecycleRuleFilter, TransitionStorageClass};

    const LIFECYCLE: &str = "s3:GetLifecycleConfiguration";
    const ENCRYPTION: &str = "s3:GetEncryptionConfiguration";

    impl Bucket {
        /// What the bucket does with the objects of a folder. A setting that may not be read is unknown. Needs
        /// `s3:GetLifecycleConfiguration` and `s3:GetEncryptionConfiguration`.
        ///
        /// # Errors
        /// If there is no such bucket, or it is in another region.
        pub async fn settings(&self, folder: &str) -> Result<BucketSettings, ExportError> {
            Ok(BucketSettings {
                removal: self.removal(folder).await?,
                encryption: self.encryption().await?,
            })
        }

        async fn removal(&self, folder: &str) -> Result<Setting, ExportError> {
            let asked = retry_transient(|| async {
                let request = self.client().get_bucket_lifecycle_configuration();
                let request = request
                    .bucket(self.name())
                    .set_expected_bucket_owner(self.owner().map(str::to_owned));
                let sent = request.send().await;
                sent.map_err(|error| self.asking(LIFECYCLE, self.failed(LIFECYCLE, "", &error)))
            });
            match asked.await {
                Ok(answer) => {
                    let rules = answer.rules().iter().filter(|rule| concerns(rule, folder));
                    let removing: Vec<String> = rules.filter_map(removes).collect();
                    Ok(match removing.is_empty() {
                        true => Setting::Absent,
                        false => Setting::Known(removing.join("; ")),
                    })
                }
                Err(failure) if failure.code == "NoSuchLifecycleConfiguration" => Ok(Setting::Absent),
                Err(failure) => unknown(failure),
            }
        }

        async fn encryption(&self) -> Result<Setting, ExportError> {
            let asked = retry_transient(|| async {
                let request = self.client().get_bucket_encryption().bucket(self.name());
                let request = request.set_expected_bucket_owner(self.owner().map(str::to_owned));
                let sent = request.send().await;
                sent.map_err(|error| self.asking(ENCRYPTION, self.failed(ENCRYPTION, "", &error)))
            });
            match asked.await {
                Ok(answer) => {
                    let rules = answer.server_side_encryption_configuration();
                    let rules = rules.into_iter().flat_map(|rules| rules.rules());
                    let default = rules.filter_map(|rule| {
                        let by = rule.apply_server_side_encryption_by_default()?;
                        let key = by.kms_master_key_id().map(|key| format!(" with the key {key}"));
                        Some(format!(
                            "{}{}",
                            by.sse_algorithm().as_str(),
                            key.unwrap_or_default()
                        ))
                    });
                    let default: Vec<String> = default.collect();
                    Ok(match default.is_empty() {
                        true => Setting::Absent,
                        false => Setting::Known(default.join("; ")),
                    })
                }
                Err(failure) if failure.code == "ServerSideEncryptionConfigurationNotFoundError" => {
                    Ok(Setting::Absent)
                }
                Err(failure) => unknown(failure),
            }
        }

        fn asking(&self, action: &'static str, mut failure: Failure) -> Failure {
            failure.action = action.into();
            failure.resource = format!("arn:aws:s3:::{}", self.name());
            failure
        }
    }

    /// A bucket that is not there is an error; a setting that a server does not tell is unknown.
    fn unknown(failure: Failure) -> Result<Setting, ExportError> {
        let is_elsewhere =
            failure.code == "NoSuchBucket" || failure.message.starts_with(crate::s3::error::OTHER_REGION);
        match is_elsewhere {
            true => Err(ExportError::of(failure)),
            false => Ok(Setting::Unknown(failure.reason())),
        }
    }

    /// Whether a rule may concern objects of a folder. A filter by tags or sizes may concern some of them.
    fn concerns(rule: &LifecycleRule, folder: &str) -> bool {
        #[allow(deprecated)] // older rules have it
        let older = rule.prefix();
        let by_filter = rule.filter().and_then(|filter: &LifecycleRuleFilter| {
            filter
                .prefix()
                .or_else(|| filter.and().and_then(|and| and.prefix()))
        });
        let prefix = by_filter.or(older).unwrap_or_default();
        rule.status() == &ExpirationStatus::Enabled
            && (folder.starts_with(prefix) || prefix.starts_with(folder))
    }

    /// What a rule does, if objects are then gone or archived.
    fn removes(rule: &LifecycleRule) -> Option<String> {
        let id = rule.id().unwrap_or("without a name");
        let mut found = Vec::new();
        if let Some(expiration) = rule.expiration() {
            match (expiration.days(), expiration.date()) {
                (Some(days), _) => found.push(format!("removes objects after {days} days")),
                (None, Some(date)) => found.push(format!("removes objects on {date}")),
                (None, None) => {}
            }
        }
        for transition in rule.transitions() {
            let class = transition.storage_class();
            let is_archive = matches!(
                class,
                Some(TransitionStorageClass::Glacier | TransitionStorageClass::DeepArchive)
            );
            if is_archive {
                let days = transition
                    .days()
                    .map_or(String::new(), |days| format!(" after {days} days"));
                found.push(format!(
                    "archives objects as {}{days}",
                    class.map_or("", |class| class.as_str())
                ));
            }
        }
        (!found.is_empty()).then(|| format!("the rule {id} {}", found.join(" and ")))
    }
}
