//! Where a setting stands in the plan file: `services[2].transform.keys`.

use std::fmt;

/// One step down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Field(String),
    Index(usize),
}

/// The way from the top of the file to a setting.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Path(pub Vec<Step>);

impl Path {
    pub fn root() -> Self {
        Self::default()
    }

    pub fn field(&self, name: &str) -> Self {
        self.step(Step::Field(name.to_owned()))
    }

    pub fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    pub fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Field(name) if name.chars().all(|c| c.is_alphanumeric() || "-_:#".contains(c)) => {
                    write!(f, "{}{name}", if n > 0 { "." } else { "" })?;
                }
                Step::Field(name) => write!(f, "[{name:?}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_people_write_it() {
        let path = Path::root()
            .field("services")
            .index(2)
            .field("transform")
            .field("a.b");
        assert_eq!(path.to_string(), r#"services[2].transform["a.b"]"#);
        assert_eq!(Path::root().to_string(), "");
    }
}
