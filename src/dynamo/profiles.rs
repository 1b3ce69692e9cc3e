//! The profiles of the AWS configuration: whether the one that was asked for exists, and its credentials.

use super::{ConfigError, Endpoint};
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileSet};
use aws_config::provider_config::ProviderConfig;
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};
use std::borrow::Cow;

const OPTION: &str = "--profile";
const VARIABLE: &str = "AWS_PROFILE";

/// Reads the profiles, and refuses one that was asked for by name and does not exist, as the AWS CLI does.
pub(super) async fn load(endpoint: &Endpoint) -> Result<ProfileSet, ConfigError> {
    let (name, origin) = match &endpoint.profile {
        Some(name) => (Some(name.clone()), OPTION),
        None => (std::env::var(VARIABLE).ok(), VARIABLE),
    };
    let name = name.filter(|name| !name.is_empty());
    let (fs, env, from) = (Fs::real(), Env::real(), EnvConfigFiles::default());
    let loaded = aws_config::profile::load(&fs, &env, &from, name.clone().map(Cow::Owned));
    let profiles = loaded.await.map_err(|error| ConfigError::Profiles {
        files: files(),
        cause: error.to_string(),
    })?;
    match name {
        Some(name) if profiles.get_profile(&name).is_none() => {
            let mut known: Vec<String> = profiles.profiles().map(str::to_owned).collect();
            known.sort();
            Err(ConfigError::UnknownProfile {
                name,
                origin,
                known,
                files: files(),
            })
        }
        _ => Ok(profiles),
    }
}

/// The files that hold profiles, for people.
fn files() -> String {
    let of = |variable, usual: &str| std::env::var(variable).unwrap_or_else(|_| usual.to_owned());
    format!(
        "{} and {}",
        of("AWS_CONFIG_FILE", "~/.aws/config"),
        of("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
    )
}

/// The credentials of a profile that was given as an option. Those of the environment do not count then; the SDK's own
/// chain would ask the environment first.
pub(super) fn credentials(name: &str, config: &ProviderConfig) -> CredentialsProviderChain {
    let profile = ProfileFileCredentialsProvider::builder()
        .profile_name(name)
        .configure(config)
        .build();
    // A profile may set nothing but a region, on a machine that has a role.
    CredentialsProviderChain::first_try("Profile", profile)
        .or_else(
            "EcsContainer",
            EcsCredentialsProvider::builder().configure(config).build(),
        )
        .or_else(
            "Ec2InstanceMetadata",
            ImdsCredentialsProvider::builder().configure(config).build(),
        )
}
