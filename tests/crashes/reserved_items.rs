//! Items that the writers leave alone: to be damaged behind the product's back, or to be such as no service can hold.

use aws_sdk_dynamodb::Client;

use crate::support::stage::Stage;
use crate::support::table::{self, SdkItem, item, key, number, text};
use crate::support::trial::Trial;

/// Where they begin, beyond the writers' keys.
const FIRST: usize = 9000;

/// The own items of a stage.
#[derive(Clone, Copy)]
pub struct ReservedItems<'a> {
    client: &'a Client,
    trial: &'a Trial,
}

impl<'a> ReservedItems<'a> {
    /// Of a stage.
    pub fn of(stage: &'a Stage) -> Self {
        Self {
            client: &stage.client,
            trial: &stage.trial,
        }
    }

    /// Writes one to the source: an order with a name.
    pub async fn put(self, place: usize, at: i64) {
        table::put(self.client, &self.trial.source, order(place, at)).await;
    }

    /// The same, with an attribute whose name is reserved: a dead letter.
    pub async fn put_invalid(self, place: usize, at: i64) {
        let mut unfit = order(place, at);
        unfit.insert("dynasplit:mine".to_owned(), text("a reserved name"));
        table::put(self.client, &self.trial.source, unfit).await;
    }

    /// Deletes one from the source.
    pub async fn delete(self, place: usize) {
        table::delete(self.client, &self.trial.source, at(place)).await;
    }

    /// Damage: it is gone from the orders, and nobody of the product's did it.
    pub async fn lose(self, place: usize) {
        table::delete(self.client, &self.trial.orders, at(place)).await;
    }

    /// Damage: it stands among the orders, without a source.
    pub async fn invent(self, place: usize) {
        table::put(self.client, &self.trial.orders, order(place, 1)).await;
    }
}

/// The sort key of one.
pub fn document(place: usize) -> String {
    format!("DOC#{}", FIRST + place)
}

fn account(place: usize) -> String {
    format!("ACC#{}", FIRST + place)
}

fn at(place: usize) -> SdkItem {
    key(&account(place), &document(place))
}

fn order(place: usize, at: i64) -> SdkItem {
    let attributes = [("kind", text("order")), ("name", text("own")), ("at", number(at))];
    item(&account(place), &document(place), attributes)
}
