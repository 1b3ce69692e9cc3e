//! The steps of the models, in plain words.

use crate::held::{Held, WriteId};
use crate::image::{Image, id_name};
use std::fmt;

/// A step.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Action {
    /// The source is written.
    Writes { item: u8, image: Image },
    /// A lane takes records.
    Takes { lane: u8, count: u8 },
    /// Its write lands.
    Lands {
        lane: u8,
        write: WriteId,
        held: Held,
        lands: bool,
    },
    /// Its write is given up without an answer, and made again.
    GivesUp { lane: u8 },
    /// What was given up lands after all.
    LateLands {
        lane: u8,
        write: WriteId,
        held: Held,
        lands: bool,
    },
    /// What was given up never lands.
    Vanishes { lane: u8 },
    /// What a dead worker had under way lands.
    DeadLands {
        lane: u8,
        write: WriteId,
        held: Held,
        lands: bool,
    },
    /// What a dead worker had under way never lands.
    DeadVanishes { lane: u8 },
    /// An entry of the recheck list is durable.
    Lists { lane: u8 },
    /// The tail worker dies; its lanes go back by so many records at most.
    TailDies { back: u8 },
    /// Another takes its place.
    TailStarts,
    /// The worker reads the switch, and acknowledges what its writes obey.
    Beats { epoch: u8 },
    /// A service is added, and its lane captured.
    Captures { lane: u8 },
    /// A holder switches tombstones on.
    SwitchesOn {
        holder: u8,
        name: &'static str,
        epoch: u8,
    },
    /// A bulk copy holds the lanes.
    Holds { holder: u8, epoch: u8 },
    /// A lane that was held in the middle of a batch goes on with it.
    Resumes { lane: u8 },
    /// A bulk copy is given up: the lanes go on, and leave tombstones.
    GivesBulkUp { holder: u8, epoch: u8 },
    /// Every worker has acknowledged it.
    Begins { holder: u8, name: &'static str },
    /// A page is read.
    Reads { item: u8, image: Image, behind: u8 },
    /// A page lands.
    PageLands {
        item: u8,
        image: Image,
        held: Held,
        lands: bool,
    },
    /// The request with a page is given up without an answer, and made again.
    GivesPageUp { item: u8, image: Image },
    /// A page that a dead backfill had under way, or that was given up, lands.
    GhostLands {
        item: u8,
        image: Image,
        held: Held,
        lands: bool,
    },
    /// Such a page never lands.
    GhostVanishes,
    /// A holder dies.
    HolderDies { holder: u8, name: &'static str },
    /// What it had under way never lands.
    RepairWriteVanishes,
    /// A holder begins to repair keys.
    StartsKeyRepair {
        lane: u8,
        holder: u8,
        cells: u8,
        whole: bool,
    },
    /// The target is read.
    ReadsTarget { cell: u8, held: Held },
    /// The source is read, and the repairing write begins.
    ReadsSource { image: Image },
    /// It lands.
    RepairLands {
        cell: u8,
        write: WriteId,
        held: Held,
        lands: bool,
    },
    /// The source is read once more, after a write.
    ReadsAgain { image: Image },
    /// All its keys were looked at.
    Settles { again: bool },
    /// A dead letter is replayed as an image.
    Replays { cell: u8, write: WriteId },
    /// A holder announces that it is about to switch tombstones off.
    Claims { holder: u8, name: &'static str },
    /// Nothing of it can land any more: it reads the recheck list.
    ReadsList { holder: u8, todo: u8 },
    /// A holder switches tombstones off.
    SwitchesOff { holder: u8, name: &'static str },
    /// One that was held up, and whose place was taken, switches tombstones off.
    ZombieSwitchesOff { name: &'static str },
    /// Every worker has acknowledged that removals are real; the sweep begins.
    BeginsSweep { holder: u8 },
    /// The sweep reads a cell.
    Sees { holder: u8, cell: u8, held: Held },
    /// The sweep removes what it saw, if that still stands there.
    Sweeps { holder: u8, cell: u8 },
    /// The sweep has ended.
    Swept { holder: u8 },
    /// The lanes may apply what they have: the bulk copy has landed.
    Opens { holder: u8 },
}

fn landed(lands: bool, held: Held) -> String {
    if lands {
        format!("lands: the key holds {held:?}")
    } else {
        format!("is refused: the key holds {held:?}")
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self
            .of_the_tail()
            .or_else(|| self.of_a_holder())
            .or_else(|| self.of_a_key_repair());
        f.write_str(&told.unwrap_or_default())
    }
}

impl Action {
    /// The source's steps, and the tail's.
    fn of_the_tail(self) -> Option<String> {
        Some(match self {
            Self::Writes { item, image } => match image.shape() {
                Some(_) => format!("the source writes item {}: {image:?}", id_name(item)),
                None => format!("the source deletes item {}", id_name(item)),
            },
            Self::Takes { lane, count: 1 } => format!("lane {lane} takes the next record"),
            Self::Takes { lane, count } => format!("lane {lane} takes the next {count} records together"),
            Self::Lands {
                lane,
                write,
                held,
                lands,
            } => format!("lane {lane}'s {write:?}, {}", landed(lands, held)),
            Self::GivesUp { lane } => format!("lane {lane}'s write is not answered, and made again"),
            Self::LateLands {
                lane,
                write,
                held,
                lands,
            } => format!(
                "what lane {lane} had given up ({write:?}) {}",
                landed(lands, held)
            ),
            Self::Vanishes { lane } => format!("what lane {lane} had given up never lands"),
            Self::DeadLands {
                lane,
                write,
                held,
                lands,
            } => format!(
                "what the dead worker's lane {lane} had under way ({write:?}) {}",
                landed(lands, held)
            ),
            Self::DeadVanishes { lane } => {
                format!("what the dead worker's lane {lane} had under way never lands")
            }
            Self::Resumes { lane } => format!("lane {lane} goes on with its batch"),
            Self::Lists { lane } => format!("lane {lane} puts the key on the recheck list"),
            Self::TailDies { back } => {
                format!("the tail worker dies; its last checkpoint is {back} records back")
            }
            Self::TailStarts => "another tail worker takes its place".to_owned(),
            Self::Beats { epoch } => {
                format!("the tail worker reads the switch, and acknowledges epoch {epoch}")
            }
            Self::Captures { lane } => {
                format!("a service is added: lane {lane} reads the stream from here on")
            }
            _ => return None,
        })
    }

    /// The steps of those who hold the tombstones, and of the backfill's pages.
    fn of_a_holder(self) -> Option<String> {
        Some(match self {
            Self::SwitchesOn { name, epoch, .. } => {
                format!("the {name} switches tombstones on (epoch {epoch})")
            }
            Self::Holds { epoch, .. } => format!("the bulk copy holds the lanes (epoch {epoch})"),
            Self::GivesBulkUp { epoch, .. } => {
                format!("the bulk copy is given up, and tombstones are switched on (epoch {epoch})")
            }
            Self::Begins { name, .. } => format!("the {name} goes on: the workers obey"),
            Self::Reads {
                item,
                image,
                behind: 0,
            } => {
                format!("the backfill reads a page: item {} is {image:?}", id_name(item))
            }
            Self::Reads { item, image, behind } => format!(
                "the backfill reads a page that is {behind} writes old: item {} is {image:?}",
                id_name(item)
            ),
            Self::PageLands {
                image, held, lands, ..
            } => format!("the page with {image:?} {}", landed(lands, held)),
            Self::GivesPageUp { image, .. } => {
                format!("the request with {image:?} is not answered, and made again")
            }
            Self::GhostLands {
                image, held, lands, ..
            } => {
                format!(
                    "the request without an answer, with {image:?}, {}",
                    landed(lands, held)
                )
            }
            Self::GhostVanishes => "the request without an answer never lands".to_owned(),
            Self::HolderDies { name, .. } => {
                format!("the {name} dies, or is held up for so long that it counts as dead")
            }
            Self::Claims { name, .. } => format!("the {name} is about to switch tombstones off"),
            Self::ReadsList { todo, .. } => format!(
                "nothing of it can land any more; {} keys are on the recheck list",
                todo.count_ones()
            ),
            Self::SwitchesOff { name, .. } => format!("the {name} switches tombstones off"),
            Self::ZombieSwitchesOff { name } => {
                format!("the {name} that was held up wakes, and switches tombstones off")
            }
            Self::BeginsSweep { .. } => "the sweep begins".to_owned(),
            Self::Sees { cell, held, .. } => format!("the sweep comes to target key {cell}: {held:?}"),
            Self::Sweeps { cell, .. } => {
                format!("the sweep removes target key {cell}, if it still is what it saw")
            }
            Self::Swept { .. } => "the sweep has ended".to_owned(),
            Self::Opens { .. } => "the copy has landed; the lanes begin".to_owned(),
            _ => return None,
        })
    }

    /// The steps of the repair of a key.
    fn of_a_key_repair(self) -> Option<String> {
        Some(match self {
            Self::RepairWriteVanishes => "what it had under way never lands".to_owned(),
            Self::StartsKeyRepair { cells, .. } => {
                format!("{} target keys are to be looked at again", cells.count_ones())
            }
            Self::ReadsTarget { cell, held } => format!("target key {cell} is read: {held:?}"),
            Self::ReadsSource { image } => format!("the source is read: {image:?}"),
            Self::RepairLands {
                cell,
                write,
                held,
                lands,
            } => format!(
                "the repairing {write:?}, at target key {cell}, {}",
                landed(lands, held)
            ),
            Self::ReadsAgain { image } => format!("the source is read once more: {image:?}"),
            Self::Settles { again: false } => "the keys that were looked at are in order".to_owned(),
            Self::Settles { again: true } => {
                "it was moved, or written meanwhile: it is looked at again".to_owned()
            }
            Self::Replays { write, .. } => format!("the dead letter is replayed: {write:?}"),
            _ => return None,
        })
    }
}
