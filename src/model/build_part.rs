//! The parts of dynasplit that a build can leave out, because they take long to build. Each one is a Cargo feature. An ordinary
//! build has all of them.

/// A part that a build can leave out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BuildPart {
    /// Notifications to SNS and EventBridge, and events of services.
    Messages,
    /// Exports in S3, and the split of a table at rest.
    S3,
    /// Metrics and traces for a collector of OpenTelemetry.
    Otlp,
    /// The rehearsal, with its engine.
    Rehearse,
    /// Rehearsals with S3, with an S3 server of their own.
    RehearseS3,
}

/// This build has no such part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{problem}: {hint}", problem = self.problem(), hint = self.hint())]
pub struct NotBuilt(BuildPart);

impl BuildPart {
    const fn is_built(self) -> bool {
        match self {
            Self::Messages => cfg!(feature = "messages"),
            Self::S3 => cfg!(feature = "s3"),
            Self::Otlp => cfg!(feature = "otlp"),
            Self::Rehearse => cfg!(feature = "rehearse"),
            Self::RehearseS3 => cfg!(feature = "rehearse-s3"),
        }
    }

    /// Whether this build has it.
    ///
    /// # Errors
    /// If it has not.
    pub const fn needed(self) -> Result<(), NotBuilt> {
        if self.is_built() {
            Ok(())
        } else {
            Err(NotBuilt(self))
        }
    }

    /// The name of the Cargo feature.
    const fn feature(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::S3 => "s3",
            Self::Otlp => "otlp",
            Self::Rehearse => "rehearse",
            Self::RehearseS3 => "rehearse-s3",
        }
    }

    /// What it does, in words.
    const fn what(self) -> &'static str {
        match self {
            Self::Messages => "send messages to SNS, SQS and EventBridge",
            Self::S3 => "read or write objects in S3",
            Self::Otlp => "send metrics and traces to a collector of OpenTelemetry",
            Self::Rehearse => "rehearse a split",
            Self::RehearseS3 => "rehearse an import or a ledger, which need S3",
        }
    }
}

impl NotBuilt {
    /// What is wrong.
    #[must_use]
    pub fn problem(self) -> String {
        format!("this build of dynasplit cannot {}", self.0.what())
    }

    /// What to do.
    #[must_use]
    pub fn hint(self) -> String {
        let feature = self.0.feature();
        format!(
            "use a released binary, or build it with the Cargo feature `{feature}` (cargo install --path . --locked --features {feature})"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [BuildPart; 5] = [
        BuildPart::Messages,
        BuildPart::S3,
        BuildPart::Otlp,
        BuildPart::Rehearse,
        BuildPart::RehearseS3,
    ];

    #[test]
    fn an_ordinary_build_has_every_part_and_each_is_a_feature_of_the_manifest() {
        let manifest = include_str!("../../Cargo.toml");
        let default = manifest
            .lines()
            .find(|line| line.starts_with("default = "))
            .unwrap();
        for part in ALL {
            assert!(default.contains(&format!("\"{}\"", part.feature())), "{part:?}");
            assert_eq!(part.needed(), Ok(()), "the tests run with all of them");
        }
        assert_eq!(default.matches('"').count(), 2 * ALL.len(), "{default}");
    }

    #[test]
    fn the_error_says_what_is_missing_and_how_to_get_it() {
        let said = NotBuilt(BuildPart::S3).to_string();
        assert!(
            said.starts_with("this build of dynasplit cannot read or write objects in S3: "),
            "{said}"
        );
        assert!(said.contains("--features s3"), "{said}");
    }
}
