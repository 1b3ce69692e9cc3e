//! Errors in the configuration of the AWS clients.

use std::path::PathBuf;

/// Why the configuration of the AWS clients cannot be used. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No file has a profile of this name.
    #[error("the profile '{name}' ({origin}) does not exist: {}", known_profiles(.known, .files))]
    UnknownProfile {
        /// The name that was asked for.
        name: String,
        /// The option or the variable that asked for it.
        origin: &'static str,
        /// Names of the profiles that exist.
        known: Vec<String>,
        /// The files that were read.
        files: String,
    },
    /// The files of the AWS configuration cannot be read.
    #[error("the AWS configuration cannot be read ({files}): {cause}")]
    Profiles {
        /// The files.
        files: String,
        /// Why.
        cause: String,
    },
    /// No region is known.
    #[error("no AWS region is set")]
    NoRegion,
    /// This is not the name of a region.
    #[error("'{name}' ({origin}) is not the name of an AWS region")]
    Region {
        /// The value that was given.
        name: String,
        /// The option or the variable that gave it.
        origin: &'static str,
    },
    /// This is not the URL of an endpoint.
    #[error("the endpoint '{url}' of {service} is not a URL")]
    Endpoint {
        /// The value that was given.
        url: String,
        /// The service that it was given for.
        service: &'static str,
    },
    /// The certificates cannot be used.
    #[error("the certificates in {} ({origin}) cannot be used: {cause}", path.display())]
    Bundle {
        /// The file.
        path: PathBuf,
        /// The variable or the setting that named it.
        origin: &'static str,
        /// Why.
        cause: String,
    },
}

impl ConfigError {
    /// The next step.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::UnknownProfile { .. } => {
                "correct the name, or create the profile: aws configure --profile NAME".into()
            }
            Self::Profiles { .. } => "correct the file, or make it readable".into(),
            Self::NoRegion => "give --region, or set AWS_REGION, or the region of the profile".into(),
            Self::Region { .. } => "write the region's code, like eu-central-1".into(),
            Self::Endpoint { .. } => {
                "write it with its scheme, like http://localhost:8000, in --endpoint-url, in AWS_ENDPOINT_URL... or in the \
                 profile"
                    .into()
            }
            Self::Bundle { .. } => {
                "give a readable PEM file that has at least one certificate, or unset it to trust the system's certificates"
                    .into()
            }
        }
    }
}

fn known_profiles(known: &[String], files: &str) -> String {
    if known.is_empty() {
        format!("there are no profiles in {files}")
    } else {
        format!("the profiles in {files} are {}", known.join(", "))
    }
}
