//! The whole way: there, back, and there again, while the application writes.

use super::application::Written;
use super::shop::{CUTOVER, ROLLBACK, Shop, end, until_written};
use crate::support::Engine;
use crate::support::long::in_the_long_run;
use crate::support::process::obstacles;
use crate::support::trial::Mode;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_goes_there_and_back_and_there_in_sequence_mode() {
    in_the_long_run!(a_service_goes_there_and_back_and_there_in_sequence_mode);
    there_and_back(Engine::embedded().await, Mode::Sequence).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_goes_there_and_back_and_there_in_timestamp_mode() {
    there_and_back(Engine::embedded().await, Mode::Timestamp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_goes_there_and_back_and_there_on_dynamodb_local() {
    in_the_long_run!(a_service_goes_there_and_back_and_there_on_dynamodb_local);
    there_and_back(Engine::genuine_dedicated().await, Mode::Sequence).await;
}

/// Both sides hold everything whenever the application pauses, and the application never writes both.
async fn there_and_back(engine: Engine, mode: Mode) {
    let (shop, tail, application) = Shop::open_on(engine, mode).await;
    let first = shop.cutover().await;
    assert!(
        first.stdout.contains("people writes its own table now"),
        "{}",
        first.stdout
    );
    assert_eq!(shop.phase().await, "switched");
    let application = rests(&shop, application, |written| written.target >= 60).await;
    let again = shop.succeed(CUTOVER).await;
    assert!(again.stdout.contains("nothing was done"), "{}", again.stdout);

    let back = shop.succeed(ROLLBACK).await;
    assert!(
        back.stdout.contains("people writes the source again"),
        "{}",
        back.stdout
    );
    assert_eq!(shop.phase().await, "replicating");
    let before = application.written().await.source;
    let application = rests(&shop, application, |written| written.source >= before + 60).await;
    shop.verify().await;
    assert_eq!(obstacles(&shop.cli.status().await), "[]");

    let before = application.written().await.target;
    let second = shop.cutover().await;
    assert!(
        second.stdout.contains("people writes its own table now"),
        "{}",
        second.stdout
    );
    assert_eq!(shop.stand().await["epoch"], 2);
    until_written(&application, |written| written.target >= before + 60).await;
    shop.assert_both_sides(&application.end().await).await;
    assert_eq!(shop.calls("switch"), 2);
    end(tail).await;
}

/// The application writes until it has written enough, and rests until both sides are compared.
async fn rests(
    shop: &Shop,
    application: super::application::Application,
    enough: impl Fn(&Written) -> bool,
) -> super::application::Application {
    until_written(&application, enough).await;
    let written = application.end().await;
    shop.assert_both_sides(&written).await;
    shop.application(written)
}
