//! The items that are copied: about 1 KB each, of several types, numbered from 0.
//!
//! They are made from one text with places for the number, so that a server can give out millions of them for next to
//! nothing. What an item is depends on its number and on the number of services only.

use crate::size::ItemSize;
use crate::trouble::{Told, Tried, Trouble};
use std::io::Write;

/// What an item weighs as DynamoDB counts it, in bytes: just below 1 KB, so that its put is one write unit, and a
/// thousand of them fill a page.
pub const ITEM_BYTES: u64 = 1000;
/// Items of a page of a scan, of 1 MB.
pub const PAGE_ITEMS: u64 = 1024 * 1024 / ITEM_BYTES;
/// What the keys begin with.
pub const PREFIX: &str = "ITEM#";

const DIGITS: usize = 10;
const NUMBER: &str = "@NNNNNNNN@";
const SERVICE: &str = "@S";
/// Bytes of all but the filler, which [`check`] holds against a reading of the item.
const FILLER: usize = 706;

/// Makes items.
#[derive(Clone, Debug)]
pub struct Items {
    text: Vec<u8>,
    numbers: Vec<usize>,
    services: Vec<usize>,
    /// How many services share them: item `n` belongs to service `n % services`.
    count: u64,
}

impl Items {
    /// For so many services (at most 100).
    pub fn of(services: u64) -> Self {
        let filler = "The quick brown fox jumps over the lazy dog. ".repeat(20);
        let text = format!(
            concat!(
                r#"{{"pk":{{"S":"ITEM#{n}"}},"sk":{{"S":"DETAIL"}},"kind":{{"S":"k{s}"}},"updatedAt":{{"N":"1767225600123"}},"#,
                r#""title":{{"S":"An item with the number {n}"}},"price":{{"N":"1234.56"}},"stock":{{"N":"17"}},"#,
                r#""published":{{"BOOL":true}},"note":{{"NULL":true}},"tags":{{"SS":["autumn","blue","round","soft"]}},"#,
                r#""maker":{{"M":{{"name":{{"S":"Maker and Daughters"}},"country":{{"S":"CH"}},"since":{{"N":"1904"}}}}}},"#,
                r#""ratings":{{"L":[{{"N":"5"}},{{"N":"4"}},{{"M":{{"by":{{"S":"a reader"}},"stars":{{"N":"3"}}}}}}]}},"#,
                r#""thumbnail":{{"B":"q83vEjRWeJASNFZ4kKvN7w=="}},"createdAt":{{"S":"2026-01-01T00:00:00.123Z"}},"#,
                r#""text":{{"S":"{filler}"}}}}"#
            ),
            n = NUMBER,
            s = SERVICE,
            filler = &filler[..FILLER],
        );
        let places = |mark: &str| text.match_indices(mark).map(|(at, _)| at).collect();
        Self {
            numbers: places(NUMBER),
            services: places(SERVICE),
            text: text.into_bytes(),
            count: services.clamp(1, 100),
        }
    }

    /// Bytes of one item's text.
    pub fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// Adds an item, as DynamoDB JSON.
    pub fn write(&self, number: u64, into: &mut Vec<u8>) {
        let start = into.len();
        into.extend_from_slice(&self.text);
        let mut digits = [0u8; DIGITS];
        // Ten digits hold any number that is used here.
        let _ = write!(&mut digits[..], "{number:010}");
        for at in &self.numbers {
            into[start + at..start + at + DIGITS].copy_from_slice(&digits);
        }
        let mut service = [0u8; 2];
        let _ = write!(&mut service[..], "{:02}", number % self.count);
        for at in &self.services {
            into[start + at..start + at + 2].copy_from_slice(&service);
        }
    }

    /// An item's key, as DynamoDB JSON.
    pub fn key(number: u64) -> String {
        format!(r#"{{"pk":{{"S":"{PREFIX}{number:010}"}},"sk":{{"S":"DETAIL"}}}}"#)
    }

    /// The number in a partition key.
    pub fn number(partition: &str) -> Option<u64> {
        partition.strip_prefix(PREFIX)?.parse().ok()
    }

    /// Items of one of the services, of so many in all.
    pub fn of_service(&self, service: u64, items: u64) -> u64 {
        items / self.count + u64::from(service < items % self.count)
    }

    /// The number of the `nth` item of a service.
    pub fn nth_of_service(&self, service: u64, nth: u64) -> u64 {
        nth * self.count + service
    }

    /// How many services there are.
    pub fn services(&self) -> u64 {
        self.count
    }
}

/// The name of a service, which is also what its items say in `kind`.
pub fn service_name(service: u64) -> String {
    format!("k{service:02}")
}

/// Holds the stated weight against a reading of the items themselves.
///
/// # Errors
/// Where they don't agree: every figure of units would be wrong.
pub fn check() -> Tried<()> {
    for (services, number) in [(1, 0), (10, 9_999_999_999)] {
        let mut text = Vec::new();
        Items::of(services).write(number, &mut text);
        let ItemSize(bytes) = serde_json::from_slice(&text).told("an item")?;
        if bytes != ITEM_BYTES {
            return Err(Trouble::new(format!(
                "an item weighs {bytes} bytes, not {ITEM_BYTES}"
            )));
        }
    }
    Ok(())
}
