//! An S3 server of another project (s3s-fs) over HTTP, with a folder for each bucket. A test can let requests go wrong.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// What becomes of a read.
#[derive(Clone, Debug)]
pub enum Wrong {
    /// An error: status, code, message, and perhaps the region of the bucket.
    Error(u16, &'static str, String, Option<&'static str>),
    /// The answer ends in the middle.
    CutOff,
    /// It has another ETag, as an object that was written in parts has one.
    ETag(String),
}

struct Rule {
    /// A part of the path.
    path: String,
    wrong: Wrong,
    /// It is over after so many.
    times: u32,
}

/// A running S3 server.
pub struct Objects {
    root: TempDir,
    endpoint: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    service: S3Service,
    root: std::path::PathBuf,
    rules: Mutex<Vec<Rule>>,
    paths: Mutex<Vec<String>>,
    ignores_conditions: AtomicBool,
    /// s3s-fs looks at a condition before it writes, so that two writes at once could both hold it.
    writing: tokio::sync::Mutex<()>,
}

impl Objects {
    /// Starts one with these buckets.
    pub async fn start(buckets: &[&str]) -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        for bucket in buckets {
            std::fs::create_dir(root.path().join(bucket)).expect("a folder");
        }
        let mut builder = S3ServiceBuilder::new(FileSystem::new(root.path()).expect("a file system"));
        builder.set_auth(SimpleAuth::from_single("test", "test"));
        let shared = Arc::new(Shared {
            service: builder.build(),
            root: root.path().to_owned(),
            rules: Mutex::default(),
            paths: Mutex::default(),
            ignores_conditions: AtomicBool::new(false),
            writing: tokio::sync::Mutex::default(),
        });
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .await
            .expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self {
            root,
            endpoint,
            shared,
            task,
        }
    }

    /// Where it is.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The folder with the buckets.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Requests whose path contains this go wrong, so many times.
    pub fn wrong(&self, path: &str, wrong: Wrong, times: u32) {
        let rule = Rule {
            path: path.to_owned(),
            wrong,
            times,
        };
        self.shared.rules.lock().expect("no thread panicked").push(rule);
    }

    /// Requests go well again.
    pub fn behave(&self) {
        self.shared.rules.lock().expect("no thread panicked").clear();
    }

    /// As a server that knows no conditions of writes.
    pub fn ignore_conditions(&self) {
        self.shared.ignores_conditions.store(true, Ordering::Relaxed);
    }

    /// How many requests had a path that contains this.
    pub fn asked(&self, path: &str) -> usize {
        let paths = self.shared.paths.lock().expect("no thread panicked");
        paths.iter().filter(|asked| asked.contains(path)).count()
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| respond(Arc::clone(&shared), request));
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn respond(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let path = request.uri().path().to_owned();
    shared
        .paths
        .lock()
        .expect("no thread panicked")
        .push(path.clone());
    let wrong = {
        let mut rules = shared.rules.lock().expect("no thread panicked");
        let rule = rules
            .iter_mut()
            .find(|rule| rule.times > 0 && path.contains(&rule.path));
        rule.map(|rule| {
            rule.times -= 1;
            rule.wrong.clone()
        })
    };
    if let Some(Wrong::Error(status, code, message, region)) = &wrong {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        );
        let mut builder = Response::builder()
            .status(*status)
            .header("content-type", "application/xml");
        if let Some(region) = region {
            builder = builder.header("x-amz-bucket-region", *region);
        }
        return Ok(builder.body(Full::new(body.into())).expect("a response"));
    }
    if shared.ignores_conditions.load(Ordering::Relaxed) && request.headers().contains_key("if-none-match") {
        // The header is signed, so it stays, and its condition holds.
        let _ = std::fs::remove_file(shared.root.join(path.trim_start_matches('/')));
    }
    let _one_at_a_time = match request.method() {
        &hyper::Method::PUT => Some(shared.writing.lock().await),
        _ => None,
    };
    let answer = shared
        .service
        .call(request.map(s3s::Body::from))
        .await
        .map_err(std::io::Error::other)?;
    let (mut parts, body) = answer.into_parts();
    let mut bytes = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    if let Some(Wrong::ETag(etag)) = wrong {
        let etag = hyper::header::HeaderValue::from_str(&etag).expect("a header");
        parts.headers.insert("etag", etag);
    } else if wrong.is_some() {
        // With less than the length that it announces, the connection is closed.
        parts.headers.insert("content-length", bytes.len().into());
        bytes = bytes.slice(..bytes.len() / 2);
        parts
            .headers
            .insert("connection", hyper::header::HeaderValue::from_static("close"));
    }
    Ok(Response::from_parts(parts, Full::new(bytes)))
}
