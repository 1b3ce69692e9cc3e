//! The product's write path, one answer at a time: [`apply`] is run from its beginning with the answers that came so
//! far, and stopped at the first request that has none yet.

use dynasplit::flow::{Again, Group, Landed, Ledger, Outcome, Sink, SinkError, Stop, Write, WriteUse, apply};
use dynasplit::plan::{Service, Versions};
use futures::executor::block_on;
use std::sync::Mutex;

/// What a request was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The write landed.
    Written,
    /// It left a tombstone.
    TombstoneWritten,
    /// It was refused.
    Superseded,
    /// It was refused by a tombstone.
    SupersededByTombstone,
    /// The target never takes it.
    Rejected,
    /// The ledger keeps it.
    Kept,
}

const ALL: [Answer; 6] = [
    Answer::Written,
    Answer::TombstoneWritten,
    Answer::Superseded,
    Answer::SupersededByTombstone,
    Answer::Rejected,
    Answer::Kept,
];

impl Answer {
    /// Of an outcome.
    pub fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Written => Self::Written,
            Outcome::TombstoneWritten => Self::TombstoneWritten,
            Outcome::Superseded => Self::Superseded,
            Outcome::SupersededByTombstone => Self::SupersededByTombstone,
        }
    }

    /// Appends it to the answers so far, which are packed three bits each.
    pub fn after(self, answers: u16) -> u16 {
        assert!(answers < 1 << 12, "more answers than a model has room for");
        answers << 3 | (self as u16 + 1)
    }
}

/// What [`apply`] asks for next.
#[derive(Clone, PartialEq, Debug)]
pub enum Asked {
    /// A write.
    Write(Write),
    /// An entry of the recheck list.
    List,
    /// A dead letter.
    DeadLetter,
    /// Nothing: all is durable.
    Done,
}

#[derive(Default)]
struct Script(Mutex<(Vec<Answer>, Option<Asked>)>);

impl Script {
    /// The next answer; none where the script ends, and the request is noted.
    fn answer(&self, asked: Asked) -> Result<Answer, Stop> {
        let mut inner = self.0.lock().unwrap();
        inner.0.pop().ok_or_else(|| {
            inner.1 = Some(asked);
            Stop {
                reason: "the script ends here".into(),
            }
        })
    }

    fn kept(&self, asked: Asked) -> Result<(), Stop> {
        assert_eq!(self.answer(asked)?, Answer::Kept);
        Ok(())
    }
}

impl Sink for Script {
    async fn write(&self, write: Write, _: &Again<'_>) -> Result<Landed, SinkError> {
        let outcome = match self.answer(Asked::Write(write))? {
            Answer::Written => Outcome::Written,
            Answer::TombstoneWritten => Outcome::TombstoneWritten,
            Answer::Superseded => Outcome::Superseded,
            Answer::SupersededByTombstone => Outcome::SupersededByTombstone,
            Answer::Rejected => return Err(SinkError::Rejected("the table refuses it".into())),
            Answer::Kept => panic!("a write is not kept"),
        };
        Ok(Landed {
            outcome,
            used: WriteUse::told(1000),
        })
    }
}

impl Ledger for Script {
    async fn dead_letter(&self, _: &str, _: &Group, _: &str) -> Result<(), Stop> {
        self.kept(Asked::DeadLetter)
    }

    async fn recheck(&self, _: &str, _: &Group) -> Result<(), Stop> {
        self.kept(Asked::List)
    }
}

/// What the write path asks for next, after these answers.
pub fn ask(service: &Service, versions: &Versions, group: &Group, answers: u16) -> Asked {
    let mut rest = answers;
    let mut script = vec![];
    while rest > 0 {
        script.push(ALL[usize::from((rest & 7) - 1)]);
        rest >>= 3;
    }
    let script = Script(Mutex::new((script, None)));
    let applied = block_on(apply(service, versions, group, &script, &script));
    let (left, asked) = script.0.into_inner().unwrap();
    assert!(left.is_empty(), "it asked for less than it was answered");
    match applied {
        Ok(_) => Asked::Done,
        Err(_) => asked.unwrap(),
    }
}
