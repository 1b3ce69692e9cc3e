//! A proxy before an engine, which holds requests or refuses them as AWS would.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What is done with a request.
pub enum Action {
    Pass,
    /// It waits until [`Proxy::release`].
    Hold,
    /// It is answered by a throttling error, and never arrives.
    Throttle,
}

/// Decides by the operation and the request's text.
pub type Rule = Arc<dyn Fn(&str, &str) -> Action + Send + Sync>;

/// Ends with the test's runtime.
pub struct Proxy {
    pub endpoint: String,
    released: watch::Sender<bool>,
    held: Arc<AtomicUsize>,
}

impl Proxy {
    pub async fn before(endpoint: &str, rule: Rule) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = format!("http://{}", listener.local_addr().unwrap());
        let (released, gate) = watch::channel(false);
        let held = Arc::new(AtomicUsize::new(0));
        let address = endpoint.trim_start_matches("http://").to_owned();
        let counted = Arc::clone(&held);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&address).await.unwrap();
                tokio::spawn(serve(
                    client,
                    server,
                    Arc::clone(&rule),
                    gate.clone(),
                    Arc::clone(&counted),
                ));
            }
        });
        Self {
            endpoint: own,
            released,
            held,
        }
    }

    /// Waits until a request is held.
    pub async fn holds(&self) {
        while self.held.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Lets all go that are held, and holds no more.
    pub fn release(&self) {
        self.released.send_replace(true);
    }
}

/// One connection: a request at a time, as HTTP/1.1 clients do without pipelining. An end of either side ends it.
async fn serve(
    client: TcpStream,
    server: TcpStream,
    rule: Rule,
    mut gate: watch::Receiver<bool>,
    held: Arc<AtomicUsize>,
) {
    let (mut from, mut to) = client.into_split();
    let (mut back, mut forth) = server.into_split();
    let mut request = Vec::new();
    let mut answer = vec![0; 64 * 1024];
    loop {
        tokio::select! {
            read = read_request(&mut from, &mut request) => {
                if read.is_none() {
                    return;
                }
                let text = String::from_utf8_lossy(&request).into_owned();
                let operation = text
                    .split_once("DynamoDB_20120810.")
                    .map_or("", |(_, rest)| rest.split('\r').next().unwrap_or(""));
                match rule(operation, &text) {
                    Action::Throttle => {
                        if to.write_all(throttled().as_bytes()).await.is_err() {
                            return;
                        }
                        request.clear();
                        continue;
                    }
                    Action::Hold if !*gate.borrow() => {
                        held.fetch_add(1, Ordering::SeqCst);
                        if gate.wait_for(|released| *released).await.is_err() {
                            return;
                        }
                    }
                    Action::Hold | Action::Pass => {}
                }
                if forth.write_all(&request).await.is_err() {
                    return;
                }
                request.clear();
            }
            read = back.read(&mut answer) => match read {
                Ok(len) if len > 0 => {
                    if to.write_all(&answer[..len]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}

/// Reads on until `request` is whole; what was read before a cancellation stays in it.
async fn read_request(from: &mut tokio::net::tcp::OwnedReadHalf, request: &mut Vec<u8>) -> Option<()> {
    loop {
        if let Some(end) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
            let length = head.split("content-length:").nth(1);
            let length = length.and_then(|rest| rest.lines().next()?.trim().parse::<usize>().ok());
            if request.len() >= end + 4 + length.unwrap_or(0) {
                return Some(());
            }
        }
        if from.read_buf(request).await.ok()? == 0 {
            return None;
        }
    }
}

fn throttled() -> String {
    let body = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"slow"}"#;
    format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
