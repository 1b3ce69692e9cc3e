//! The URL of a webhook. It is a secret: everybody who knows it can send messages.

use crate::plan::SecretPlace;
use std::fmt;
use std::path::Path;

/// A URL that no log and no error shows.
#[derive(Clone)]
pub(super) struct Secret(String);

/// Why there is no usable URL.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set.
    #[error("the variable {0} is not set")]
    NotSet(String),
    /// The file cannot be read.
    #[error("the file {path} cannot be read: {cause}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        cause: String,
    },
    /// It is no URL. The text itself is not shown.
    #[error("{0} does not contain a URL that begins with https:// or http://")]
    NoUrl(String),
}

impl Secret {
    /// Reads the URL. A relative path begins at the folder of the plan.
    pub fn read(place: &SecretPlace, folder: &Path) -> Result<Self, SecretError> {
        let text = match place {
            SecretPlace::Variable(name) => {
                std::env::var(name).map_err(|_| SecretError::NotSet(name.clone()))?
            }
            SecretPlace::File(path) => {
                let path = folder.join(path);
                std::fs::read_to_string(&path).map_err(|error| SecretError::Unreadable {
                    path: path.display().to_string(),
                    cause: error.to_string(),
                })?
            }
        };
        let text = text.trim();
        let host = ["https://", "http://"]
            .iter()
            .find_map(|scheme| text.strip_prefix(scheme));
        let fine = host.is_some_and(|host| {
            !host.is_empty()
                && !host.starts_with('/')
                && !host.contains(|c: char| c.is_whitespace() || c.is_control())
        });
        if !fine {
            return Err(SecretError::NoUrl(place.to_string()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The URL, for the request alone.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_a_url_is_read_and_nothing_shows_it() {
        let folder = tempfile::tempdir().unwrap();
        let place = SecretPlace::File("url".into());
        let read = || Secret::read(&place, folder.path());
        assert!(matches!(read(), Err(SecretError::Unreadable { .. })));
        std::fs::write(folder.path().join("url"), "https://hooks.example/T0/secret\n").unwrap();
        let secret = read().unwrap();
        assert_eq!(secret.text(), "https://hooks.example/T0/secret");
        assert_eq!(format!("{secret:?}"), "Secret");
        for wrong in [
            "",
            "hooks.example/secret",
            "https://",
            "https:///secret",
            "https://a b/secret",
        ] {
            std::fs::write(folder.path().join("url"), wrong).unwrap();
            let error = read().unwrap_err().to_string();
            assert!(
                error.contains("does not contain a URL") && !error.contains("secret"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let place = SecretPlace::Variable("DYNASPLIT_NO_SUCH_VARIABLE".into());
        let error = Secret::read(&place, Path::new(".")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the variable DYNASPLIT_NO_SUCH_VARIABLE is not set"
        );
    }
}
