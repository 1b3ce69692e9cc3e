//! What `apply` does to tables and to the source's stream: on the embedded engine, and on a scripted one
//! for what that engine never does (tables that take their time, refusals).
#![allow(clippy::unwrap_used)] // Clippy excuses test functions, but not what they share.

mod planned;
mod script;
mod slow;
mod stream;
mod tables;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::{StreamSpecification, StreamViewType};
use tokio::net::TcpListener;

fn client(port: u16) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(format!("http://127.0.0.1:{port}"))
        .credentials_provider(Credentials::new("dummy", "dummy", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

/// The embedded engine, for as long as the test's runtime lives.
async fn engine() -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let database = dynoxide::Database::memory().unwrap();
    tokio::spawn(dynoxide::server::serve_with_shutdown(
        listener,
        database,
        std::future::pending(),
    ));
    client(port)
}

async fn enable_view(client: &Client, table: &str, view: StreamViewType) {
    let stream = StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(view)
        .build()
        .unwrap();
    client
        .update_table()
        .table_name(table)
        .stream_specification(stream)
        .send()
        .await
        .unwrap();
}
