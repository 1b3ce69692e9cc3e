//! Days after a clean verify, in a split with a ledger: the stream has forgotten what changed since, and the ledger has it.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use rand::Rng;
use tokio::time::sleep;

use crate::check::Wrong;
use crate::life::End;
use crate::operator::Operator;
use crate::support::table;
use crate::worker::{CLEAN, Job};

/// Nobody is there so often, each time for less time than the stream keeps its records. Together it is longer.
const ABSENCES: usize = 3;
const ABSENT: Duration = Duration::from_secs(10 * 60 * 60);
/// Between them, the lanes and the ledger take what was written.
const VISIT: Duration = Duration::from_secs(60);
/// Items that are written before each absence.
const WRITTEN: usize = 4;

fn account(day: usize) -> String {
    format!("ACC#day{day}")
}

impl Operator {
    /// Days pass in which the source changes. In half of the runs, an item that changed on the first day then disappears from its table.
    /// A verify of the changes finds that, and nothing else.
    pub async fn days_pass(&mut self) -> Result<(), Wrong> {
        let world = Arc::clone(&self.world);
        world.network.note(|| "days pass after a clean verify".into());
        for day in 0..ABSENCES {
            for document in 0..WRITTEN {
                let attributes = [
                    ("kind", table::text("order")),
                    ("at", table::number(u32::try_from(day + 1).expect("few days"))),
                    ("name", table::text("of a day")),
                ];
                let item = table::item(&account(day), &format!("DOC#{document}"), attributes);
                table::put(world.hand(), &world.trial.source, item).await;
            }
            sleep(VISIT).await;
            world.leave_for(ABSENT).await;
        }
        sleep(VISIT).await;
        self.must_be_exact("days have passed").await?;
        let taken = match self.rng.random_bool(0.5) {
            true => Some(self.take_an_order().await),
            false => None,
        };
        match (self.run(Job::VerifyChanges).await, taken) {
            (End::Done(report), None) if report.words == CLEAN => {
                world.network.count("clean changes of days")
            }
            (End::Done(report), Some(_)) if report.words != CLEAN => {
                world.network.count("unclean changes of days")
            }
            (End::Done(report), taken) => {
                let what = match taken {
                    None => "the targets are exact, and a verify of the changes of days is not clean",
                    Some(_) => {
                        "an item is missing that changed days ago, and a verify of the changes is clean"
                    }
                };
                return Err(Wrong::because(what, report.words));
            }
            (End::Failed(_) | End::Killed(_), taken) => {
                world.network.count("changes of days that were not compared");
                if let Some(item) = taken {
                    table::put(world.hand(), &world.trial.orders, item).await;
                }
            }
        }
        Ok(())
    }

    /// Somebody else deletes an item of a table.
    async fn take_an_order(&self) -> table::SdkItem {
        let key: table::SdkItem = [("PK", account(0)), ("SK", "DOC#1".to_owned())]
            .map(|(name, value)| (name.to_owned(), AttributeValue::S(value)))
            .into();
        let request = self.world.hand().delete_item();
        let request = request.table_name(&self.world.trial.orders).set_key(Some(key));
        let request = request.return_values(aws_sdk_dynamodb::types::ReturnValue::AllOld);
        let deleted = request.send().await.expect("the hand's requests succeed");
        deleted.attributes.expect("the item was in its table")
    }
}
