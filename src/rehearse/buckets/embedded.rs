//! The S3 server of a rehearsal, in this process.
//!
//! It listens only on the loopback interface, and accepts one random key. Its objects are gone when it ends.

use super::super::buckets_error::BucketsError;
use super::memory::MemoryStore;
use crate::dynamo::ObjectStore;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// A running server.
pub(in crate::rehearse) struct EmbeddedObjects {
    store: ObjectStore,
    _serving: AbortOnDropHandle<()>,
}

impl EmbeddedObjects {
    /// Starts one with a bucket of this name.
    ///
    /// # Errors
    /// If the system refuses a socket.
    pub async fn start(bucket: &str) -> Result<Self, BucketsError> {
        let mut builder = S3ServiceBuilder::new(MemoryStore::new(bucket));
        let (key_id, secret) = ("rehearsal".to_owned(), format!("{:032x}", rand::random::<u128>()));
        builder.set_auth(SimpleAuth::from_single(key_id.as_str(), secret.as_str()));
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let listener = listener.await.map_err(BucketsError::Listen)?;
        let address = listener.local_addr().map_err(BucketsError::Listen)?;
        let serving = tokio::spawn(accept(listener, Arc::new(builder.build())));
        Ok(Self {
            store: ObjectStore {
                url: format!("http://{address}"),
                key_id,
                secret,
            },
            _serving: AbortOnDropHandle::new(serving),
        })
    }

    /// Where it is, and what it accepts.
    pub fn store(&self) -> ObjectStore {
        self.store.clone()
    }
}

/// Serves until it is dropped, with all connections.
async fn accept(listener: TcpListener, service: Arc<S3Service>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                // A connection that ended before it was accepted is nobody's business.
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream, Arc::clone(&service)));
                }
            }
        }
    }
}

async fn serve(stream: TcpStream, s3: Arc<S3Service>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let s3 = Arc::clone(&s3);
        async move {
            s3.call(request.map(s3s::Body::from))
                .await
                .map_err(std::io::Error::other)
        }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the S3 server of the rehearsal ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamo::{Clients, Endpoint, Timing};
    use crate::s3::{Bucket, PutIf};

    async fn bucket(store: ObjectStore) -> Bucket {
        let endpoint = Endpoint {
            anonymous: true,
            url: Some("http://127.0.0.1:1".into()),
            objects: Some(Arc::new(store)),
            ..Endpoint::default()
        };
        let clients = Clients::load(&endpoint, Timing::LOCAL).await.unwrap();
        Bucket::new(&clients.at(None, None).await, None, "rehearsal", None)
    }

    #[tokio::test]
    async fn of_writes_at_once_that_must_find_nothing_one_wins() {
        let objects = EmbeddedObjects::start("rehearsal").await.unwrap();
        let bucket = bucket(objects.store()).await;
        let writes = (0..8).map(|n| {
            let bucket = bucket.clone();
            async move { bucket.put("a/b", &[n; 100], PutIf::Absent).await.unwrap() }
        });
        let written = futures::future::join_all(writes).await;
        assert_eq!(written.iter().flatten().count(), 1, "{written:?}");
        assert_eq!(bucket.list("a/").await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn objects_are_listed_in_pages_and_folders_and_a_copy_has_a_condition() {
        let objects = EmbeddedObjects::start("rehearsal").await.unwrap();
        let bucket = bucket(objects.store()).await;
        // Longer than a name of a file may be.
        let long = format!("a/{}/", "x".repeat(400));
        let keys: Vec<String> = (0..1005).map(|n| format!("{long}{n:04}")).collect();
        for key in &keys {
            bucket.put(key, key.as_bytes(), PutIf::Absent).await.unwrap();
        }
        let etag = bucket.put("a/z", b"zz", PutIf::Always).await.unwrap().unwrap();
        let listed = bucket.list(&long).await.unwrap();
        let listed: Vec<&String> = listed.iter().map(|object| &object.key).collect();
        assert_eq!(listed, keys.iter().collect::<Vec<_>>());
        assert_eq!(bucket.folders("a/").await.unwrap(), [long]);
        assert_eq!(bucket.copy("a/z", &"0".repeat(32), "b").await.unwrap(), None);
        assert_eq!(bucket.copy("a/z", &etag, "b").await.unwrap(), Some(etag.clone()));
        let stored = bucket.stored("b", 10).await.unwrap().unwrap();
        assert_eq!((stored.bytes.as_slice(), &stored.etag), (b"zz".as_slice(), &etag));
        assert!(bucket.stored("c", 10).await.unwrap().is_none());
        assert_eq!(
            bucket.put("b", b"y", PutIf::Is(&"0".repeat(32))).await.unwrap(),
            None
        );
        assert!(bucket.put("b", b"", PutIf::Is(&etag)).await.unwrap().is_some());
        assert_eq!(bucket.stored("b", 10).await.unwrap().unwrap().bytes, b"");
    }

    #[tokio::test]
    async fn chaos_answers_as_s3_does_and_the_requests_are_sent_again() {
        let objects = EmbeddedObjects::start("rehearsal").await.unwrap();
        let endpoint = Endpoint {
            anonymous: true,
            url: Some("http://127.0.0.1:1".into()),
            objects: Some(Arc::new(objects.store())),
            chaos: Some("errors=20%,throttle=20%".parse().unwrap()),
            ..Endpoint::default()
        };
        let clients = Clients::load(&endpoint, Timing::LOCAL).await.unwrap();
        let bucket = Bucket::new(&clients.at(None, None).await, None, "rehearsal", None);
        for n in 0..30 {
            let key = format!("a/{n}");
            let etag = bucket.put_new(&key, b"x").await.unwrap();
            assert_eq!(bucket.etag(&key).await.unwrap(), etag);
        }
        assert_eq!(bucket.list("a/").await.unwrap().len(), 30);
    }

    #[tokio::test]
    async fn others_are_refused() {
        let objects = EmbeddedObjects::start("rehearsal").await.unwrap();
        let store = ObjectStore {
            secret: "guessed".into(),
            ..objects.store()
        };
        let refused = bucket(store).await.put("a", b"b", PutIf::Always).await;
        assert!(refused.unwrap_err().to_string().contains("SignatureDoesNotMatch"));
    }
}
