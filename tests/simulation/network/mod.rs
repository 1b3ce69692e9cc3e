//! The network: the SDK's HTTP client, whose requests go to the engine in the same thread after a simulated time. One
//! seeded source decides how long each is on its way and what goes wrong with it.
//!
//! A request that was sent takes effect whatever becomes of its sender: it lives in a task of its own.

mod failed_answers;
mod fault_rates;
mod trace;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value as Json;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::engine::{Answer, Arrival, Engine};
use crate::script::Cuts;
use fault_rates::Sort;
pub use fault_rates::{Fate, FaultRates};
pub use trace::Trace;

/// When simulated time begins, in milliseconds since 1970.
pub const EPOCH_MS: u64 = 1_800_000_000_000;

/// A network with one engine. Its clones are the same network.
#[derive(Clone)]
pub struct Network {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    engine: Engine,
    rng: StdRng,
    began: Instant,
    fault_rates: FaultRates,
    /// A request that was given up lands within so long after it was sent.
    landed: Duration,
    trace: Trace,
    /// How often what became of requests.
    fates: BTreeMap<Fate, u64>,
    /// Requests that met trouble, by their numbers.
    trouble: BTreeMap<u64, Fate>,
    /// Requests of senders that meet trouble.
    sent: u64,
    cuts: Cuts,
    senders: BTreeMap<String, Sender>,
}

/// Somebody who sends requests.
struct Sender {
    sent: u64,
    dead: bool,
    /// It meets trouble.
    troubled: bool,
    doom: Option<Doom>,
    died: Arc<Notify>,
}

/// When a sender dies: at its n-th request, before or after that was sent.
#[derive(Clone, Copy, Debug)]
pub struct Doom {
    pub at_request: u64,
    pub sends_it: bool,
}

/// How a request ends for its sender; nothing where no answer comes.
enum End {
    Answer(Answer),
    Broken,
}

impl Network {
    /// A network in front of an engine.
    pub fn new(engine: Engine, seed: u64, landed: Duration, cuts: Cuts, trace: Trace) -> Self {
        let inner = Inner {
            engine,
            rng: StdRng::seed_from_u64(seed),
            began: Instant::now(),
            fault_rates: FaultRates::NONE,
            landed,
            trace,
            fates: BTreeMap::new(),
            trouble: BTreeMap::new(),
            sent: 0,
            cuts,
            senders: BTreeMap::new(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no thread panicked")
    }

    /// Sets the fault_rates.
    pub fn set_fault_rates(&self, fault_rates: FaultRates) {
        self.lock().fault_rates = fault_rates;
    }

    /// An HTTP client for somebody new. Answers a signal that tells of their death as well.
    pub fn join(&self, name: &str, troubled: bool, doom: Option<Doom>) -> (Wire, Arc<Notify>) {
        let died = Arc::new(Notify::new());
        let sender = Sender {
            sent: 0,
            dead: false,
            troubled,
            doom,
            died: Arc::clone(&died),
        };
        self.note(|| format!("{name} begins, {doom:?}"));
        self.lock().senders.insert(name.to_owned(), sender);
        let wire = Wire {
            network: self.clone(),
            name: name.into(),
        };
        (wire, died)
    }

    /// Somebody is dead: nothing is sent any more, also by tasks that are left of them.
    pub fn bury(&self, name: &str, how: &str) {
        self.note(|| format!("{name} ends: {how}"));
        if let Some(sender) = self.lock().senders.get_mut(name) {
            sender.dead = true;
        }
    }

    /// Nobody dies at a request any more.
    pub fn spare_all(&self) {
        for sender in self.lock().senders.values_mut() {
            sender.doom = None;
        }
    }

    /// Adds a line to the trace.
    pub fn note(&self, line: impl FnOnce() -> String) {
        let mut inner = self.lock();
        let at_ms = inner.elapsed_ms();
        inner.trace.add(at_ms, line);
    }

    /// Does something to the engine, at once.
    pub fn with_engine<T>(&self, act: impl FnOnce(&mut Engine, u64) -> T) -> T {
        let mut inner = self.lock();
        let now_ms = inner.now_ms();
        act(&mut inner.engine, now_ms)
    }

    /// How often what became of requests.
    pub fn fates(&self) -> BTreeMap<Fate, u64> {
        self.lock().fates.clone()
    }

    /// Requests that met trouble, by their numbers.
    pub fn trouble(&self) -> BTreeMap<u64, Fate> {
        self.lock().trouble.clone()
    }

    /// The trace so far, which begins anew.
    pub fn take_trace(&self) -> Trace {
        std::mem::take(&mut self.lock().trace)
    }

    /// Sends a request. Nothing may ever come back.
    fn send(&self, name: &str, target: String, body: Json) -> oneshot::Receiver<End> {
        let (give, end) = oneshot::channel();
        let mut inner = self.lock();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let at_ms = inner.elapsed_ms();
        let sender = inner.senders.get_mut(name).expect("it has joined");
        if sender.dead {
            return end;
        }
        sender.sent += 1;
        let troubled = sender.troubled;
        let doomed = sender.doom.filter(|doom| doom.at_request == sender.sent);
        let number = sender.sent;
        if let Some(doom) = doomed {
            sender.dead = true;
            sender.died.notify_one();
            if !doom.sends_it {
                inner
                    .trace
                    .add(at_ms, || format!("{name} dies before {operation}"));
                return end;
            }
        }
        let fault_rates = if troubled {
            inner.fault_rates
        } else {
            FaultRates::NONE
        };
        let drawn = fault_rates.fate(&mut inner.rng, Sort::of(&operation));
        let fate = inner.troubled(troubled, drawn);
        *inner.fates.entry(fate).or_default() += 1;
        inner
            .trace
            .add(at_ms, || format!("{name} > {number} {operation} {body} {fate:?}"));
        let there = Duration::from_millis(fault_rates.latency(&mut inner.rng));
        let back = Duration::from_millis(fault_rates.latency(&mut inner.rng));
        let landed = u64::try_from(inner.landed.as_millis()).expect("a short time");
        let late = Duration::from_millis(inner.rng.random_range(landed / 4..landed));
        drop(inner);
        let travelling = Travelling {
            network: self.clone(),
            tag: format!("{name} < {number} {operation}"),
            target,
            body,
            fault_rates,
            is_troubled: troubled,
        };
        tokio::spawn(travelling.go(fate, [there, back, late], give));
        end
    }
}

/// A request on its way.
struct Travelling {
    network: Network,
    tag: String,
    target: String,
    body: Json,
    fault_rates: FaultRates,
    is_troubled: bool,
}

impl Travelling {
    async fn go(self, fate: Fate, [there, back, late]: [Duration; 3], give: oneshot::Sender<End>) {
        tokio::time::sleep(if fate == Fate::Late { late } else { there }).await;
        let end = match fate {
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
            Fate::ErrorBefore => End::Answer(self.chance(failed_answers::server_error)),
            Fate::ErrorAfter => {
                self.land();
                End::Answer(self.chance(failed_answers::server_error))
            }
            Fate::Throttled => {
                let operation = self.target.rsplit('.').next().unwrap_or_default();
                let table = self.body["TableName"].as_str().unwrap_or("t");
                End::Answer(self.chance(|rng| failed_answers::throttled(rng, operation, table)))
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
        let mut body = body.clone();
        if !self.is_troubled && inner.cuts.drops(&mut body) {
            return Answer::ok(Json::Object(serde_json::Map::new()));
        }
        let body = &body;
        let stale_ms = self.fault_rates.staleness(&mut inner.rng);
        let now_ms = inner.now_ms();
        let answer = inner
            .engine
            .answer(Arrival { now_ms, stale_ms }, &self.target, body);
        drop(inner);
        self.note(|| match answer.status {
            200 => "lands".into(),
            _ => format!("lands, refused {}", answer.body),
        });
        answer
    }
}

impl Inner {
    /// What becomes of a request, unless that is cut.
    fn troubled(&mut self, troubled: bool, drawn: Fate) -> Fate {
        if !troubled {
            return drawn;
        }
        self.sent += 1;
        let fate = self.cuts.fate(self.sent, drawn);
        if fate != Fate::Answered {
            self.trouble.insert(self.sent, fate);
        }
        fate
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).expect("a short time")
    }

    fn now_ms(&self) -> u64 {
        EPOCH_MS + self.elapsed_ms()
    }
}

/// An HTTP client of the SDK, of one sender.
#[derive(Clone)]
pub struct Wire {
    network: Network,
    name: Arc<str>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({})", self.name)
    }
}

impl HttpClient for Wire {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request
            .headers()
            .get("x-amz-target")
            .unwrap_or_default()
            .to_owned();
        let body = request.body().bytes().unwrap_or_default();
        let mut body: Json = serde_json::from_slice(body).unwrap_or_default();
        // The SDK writes members in a random order.
        body.sort_all_objects();
        let end = self.network.send(&self.name, target, body);
        HttpConnectorFuture::new(async move {
            match end.await {
                Ok(End::Answer(answer)) => response(&answer),
                Ok(End::Broken) => {
                    let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
                    Err(ConnectorError::io(broken.into()))
                }
                // It is never answered: the caller gives up.
                Err(_) => std::future::pending().await,
            }
        })
    }
}

fn response(answer: &Answer) -> Result<HttpResponse, ConnectorError> {
    let status =
        StatusCode::try_from(answer.status).map_err(|error| ConnectorError::other(error.into(), None))?;
    let mut response = HttpResponse::new(status, SdkBody::from(answer.body.to_string()));
    response
        .headers_mut()
        .insert("content-type", "application/x-amz-json-1.0");
    Ok(response)
}
