//! For tests: an endpoint that gives one prepared answer per request, and records the requests.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use serde_json::Value as Json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The requests that came, in order.
pub(crate) type Asked = Arc<Mutex<Vec<Json>>>;

/// Starts the endpoint; past the last answer it hangs up.
pub(crate) async fn scripted(answers: Vec<(u16, Json)>) -> (Client, Asked) {
    let Served { endpoint, asked, .. } = served(answers).await;
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "test"))
        .build();
    (Client::from_conf(config), asked)
}

/// The endpoint for clients of any kind.
pub(crate) struct Served {
    pub endpoint: String,
    pub asked: Asked,
    /// Connections that were opened to it.
    pub opened: Arc<AtomicUsize>,
}

pub(crate) async fn served(answers: Vec<(u16, Json)>) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let answers = Arc::new(Mutex::new(answers.into_iter()));
    let asked = Asked::default();
    let opened = Arc::<AtomicUsize>::default();
    let (log, count) = (Arc::clone(&asked), Arc::clone(&opened));
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let (answers, log) = (Arc::clone(&answers), Arc::clone(&log));
            tokio::spawn(async move {
                while let Some(request) = request(&mut connection).await {
                    log.lock().unwrap().push(request);
                    let Some((status, body)) = answers.lock().unwrap().next() else {
                        return;
                    };
                    let body = body.to_string();
                    let head = format!(
                        "HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n\r\n",
                        body.len()
                    );
                    connection.write_all((head + &body).as_bytes()).await.unwrap();
                }
            });
        }
    });
    Served {
        endpoint,
        asked,
        opened,
    }
}

/// The body of the next request of a connection.
async fn request(connection: &mut TcpStream) -> Option<Json> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))?;
    let mut body = vec![0; length.trim().parse().unwrap()];
    connection.read_exact(&mut body).await.ok()?;
    Some(serde_json::from_slice(&body).unwrap())
}
