//! Switching a stream off and on. The embedded engine would lose its records at once, so its own stream stays on, and
//! what the table's description says of it is amended.

use std::sync::Arc;

use serde_json::{Value, json};

use super::lineage::Lineage;
use super::{Generation, Streams, TableStream};
use crate::support::faulty::answer::Answer;
use crate::support::faulty::backend::tables;
use crate::support::faulty::call::Call;

impl Streams {
    /// An `UpdateTable` that is about a stream that we know.
    pub(super) async fn switch(&self, call: &Call) -> Result<Option<Answer>, String> {
        let body = call.json();
        let Some(wanted) = body["StreamSpecification"]["StreamEnabled"].as_bool() else {
            return Ok(None);
        };
        // A first stream is the embedded engine's to make.
        let Some(stream) = self.of(call.table()).await? else {
            return Ok(None);
        };
        if let Err(refused) = self.set(&stream, wanted).await? {
            return Ok(Some(refused));
        }
        let wanted = json!({ "TableName": call.table() });
        let described = self
            .backend
            .send(&tables("DescribeTable"), wanted.to_string().into())
            .await?;
        let mut described = stream.lock().await.amend(described).json();
        let table = described["Table"].take();
        Ok(Some(Answer::ok(&json!({ "TableDescription": table }))))
    }

    /// Switches a stream. What was written before is before, on both sides.
    pub async fn set(
        &self,
        stream: &Arc<tokio::sync::Mutex<TableStream>>,
        on: bool,
    ) -> Result<Result<(), Answer>, String> {
        let mut stream = stream.lock().await;
        stream.take_in(self).await?;
        let number = stream.generations.len();
        let table = stream.table.clone();
        let refused = |what: &str| Answer::error("ValidationException", what);
        let last = stream.generations.last_mut().ok_or("a stream without an ARN")?;
        match (last.on, on) {
            (true, true) => return Ok(Err(refused("Table already has an enabled stream"))),
            (false, false) => return Ok(Err(refused("Table has no stream to disable"))),
            (true, false) => {
                last.on = false;
                last.lineage.close_all();
            }
            (false, true) => {
                let label = format!("2026-01-01T00:00:00.{number:03}");
                let home = last.arn.rsplit_once('/').map_or("", |(home, _)| home);
                let arn = format!("{home}/{label}");
                stream.generations.push(Generation {
                    arn,
                    label,
                    on: true,
                    lineage: Lineage::new(&self.habits, self.seed, &table, number),
                });
            }
        }
        Ok(Ok(()))
    }
}

impl TableStream {
    /// What a table's description says of its stream.
    pub(super) fn amend(&self, answer: Answer) -> Answer {
        let Some(last) = self.generations.last() else {
            return answer;
        };
        if last.on && self.generations.len() == 1 {
            return answer;
        }
        let mut body = answer.json();
        for name in ["Table", "TableDescription"] {
            let Some(Value::Object(table)) = body.get_mut(name) else {
                continue;
            };
            table.insert("LatestStreamArn".to_owned(), last.arn.as_str().into());
            table.insert("LatestStreamLabel".to_owned(), last.label.as_str().into());
            if last.on {
                let on = json!({ "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" });
                table.insert("StreamSpecification".to_owned(), on);
            } else {
                table.shift_remove("StreamSpecification");
            }
        }
        Answer::ok(&body)
    }
}
