//! Working on one mapping: everything that is due, one intent after the other.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::connectors::{Declined, Depth, Written};
use crate::http::{CallError, NotSentCause};
use crate::model::{IntentId, MappingId, MemberState, RecordKind, RecordRef, Snapshot};
use crate::store::{Change, StoreError};

use super::crash;
use super::lane::{Effect, Event, Failure, FailureKind, Lane, Request};
use super::opening::{self, Details};
use super::shell::{Listed, Shell, elsewhere};

/// Intents worked on before the lane steps back, so that none keeps a slot for ever.
const MAX_TURNS: usize = 32;

/// Takes new snapshots in, then delivers what is due. Returns when the lane wants to be woken, and how urgently.
pub(super) async fn work(
    shell: &Shell,
    id: MappingId,
    inbox: Vec<(u64, Snapshot)>,
    keep: &[u64],
    listed: &Listed,
) -> Result<Option<(Timestamp, u8)>, StoreError> {
    let Some(mut lane) = shell.load(id)? else { return forget(shell, inbox, keep).await };
    if !inbox.is_empty() {
        observe(shell, &mut lane, inbox, keep, listed).await?;
    }
    for _ in 0..MAX_TURNS {
        if shell.stop.is_cancelled() {
            break;
        }
        let Some((intent, target, depth)) =
            lane.next_due(shell.now(), &|system| shell.chooses_comment_ids(system))
        else {
            break;
        };
        deliver(shell, &mut lane, intent, (&target, depth), listed).await?;
    }
    Ok(lane.wake_at())
}

/// Takes new snapshots in, and delivers nothing.
pub(super) async fn take_in(
    shell: &Shell,
    id: MappingId,
    inbox: Vec<(u64, Snapshot)>,
) -> Result<(), StoreError> {
    let Some(mut lane) = shell.load(id)? else { return Ok(()) };
    observe(shell, &mut lane, inbox, &[], &Listed::new()).await
}

/// Entries of a mapping that the configuration no longer knows.
async fn forget(
    shell: &Shell,
    inbox: Vec<(u64, Snapshot)>,
    keep: &[u64],
) -> Result<Option<(Timestamp, u8)>, StoreError> {
    let changes: Vec<Change> =
        inbox.iter().filter(|(n, _)| !keep.contains(n)).map(|(n, _)| Change::RemoveInbox(*n)).collect();
    if !changes.is_empty() {
        shell.store().commit(changes).await?;
    }
    Ok(None)
}

async fn observe(
    shell: &Shell,
    lane: &mut Lane,
    inbox: Vec<(u64, Snapshot)>,
    keep: &[u64],
    listed: &Listed,
) -> Result<(), StoreError> {
    let (numbers, snapshots): (Vec<u64>, Vec<Snapshot>) = inbox.into_iter().unzip();
    if planted!(InboxEmptiedFirst) {
        shell.store().commit(numbers.iter().copied().map(Change::RemoveInbox).collect()).await?;
    }
    let mut elsewhere = Vec::new();
    for snapshot in &snapshots {
        elsewhere.extend(elsewhere_of(shell, lane, snapshot)?);
    }
    let mut step = shell.step(lane, Event::Observed { snapshots, elsewhere }, listed);
    step.changes.extend(numbers.into_iter().filter(|n| !keep.contains(n)).map(Change::RemoveInbox));
    crash::point("decide-before-commit");
    shell.commit(&lane.mapping, step.changes).await?;
    crash::point("decide-after-commit");
    Ok(())
}

fn elsewhere_of(shell: &Shell, lane: &Lane, snapshot: &Snapshot) -> Result<Vec<RecordRef>, StoreError> {
    elsewhere(&lane.mapping, snapshot, |record| shell.store().find(&lane.mapping.bridge, record))
}

/// Read, compare, write, settle; each arrow into the store one commit.
async fn deliver(
    shell: &Shell,
    lane: &mut Lane,
    intent: IntentId,
    (target, depth): (&RecordRef, Depth),
    listed: &Listed,
) -> Result<(), StoreError> {
    let planned = lane.mapping.member(target).is_some_and(|m| m.state == MemberState::Planned);
    let result = if planned { find(shell, target, depth).await } else { read(shell, target, depth).await };
    let mut result = result.map_err(|mut failure| {
        if planned && planted!(FailureIsAbsence) {
            failure.kind = FailureKind::Gone;
        }
        failure
    });
    let mut details = Details::default();
    if result.as_ref().is_err_and(|failure| failure.kind == FailureKind::Gone) && lane.opens_next(intent) {
        match opening::details(shell, lane, target).await {
            Ok(told) => details = told,
            Err(delayed) => result = Err(delayed),
        }
    }
    let elsewhere = match &result {
        Ok(snapshot) => elsewhere_of(shell, lane, snapshot)?,
        Err(_) => Vec::new(),
    };
    let step = shell.step(lane, Event::Read { intent, result, elsewhere }, listed);
    crash::point("send-before-commit");
    if !(planted!(SendBeforeCommit) && step.effect.is_some()) {
        shell.commit(&lane.mapping, step.changes).await?;
    }
    let Some(effect) = step.effect else { return Ok(()) };
    if planted!(IntentRemovedEarly) {
        shell.store().commit(vec![Change::RemoveIntent(intent)]).await?;
    }
    crash::point("send-after-commit");
    let Answered { result, request_id, declined } = write(shell, lane, &effect, details).await;
    crash::point("settle-before-commit");
    let elsewhere = match &result {
        Ok(Some(snapshot)) => elsewhere_of(shell, lane, snapshot)?,
        Ok(None) | Err(_) => Vec::new(),
    };
    let step = shell.step(lane, Event::Wrote { intent, result, request_id, declined, elsewhere }, listed);
    shell.commit(&lane.mapping, step.changes).await?;
    crash::point("settle-after-commit");
    Ok(())
}

async fn read(shell: &Shell, target: &RecordRef, depth: Depth) -> Result<Box<Snapshot>, Failure> {
    let Some(connector) = shell.connector(&target.system) else { return Err(unconfigured(target)) };
    match connector.read(target, depth).await {
        Ok(mut snapshot) => {
            snapshot.fresh = true;
            // Ids compare without regard to case; the record goes by the name under which it is known here.
            snapshot.record = target.clone();
            Ok(Box::new(snapshot))
        }
        Err(error) => Err(failure(target, &error)),
    }
}

/// Looks for a record that is planned. That a call to a ticket system found nothing at its address is no proof that
/// there is no ticket, and stops the creation.
async fn find(shell: &Shell, planned: &RecordRef, depth: Depth) -> Result<Box<Snapshot>, Failure> {
    let Some(connector) = shell.connector(&planned.system) else { return Err(unconfigured(planned)) };
    let found = connector.find(planned, depth).await;
    let found = if planted!(CreateWithoutLook) { Ok(None) } else { found };
    match found {
        Ok(Some(mut snapshot)) => {
            snapshot.fresh = true;
            if planned.kind == RecordKind::Ticket {
                snapshot.planned_as = Some(planned.clone());
            } else {
                snapshot.record = planned.clone();
            }
            Ok(Box::new(snapshot))
        }
        Ok(None) => Err(Failure {
            kind: FailureKind::Gone,
            message: format!("{planned}: there is none yet"),
            request_id: None,
            retry_after: None,
        }),
        Err(error) => {
            let mut failure = failure(planned, &error);
            if failure.kind == FailureKind::Gone {
                failure.kind = FailureKind::Denied;
            }
            Err(failure)
        }
    }
}

/// What came of a write.
struct Answered {
    result: Result<Option<Box<Snapshot>>, Failure>,
    request_id: Option<String>,
    declined: Vec<Declined>,
}

impl Answered {
    fn failed(failure: Failure) -> Self {
        Self { result: Err(failure), request_id: None, declined: Vec::new() }
    }
}

async fn write(shell: &Shell, lane: &Lane, effect: &Effect, details: Details) -> Answered {
    let Some(connector) = shell.connector(&effect.target.system) else {
        return Answered::failed(unconfigured(&effect.target));
    };
    let written = match (&effect.request, &effect.current) {
        (Request::Create(patch), _) => {
            let opening = opening::opening(shell, lane, &effect.target, patch, details);
            connector.create(&effect.target, &opening).await
        }
        (Request::Update(patch), Some(current)) => connector.update(current, patch).await,
        (Request::Comment(key, text), Some(current)) => connector.comment(current, key, text).await,
        (_, None) => return Answered::failed(unconfigured(&effect.target)),
    };
    match written {
        Ok(Written { snapshot, request_id, declined }) => {
            let fresh = |mut s: Snapshot| {
                s.fresh = true;
                Box::new(s)
            };
            Answered { result: Ok(snapshot.map(fresh)), request_id, declined }
        }
        Err(error) => Answered::failed(failure(&effect.target, &error)),
    }
}

fn unconfigured(target: &RecordRef) -> Failure {
    Failure {
        kind: FailureKind::NotExecuted,
        message: format!(
            "{target}: the configuration has no system `{}` any more; add it again, or unlink the record",
            target.system
        ),
        request_id: None,
        retry_after: Some(SignedDuration::from_mins(5)),
    }
}

/// What a failed call lets us conclude.
fn failure(target: &RecordRef, error: &CallError) -> Failure {
    let kind = match error {
        CallError::Blocked { .. } if planted!(BlockedIsRefused) => FailureKind::Refused,
        // No later try will make a valid request of it.
        CallError::NotSent { cause: NotSentCause::Invalid(_), .. } => FailureKind::Refused,
        CallError::NotSent { .. } | CallError::Throttled { .. } => FailureKind::NotExecuted,
        CallError::Conflict { .. } => FailureKind::Conflict,
        CallError::Gone { .. } => FailureKind::Gone,
        CallError::Denied { .. } => FailureKind::Denied,
        CallError::Blocked { .. } => FailureKind::Blocked,
        CallError::Refused { .. } => FailureKind::Refused,
        // A 404 that does not speak of the record, or an answer of no use, says no more than a 5xx.
        CallError::Unknown { .. } | CallError::NotFound { .. } | CallError::Malformed { .. } => {
            FailureKind::Unknown
        }
    };
    Failure {
        kind,
        message: format!("{target}: {error}"),
        request_id: error.request_ids().0.map(str::to_owned),
        retry_after: error.retry_after().map(signed),
    }
}

fn signed(wait: Duration) -> SignedDuration {
    SignedDuration::try_from(wait).unwrap_or(SignedDuration::from_hours(1))
}
