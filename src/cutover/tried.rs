//! What a cutover needs, tried without an effect: writes of the source as the tool, the stream of the service's own table, and the
//! policies of the fence with their probe roles.

use super::objection::{Check, Objection};
use crate::dynamo::{Failure, FailureKind, ProbeAnswer, ProbeCall, ProbePlace, Tables};
use crate::fence::{FenceError, FencedTable, TablePolicy, probe_key};
use crate::model::Position;
use crate::plan::Service;
use crate::source::{SourceFacts, StreamSource, StreamState};
use crate::worker::Split;

/// The writes by which the way back changes the source.
const BACK: [ProbeCall; 3] = [ProbeCall::Put, ProbeCall::Update, ProbeCall::Delete];

/// What was tried, and what could not be tried.
#[derive(Default)]
pub(super) struct Tried {
    pub refused: Vec<Objection>,
    pub warnings: Vec<Objection>,
    pub untried: Vec<String>,
}

/// Tries everything that a cutover of a service needs. No request changes anything.
pub(super) async fn tried(
    split: &Split,
    (service, tables): (&Service, &Tables),
    (source, target): (&SourceFacts, &SourceFacts),
) -> Tried {
    let mut tried = Tried::default();
    write_source(split, &mut tried).await;
    read_stream(tables, service, target, &mut tried).await;
    Box::pin(policies(split, service, (source, target), &mut tried)).await;
    tried
}

/// A write of the source whose condition never holds, in each way that the reverse lane writes.
async fn write_source(split: &Split, tried: &mut Tried) {
    let source = &split.plan.source;
    let key = probe_key(&source.keys, None);
    let place = ProbePlace {
        table: &source.table,
        keys: &source.keys,
        key: &key,
    };
    for call in BACK {
        let answer = Box::pin(split.source.probe_write(&place, call)).await;
        let (to, what) = match answer {
            Ok(ProbeAnswer::Accepted) => continue,
            Ok(ProbeAnswer::Refused) => (
                &mut tried.refused,
                format!(
                    "dynasplit may not send {call} to {}, and the way back needs it: `dynasplit iam --for tool --account ID` prints the policy",
                    source.table
                ),
            ),
            Ok(ProbeAnswer::Unknown(failure)) => (&mut tried.warnings, shows_nothing(call, &failure)),
            Err(failure) => (&mut tried.refused, failure.to_string()),
        };
        to.push(Objection::new(Check::Permissions, what));
    }
}

/// The stream of the service's own table is read to pin the way back, and by the reverse lane.
async fn read_stream(tables: &Tables, service: &Service, target: &SourceFacts, tried: &mut Tried) {
    let StreamState::On { arn, .. } = &target.stream else {
        tried.untried.push(format!(
            "the stream of {} is off, so it was not tried whether dynasplit may switch it on and read it",
            service.table.name
        ));
        return;
    };
    let stream = StreamSource::new(tables.streams.clone(), arn, 1, service.keys.clone());
    let read = async {
        let listing = stream.shards().await?;
        let Some(shard) = listing.shards.first() else {
            return Ok(());
        };
        let Some(iterator) = stream.open(&shard.id, &Position::Beginning).await? else {
            return Ok(());
        };
        stream.read(&iterator, Some(1)).await.map(drop)
    };
    let read: Result<(), Failure> = Box::pin(read).await;
    match read {
        Err(failure) if failure.kind == FailureKind::Denied => tried.refused.push(Objection::new(
            Check::Permissions,
            format!(
                "dynasplit may not read the stream of {}: {failure}",
                service.table.name
            ),
        )),
        Err(failure) => tried.warnings.push(Objection::new(
            Check::TargetStream,
            format!(
                "the stream of {} could not be read now: {failure}",
                service.table.name
            ),
        )),
        Ok(()) => {}
    }
}

/// The policies of the fence on both sides: whether each can be added to, and whether the probe roles prove something.
async fn policies(
    split: &Split,
    service: &Service,
    (source, target): (&SourceFacts, &SourceFacts),
    tried: &mut Tried,
) {
    for (fenced, facts) in [(FencedTable::Source, source), (FencedTable::Target, target)] {
        let prepared = async {
            let policy = TablePolicy::of(&split.clients, &split.plan, service, fenced, &facts.arn).await?;
            match policy {
                None => Ok(false),
                Some(policy) => policy.prepare().await.map(|_| true),
            }
        };
        let answer: Result<bool, FenceError> = Box::pin(prepared).await;
        match answer {
            Ok(false) => {}
            Ok(true) => tried.untried.push(format!(
                "it was not tried whether dynasplit may put the resource policy of {}, because a put would be the fence",
                facts.table
            )),
            Err(error) => tried
                .refused
                .push(Objection::new(Check::Policy, error.to_string())),
        }
    }
}

fn shows_nothing(call: ProbeCall, failure: &Failure) -> String {
    format!("a try of {call} shows nothing: {failure}")
}
