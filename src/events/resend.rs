//! Sends events again that the destination had refused.

use super::document::message;
use crate::plan::Events;
use crate::publish::{Publisher, Sent};
use crate::state::{Attempt, DeadLetterHead};
use crate::worker::{RunError, Split};
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;

/// What became of a dead letter of an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SentAgain {
    /// Its id.
    pub id: String,
    /// The service.
    pub service: String,
    /// The destination has the event, and the dead letter is removed.
    pub sent: bool,
    /// In words.
    pub outcome: String,
}

/// Sends events again, each with its former id.
///
/// # Errors
/// If the state can't be reached. The letters that are left stay.
pub async fn resend(
    split: &Split,
    letters: &[DeadLetterHead],
    stop: &CancellationToken,
) -> Result<Vec<SentAgain>, RunError> {
    let mut publishers: BTreeMap<&str, Publisher> = BTreeMap::new();
    for (service, Events { to, .. }) in split.plan.with_events() {
        publishers.insert(&service.name, Publisher::of(to, &split.clients).await);
    }
    let mut results = Vec::new();
    for head in letters {
        if stop.is_cancelled() {
            break;
        }
        let sent = again(split, head, publishers.get(head.service.as_str())).await?;
        let (sent, outcome) = match sent {
            Ok(()) => (
                split.event_letters().settle(head).await?,
                "the event was sent".to_owned(),
            ),
            Err(reason) => {
                let attempt = Attempt {
                    at_ms: split.now_ms(),
                    origin: Attempt::RECONCILE.to_owned(),
                    reason: reason.clone(),
                };
                split.event_letters().attempted(head, &attempt).await?;
                (false, reason)
            }
        };
        results.push(SentAgain {
            id: head.id.clone(),
            service: head.service.clone(),
            sent,
            outcome,
        });
    }
    Ok(results)
}

/// The inner error is the reason why the event is not sent.
async fn again(
    split: &Split,
    head: &DeadLetterHead,
    publisher: Option<&Publisher>,
) -> Result<Result<(), String>, RunError> {
    let Some(publisher) = publisher else {
        let service = &head.service;
        return Ok(Err(format!(
            "the plan has no `events` of {service} any more: to give the event up, run `dynasplit dead-letters discard \
             --events --service {service}`"
        )));
    };
    let shown = split.event_letters().show(&head.id).await?;
    let document = shown.and_then(|shown| shown.letter.image);
    let Some(message) = document.as_ref().and_then(message) else {
        return Ok(Err(
            "the event is damaged, so it can't be sent: discard it, and tell its receivers to read the table"
                .into(),
        ));
    };
    let sent = match publisher.send(&[&message]).await {
        Ok(mut sent) => sent.pop(),
        Err(failure) => return Ok(Err(failure.to_string())),
    };
    Ok(match sent {
        Some(Sent::Accepted) => Ok(()),
        Some(Sent::Refused(reason) | Sent::Later(reason)) => Err(reason),
        None => Err("the answer is empty".into()),
    })
}
