//! An endpoint that answers by a rule, for what real engines never say: refusals of IAM, credentials that ran out,
//! proxies in between, silence.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// What was asked: the operation, as in `DescribeTable` (for STS: `AssumeRole`), and the body.
pub struct Request {
    /// The operation.
    pub operation: String,
    /// The body.
    pub body: String,
    /// The access key by which it is signed.
    pub access_key: String,
}

/// What to answer.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: String,
}

type Rule = Box<dyn Fn(&Request) -> Answer + Send + Sync>;

/// A running endpoint. Its threads end with the process.
pub struct Scripted {
    endpoint: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Answer {
    /// A result.
    pub fn ok(body: serde_json::Value) -> Self {
        Self {
            status: 200,
            body: body.to_string(),
        }
    }

    /// An error as DynamoDB gives it.
    pub fn error(code: &str, message: &str) -> Self {
        let body = serde_json::json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": message });
        Self {
            status: 400,
            body: body.to_string(),
        }
    }

    /// What IAM says to somebody who may not do this.
    pub fn denied(action: &str, resource: &str) -> Self {
        Self::error(
            "AccessDeniedException",
            &format!(
                "User: arn:aws:sts::111122223333:assumed-role/split/ann is not authorized to perform: {action} on \
                 resource: {resource} because no identity-based policy allows the {action} action"
            ),
        )
    }
}

impl Scripted {
    /// Starts one.
    ///
    /// # Panics
    /// Where no port can be had.
    pub fn start(rule: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let (listener, endpoint) = listen();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (rule, log): (Arc<Rule>, _) = (Arc::new(Box::new(rule)), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (rule, log) = (Arc::clone(&rule), Arc::clone(&log));
                std::thread::spawn(move || serve(stream, &rule, &log));
            }
        });
        Self { endpoint, asked }
    }

    /// One that speaks TLS, with the certificate of [`super::tls`].
    ///
    /// # Panics
    /// Where no port can be had.
    pub fn start_tls(rule: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let (listener, endpoint) = listen();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (rule, log): (Arc<Rule>, _) = (Arc::new(Box::new(rule)), Arc::clone(&asked));
        let config = super::tls::server();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (rule, log, config) = (Arc::clone(&rule), Arc::clone(&log), Arc::clone(&config));
                std::thread::spawn(move || {
                    let session = rustls::ServerConnection::new(config).expect("a session");
                    serve(rustls::StreamOwned::new(session, stream), &rule, &log);
                });
            }
        });
        let endpoint = endpoint.replace("http://", "https://");
        Self { endpoint, asked }
    }

    /// One that takes connections and requests, and never answers.
    ///
    /// # Panics
    /// Where no port can be had.
    pub fn silent() -> Self {
        let (listener, endpoint) = listen();
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming().flatten() {
                held.push(stream);
            }
        });
        Self {
            endpoint,
            asked: Arc::default(),
        }
    }

    /// Its endpoint URL.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The operations that were asked for, in order.
    ///
    /// # Panics
    /// Where a thread that answers has panicked.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no thread panicked").clone()
    }
}

fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, format!("http://{address}"))
}

/// Answers the requests of one connection.
fn serve(stream: impl Read + Write, rule: &Rule, log: &Mutex<Vec<String>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream) {
        log.lock()
            .expect("no thread panicked")
            .push(request.operation.clone());
        let Answer { status, body } = rule(&request);
        let answer = format!(
            "HTTP/1.1 {status} Scripted\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// The next request; `None` when the client has gone.
fn read(stream: &mut BufReader<impl Read>) -> Option<Request> {
    let (mut operation, mut length, mut access_key) = (None, 0, String::new());
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        match name.to_ascii_lowercase().as_str() {
            "x-amz-target" => operation = value.rsplit('.').next().map(|name| name.trim().to_owned()),
            "authorization" => {
                let credential = value.split("Credential=").nth(1).unwrap_or_default();
                access_key = credential.split('/').next().unwrap_or_default().to_owned();
            }
            "content-length" => length = value.trim().parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let body = String::from_utf8_lossy(&body).into_owned();
    // STS and SNS speak the query protocol: the action is in the form.
    let in_form = || {
        let fields = body.split('&');
        let action = fields.filter_map(|field| field.strip_prefix("Action=")).next();
        action.unwrap_or_default().to_owned()
    };
    Some(Request {
        operation: operation.unwrap_or_else(in_form),
        body,
        access_key,
    })
}
