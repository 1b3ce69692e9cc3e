//! What cannot be carried back, and writes of others to the source.

use dynasplit::status::ReverseState;

use super::scene::{COURSES, SERVICE, SOURCE, Scene, copy, course, source_key, target_key};
use crate::support::Engine;
use crate::support::long::in_the_long_run;
use crate::support::table::{self, SdkItem, text};

fn with(mut item: SdkItem, name: &str, value: &str) -> SdkItem {
    item.insert(name.to_owned(), text(value));
    item
}

/// The state when nothing is listed any more.
async fn settled(scene: &Scene) -> ReverseState {
    let is_empty = |state: &ReverseState| state.dead_letters.is_empty() && state.strays.is_empty();
    scene.until("an empty list", is_empty).await;
    scene.drained().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_that_cannot_be_carried_back_is_kept_until_it_can() {
    let (scene, tail) = Scene::switched(Engine::embedded().await, "none", 3).await;
    let client = &scene.client;
    // `type` is dropped on the way to the target, so nothing of the source becomes it.
    let odd = with(copy("2", "odd", 20), "type", "Lecture");
    table::put(client, COURSES, odd).await;
    table::put(client, COURSES, copy("new", "fine", 20)).await;
    let state = scene.drained().await;
    assert_eq!(state.dead_letters.len(), 1, "{state:?}");
    let letter = &state.dead_letters[0];
    assert!(letter.reason.contains("copied to 'type'"), "{letter:?}");
    let held = table::get(client, SOURCE, source_key("2")).await.unwrap();
    assert_eq!(held["title"], text("first"), "the source is left alone");

    // The application corrects the item: both changes arrive.
    table::put(client, COURSES, copy("2", "corrected", 21)).await;
    let state = settled(&scene).await;
    assert!(
        state.dead_letters.is_empty() && state.strays.is_empty(),
        "{state:?}"
    );
    scene
        .assert_source([
            course("0", "again", 2),
            course("1", "again", 2),
            course("2", "corrected", 21),
            with(course("new", "fine", 20), "editor", "nobody"),
        ])
        .await;
    drop(tail);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stray_writes_are_found_and_not_overwritten() {
    in_the_long_run!(stray_writes_are_found_and_not_overwritten);
    let (scene, tail) = Scene::switched(Engine::embedded().await, "none", 6).await;
    let client = &scene.client;
    table::put(client, COURSES, copy("0", "own", 20)).await;
    table::put(client, COURSES, copy("1", "own", 20)).await;
    table::delete(client, COURSES, target_key("5")).await;
    let state = scene.drained().await;
    assert!(
        state.strays.is_empty() && state.dead_letters.is_empty(),
        "{state:?}"
    );

    // A put without the mark, an update that keeps it, a delete, a new item, and an item that nobody wrote before.
    table::put(client, SOURCE, course("0", "stray", 30)).await;
    let update = client
        .update_item()
        .table_name(SOURCE)
        .set_key(Some(source_key("1")))
        .update_expression("SET editor = :e")
        .expression_attribute_values(":e", text("eve"));
    update.send().await.unwrap();
    table::delete(client, SOURCE, source_key("2")).await;
    table::put(client, SOURCE, course("stray", "stray", 30)).await;
    table::put(client, SOURCE, course("3", "stray", 30)).await;
    let state = scene.drained().await;
    let mut keys: Vec<String> = state
        .strays
        .iter()
        .map(|stray| stray.key["PK"]["S"].as_str().unwrap_or_default().to_owned())
        .collect();
    keys.sort();
    assert_eq!(
        keys,
        ["COURSE#0", "COURSE#1", "COURSE#2", "COURSE#3", "COURSE#stray"]
    );

    // The service goes on, and overwrites no stray write.
    for id in ["0", "2", "3", "4"] {
        table::put(client, COURSES, copy(id, "later", 40)).await;
    }
    let state = scene.drained().await;
    assert_eq!(state.dead_letters.len(), 3, "{:?}", state.dead_letters);
    assert_eq!(state.strays.len(), 5, "{:?}", state.strays);
    let title = async |id| {
        let held = table::get(client, SOURCE, source_key(id)).await;
        held.map(|item| item["title"].clone())
    };
    assert_eq!(title("0").await, Some(text("stray")));
    assert_eq!(title("2").await, None);
    assert_eq!(title("3").await, Some(text("stray")));
    assert_eq!(title("4").await, Some(text("later")));

    // A person decides: what the service's own table holds is right.
    let words = ["reverse", "settle", "--service", SERVICE];
    let told = scene.cli.run(&words).await.with_code(&words, 3);
    assert!(told.stdout.contains("add --overwrite"), "{}", told.stdout);
    let list = ["reverse", "list", "--service", SERVICE];
    scene.cli.run(&list).await.with_code(&list, 3);
    scene
        .cli
        .succeed(&["reverse", "settle", "--service", SERVICE, "--overwrite"])
        .await;
    let state = settled(&scene).await;
    assert!(
        state.strays.is_empty() && state.dead_letters.is_empty(),
        "{state:?}"
    );
    scene.cli.succeed(&list).await;
    // What the transform drops is what the stray writes left of it.
    scene
        .assert_source([
            course("0", "later", 40),
            with(course("1", "own", 20), "editor", "eve"),
            with(course("2", "later", 40), "editor", "nobody"),
            course("3", "later", 40),
            course("4", "later", 40),
        ])
        .await;
    drop(tail);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_switched_off_is_a_gap() {
    in_the_long_run!(a_stream_that_is_switched_off_is_a_gap);
    let (scene, tail) = Scene::switched(Engine::embedded().await, "none", 3).await;
    table::put(&scene.client, COURSES, copy("0", "own", 20)).await;
    scene.drained().await;
    tail.kill().await;
    let off = aws_sdk_dynamodb::types::StreamSpecification::builder()
        .stream_enabled(false)
        .build()
        .unwrap();
    let update = scene
        .client
        .update_table()
        .table_name(COURSES)
        .stream_specification(off);
    update.send().await.unwrap();
    table::wait_active(&scene.client, COURSES).await;
    let tail = scene.cli.start(&["replicate"]);
    let state = scene.until("a gap", |state| state.gap.is_some()).await;
    let gap = state.gap.expect("a gap");
    assert!(gap.contains("was switched off"), "{gap}");
    drop(tail);
}
