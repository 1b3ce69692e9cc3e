//! The obstacles that `status` names, and those that the page about failed steps explains.

use super::pages::{read, section};
use dynasplit::status::ObstacleKind::{self, *};
use std::collections::BTreeSet;

const ALL: [ObstacleKind; 27] = [
    Abandoned,
    OtherPlan,
    OtherStream,
    OtherWorker,
    Gap,
    NotCaptured,
    NoWorker,
    LanesHeld,
    AwaitingImport,
    NotBackfilled,
    BackfillUnfinished,
    Lag,
    WrittenAfterSwitch,
    DeadLetters,
    Heal,
    Tombstones,
    Rechecks,
    RepairRequired,
    NotVerified,
    NotClean,
    Cutover,
    ReverseGap,
    ReverseDeadLetters,
    StrayWrites,
    Events,
    Ledger,
    Damaged,
];

#[test]
fn every_obstacle_is_explained() {
    // A new one does not compile here before it is in the list above.
    for kind in ALL {
        match kind {
            Abandoned | OtherPlan | OtherStream | OtherWorker | Gap | NotCaptured | NoWorker | LanesHeld
            | AwaitingImport | NotBackfilled | BackfillUnfinished | Lag | WrittenAfterSwitch
            | DeadLetters | Heal | Tombstones | Rechecks | RepairRequired | NotVerified | NotClean
            | Cutover | ReverseGap | ReverseDeadLetters | StrayWrites | Events | Ledger | Damaged => {}
        }
    }
    let names = ALL.map(|kind| serde_json::to_value(kind).unwrap());
    let known: BTreeSet<&str> = names.iter().filter_map(|name| name.as_str()).collect();
    let page = read("docs/troubleshooting.md");
    let explained: BTreeSet<&str> = section(&page, "## Obstacles")
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0))
        .filter(|name| *name != "kind")
        .collect();
    assert_eq!(explained, known);
}
