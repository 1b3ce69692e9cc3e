//! A shop's table, plans for it, and looks at it.

use crate::support::Engine;
use crate::support::table::{SdkItem, item, number, text};
use aws_sdk_dynamodb::types::AttributeValue;
use dynasplit::dynamo::{Clients, Endpoint, Timing};
use dynasplit::plan::Plan;
use dynasplit::state::{ServiceRecord, SplitRecord};
use dynasplit::survey::{Survey, SurveyOptions, survey};
use dynasplit::worker::{RunError, Split};
use tokio_util::sync::CancellationToken;

/// A shop: orders, users (whole, and their names once more), and a service whose key is only vouched for.
pub const SHOP: &str = "\
version: 1
split: shop
source: { table: Shop, keys: { partition: PK, sort: SK } }
timestamp: { attribute: at, type: S, format: iso-8601-seconds }
unrouted: { left-behind: \"begins_with(PK, 'SESSION#')\" }
services:
  - name: orders
    where: begins_with(PK, 'ORDER#')
    table:
      name: Orders
      keys: { partition: order, sort: line }
      global-indexes: [{ name: by-total, keys: { partition: { name: total, type: N } } }]
    transform:
      keys: { from: { PK: 'ORDER#{order}', SK: 'LINE#{line}' }, to: { order: '{order}', line: '{line}' } }
      drop: [PK, SK]
  - name: users
    where: begins_with(PK, 'USER#')
    table: { name: Users, keys: { partition: PK, sort: SK } }
  - name: names
    where: begins_with(PK, 'USER#') AND SK = 'PROFILE'
    table: { name: Names, keys: { partition: email } }
    transform:
      keys: { from: { email: '{email}' }, to: { email: '{email}' }, vouch: sign-up takes an address once }
      keep: [name]
";

const AT: &str = "2026-10-01T10:00:00Z";

pub fn at() -> (&'static str, AttributeValue) {
    ("at", text(AT))
}

pub fn order(n: usize) -> SdkItem {
    item(&format!("ORDER#{n}"), "LINE#1", [at(), ("total", number(n))])
}

pub fn user(n: usize) -> SdkItem {
    let email = text(format!("user-{n}@example.com"));
    item(
        &format!("USER#{n}"),
        "PROFILE",
        [at(), ("email", email), ("name", text("Ann"))],
    )
}

pub async fn split(engine: &Engine, plan: &str) -> Split {
    let endpoint = Endpoint {
        url: Some(engine.endpoint().to_owned()),
        anonymous: true,
        ..Endpoint::default()
    };
    let clients = Clients::load(&endpoint, Timing::LOCAL).await.unwrap();
    Split::open(Plan::parse(plan, "plan.yaml").unwrap(), &clients).await
}

pub async fn look(engine: &Engine, plan: &str, options: &SurveyOptions) -> Result<Survey, RunError> {
    let (split, never) = (split(engine, plan).await, CancellationToken::new());
    Box::pin(survey(&split, options, &never, |_| ())).await
}

pub fn all() -> SurveyOptions {
    SurveyOptions {
        all: true,
        ..SurveyOptions::default()
    }
}

/// Items each of which shows one thing that is wrong.
pub fn misfits() -> Vec<SdkItem> {
    let large = "x".repeat(399 * 1024);
    let mut items = vec![
        order(1),
        item("ORDER#2", "NOTE", [at()]),
        item("ORDER#3", "LINE#1", [at(), ("total", text("much"))]),
        item("ORDER#4", "LINE#1", [at(), ("dynasplit:version", text("x"))]),
        item("USER#1", "PROFILE", [at(), ("name", text("secret"))]),
        item(
            "USER#2",
            "PROFILE",
            [("email", text("same@example.com")), ("at", text("10:00"))],
        ),
        item(
            "USER#3",
            "PROFILE",
            [("email", text("same@example.com")), ("at", number(5))],
        ),
        item("USER#4", "OTHER", []),
        item("VISIT#1", "PAGE#2", [at()]),
        item("VISIT#2", "PAGE#2", [at()]),
        item("ann@example.com", "X", [at()]),
    ];
    // Dropping the keys and gaining others makes it grow over the limit.
    let mut huge = item("USER#5", "PROFILE", [at(), ("blob", text(large))]);
    huge.insert("email".into(), text("e".repeat(900)));
    items.push(huge);
    items
}

/// The state as `apply` leaves it, for a plan.
pub async fn begin(split: &Split, stream: &str) {
    split.store.ensure_table(&split.source.control).await.unwrap();
    let plan = &split.plan;
    let record = SplitRecord::beginning(plan, stream, 1);
    split.store.put(SplitRecord::NAME, record, 0).await.unwrap();
    for service in &plan.services {
        let record = ServiceRecord::beginning(service);
        let name = ServiceRecord::record_name(&service.name);
        split.store.put(&name, record, 0).await.unwrap();
    }
}
