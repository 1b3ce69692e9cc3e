//! The two ports, and the way of a request: read, struck by a rule or not, carried out, answered or not.

use std::collections::HashMap;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::answer::Answer;
use super::backend::Backend;
use super::call::Call;
use super::changes::Changes;
use super::exports::Exports;
use super::fault::{Fault, Gate, Landing, Loss};
use super::imports::Imports;
use super::policies::Policies;
use super::reason::{Reason, Throttle};
use super::record::{Record, UnderWay};
use super::rule::{Active, Rule, Switch};
use super::script::Script;
use super::stream::Streams;
use super::stream::control::Stream;
use super::tally::{Kind, Tally};
use super::{batch, chance};

/// Nothing in a test takes longer than this, or it hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a stream whose former images are wanted.
const REMEMBER: Duration = Duration::from_millis(20);

/// A running engine with faults, in front of an embedded one. It ends when this is dropped.
pub struct Faulty {
    endpoint: String,
    clean_endpoint: String,
    shared: Arc<Shared>,
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    seed: u64,
    rules: Mutex<Vec<Arc<Active>>>,
    /// Calls so far, by operation and table.
    calls: Mutex<HashMap<(String, String), u64>>,
    records: Mutex<Vec<Record>>,
    scanned_at_once: Option<u64>,
    backend: Backend,
    streams: Arc<Streams>,
    policies: Policies,
    exports: Arc<Exports>,
    imports: Imports,
    tally: Arc<Tally>,
}

/// What becomes of a connection.
enum Outcome {
    Answered(Answer),
    HungUp,
    Silent,
}

impl Faulty {
    /// Starts one in front of the embedded engine at `behind`. A thread and a runtime of its own serve it, so that a
    /// test that blocks does not hold the engine up.
    ///
    /// # Panics
    /// Where no port, or no thread, can be had.
    pub fn start(behind: &str, script: Script) -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let handle = runtime.handle().clone();
        let listen = || {
            let listener = std::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
            let listener = listener.expect("a free port");
            listener.set_nonblocking(true).expect("a socket");
            let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
            (listener, endpoint)
        };
        let ((faulty, endpoint), (clean, clean_endpoint)) = (listen(), listen());
        let (backend, tally) = (Backend::at(behind), Arc::new(Tally::default()));
        let changes = Arc::new(Changes::default());
        let streams = Streams::new(script.streams, script.seed, backend.clone(), Arc::clone(&tally));
        let streams = streams.noting(Arc::clone(&changes));
        let shared = Arc::new(Shared {
            seed: script.seed,
            rules: Mutex::default(),
            calls: Mutex::default(),
            records: Mutex::default(),
            scanned_at_once: script.scanned_at_once,
            backend,
            streams: Arc::new(streams),
            policies: Policies::default(),
            exports: Arc::new(Exports::new(script.seed, changes)),
            imports: Imports::new(script.seed),
            tally,
        });
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("faulty-engine".to_owned());
        let thread = thread.spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = accept(faulty, Arc::clone(&served), true) => {}
                    () = accept(clean, served, false) => {}
                    _ = stopped => {}
                }
            });
            // Requests that hang end with the runtime.
            runtime.shutdown_background();
        });
        let started = Self {
            endpoint,
            clean_endpoint,
            shared,
            runtime: handle,
            stop: Some(stop),
            thread: Some(thread.expect("a thread")),
        };
        for rule in script.rules {
            started.rule(rule);
        }
        started
    }

    /// Where rules hold: for the product.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Where they don't: for the test's own clients.
    pub fn clean_endpoint(&self) -> &str {
        &self.clean_endpoint
    }

    /// Puts another rule in force, from now on. It is asked after those before it.
    pub fn rule(&self, rule: Rule) -> Switch {
        let mut rules = self.shared.rules.lock().expect("no thread panicked");
        let active = Arc::new(Active::new(rule, rules.len(), self.shared.seed));
        rules.push(Arc::clone(&active));
        Switch(active)
    }

    /// Takes every rule back: from now on the engine behaves.
    pub fn behave(&self) {
        self.shared.rules.lock().expect("no thread panicked").clear();
    }

    /// The stream of a table, to be commanded.
    pub fn stream(&self, table: &str) -> Stream {
        Stream {
            table: table.to_owned(),
            streams: Arc::clone(&self.shared.streams),
            runtime: self.runtime.clone(),
        }
    }

    /// The policies of its tables, and its roles.
    pub fn policies(&self) -> &Policies {
        &self.shared.policies
    }

    /// The exports.
    pub fn exports(&self) -> &Exports {
        &self.shared.exports
    }

    /// The imports.
    pub fn imports(&self) -> &Imports {
        &self.shared.imports
    }

    /// Time passes for the engine's clock. What the table holds now may be in the next export of it.
    pub async fn pass(&self, time: Duration, table: &str) {
        self.shared.exports.pass(time, table, &self.shared.backend).await;
    }

    /// Makes an export of a table into a bucket that the product did not ask for, with this export time, and returns its ARN.
    pub async fn export(&self, table: &str, bucket: &str, time_ms: u64) -> String {
        self.shared
            .exports
            .make(&self.shared.backend, table, bucket, time_ms)
            .await
    }

    /// How often something went wrong.
    pub fn count(&self, kind: Kind) -> u64 {
        self.shared.tally.count(kind)
    }

    /// All that went wrong, in one line.
    pub fn told(&self) -> String {
        self.shared.tally.to_string()
    }

    /// How often the product called an operation on a table.
    pub fn asked(&self, operation: &str, table: &str) -> u64 {
        let calls = self.shared.calls.lock().expect("no thread panicked");
        calls
            .get(&(operation.to_owned(), table.to_owned()))
            .copied()
            .unwrap_or(0)
    }

    /// Keeps what the product asks of a table with these operations, from now on.
    pub fn record(&self, operations: &[&'static str], table: &str) -> Record {
        let record = Record::new(operations, table);
        let mut records = self.shared.records.lock().expect("no thread panicked");
        records.push(record.clone());
        record
    }

    /// Looks at a table's stream all the time from now on, so that [`Fault::Stale`] knows when items changed.
    pub fn remember(&self, table: &str) {
        let (streams, table) = (Arc::clone(&self.shared.streams), table.to_owned());
        self.runtime.spawn(async move {
            loop {
                if let Ok(Some(stream)) = streams.of(&table).await {
                    // A failure is told to whoever asks next.
                    let _ = stream.lock().await.take_in(&streams).await;
                }
                tokio::time::sleep(REMEMBER).await;
            }
        });
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Serves one port.
async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>, faulty: bool) {
    let listener = TcpListener::from_std(listener).expect("a listening socket");
    loop {
        // A connection that ended before it was accepted is nobody's business.
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        tokio::spawn(connection(stream, Arc::clone(&shared), faulty));
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, faulty: bool) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { shared.respond(request, faulty).await }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    // An end without an answer is what some rules want.
    let _ = served.await;
}

/// Closes the connection without an answer.
#[derive(Debug)]
struct HangUp;

impl std::fmt::Display for HangUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hung up")
    }
}

impl std::error::Error for HangUp {}

impl Shared {
    async fn respond(
        self: Arc<Self>,
        request: Request<Incoming>,
        faulty: bool,
    ) -> Result<Response<Full<Bytes>>, HangUp> {
        let header = |name: &str| {
            let value = request.headers().get(name);
            value.and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        let target = header("x-amz-target").to_owned();
        let credential = header("authorization").split("Credential=").nth(1);
        let access_key = credential.and_then(|credential| credential.split('/').next());
        let access_key = access_key.unwrap_or_default().to_owned();
        let body = request
            .into_body()
            .collect()
            .await
            .map_err(|_| HangUp)?
            .to_bytes();
        let mut call = Call::of(&target, &access_key, body);
        let (fault, _under_way) = if faulty {
            let fault = self.strike(&mut call);
            let under_way = self.recorded(&call, fault.as_ref());
            (fault, under_way)
        } else {
            (None, Vec::new())
        };
        // What has come is carried out, also when the caller goes away meanwhile.
        let exports = Arc::clone(&self.exports);
        let carried = tokio::spawn(self.carry_out(call, fault));
        let outcome = carried.await.map_err(|_| HangUp)?;
        let date = exports.date();
        match outcome {
            Outcome::Answered(answer) => Ok(answer.into_response(&date)),
            Outcome::HungUp => Err(HangUp),
            Outcome::Silent => {
                let _ = tokio::time::timeout(2 * PATIENCE, pending::<()>()).await;
                Err(HangUp)
            }
        }
    }

    /// Counts a call, and says what goes wrong with it.
    fn strike(&self, call: &mut Call) -> Option<Fault> {
        let name = (call.operation.clone(), call.table().to_owned());
        {
            let mut calls = self.calls.lock().expect("no thread panicked");
            let count = calls.entry(name).or_default();
            call.nth = *count;
            *count += 1;
        }
        let rules = self.rules.lock().expect("no thread panicked").clone();
        rules.iter().find_map(|rule| rule.strikes(call))
    }

    /// Notes a call wherever it is to be kept.
    fn recorded(&self, call: &Call, fault: Option<&Fault>) -> Vec<UnderWay> {
        let records = self.records.lock().expect("no thread panicked");
        let noted = records.iter().filter_map(|record| record.note(call, fault));
        noted.collect()
    }

    async fn carry_out(self: Arc<Self>, call: Call, fault: Option<Fault>) -> Outcome {
        let mut chance = chance::at(self.seed, &["draw", &call.operation, call.role()], call.nth);
        let answer = match fault {
            None => self.serve(&call).await,
            Some(Fault::Throttled(error, reason)) => self.throttled(error, reason, &call),
            Some(Fault::ThrottledSomehow) => {
                use rand::seq::IndexedRandom;
                let reasons: Vec<Reason> = Reason::of(call.writes()).collect();
                let drawn = Throttle::ALL.choose(&mut chance).zip(reasons.choose(&mut chance));
                match drawn {
                    Some((error, reason)) => self.throttled(*error, *reason, &call),
                    None => self.serve(&call).await,
                }
            }
            Some(Fault::Lost(loss, landing)) => return self.lose(call, loss, landing).await,
            Some(Fault::Held(gate)) => {
                let answer = self.serve(&call).await;
                self.tally.add(Kind::Held);
                gate.wait().await;
                answer
            }
            Some(Fault::Denied) => {
                self.tally.add(Kind::Denied);
                Answer::denied(&call)
            }
            Some(Fault::NotFound) => {
                self.tally.add(Kind::NotFound);
                Answer::error("ResourceNotFoundException", "Requested resource not found")
            }
            Some(Fault::Unprocessed) => match batch::halve(&call, &mut chance) {
                Some(halved) => self.part(&call, halved).await,
                None => self.serve(&call).await,
            },
            Some(Fault::EmptyPage) => {
                let answer = self.serve(&call).await;
                if super::stream::has_records(&answer.body) {
                    self.tally.add(Kind::EmptyPage);
                    Answer::with_status(200, super::stream::empty_page(&call.json()))
                } else {
                    answer
                }
            }
            Some(Fault::ExpiredIterator) => {
                self.tally.add(Kind::ExpiredIterator);
                super::stream::expired()
            }
            Some(Fault::StreamLimit) => {
                self.tally.add(Kind::StreamLimit);
                Answer::error("LimitExceededException", "Rate exceeded for the shard.")
            }
            Some(Fault::Stale(age)) => {
                let answer = self.serve(&call).await;
                self.streams.stale(&call, answer, age).await
            }
        };
        Outcome::Answered(answer)
    }

    fn throttled(&self, error: Throttle, reason: Reason, call: &Call) -> Answer {
        self.tally.add(Kind::Throttled);
        let body = error.body(reason, call.table());
        Answer::with_status(400, body.to_string().into())
    }

    async fn lose(self: Arc<Self>, call: Call, loss: Loss, landing: Landing) -> Outcome {
        match landing {
            Landing::Never => {}
            Landing::Before => {
                self.serve(&call).await;
                self.tally.add(Kind::LandedUnanswered);
            }
            Landing::Late(gate) => self.land(call, gate),
        }
        let (kind, outcome) = match loss {
            Loss::ServerError(status) => (Kind::ServerError, Outcome::Answered(Answer::server_error(status))),
            Loss::Gateway(status) => (Kind::GatewayError, Outcome::Answered(Answer::gateway(status))),
            Loss::HangUp => (Kind::HungUp, Outcome::HungUp),
            Loss::Silence => (Kind::Silent, Outcome::Silent),
        };
        self.tally.add(kind);
        outcome
    }

    /// Carries a request out later, whoever still waits for it.
    fn land(self: &Arc<Self>, call: Call, gate: Gate) {
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            gate.wait().await;
            shared.serve(&call).await;
            shared.tally.add(Kind::LandedLate);
        });
    }

    /// Carries a part of a batch out.
    async fn part(&self, call: &Call, halved: batch::Halved) -> Answer {
        self.tally.add_many(Kind::Unprocessed, halved.count);
        let answer = match &halved.rest {
            None => None,
            Some(rest) => {
                let part = Call {
                    body: rest.to_string().into(),
                    ..call.clone()
                };
                Some(self.serve(&part).await)
            }
        };
        halved.merged(answer)
    }

    /// Carries a request out, as a good engine would.
    async fn serve(&self, call: &Call) -> Answer {
        if let Some(answer) = self.policies.answer(call) {
            return answer;
        }
        if let Some(answer) = self.streams.answer(call).await {
            return answer;
        }
        if let Some(answer) = self.exports.answer(call, &self.backend, &self.streams).await {
            return answer;
        }
        if let Some(answer) = self.imports.answer(call, &self.backend).await {
            return answer;
        }
        let body = match self.scanned_at_once {
            Some(items) if call.operation == "Scan" => call.limited(items).body,
            _ => call.body.clone(),
        };
        match self.backend.send(&call.target, body).await {
            Ok(answer) => {
                let answer = self.imports.amended(call, answer);
                self.streams.amended(call, answer).await
            }
            Err(error) => Answer::failed(&error),
        }
    }
}
