//! What a run is made of: a seed decides everything, and cuts take away from it, to find the least that still fails.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use dynasplit::fault::Rule;
use serde_json::Value as Json;

use crate::cast::{Focus, Part};
use crate::rules::focus;
use crate::support::trial::Mode;

/// A run, to the last byte.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    pub seed: u64,
    pub mode: Mode,
    /// A rule of the protocol that the product leaves out.
    pub without: Option<Rule>,
    /// What the run is mostly about, if not about everything that the seed says.
    pub about: Option<Focus>,
    /// It has a few keys only, and ends with its first quiet moment.
    pub is_small: bool,
    pub cuts: Cuts,
}

impl Script {
    /// Everything that a seed decides, by the whole product.
    pub fn new(seed: u64, mode: Mode) -> Self {
        Self {
            seed,
            mode,
            without: None,
            about: None,
            is_small: false,
            cuts: Cuts::default(),
        }
    }

    /// The same seed in a small run.
    pub fn small(self) -> Self {
        Self {
            is_small: true,
            ..self
        }
    }

    /// What the run is mostly about.
    pub fn focus(&self) -> Focus {
        let about = self.about.unwrap_or(Focus::Everything);
        self.without.map_or(about, focus)
    }

    /// What tells it from others of its mode.
    pub fn name(&self) -> String {
        let about = self.about.map(|focus| format!(" of {focus}"));
        let size = if self.is_small { "small " } else { "" };
        format!("{size}seed {}{}", self.seed, about.unwrap_or_default())
    }

    /// The command that makes this run.
    pub fn command(&self) -> String {
        let test = match self.mode {
            Mode::Timestamp => "in_timestamp_mode",
            Mode::Sequence => "in_sequence_mode",
        };
        let about = self.about.map(|focus| format!(" {FOCUS}={focus}"));
        let without = self.without.map(|rule| format!(" {WITHOUT}={rule:?}"));
        let small = if self.is_small {
            format!(" {SMALL}=1")
        } else {
            String::new()
        };
        let cuts = Some(self.cuts.to_string()).filter(|cuts| !cuts.is_empty());
        let cuts = cuts.map(|cuts| format!(" {CUTS}='{cuts}'"));
        format!(
            "{SEED}={}{}{small}{}{} cargo test --test simulation {test}",
            self.seed,
            about.unwrap_or_default(),
            without.unwrap_or_default(),
            cuts.unwrap_or_default()
        )
    }
}

/// The variables that tell which runs to make.
pub const SEED: &str = "DYNASPLIT_SEED";
pub const WITHOUT: &str = "DYNASPLIT_WITHOUT";
/// Makes the run that is about a rule, and keeps the rule: such a run must end exact.
pub const KEPT: &str = "DYNASPLIT_KEPT";
pub const CUTS: &str = "DYNASPLIT_CUTS";
pub const FOCUS: &str = "DYNASPLIT_FOCUS";
/// Makes small runs.
pub const SMALL: &str = "DYNASPLIT_SMALL";

/// What does not happen of all that a seed decides.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cuts {
    /// Trouble ends after so long.
    pub storm_s: Option<u64>,
    /// Of each kind, so many workers at most work beside each other.
    pub crew: Option<u64>,
    /// The source has these items only, by their numbers.
    pub items: Option<BTreeSet<usize>>,
    /// Only these requests meet trouble, by their numbers.
    pub trouble: Option<BTreeSet<u64>>,
    /// Only these workers die, are stopped or are suspended, by their names.
    pub deaths: Option<BTreeSet<String>>,
    /// Every clock is right.
    pub right_clocks: bool,
    /// Parts of a run that are left out.
    pub parts: BTreeSet<Part>,
}

impl Cuts {
    /// How long trouble lasts, of what it would last.
    pub fn storm(&self, drawn: Duration) -> Duration {
        let most = self.storm_s.map_or(drawn, Duration::from_secs);
        drawn.min(most)
    }

    /// Whether a request may meet trouble.
    pub fn has_trouble(&self, number: u64) -> bool {
        self.trouble.as_ref().is_none_or(|kept| kept.contains(&number))
    }

    /// Whether some items do not exist.
    pub fn has_fewer_items(&self) -> bool {
        self.items.is_some()
    }

    /// Whether a worker may die.
    pub fn may_die(&self, name: &str) -> bool {
        self.deaths.as_ref().is_none_or(|kept| kept.contains(name))
    }

    /// Takes out of an application's request what it does to items that do not exist. Answers whether nothing is left.
    pub fn drops(&self, body: &mut Json) -> bool {
        let has = |request: &Json| {
            let keys = [&request["Item"], &request["Key"]];
            let sort = keys.iter().find_map(|key| key["SK"]["S"].as_str());
            sort.is_none_or(|sort| self.has_item(sort))
        };
        let batches = body.get_mut("RequestItems").and_then(Json::as_object_mut);
        let Some(batches) = batches else {
            return !has(body);
        };
        for requests in batches.values_mut().filter_map(Json::as_array_mut) {
            requests.retain(|request| has(&request["PutRequest"]));
        }
        batches.retain(|_, requests| requests.as_array().is_some_and(|requests| !requests.is_empty()));
        batches.is_empty()
    }

    /// Whether an item of the source exists, by its sort key.
    fn has_item(&self, sort: &str) -> bool {
        let number = sort.rsplit('#').next().and_then(|text| text.parse().ok());
        match (&self.items, number) {
            (Some(kept), Some(number)) => kept.contains(&number),
            _ => true,
        }
    }
}

fn joined<T: ToString>(values: &BTreeSet<T>) -> String {
    let values: Vec<String> = values.iter().map(T::to_string).collect();
    values.join("+")
}

impl fmt::Display for Cuts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = [
            self.storm_s.map(|seconds| format!("storm={seconds}")),
            self.crew.map(|count| format!("crew={count}")),
            self.items.as_ref().map(|kept| format!("items={}", joined(kept))),
            self.trouble
                .as_ref()
                .map(|kept| format!("trouble={}", joined(kept))),
            self.deaths
                .as_ref()
                .map(|kept| format!("deaths={}", joined(kept))),
            self.right_clocks.then(|| "clocks=right".to_owned()),
            (!self.parts.is_empty()).then(|| format!("without={}", joined(&self.parts))),
        ];
        let told: Vec<String> = told.into_iter().flatten().collect();
        f.write_str(&told.join(","))
    }
}

impl FromStr for Cuts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut cuts = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| format!("'{part}' has no ="))?;
            let number = || value.parse::<u64>().map_err(|error| format!("{part}: {error}"));
            match name {
                "storm" => cuts.storm_s = Some(number()?),
                "crew" => cuts.crew = Some(number()?),
                "items" => cuts.items = Some(kept(value)?),
                "trouble" => cuts.trouble = Some(kept(value)?),
                "deaths" => cuts.deaths = Some(kept(value)?),
                "clocks" => cuts.right_clocks = true,
                "without" => cuts.parts = kept(value)?,
                _ => return Err(format!("'{name}' is no cut")),
            }
        }
        Ok(cuts)
    }
}

fn kept<T: FromStr + Ord>(text: &str) -> Result<BTreeSet<T>, String> {
    let values = text.split('+').filter(|value| !value.is_empty());
    values
        .map(|value| value.parse().map_err(|_| format!("'{value}' can't be read")))
        .collect()
}

#[test]
fn cuts_are_read_as_they_are_told() {
    let cuts = Cuts {
        storm_s: Some(12),
        items: Some([3, 17].into()),
        trouble: Some([5].into()),
        deaths: Some(["replicate0.1".to_owned()].into()),
        right_clocks: true,
        parts: [Part::Operator, Part::Throttling].into(),
        ..Cuts::default()
    };
    let text = cuts.to_string();
    assert_eq!(
        text,
        "storm=12,items=3+17,trouble=5,deaths=replicate0.1,clocks=right,without=operator+throttling"
    );
    assert_eq!(text.parse(), Ok(cuts));
    assert!("storm".parse::<Cuts>().is_err());
}
