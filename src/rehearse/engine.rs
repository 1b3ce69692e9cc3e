//! The embedded engine: DynamoDB's API served by this process, in memory, on a port of its own.
//!
//! Purpose: `rehearse` needs nothing installed, and fast tests need no other process. The engine really stores and
//! streams, but it is not AWS: it never throttles, has one shard forever, and answers every read consistently.
//!
//! Invariants:
//! - It listens only on the loopback interface, on a port that the system chose, so that any number of engines can
//!   run at the same time.
//! - It runs on its own thread and runtime. A request blocks its thread until the database has answered; on the
//!   caller's runtime it would block the threads of the split. Measured with 64 conditional puts in
//!   flight on two cores: the same rate, but the caller's timers late by up to 39 ms on a shared runtime, by up to
//!   13 ms beside this one. One thread, because the database has one lock: a second thread brought nothing.
//! - Its thread is joined: by [`EmbeddedEngine::stop`], which lets running requests end, or else by the drop, which
//!   does not wait for them.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use dynoxide::Database;
use dynoxide::errors::DynoxideError;
use dynoxide::server::serve_with_shutdown;
use rusqlite::Connection;
use thiserror::Error;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How long [`EmbeddedEngine::stop`] waits for requests that still run. None takes a second in memory; only a client
/// that sent half a request and went silent reaches it.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// Why the embedded engine could not start, sweep or stop.
#[derive(Debug, Error)]
pub enum EngineError {
    /// No port on the loopback interface.
    #[error(
        "the embedded engine cannot listen on 127.0.0.1: {0}; check that this process may open local sockets"
    )]
    Listen(#[source] std::io::Error),
    /// No thread, or no runtime on it.
    #[error("the embedded engine cannot start its thread: {0}; check the limits on threads and open files")]
    Thread(#[source] std::io::Error),
    /// The database behind the server failed.
    #[error("the embedded engine's database failed: {0}")]
    Database(#[source] Box<DynoxideError>),
    /// The index of the streams could not be made.
    #[error("the embedded engine cannot index its streams: {0}")]
    Index(#[from] rusqlite::Error),
    /// The server ended with an error of its own.
    #[error("the embedded engine's server failed: {0}")]
    Server(String),
    /// The engine's thread panicked: a bug in the engine. Its tables are lost.
    #[error(
        "the embedded engine crashed, and its tables are lost; start again, or name another engine with \
         --endpoint-url"
    )]
    Crashed,
}

impl From<DynoxideError> for EngineError {
    fn from(error: DynoxideError) -> Self {
        Self::Database(Box::new(error))
    }
}

/// A running engine. Its tables live in memory and are gone when it stops.
#[derive(Debug)]
pub struct EmbeddedEngine {
    endpoint: String,
    database: DatabaseHandle,
    server: Option<Server>,
}

/// The engine's thread, and the way to end it: a message stops it gently, a sender dropped stops it at once.
#[derive(Debug)]
struct Server {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), EngineError>>,
}

/// The database prints only its name, because its contents belong to the user.
#[derive(Clone)]
struct DatabaseHandle(Database);

impl std::fmt::Debug for DatabaseHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Database")
    }
}

impl EmbeddedEngine {
    /// Starts an empty engine, which answers when this returns.
    ///
    /// # Errors
    /// [`EngineError::Listen`], [`EngineError::Thread`] or [`EngineError::Database`], if the system refuses a socket,
    /// a thread or memory.
    pub async fn start() -> Result<Self, EngineError> {
        // Opening SQLite blocks for a few milliseconds.
        spawn_blocking(Self::start_blocking)
            .await
            .map_err(|_| EngineError::Crashed)?
    }

    fn start_blocking() -> Result<Self, EngineError> {
        // Bound before the thread exists: a client that connects at once waits in the backlog and is not refused.
        let listener =
            TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).map_err(EngineError::Listen)?;
        listener.set_nonblocking(true).map_err(EngineError::Listen)?;
        let address = listener.local_addr().map_err(EngineError::Listen)?;
        let database = database_with_an_index()?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(EngineError::Thread)?;
        let (stop, stopped) = oneshot::channel();
        let served = database.clone();
        let thread = std::thread::Builder::new()
            .name("embedded-engine".to_owned())
            .spawn(move || serve(&runtime, listener, served, stopped))
            .map_err(EngineError::Thread)?;
        Ok(Self {
            endpoint: format!("http://{address}"),
            database: DatabaseHandle(database),
            server: Some(Server { stop, thread }),
        })
    }

    /// Where it answers, as an endpoint URL for an SDK client. Any credentials and any region will do.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Deletes expired items in every table with TTL on, and returns their number. The engine never does so by
    /// itself, so tests that need TTL deletes call this.
    ///
    /// # Errors
    /// [`EngineError::Database`].
    pub async fn sweep_ttl(&self) -> Result<usize, EngineError> {
        let database = self.database.clone();
        let swept = spawn_blocking(move || database.0.sweep_ttl()).await;
        Ok(swept.map_err(|_| EngineError::Crashed)??)
    }

    /// Lets running requests end (for up to two seconds), stops, and says how the server ended.
    ///
    /// # Errors
    /// [`EngineError::Server`] or [`EngineError::Crashed`], when it had failed before.
    pub async fn stop(mut self) -> Result<(), EngineError> {
        let Some(Server { stop, thread }) = self.server.take() else {
            return Ok(());
        };
        // A server that has ended by itself hears nothing; the join says why it ended.
        let _ = stop.send(());
        let joined = spawn_blocking(move || thread.join()).await;
        joined
            .map_err(|_| EngineError::Crashed)?
            .map_err(|_| EngineError::Crashed)?
    }
}

impl Drop for EmbeddedEngine {
    fn drop(&mut self) {
        if let Some(Server { stop, thread }) = self.server.take() {
            drop(stop);
            // Short: the thread leaves at its next await, which is at most one request away.
            let _ = thread.join();
        }
    }
}

/// An empty database in memory, with an index for the stream.
///
/// The engine has none: each write and each read of a stream looks at every record that all streams keep, so an engine
/// with 20,000 records is a hundred times slower than a new one. The index changes no answer.
///
/// It contains the shard, because a description of a stream looks for the first and the last number of its shard: without the
/// shard in the index, that reads every record, and every other request waits meanwhile (0.7 s with 150,000 records; a tenth of
/// it with the shard).
fn database_with_an_index() -> Result<Database, EngineError> {
    static ENGINES: AtomicUsize = AtomicUsize::new(0);
    // A name makes the memory visible to a second connection of this process. It lives as long as the engine's own.
    let name = format!(
        "file:embedded-engine-{}?mode=memory&cache=shared",
        ENGINES.fetch_add(1, Ordering::Relaxed)
    );
    let database = Database::new(&name)?;
    Connection::open(&name)?.execute_batch(
        "CREATE INDEX stream_of_a_table ON _stream_records \
         (table_name, CAST(sequence_number AS INTEGER), shard_id, sequence_number)",
    )?;
    Ok(database)
}

/// The life of the engine's thread.
fn serve(
    runtime: &Runtime,
    listener: TcpListener,
    database: Database,
    stopped: oneshot::Receiver<()>,
) -> Result<(), EngineError> {
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).map_err(EngineError::Listen)?;
        let (drain, draining) = oneshot::channel::<()>();
        let server = serve_with_shutdown(listener, database, async {
            let _ = draining.await;
        });
        run(server, drain, stopped).await
    })
    // Connections that outlived the grace end with the runtime, which is dropped by the thread that called.
}

/// Runs the server until it is told to stop: gently after a message, at once if the engine was dropped.
async fn run(
    server: impl Future<Output = Result<(), String>>,
    drain: oneshot::Sender<()>,
    stopped: oneshot::Receiver<()>,
) -> Result<(), EngineError> {
    let mut server = std::pin::pin!(server);
    tokio::select! {
        ended = &mut server => ended.map_err(EngineError::Server),
        message = stopped => match message {
            Ok(()) => {
                let _ = drain.send(());
                timeout(STOP_GRACE, server).await.unwrap_or(Ok(())).map_err(EngineError::Server)
            }
            Err(_) => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    fn address(engine: &EmbeddedEngine) -> String {
        engine.endpoint().trim_start_matches("http://").to_owned()
    }

    fn health(address: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    #[tokio::test]
    async fn answers_a_client_that_blocks_the_only_thread_of_its_runtime() {
        let engine = EmbeddedEngine::start().await.unwrap();
        // A blocking client on a runtime of one thread: an engine on this runtime could never answer it.
        assert!(health(&address(&engine)).unwrap().contains("healthy: dynamodb"));
        engine.stop().await.unwrap();
    }

    #[tokio::test]
    async fn two_engines_do_not_share_a_port() {
        let first = EmbeddedEngine::start().await.unwrap();
        let second = EmbeddedEngine::start().await.unwrap();
        assert_ne!(first.endpoint(), second.endpoint());
    }

    #[tokio::test]
    async fn nothing_listens_after_a_stop_or_a_drop() {
        let engine = EmbeddedEngine::start().await.unwrap();
        let stopped = address(&engine);
        engine.stop().await.unwrap();
        assert!(TcpStream::connect(stopped).is_err());

        let engine = EmbeddedEngine::start().await.unwrap();
        let dropped = address(&engine);
        drop(engine);
        assert!(TcpStream::connect(dropped).is_err());
    }

    #[tokio::test]
    async fn a_client_that_sent_half_a_request_does_not_hold_the_stop() {
        let engine = EmbeddedEngine::start().await.unwrap();
        let mut stuck = TcpStream::connect(address(&engine)).unwrap();
        stuck
            .write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf")
            .unwrap();
        // Far above the grace: without one, it would wait for the other half for ever.
        let stopped = timeout(STOP_GRACE * 15, engine.stop()).await;
        stopped.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_sweep_of_an_empty_engine_deletes_nothing() {
        let engine = EmbeddedEngine::start().await.unwrap();
        assert_eq!(engine.sweep_ttl().await.unwrap(), 0);
    }
}
