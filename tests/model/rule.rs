//! The rules of the protocol, each of which can be switched off.

use std::fmt;

macro_rules! rules {
    ($($name:ident => $text:literal,)*) => {
        /// A rule of the protocol.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Rule {
            $(#[doc = $text] $name,)*
        }

        impl Rule {
            /// All of them, by name.
            #[cfg(test)]
            const NAMES: &[&str] = &[$(stringify!($name),)*];
        }

        impl fmt::Display for Rule {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => $text,)* })
            }
        }
    };
}

rules! {
    Tombstones => "removals leave tombstones while they are switched on",
    AcknowledgedOn => "no page is read before every tail worker acknowledged that tombstones are on",
    AcknowledgedOff => "no sweep before every tail worker acknowledged that removals are real deletes again",
    Inside => "an epoch is acknowledged only when no attempt of an older one is under way",
    Settled => "after the switch-on, nothing is read that may be older than it",
    BothImages => "a record is routed by both images",
    EveryTouchedKey => "every target key that a group of records touched is written or removed",
    HighestVersion => "a group removes with its highest version",
    TailGuard => "the tail writes only over what is not newer",
    TailTies => "in a tie, the tail wins",
    BackfillTies => "in a tie, the backfill does not win",
    BackfillGuard => "a page lands only over nothing, or over what is older",
    PagesLand => "tombstones stay on while a page may land",
    DeadUnsettled => "requests that a dead process had under way count as requests without an answer",
    UnansweredUnsettled => "a process says that all its requests were answered only if they were",
    SweepConditional => "a tombstone is swept on the condition that it still is that tombstone",
    SweepLeavesLater => "a sweep leaves tombstones of later switch-ons",
    Unanswered => "a write without an answer is waited out before the next write of its key",
    CheckpointLast => "the checkpoint moves after the writes that it covers",
    Gone => "what a dead worker had under way is waited out before its successor starts",
    RepairGuard => "a repair writes only over what it read",
    TargetFirst => "a repair reads the target before the source",
    ReadsAgain => "after a repair's write, the source is read again",
    RepairSwitchesOn => "a repair switches tombstones on",
    RepairBuries => "a repair's own removals leave tombstones",
    RepairObeysTombstones => "a repair writes nothing over a tombstone",
    Reconciled => "a dead letter is reconciled by its source key, not replayed as an image",
    Listed => "what went backwards in time goes on the recheck list",
    ListedFirst => "it is listed before it is written",
    Rechecked => "the recheck list is worked off before tombstones are switched off",
    RecheckedByLast => "the recheck list is left to the last holder that switches tombstones off",
    Suspects => "a recheck looks at every target key that the item had when it went backwards",
    SwitchesOnAnew => "each holder that begins switches tombstones on under an epoch of its own",
    Since => "a holder claims the tombstones under an epoch of its own before it switches them off, and only the last claim does",
    BulkHolds => "no lane applies before the bulk copy has landed",
    BulkLands => "the lanes wait until no page of the bulk copy can land",
    BulkAcknowledged => "a bulk copy reads nothing before every tail worker acknowledged that the lanes are held",
    BulkSettled => "a bulk copy reads nothing that may be older than the hold",
    BulkKept => "the hold outlives the bulk copy's process",
    Vouch => "two source items never share a target key",
}

/// The rules that hold in a model.
#[derive(Clone, Copy, Debug)]
pub struct Rules(u64);

impl Rules {
    /// All of them.
    pub const ALL: Self = Self(u64::MAX);

    /// All but one more.
    pub fn without(self, rule: Rule) -> Self {
        Self(self.0 & !(1 << rule as u64))
    }

    /// Whether a rule holds.
    pub fn hold(self, rule: Rule) -> bool {
        self.0 & (1 << rule as u64) != 0
    }
}

/// Whoever adds a rule shows what goes wrong without it.
mod tests {
    use super::Rule;
    use std::fs;

    /// The split's models are exact without it. [`crate::lease`] breaks without it, by a flag of its own.
    const ELSEWHERE: &[&str] = &["TailGuard"];

    /// Names of rules in a source that stand in a list, as [`crate::split::needs`] takes it: not those that are asked for,
    /// or left out by hand.
    fn listed(source: &str) -> impl Iterator<Item = &str> {
        source.match_indices("Rule::").filter_map(|(at, found)| {
            let (before, name) = (&source[..at], &source[at + found.len()..]);
            let end = name.find(|letter: char| !letter.is_alphanumeric())?;
            let by_hand = before.ends_with("hold(") || before.ends_with("without(");
            (!by_hand && before.ends_with(['[', ' '])).then_some(&name[..end])
        })
    }

    #[test]
    fn every_rule_is_left_out_somewhere() {
        let folder = env!("CARGO_MANIFEST_DIR");
        // Models of several files have flags, not these rules.
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let sources = entries.filter(|path| path.is_file());
        let sources: Vec<String> = sources.map(|path| fs::read_to_string(path).unwrap()).collect();
        let lists = |name: &str| {
            sources
                .iter()
                .any(|source| source.contains("needs(") && listed(source).any(|rule| rule == name))
        };
        for name in Rule::NAMES {
            assert_eq!(lists(name), !ELSEWHERE.contains(name), "{name}");
        }
    }
}
