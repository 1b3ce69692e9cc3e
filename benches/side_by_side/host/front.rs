//! What every request passes: it is answered, here or by the engine behind, and counted.

use super::SOURCE;
use super::call::Call;
use super::null::{Answer, Null};
use super::reading;
use super::throttle::Throttle;
use super::trace::Trace;
use crate::tally::{Count, Tally};
use crate::wire::{CONTENT_TYPE, Wire};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::{Request, Response, StatusCode};
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a refused condition is billed at least.
const REFUSED_MILLIUNITS: u64 = 1000;

/// The front of the server.
#[derive(Debug)]
pub struct Front {
    engine: Wire,
    null: Null,
    throttle: Throttle,
    answer_after: Duration,
    tally: Mutex<Tally>,
    trace: Mutex<Option<Trace>>,
    began: Instant,
}

impl Front {
    /// In front of the engine at an endpoint.
    pub fn new(engine: &str, null: Null, throttle: Throttle, answer_after: Duration) -> Self {
        Self {
            engine: Wire::to(engine),
            null,
            throttle,
            answer_after,
            tally: Mutex::default(),
            trace: Mutex::default(),
            began: Instant::now(),
        }
    }

    /// Answers a request.
    pub async fn respond(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        if let Some(command) = request.uri().path().strip_prefix("/bench/") {
            return Ok(self.command(command));
        }
        let target = request.headers().get("x-amz-target");
        let target = target
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let began_us = self.now_us();
        let Ok(body) = request.into_body().collect().await else {
            return Ok(response(400, Bytes::new()));
        };
        let body = body.to_bytes();
        let call = Call::read(&operation, &body);
        let (answer, is_counted) = match self.null.answer(&call) {
            Some(answer) => {
                tokio::time::sleep(self.answer_after).await;
                (self.throttle.pass(&call, answer), true)
            }
            None => (self.forward(&target, &call, body.clone()).await, false),
        };
        self.count(&call, &answer, is_counted, began_us);
        self.note(&call, &answer, &body);
        Ok(response(answer.status, answer.body))
    }

    async fn forward(&self, target: &str, call: &Call, body: Bytes) -> Answer {
        let (status, body) = match self.engine.send(target, body).await {
            Ok(answered) => answered,
            Err(trouble) => (500, format!(r#"{{"message":"{trouble}"}}"#).into()),
        };
        Answer {
            status,
            body: self.null.described(call, body),
            count: Count::default(),
        }
    }

    fn count(&self, call: &Call, answer: &Answer, is_counted: bool, began_us: u64) {
        let now_us = self.now_us();
        let timed = |count: Count| match count.items {
            0 => count,
            _ => Count {
                first_us: began_us.max(1),
                last_us: now_us,
                ..count
            },
        };
        let table = if call.table.is_empty() { "-" } else { &call.table };
        let mut counts = vec![(
            table.to_owned(),
            Count {
                requests: 1,
                ..Count::default()
            },
        )];
        if answer.status == 200 && call.writes.is_empty() {
            let count = match is_counted {
                true => answer.count.clone(),
                false => reading::given(&call.operation, &call.read, &answer.body),
            };
            counts.push((table.to_owned(), count));
        }
        counts.extend(written(call, answer));
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        for (table, count) in counts {
            tally.add(&call.operation, &table, &timed(count));
        }
    }

    fn note(&self, call: &Call, answer: &Answer, body: &[u8]) {
        if call.writes.is_empty() || answer.status != 200 {
            return;
        }
        let mut trace = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(trace) = trace.as_mut() {
            trace.note(call.table == SOURCE, body, self.now_us());
        }
    }

    fn command(&self, command: &str) -> Response<Full<Bytes>> {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let mut trace = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match command {
            "tally" => serde_json::to_vec(&*tally),
            "reset" => {
                *tally = Tally::default();
                serde_json::to_vec(&())
            }
            "forget" => {
                self.null.forget();
                serde_json::to_vec(&())
            }
            "trace" => {
                *trace = Some(Trace::default());
                serde_json::to_vec(&())
            }
            "lags" => serde_json::to_vec(&trace.as_ref().map(Trace::lags_us)),
            _ => return response(404, Bytes::new()),
        };
        answer.map_or_else(|_| response(500, Bytes::new()), |body| response(200, body.into()))
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// What the writes of a call came to, one by one.
fn written(call: &Call, answer: &Answer) -> Vec<(String, Count)> {
    let refused = || Count {
        refused: 1,
        write_milliunits: REFUSED_MILLIUNITS,
        ..Count::default()
    };
    let landed = |milliunits: u64| Count {
        items: 1,
        write_milliunits: milliunits,
        ..Count::default()
    };
    let failed = match &*call.operation {
        "BatchExecuteStatement" => reading::failed_statements(&answer.body),
        _ => Vec::new(),
    };
    let conditional = || String::from_utf8_lossy(&answer.body).contains("ConditionalCheckFailed");
    let done = match &*call.operation {
        "BatchWriteItem" => call.writes.len() - reading::unprocessed(&answer.body).min(call.writes.len()),
        _ => call.writes.len(),
    };
    let counts = call
        .writes
        .iter()
        .take(done)
        .enumerate()
        .filter_map(|(nth, write)| {
            let count = match answer.status {
                200 if failed.get(nth).copied().unwrap_or(false) => refused(),
                200 => landed(write.milliunits),
                400 if conditional() => refused(),
                _ => return None,
            };
            Some((write.table.clone(), count))
        });
    counts.collect()
}

fn response(status: u16, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static(CONTENT_TYPE));
    response
}
