//! The stream, as DynamoDB keeps it: shards that continue each other, records of two keys, and what was trimmed.

use super::tail::Place;
use dynasplit::model::SequenceNumber;
use dynasplit::source::lineage::{SURELY_KEPT_MS, Shard};

/// Both keys.
pub const BOTH: u8 = 0b11;

/// The model has one clock, so its stream keeps records for exactly as long as the product relies on. The rest of the 24
/// hours is for clocks that differ.
const KEPT_MS: u64 = SURELY_KEPT_MS;
const HOUR_MS: u64 = KEPT_MS / 24;
const BEGAN_MS: u64 = 20 * KEPT_MS;

/// How much time a step is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Hours(pub u8);

impl Hours {
    /// A moment in milliseconds. There is a long time before the first one.
    pub fn ms(self, time: u8) -> u64 {
        BEGAN_MS + u64::from(time) * u64::from(self.0) * HOUR_MS
    }

    /// The moment of these milliseconds.
    pub fn time(self, ms: u64) -> u8 {
        ((ms - BEGAN_MS) / HOUR_MS) as u8 / self.0
    }

    /// Whether the stream keeps what is so old no longer.
    fn old(self, steps: u8) -> bool {
        u64::from(steps) * u64::from(self.0) * HOUR_MS > KEPT_MS
    }
}

/// The name of a shard.
pub fn id(shard: u8) -> String {
    format!("shard-{shard}")
}

/// A record's sequence number: its place among all.
pub fn number(sequence: u8) -> SequenceNumber {
    SequenceNumber::new(&format!("{}", u32::from(sequence) * 10))
}

/// And back.
pub fn sequence(number: &SequenceNumber) -> u8 {
    (number.to_string().parse::<u32>().unwrap() / 10) as u8
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Link {
    pub parent: Option<u8>,
    /// Whose records it takes, as a bit each.
    pub keys: u8,
    /// Its records, by sequence number.
    pub records: Vec<u8>,
    /// How many of them are trimmed.
    pub trimmed: u8,
    /// The first sequence number that it could hold.
    pub starting: u8,
    /// When it was closed.
    pub closed: Option<u8>,
    /// It is not listed any more.
    pub gone: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Stream {
    pub hours: Hours,
    pub now: u8,
    pub shards: Vec<Link>,
    /// Key and time of each record, from 1.
    pub log: Vec<(u8, u8)>,
    pub enabled: bool,
}

/// What a read finds.
pub enum Found {
    /// The position is no longer kept.
    Trimmed,
    /// Records.
    Records(Vec<u8>),
    /// Nothing yet; `ending`: the shard shows a last sequence number, and it was passed.
    Empty { ending: bool },
    /// The null iterator.
    End,
}

impl Stream {
    /// Whether a shard that was open at first, or later, is continued by so many.
    pub fn has_children(&self, count: usize) -> bool {
        (1u8..).zip(&self.shards[1..]).any(|(shard, _)| {
            let children = self.shards.iter().filter(|link| link.parent == Some(shard));
            children.count() == count
        })
    }

    /// One closed shard with a record of each key, and the open one that continues it.
    pub fn new(hours: Hours) -> Self {
        let closed = Link {
            parent: None,
            keys: BOTH,
            records: vec![1],
            trimmed: 0,
            starting: 1,
            closed: Some(0),
            gone: false,
        };
        let open = Link {
            parent: Some(0),
            records: vec![],
            starting: 2,
            closed: None,
            ..closed.clone()
        };
        Self {
            hours,
            now: 0,
            shards: vec![closed, open],
            log: vec![(0, 0)],
            enabled: true,
        }
    }

    pub fn write(&mut self, key: u8) {
        self.log.push((key, self.now));
        let sequence = self.log.len() as u8;
        let open = self
            .shards
            .iter_mut()
            .find(|shard| shard.closed.is_none() && shard.keys & (1 << key) != 0);
        open.unwrap().records.push(sequence);
    }

    /// Closes a shard, and continues it by children that take these keys.
    pub fn close(&mut self, shard: u8, children: &[u8]) {
        self.shards[usize::from(shard)].closed = Some(self.now);
        let starting = self.log.len() as u8 + 1;
        self.shards.extend(children.iter().map(|&keys| Link {
            parent: Some(shard),
            keys,
            records: vec![],
            trimmed: 0,
            starting,
            closed: None,
            gone: false,
        }));
    }

    pub fn disable(&mut self) {
        self.enabled = false;
        let now = self.now;
        for shard in &mut self.shards {
            shard.closed.get_or_insert(now);
        }
    }

    pub fn ms(&self) -> u64 {
        self.hours.ms(self.now)
    }

    /// A step of time; what is too old then is removed at once, which is the worst that can happen.
    pub fn wait(&mut self) {
        self.now += 1;
        let (hours, now, log) = (self.hours, self.now, &self.log);
        let old = |time: u8| hours.old(now - time);
        for shard in &mut self.shards {
            let trimmed = shard
                .records
                .iter()
                .filter(|&&sequence| old(log[usize::from(sequence) - 1].1));
            shard.trimmed = trimmed.count() as u8;
            shard.gone |= shard.closed.is_some_and(old);
        }
    }

    /// What is listed, in the order of the shards.
    pub fn listing(&self) -> Vec<Shard> {
        let listed = self.shards.iter().enumerate().filter(|(_, shard)| !shard.gone);
        listed
            .map(|(index, shard)| Shard {
                id: id(index as u8),
                parent: shard.parent.map(id),
                starting: Some(number(shard.starting)),
            })
            .collect()
    }

    /// What follows a place in a shard.
    pub fn read(&self, shard: u8, place: Place) -> Found {
        let link = &self.shards[usize::from(shard)];
        let (trimmed, kept) = link.records.split_at(usize::from(link.trimmed));
        let (Place::At(from) | Place::After(from)) = place else {
            return if link.gone {
                Found::Trimmed
            } else {
                Self::page(link, kept)
            };
        };
        if link.gone || trimmed.last().is_some_and(|last| from <= *last) {
            return Found::Trimmed;
        }
        let passed = kept.iter().filter(|sequence| match place {
            Place::At(_) => **sequence < from,
            _ => **sequence <= from,
        });
        Self::page(link, &kept[passed.count()..])
    }

    fn page(link: &Link, rest: &[u8]) -> Found {
        match (rest, link.closed) {
            ([], Some(_)) => Found::End,
            ([], None) => Found::Empty {
                ending: !link.records.is_empty(),
            },
            (records, _) => Found::Records(records.to_vec()),
        }
    }

    /// The last record of a key.
    pub fn last(&self, key: u8) -> u8 {
        let last = self.log.iter().rposition(|(of, _)| *of == key);
        last.map_or(0, |index| index as u8 + 1)
    }
}
