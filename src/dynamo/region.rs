//! The check of a region's name.

use super::ConfigError;

/// Refuses a name that cannot be a region. All regions of AWS have names like `eu-central-1`; other engines accept
/// any word.
pub(super) fn check(name: &str, origin: &'static str, is_aws: bool) -> Result<(), ConfigError> {
    let parts: Vec<&str> = name.split('-').collect();
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_fine = if is_aws {
        parts.len() >= 3
            && parts[..parts.len() - 1].iter().all(is_word)
            && parts.last().is_some_and(|part| is_number(part))
    } else {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&name.len()) && !name.starts_with('-') && name.bytes().all(fine)
    };
    if is_fine {
        return Ok(());
    }
    Err(ConfigError::Region {
        name: name.to_owned(),
        origin,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_of_aws_have_a_form_and_those_of_other_engines_are_words() {
        for name in [
            "eu-central-1",
            "us-gov-west-1",
            "us-iso-east-1",
            "ap-southeast-7",
            "eusc-de-east-1",
        ] {
            assert!(check(name, "x", true).is_ok(), "{name}");
        }
        for name in [
            "",
            "frankfurt",
            "not a region",
            "eu-central",
            "EU-CENTRAL-1",
            "eu-central-1 ",
            "eu_central_1",
        ] {
            assert!(check(name, "x", true).is_err(), "{name:?}");
        }
        for name in ["local", "us-east-1", "ddblocal2"] {
            assert!(check(name, "x", false).is_ok(), "{name}");
        }
        for name in ["", "not a region", "a.b", "-a", "a/b"] {
            assert!(check(name, "x", false).is_err(), "{name:?}");
        }
    }
}
