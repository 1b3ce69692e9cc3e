//! An engine to test against: where it is, and clients for it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use dynasplit::rehearse::engine::EmbeddedEngine;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::spawn_blocking;

use super::faulty::{Faulty, Script};
use super::launcher::Launched;

/// Holds the endpoint of a DynamoDB Local that runs already (its Docker image, say), for the tests that share one.
const ENDPOINT_VARIABLE: &str = "DYNASPLIT_DYNAMODB_LOCAL";
/// Dummy values: no engine here checks them.
const REGION: &str = "us-east-1";
const ACCESS_KEY: &str = "test";
/// So many tests of a process use DynamoDB Local at once. With more, on two cores, requests are answered too late for the
/// short leases of the tests.
static TURNS: Semaphore = Semaphore::const_new(3);
/// An engine that does not answer fails its test instead of hanging it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Which engine it is, where a test must tell the two apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The product's embedded engine (dynoxide).
    Embedded,
    /// DynamoDB Local.
    Genuine,
    /// An embedded engine behind scripted faults and streams.
    Scripted,
}

/// A running engine.
pub struct Engine {
    kind: Kind,
    /// For the product.
    endpoint: String,
    // Held so that they end with the engine, the one in front first; a shared one lives as long as the process.
    faulty: Option<Faulty>,
    embedded: Option<EmbeddedEngine>,
    launched: Option<Launched>,
    /// One of few turns at DynamoDB Local.
    _turn: Option<SemaphorePermit<'static>>,
}

impl Engine {
    /// An embedded engine of its own.
    pub async fn embedded() -> Self {
        let engine = EmbeddedEngine::start().await.expect("the embedded engine starts");
        let endpoint = engine.endpoint().to_owned();
        Self {
            kind: Kind::Embedded,
            endpoint,
            faulty: None,
            embedded: Some(engine),
            launched: None,
            _turn: None,
        }
    }

    /// An embedded engine of its own behind faults, and with streams that live: see [`super::faulty`]. The product
    /// meets them at [`Engine::endpoint`]; the clients made here don't.
    pub async fn scripted(script: Script) -> Self {
        let engine = Self::embedded().await;
        let faulty = Faulty::start(&engine.endpoint, script);
        Self {
            kind: Kind::Scripted,
            endpoint: faulty.endpoint().to_owned(),
            faulty: Some(faulty),
            ..engine
        }
    }

    /// DynamoDB Local, shared by the tests of this process: the one at [`ENDPOINT_VARIABLE`], or one that is fetched
    /// and started. Tests that share it name their tables by [`unique`].
    ///
    /// # Panics
    /// Where it can be neither fetched nor started: a test that needs it must fail then, and say what to do.
    pub async fn genuine() -> Self {
        static SHARED: OnceLock<Result<Launched, String>> = OnceLock::new();
        let turn = turn().await;
        if let Ok(endpoint) = std::env::var(ENDPOINT_VARIABLE)
            && !endpoint.is_empty()
        {
            let engine = Self::at(endpoint, turn);
            if let Err(error) = engine.dynamodb().list_tables().send().await {
                panic!(
                    "{ENDPOINT_VARIABLE} is {}, where no DynamoDB Local answers. Start one there, or unset the \
                     variable to have it fetched. {error:?}",
                    engine.endpoint
                );
            }
            return engine;
        }
        // Kept as a result: a second test should not fetch in vain again.
        let shared = spawn_blocking(|| SHARED.get_or_init(Launched::start))
            .await
            .expect("the start does not panic");
        match shared {
            Ok(launched) => Self::at(launched.endpoint().to_owned(), turn),
            Err(message) => panic!("{}", help(message)),
        }
    }

    /// DynamoDB Local in a JVM of its own, ended with this value, for tests that roll or age the streams. Always
    /// started here: an endpoint takes no such command.
    ///
    /// # Panics
    /// As [`Engine::genuine`].
    pub async fn genuine_dedicated() -> Self {
        let turn = turn().await;
        match spawn_blocking(Launched::start)
            .await
            .expect("the start does not panic")
        {
            Ok(launched) => {
                let engine = Self::at(launched.endpoint().to_owned(), turn);
                Self {
                    launched: Some(launched),
                    ..engine
                }
            }
            Err(message) => panic!("{}", help(&message)),
        }
    }

    /// A DynamoDB Local that others hold.
    fn at(endpoint: String, turn: SemaphorePermit<'static>) -> Self {
        Self {
            kind: Kind::Genuine,
            endpoint,
            faulty: None,
            embedded: None,
            launched: None,
            _turn: Some(turn),
        }
    }

    /// Which engine it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its endpoint URL.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A client for tables. Clients belong to the runtime that made them: make one in each test.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        client_at(self.clean_endpoint())
    }

    /// A client of a role, on a scripted engine.
    pub fn dynamodb_as(&self, role: &str) -> aws_sdk_dynamodb::Client {
        let key = self.faults().policies().key_of(role);
        let config = client_at(self.clean_endpoint()).config().to_builder();
        let credentials = Credentials::new(key, ACCESS_KEY, None, None, "test");
        aws_sdk_dynamodb::Client::from_conf(config.credentials_provider(credentials).build())
    }

    /// A client that meets the faults of a scripted engine, as the product does.
    pub fn product_dynamodb(&self) -> aws_sdk_dynamodb::Client {
        client_at(&self.endpoint)
    }

    /// A client for streams, of the same kind.
    pub fn streams(&self) -> aws_sdk_dynamodbstreams::Client {
        let config = aws_sdk_dynamodbstreams::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(credentials())
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_timeout(REQUEST_TIMEOUT)
                    .build(),
            )
            .endpoint_url(self.clean_endpoint())
            .build();
        aws_sdk_dynamodbstreams::Client::from_conf(config)
    }

    /// Where the clients made here go: no faults there.
    fn clean_endpoint(&self) -> &str {
        self.faulty
            .as_ref()
            .map_or(&self.endpoint, Faulty::clean_endpoint)
    }

    /// What commands the faults of a scripted engine.
    ///
    /// # Panics
    /// On another kind.
    pub fn faults(&self) -> &Faulty {
        self.faulty.as_ref().expect("a scripted engine")
    }

    /// The embedded engine itself, for its TTL sweep.
    ///
    /// # Panics
    /// On another kind.
    pub fn as_embedded(&self) -> &EmbeddedEngine {
        self.embedded.as_ref().expect("an embedded engine")
    }

    /// Closes every open shard of every stream; each gets one child.
    ///
    /// # Panics
    /// On an engine that is not dedicated, and where the engine refuses.
    pub async fn roll_shards(&self) {
        self.dedicated().command("roll").await;
    }

    /// Makes all records and shards of every stream older by `ms` milliseconds. Every iterator that was given before
    /// expires, however small `ms` is; past 4 hours the open shards roll.
    ///
    /// # Panics
    /// As [`Engine::roll_shards`].
    pub async fn dilate(&self, ms: u64) {
        self.dedicated().command(&format!("dilate {ms}")).await;
    }

    /// Lets go of a dedicated engine, as the end of the test process would, and says whether its JVM ended.
    pub async fn abandon(self) -> bool {
        self.launched.expect("a dedicated engine").abandon().await
    }

    fn dedicated(&self) -> &Launched {
        self.launched
            .as_ref()
            .expect("streams are rolled and aged on Engine::genuine_dedicated only: others share the rest")
    }
}

async fn turn() -> SemaphorePermit<'static> {
    TURNS.acquire().await.expect("nobody closes it")
}

/// `name` with a suffix that no other table has, of this run or of an earlier one (an engine given by its endpoint
/// keeps its tables).
pub fn unique(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock past 1970")
        .as_millis();
    format!("{name}-{now:x}-{:x}-{count}", std::process::id())
}

/// What a table is there for: its name without what [`unique`] appended, which is the same in every run. (Where nothing
/// was appended, the whole name.)
pub fn role(name: &str) -> &str {
    let is_appended = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    // From the end: the count, the process, the time; and the rest.
    let mut parts = name.rsplitn(4, '-');
    let appended = parts.by_ref().take(3).all(is_appended);
    parts.next().filter(|_| appended).unwrap_or(name)
}

/// A client for tables.
fn client_at(endpoint: &str) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(credentials())
        .retry_config(RetryConfig::disabled())
        .timeout_config(
            TimeoutConfig::builder()
                .operation_timeout(REQUEST_TIMEOUT)
                .build(),
        )
        .endpoint_url(endpoint)
        .build();
    aws_sdk_dynamodb::Client::from_conf(config)
}

fn credentials() -> Credentials {
    Credentials::new(ACCESS_KEY, "test", None, None, "tests")
}

fn help(message: &str) -> String {
    format!(
        "DynamoDB Local is needed and could not be started: {message}\n\
         Install a Java JDK (17 or newer) and npm, with access to the npm registry, and run the tests again.\n\
         Or start it yourself (docker run -p 8000:8000 amazon/dynamodb-local) and set \
         {ENDPOINT_VARIABLE}=http://localhost:8000; the tests that roll or age a stream still need Java and npm."
    )
}
