//! A request on its way: what becomes of it.

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::Value as Json;
use tokio::sync::oneshot;

use super::fault_rates::{Fate, FaultRates, Sort};
use super::{End, Network, failed_answers};
use crate::engine::{Answer, Arrival, S3};

/// A request on its way.
pub struct Travelling {
    pub network: Network,
    /// Who sent it, as a policy knows them.
    pub who: String,
    /// Their name.
    pub sender: String,
    pub tag: String,
    pub target: String,
    pub body: Json,
    pub fault_rates: FaultRates,
    /// Why it is throttled, if something throttles it all the time.
    pub reason: Option<String>,
    /// Its sender meets trouble: it is no application.
    pub is_troubled: bool,
}

impl Travelling {
    pub async fn go(self, fate: Fate, [there, back, late]: [Duration; 3], give: oneshot::Sender<End>) {
        if fate == Fate::Late && Sort::of(self.operation()) == Sort::Upload {
            // Its connection is broken at once, and it lands nevertheless.
            tokio::time::sleep(there.min(late)).await;
            let _ = give.send(End::Broken);
            tokio::time::sleep(late.saturating_sub(there)).await;
            self.land();
            return;
        }
        tokio::time::sleep(if fate == Fate::Late { late } else { there }).await;
        let end =
            match fate {
                Fate::LostBefore => return,
                Fate::Answered => End::Answer(self.land()),
                Fate::LostAfter | Fate::Late => {
                    self.land();
                    return;
                }
                Fate::Twice => {
                    self.land();
                    tokio::time::sleep(back).await;
                    End::Answer(self.land())
                }
                Fate::BrokenBefore => End::Broken,
                Fate::BrokenAfter => {
                    self.land();
                    End::Broken
                }
                Fate::ErrorBefore => End::Answer(self.chance(|rng| self.server_error(rng))),
                Fate::ErrorAfter => {
                    self.land();
                    End::Answer(self.chance(|rng| self.server_error(rng)))
                }
                Fate::Throttled if self.is_of_objects() => {
                    End::Answer(self.chance(|rng| failed_answers::slow_down(rng, &self.body)))
                }
                Fate::Throttled => {
                    let operation = self.operation();
                    let table = self.body["TableName"].as_str().unwrap_or("t");
                    End::Answer(self.chance(|rng| {
                        failed_answers::throttled(rng, operation, table, self.reason.as_deref())
                    }))
                }
                Fate::Half => {
                    let halved = self.chance(|rng| failed_answers::halve(rng, &self.body));
                    let done = halved.done.as_ref().map(|body| self.land_body(body));
                    End::Answer(self.chance(|rng| halved.merged(rng, done)))
                }
                Fate::OddPage => End::Answer(match self.chance(|rng| rng.random()) {
                    true => failed_answers::expired(),
                    false => failed_answers::empty_page(&self.body),
                }),
            };
        tokio::time::sleep(back).await;
        self.told(&end);
        // Whoever does not wait any more gave it up.
        let _ = give.send(end);
    }

    fn operation(&self) -> &str {
        self.target.rsplit('.').next().unwrap_or_default()
    }

    fn is_of_objects(&self) -> bool {
        self.target.starts_with(S3)
    }

    fn server_error(&self, rng: &mut StdRng) -> Answer {
        match self.is_of_objects() {
            true => failed_answers::server_error_of_objects(rng),
            false => failed_answers::server_error(rng),
        }
    }

    fn told(&self, end: &End) {
        match end {
            End::Answer(answer) => self.note(|| format!("answered {} {}", answer.status, answer.body)),
            End::Broken => self.note(|| "broken".into()),
        }
    }

    fn note(&self, what: impl FnOnce() -> String) {
        self.network.note(|| format!("{} {}", self.tag, what()));
    }

    fn chance<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.network.lock().rng)
    }

    fn land(&self) -> Answer {
        self.land_body(&self.body)
    }

    fn land_body(&self, body: &Json) -> Answer {
        let mut inner = self.network.lock();
        let mut body = std::borrow::Cow::Borrowed(body);
        if !self.is_troubled && inner.cuts.has_fewer_items() && inner.cuts.drops(body.to_mut()) {
            return Answer::ok(Json::Object(serde_json::Map::new()));
        }
        if let Some(denied) = inner.denial(&self.who, &self.target, &body) {
            drop(inner);
            self.note(|| "is refused by a policy".into());
            return denied;
        }
        let stale_ms = self.fault_rates.staleness(&mut inner.rng);
        if stale_ms > 0 && self.target.ends_with(".Scan") && body["ConsistentRead"] != true {
            inner.tally.count("stale page");
        }
        let now_ms = inner.now_ms();
        let answer = inner
            .engine
            .answer(Arrival { now_ms, stale_ms }, &self.target, &body);
        inner.count_happened();
        let at_ms = inner.elapsed_ms();
        if let Some(meter) = &mut inner.meter {
            meter.note(at_ms, &self.sender, self.operation(), &body, &answer.body);
        }
        drop(inner);
        self.note(|| match answer.status {
            200 => "lands".into(),
            _ => format!("lands, refused {}", answer.body),
        });
        answer
    }
}
