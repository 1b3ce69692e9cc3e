//! The server that everybody copies on, a process of its own so that its CPU is nobody's.
//!
//! All requests pass its front, which counts requests, items and units by operation and table: so every contender is
//! counted by the same hand, whatever it says of itself. Behind the front is the embedded engine. With `--items N`, the
//! source and the targets are answered at once instead (the **null endpoint**): pages of generated items are given out,
//! writes are taken and forgotten, and only what must have a memory goes to the engine: the split's state, its stream, and
//! all that concerns tables as such.
//!
//! It prints its endpoint, and ends when its standard input does. Commands come as `POST /bench/...`.

mod call;
mod front;
mod null;
mod reading;
mod throttle;
mod trace;

pub use trace::MARK;

use crate::trouble::{Told, Tried, Trouble};
use dynasplit::rehearse::engine::EmbeddedEngine;
use front::Front;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use null::Null;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use throttle::Throttle;
use tokio::net::{TcpListener, TcpStream};

/// The table that is copied.
pub const SOURCE: &str = "bench-source";
/// What the names of the tables that it is copied to begin with.
pub const TARGETS: &str = "bench-target-";

/// `host`: runs the server.
#[derive(clap::Args, Clone, Debug)]
pub struct Host {
    /// Items of the source on the null endpoint; 0 for the embedded engine alone.
    #[arg(long, default_value_t = 0)]
    pub items: u64,
    /// Services that share them.
    #[arg(long, default_value_t = 1)]
    pub services: u64,
    /// Targets are null also where the source is the engine's.
    #[arg(long)]
    pub null_targets: bool,
    /// Refuse PartiQL, as some emulators do.
    #[arg(long)]
    pub refuse_partiql: bool,
    /// Milliseconds until an answer to a read of the source, or to a write of a target.
    #[arg(long, default_value_t = 0)]
    pub answer_ms: u64,
    /// Read and write units a second of each table; 0: any number.
    #[arg(long, num_args = 2, default_values_t = [0, 0])]
    pub rates: Vec<u64>,
}

impl Host {
    /// Serves until standard input ends.
    pub fn run(self) -> Tried<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .told("a runtime")?;
        runtime.block_on(self.serve())
    }

    async fn serve(self) -> Tried<()> {
        let engine = EmbeddedEngine::start().await.told("the embedded engine")?;
        let null = Null::new(self.items, self.services, self.null_targets, self.refuse_partiql);
        let throttle = Throttle::new(self.rates.first().copied(), self.rates.get(1).copied());
        let answer_after = Duration::from_millis(self.answer_ms);
        let front = Arc::new(Front::new(engine.endpoint(), null, throttle, answer_after));
        let listener = TcpListener::bind("127.0.0.1:0").await.told("a port")?;
        println!("http://{}", listener.local_addr().told("an address")?);
        let over = tokio::task::spawn_blocking(|| {
            let mut rest = Vec::new();
            std::io::stdin().read_to_end(&mut rest)
        });
        tokio::select! {
            _ = over => Ok(()),
            _ = accept(listener, front) => Err(Trouble::new("the server ended")),
        }
    }
}

async fn accept(listener: TcpListener, front: Arc<Front>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        tokio::spawn(connection(stream, Arc::clone(&front)));
    }
}

async fn connection(stream: TcpStream, front: Arc<Front>) {
    // Small answers must not wait for company.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let front = Arc::clone(&front);
        async move { front.respond(request).await }
    });
    // A client that goes away is no trouble.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
