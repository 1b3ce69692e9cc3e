//! The server of one command: it accepts connections, bounds them, and ends with the command.

use super::access::{Access, Token};
use super::answer::{Answer, Asked, answer};
use super::frame::Frame;
use super::reading::{Readings, keep_reading};
use crate::worker::Split;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Connections at the same time. Others wait in the queue of the operating system.
const MOST_CONNECTIONS: usize = 32;
/// A client that has not sent its request by then is cut off.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// A client that has not read its answer by then is cut off.
const CONNECTION_WITHIN: Duration = Duration::from_secs(30);
/// The first readings may not be there yet when the first request comes.
const FIRST_READING_WITHIN: Duration = Duration::from_secs(8);
/// Most bytes of a request's head.
const MOST_HEAD_BYTES: usize = 16 * 1024;
/// After an error of `accept`, which is about one connection, or about too many open files.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// Why a command cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Other machines could read without a token.
    #[error("{0}")]
    TokenNeeded(String),
    /// Another process has the port.
    #[error("cannot listen on {0}, because another process listens there")]
    InUse(SocketAddr),
    /// The operating system refuses.
    #[error("cannot listen on {address}: {source}")]
    Refused {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// A port that is taken, before anything is served.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    access: Access,
    address: SocketAddr,
}

impl Listener {
    /// Takes the port. Connections wait until [`Listener::serve`].
    ///
    /// # Errors
    /// If the address needs a token, or cannot be used.
    pub async fn bind(address: SocketAddr, token: Option<Token>) -> Result<Self, ListenError> {
        let access = Access::new(address, token).map_err(ListenError::TokenNeeded)?;
        let refused = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse(address),
            _ => ListenError::Refused { address, source },
        };
        let socket = TcpListener::bind(address).await.map_err(refused)?;
        let address = socket.local_addr().map_err(refused)?;
        Ok(Self {
            socket,
            access,
            address,
        })
    }

    /// Where it listens: with the port that the operating system chose, if none was named.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves the split until [`Server::end`]. `copyable` makes the commands in a text such that they can be copied.
    #[must_use]
    pub fn serve(self, split: Split, copyable: fn(&str) -> String) -> Server {
        let shared = Arc::new(Shared {
            access: self.access,
            frame: Frame::of(&split, copyable),
        });
        let done = CancellationToken::new();
        let (sender, readings) = watch::channel(Readings::default());
        let reading = tokio::spawn(keep_reading(split, sender, done.clone()));
        let serving = tokio::spawn(accept(self.socket, shared, readings, done.clone()));
        Server {
            done,
            tasks: [reading, serving].map(AbortOnDropHandle::new),
        }
    }
}

/// What all connections share.
struct Shared {
    access: Access,
    frame: Frame,
}

/// A server that runs. It ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    done: CancellationToken,
    tasks: [AbortOnDropHandle<()>; 2],
}

impl Server {
    /// Ends it. Answers that are under way are cut off: nobody depends on them.
    pub async fn end(self) {
        self.done.cancel();
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the web server failed");
            }
        }
    }
}

async fn accept(
    socket: TcpListener,
    shared: Arc<Shared>,
    readings: watch::Receiver<Readings>,
    done: CancellationToken,
) {
    let free = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let place = Arc::clone(&free).acquire_owned().await;
            (place, socket.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = done.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            next = next => next,
        };
        match accepted {
            Ok((stream, _)) => {
                let (shared, readings) = (Arc::clone(&shared), readings.clone());
                connections.spawn(async move {
                    let _place = place;
                    serve_one(stream, shared, readings).await;
                });
            }
            Err(error) => {
                tracing::debug!(%error, "could not accept a connection; trying again");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
    connections.shutdown().await;
}

/// One connection carries one request, so that no client keeps a place.
async fn serve_one(stream: TcpStream, shared: Arc<Shared>, readings: watch::Receiver<Readings>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (shared, readings) = (Arc::clone(&shared), readings.clone());
        async move { Ok::<Answer, Infallible>(respond(&request, &shared, readings).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_WITHIN)
        .max_buf_size(MOST_HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A client that disconnects, or that speaks something else, concerns nobody.
    match tokio::time::timeout(CONNECTION_WITHIN, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a client of the web server went away"),
        Err(_) => tracing::debug!("a client of the web server was too slow"),
    }
}

async fn respond(
    request: &Request<Incoming>,
    shared: &Shared,
    mut readings: watch::Receiver<Readings>,
) -> Answer {
    let asked = Asked {
        method: request.method(),
        path: request.uri().path(),
        headers: request.headers(),
    };
    if asked.path != "/livez" {
        let first = readings.wait_for(|readings| readings.attempts > 0);
        // Without a reading, the answer says so.
        let _ = tokio::time::timeout(FIRST_READING_WITHIN, first).await.is_ok();
    }
    let readings = readings.borrow().clone();
    answer(asked, &shared.access, &shared.frame, &readings, Instant::now())
}
