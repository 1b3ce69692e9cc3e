//! How often requests go wrong, and what goes wrong with one.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It is carried out and answered.
    Answered,
    /// It never arrives, and nothing is answered.
    LostBefore,
    /// It is carried out, and the answer is lost.
    LostAfter,
    /// Nothing is answered, and it is carried out long after the caller gave up.
    Late,
    /// It is carried out twice before it is answered.
    Twice,
    /// The connection breaks before it arrives.
    BrokenBefore,
    /// The connection breaks after it was carried out.
    BrokenAfter,
    /// A server error before anything was carried out.
    ErrorBefore,
    /// A server error, although it was carried out.
    ErrorAfter,
    /// It is throttled.
    Throttled,
    /// Of a batch, only a part is carried out. Other requests are throttled.
    Half,
    /// A page of a stream holds nothing, or its iterator is expired. Other requests are throttled.
    OddPage,
}

impl Fate {
    /// Its kind, for the count of faults.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::LostBefore => "request lost",
            Self::LostAfter => "answer lost",
            Self::Late => "landed late without an answer",
            Self::Twice => "carried out twice",
            Self::BrokenBefore => "connection broken before",
            Self::BrokenAfter => "connection broken after",
            Self::ErrorBefore => "server error before",
            Self::ErrorAfter => "server error after",
            Self::Throttled => "request throttled",
            Self::Half => "part of a batch left undone",
            Self::OddPage => "empty page or expired iterator",
        }
    }
}

/// How often, in thousandths, something goes wrong with a request, and how slow the network is.
#[derive(Clone, Copy, Debug)]
pub struct FaultRates {
    pub trouble: u32,
    pub slow: u32,
    /// An eventually consistent page may be so old.
    pub stale_ms: u64,
    /// Writes of commands that read the source and write targets take long.
    pub slow_pages: bool,
    /// Some writes of the tail to a target take long.
    pub slow_writes: bool,
}

impl FaultRates {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        trouble: 0,
        slow: 0,
        stale_ms: 0,
        slow_pages: false,
        slow_writes: false,
    };

    /// As a seed has it: some runs have little trouble, some have much.
    pub fn drawn(rng: &mut StdRng) -> Self {
        Self {
            trouble: *[5, 20, 60, 120].choose(rng).expect("some"),
            slow: *[0, 20, 100].choose(rng).expect("some"),
            stale_ms: *[0, 500, 1500].choose(rng).expect("some"),
            slow_pages: false,
            slow_writes: false,
        }
    }

    /// What becomes of a request.
    pub fn fate(&self, rng: &mut StdRng, what: Sort) -> Fate {
        if rng.random_range(0..1000) >= self.trouble {
            return Fate::Answered;
        }
        let all = [
            Fate::LostBefore,
            Fate::LostAfter,
            Fate::Late,
            Fate::Late,
            Fate::Twice,
            Fate::BrokenBefore,
            Fate::BrokenAfter,
            Fate::ErrorBefore,
            Fate::ErrorAfter,
            Fate::Throttled,
            Fate::Half,
            Fate::OddPage,
        ];
        match (*all.choose(rng).expect("some"), what) {
            (Fate::Late, Sort::Read | Sort::Control) => Fate::LostBefore,
            (Fate::Half, sort) if sort != Sort::Batch => Fate::Throttled,
            (Fate::OddPage, sort) if sort != Sort::Records => Fate::Throttled,
            // A repeated order to make a table is answered as one that came too late.
            (Fate::Twice, Sort::Control | Sort::Read | Sort::Records) => Fate::Answered,
            // The SDK waits minutes for an upload, so most of them break at once.
            (Fate::LostBefore, Sort::Upload) if rng.random_ratio(9, 10) => Fate::BrokenBefore,
            (Fate::LostAfter, Sort::Upload) if rng.random_ratio(9, 10) => Fate::BrokenAfter,
            (fate, _) => fate,
        }
    }

    /// How long a message is on its way, in milliseconds.
    pub fn latency(&self, rng: &mut StdRng) -> u64 {
        if rng.random_range(0..1000) < self.slow {
            rng.random_range(30..700)
        } else {
            rng.random_range(1..12)
        }
    }

    /// What becomes of a write that a command makes from something that it read earlier, and how long it is on its way.
    pub fn page(&self, rng: &mut StdRng, fate: Fate) -> (Fate, u64) {
        // In a small run, few pages are copied while their items are written.
        let (late, slowest_ms) = if self.slow_writes { (3, 2500) } else { (8, 1300) };
        let is_late = fate == Fate::Answered && rng.random_ratio(1, late);
        (
            if is_late { Fate::Late } else { fate },
            rng.random_range(100..slowest_ms),
        )
    }

    /// How long a write of the tail is on its way, besides.
    pub fn tail_write(&self, rng: &mut StdRng) -> u64 {
        if self.slow_writes && rng.random_ratio(1, 6) {
            rng.random_range(100..1300)
        } else {
            0
        }
    }

    /// How old an eventually consistent page is.
    pub fn staleness(&self, rng: &mut StdRng) -> u64 {
        match self.stale_ms {
            0 => 0,
            most => rng.random_range(0..most),
        }
    }
}

/// What a request does, as far as trouble depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Read,
    Write,
    Batch,
    Records,
    Control,
    /// An object is written.
    Upload,
}

impl Sort {
    /// Of an operation.
    pub fn of(operation: &str) -> Self {
        match operation {
            "PutItem" | "DeleteItem" | "UpdateItem" => Self::Write,
            "PutObject" => Self::Upload,
            // A second request with the same token asks for the same thing.
            "CopyObject" | "DeleteObject" | "ImportTable" | "ExportTableToPointInTime" => Self::Write,
            // It names no id: a late one may meet another table.
            "DeleteTable" => Self::Write,
            "GetObject" | "HeadObject" | "ListObjectsV2" => Self::Read,
            "DescribeImport" | "ListImports" | "DescribeExport" | "DescribeContinuousBackups" => Self::Read,
            "BatchWriteItem" | "BatchExecuteStatement" => Self::Batch,
            "GetRecords" => Self::Records,
            "GetItem" | "Query" | "Scan" | "DescribeStream" | "GetShardIterator" | "DescribeTable"
            | "DescribeTimeToLive" => Self::Read,
            _ => Self::Control,
        }
    }
}
