//! Who needs the tombstone switch on, and the wait until every tail worker has acknowledged it.

use crate::fault::{Rule, broken};
use crate::state::tombstone_phases::{Obedience, obedience};
use crate::state::{BackfillRecord, LeaseWatch, SplitRecord, StateError, WorkerRecord};
use crate::worker::{RunError, Split, pause};
use std::borrow::Cow;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Between two looks at the workers' acknowledgements.
const POLL: Duration = Duration::from_millis(200);

const FIRST_ROUND: &str = "backfill";
const LATER_ROUND: &str = "backfill of ";
const BETWEEN: &str = ", ";

/// Who may need tombstones on, by the name in the split's record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    name: Cow<'static, str>,
    /// Services that rounds of the backfill before this one filled.
    before: Vec<String>,
}

impl Holder {
    /// `verify --repair`.
    pub const REPAIR: Self = Self::named("repair");
    /// `dead-letters reconcile`.
    pub const RECONCILE: Self = Self::named("reconcile");
    /// All processes together that fill the services that were there at first.
    pub const BACKFILL: Self = Self::named(FIRST_ROUND);

    /// The holder of all processes of one round of a backfill. A delayed process of an earlier round therefore
    /// releases nothing of a later round.
    pub fn backfill(record: &BackfillRecord) -> Self {
        if record.round == record.services {
            return Self::BACKFILL;
        }
        let services = record.services.iter();
        Self {
            name: format!("{LATER_ROUND}{}", record.round.join(BETWEEN)).into(),
            before: services
                .filter(|name| !record.round.contains(name))
                .cloned()
                .collect(),
        }
    }

    const fn named(name: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            before: Vec::new(),
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the processes of a backfill's round hold tombstones under this name.
    pub(super) fn is_backfill(&self) -> bool {
        *self != Self::REPAIR && *self != Self::RECONCILE
    }

    /// Whether a name is that of an earlier round. This one began when that one had ended: whoever still holds tombstones
    /// under it came too late for it, and has nothing to write.
    pub(crate) fn comes_after(&self, name: &str) -> bool {
        let is_before = |service: &str| self.before.iter().any(|before| before == service);
        match name.strip_prefix(LATER_ROUND) {
            Some(services) => services.split(BETWEEN).all(is_before),
            None => name == FIRST_ROUND && !self.before.is_empty(),
        }
    }
}

/// Refuses to continue if one of these services has switched since this command began, because the command would write the
/// table of that service.
///
/// # Errors
/// [`RunError::NotYet`]; if the command is run again, it leaves the service out.
pub(crate) fn refuse_switched_since<'a>(
    split: &Split,
    record: &SplitRecord,
    services: impl IntoIterator<Item = &'a str>,
) -> Result<(), RunError> {
    let mut services = services.into_iter();
    match services.find(|service| !split.has_same_switch(record, service)) {
        None => Ok(()),
        Some(service) => Err(RunError::NotYet {
            what: format!("{service} switched to its own table while this command was running"),
            next: "run the same command again; it then leaves this service out".into(),
        }),
    }
}

/// Refuses to continue while the writers of one of these services are stopped: the cutover would have to wait for this command,
/// and the writers with it.
///
/// # Errors
/// [`RunError::NotYet`], with the service.
pub(crate) fn refuse_fenced<'a>(
    record: &SplitRecord,
    services: impl IntoIterator<Item = &'a str>,
) -> Result<(), RunError> {
    match record.fenced_among(services) {
        None => Ok(()),
        Some(service) => Err(RunError::NotYet {
            what: format!(
                "a cutover or a rollback of {service} is under way, and its writers may be stopped"
            ),
            next: format!(
                "end it first (`dynasplit status` shows the next command for {service}), then run this command again"
            ),
        }),
    }
}

/// Why something can't be done while lanes are held.
pub(crate) fn lanes_held(record: &SplitRecord, services: &[&str]) -> RunError {
    let is_awaiting = services
        .iter()
        .any(|service| record.awaiting_import.contains(*service));
    RunError::NotYet {
        what: match services {
            services if is_awaiting => {
                format!("an import is to make the tables of {}", services.join(", "))
            }
            [service] => format!("a bulk copy holds the lane of {service}"),
            services => format!("a bulk copy holds the lanes of {}", services.join(", ")),
        },
        next: "run `dynasplit backfill` until it ends, then run this command again".into(),
    }
}

/// Waits until every live worker obeys an epoch. A worker without a sign of life for a whole lease time starts no
/// write any more, and its last requests have landed after a margin.
pub(crate) async fn acknowledged(
    split: &Split,
    epoch: u64,
    stop: &CancellationToken,
) -> Result<(), RunError> {
    let most = split.timing.lease + split.timing.landed();
    let (mut told, mut waiting_for) = (Vec::new(), None);
    let mut watch = LeaseWatch::default();
    let mut gone = false;
    loop {
        let workers = split.store.list::<WorkerRecord>(WorkerRecord::PREFIX).await?;
        let mut awaited = Vec::new();
        for (name, worker) in &workers {
            let free = watch.is_free(name, &worker.value.lease, worker.revision, Instant::now());
            match obedience(&worker.value, epoch, free) {
                Obedience::Obeys => {}
                Obedience::Awaited => awaited.push(name.clone()),
                Obedience::Gone => {
                    gone = true;
                    match split.store.delete(name, worker.revision).await {
                        // It lives after all, and is waited for at the next look.
                        Err(StateError::Conflict { .. }) => awaited.push(name.clone()),
                        other => other?,
                    }
                }
            }
        }
        if awaited.is_empty() {
            break;
        }
        if awaited != told {
            waiting_for = Some(split.waits.until(obeys(&awaited), most));
            told = awaited;
        }
        pause(POLL, stop).await?;
    }
    drop(waiting_for);
    if gone && !broken(Rule::Gone) {
        let what = "no write of a tail worker that died can land any more";
        let _waiting = split.waits.until(what, split.timing.landed());
        pause(split.timing.landed(), stop).await?;
    }
    Ok(())
}

/// What is waited for, with the names of the workers.
fn obeys(awaited: &[String]) -> String {
    let names = awaited
        .iter()
        .map(|name| name.trim_start_matches(WorkerRecord::PREFIX));
    format!(
        "every tail worker obeys the switch, or has given no sign of life for a whole lease time: {}",
        names.collect::<Vec<_>>().join(", ")
    )
}

/// Waits until no tail worker gives a sign of life: they stop by themselves when the split is being completed. One that
/// died is waited for as long as its lease, and what it had under way.
pub(crate) async fn workers_gone(split: &Split, stop: &CancellationToken) -> Result<(), RunError> {
    acknowledged(split, u64::MAX, stop).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Order;

    fn round(services: &[&str], round: &[&str]) -> Holder {
        let names = |of: &[&str]| of.iter().map(|&name| name.to_owned()).collect();
        Holder::backfill(&BackfillRecord {
            segments: 1,
            services: names(services),
            round: names(round),
            started_ms: 0,
            before_ms: None,
            finished_ms: None,
            estimated_items: 0,
            order: Order::Concurrent,
            order_reason: String::new(),
            export: None,
            import: None,
        })
    }

    #[test]
    fn a_round_comes_after_those_that_it_does_not_fill_and_after_nobody_else() {
        let first = round(&["a", "b"], &["a", "b"]);
        let second = round(&["a", "b", "c", "d"], &["c", "d"]);
        let third = round(&["a", "b", "c", "d", "e"], &["e"]);
        assert_eq!(first, Holder::BACKFILL);
        assert_eq!(second.name(), "backfill of c, d");
        let all = [first, second, third, Holder::REPAIR, Holder::RECONCILE];
        for (place, holder) in all.iter().enumerate() {
            for (other, earlier) in all.iter().enumerate() {
                let after = place < 3 && other < place;
                assert_eq!(
                    holder.comes_after(earlier.name()),
                    after,
                    "{holder:?} {earlier:?}"
                );
            }
        }
    }
}
