//! What can go wrong with a request.

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

use super::holder::Holder;
use super::reason::{Reason, Throttle};

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Throttled, and not carried out.
    Throttled(Throttle, Reason),
    /// Throttled by one of the three errors with one of the reasons that fit the operation, as chance has it.
    ThrottledSomehow,
    /// No good answer: what the caller sees, and what becomes of the request.
    Lost(Loss, Landing),
    /// Carried out at once, and answered when the gate opens.
    Held(Gate),
    /// Refused by a policy.
    Denied,
    /// `ResourceNotFoundException`: the table was deleted.
    NotFound,
    /// Of a batch (`BatchWriteItem`, `BatchGetItem`, `BatchExecuteStatement`), some operations are not carried out: at
    /// least one, and told as AWS tells it. Does nothing to other requests.
    Unprocessed,
    /// A page of the stream without records, though there are some: the iterator goes on from the same place.
    EmptyPage,
    /// `ExpiredIteratorException`, where an iterator is used.
    ExpiredIterator,
    /// `LimitExceededException`, as readers of a stream are throttled.
    StreamLimit,
    /// An eventually consistent `Scan` shows the table as it was about so long ago. (A consistent one never does. The
    /// table needs a stream: the former states come from its records.) Items that were deleted since show up in a page
    /// of their segment. Times are those at which records were noticed; see [`super::Faulty::remember`].
    Stale(Duration),
}

/// What the caller sees of a request that is not answered well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// 500 `InternalServerError`, or 503 `ServiceUnavailable`, as DynamoDB words them.
    ServerError(u16),
    /// 502, 504 or the like, in HTML: something in between gave up.
    Gateway(u16),
    /// The connection is closed without an answer.
    HangUp,
    /// Nothing, until the caller gives up.
    Silence,
}

/// What becomes of a request that is not answered well.
#[derive(Clone, Debug)]
pub enum Landing {
    /// It is never carried out.
    Never,
    /// It is carried out before the caller is left without an answer.
    Before,
    /// It is carried out when the gate opens, whatever the caller does meanwhile.
    Late(Gate),
}

/// When something that waits goes on.
#[derive(Clone, Debug)]
pub enum Gate {
    /// After a time.
    After(Duration),
    /// After a time between the two, as chance has it: what came together goes on in another order.
    Between(Duration, Duration),
    /// When the test lets it go.
    Held(Holder),
}

impl Fault {
    /// Carried out, and never answered.
    pub fn silent_after_landing() -> Self {
        Self::Lost(Loss::Silence, Landing::Before)
    }

    /// Never answered, and carried out when the gate opens.
    pub fn late(gate: Gate) -> Self {
        Self::Lost(Loss::Silence, Landing::Late(gate))
    }

    /// A server error that DynamoDB words, before anything was carried out.
    pub fn server_error(status: u16) -> Self {
        Self::Lost(Loss::ServerError(status), Landing::Never)
    }

    /// The same, with what chance decides of its delay settled.
    pub(super) fn drawn(&self, chance: &mut StdRng) -> Self {
        match self {
            Self::Held(gate) => Self::Held(gate.drawn(chance)),
            Self::Lost(loss, Landing::Late(gate)) => Self::Lost(*loss, Landing::Late(gate.drawn(chance))),
            other => other.clone(),
        }
    }
}

impl Gate {
    /// Settles what chance decides.
    fn drawn(&self, chance: &mut StdRng) -> Self {
        match self {
            Self::Between(from, to) => {
                let ms = chance.random_range(from.as_millis()..=to.as_millis());
                Self::After(Duration::from_millis(u64::try_from(ms).expect("a short time")))
            }
            other => other.clone(),
        }
    }

    /// Waits.
    pub async fn wait(&self) {
        match self {
            Self::After(time) | Self::Between(time, _) => tokio::time::sleep(*time).await,
            Self::Held(holder) => holder.wait().await,
        }
    }
}
