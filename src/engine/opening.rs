//! What a record is opened with; for a ticket, that includes the description.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::SignedDuration;

use crate::connectors::{Brief, Opening};
use crate::model::{Field, Mapping, MemberState, Patch, RecordKind, RecordRef, SystemName};
use crate::reconcile::Policy;
use crate::reconcile::description::{Link, Story, render};

use super::lane::{Failure, FailureKind, Lane};
use super::shell::Shell;

/// How long a system may take to tell of an incident, limits aside: those end the call at once, and the ticket waits. A
/// ticket without details is better than one that waits for a service that does not answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the systems tell of a mapping's incidents.
#[derive(Debug, Default)]
pub(super) struct Details {
    /// In the order of the members.
    briefs: Vec<Brief>,
    /// The systems that do not tell.
    unread: Vec<String>,
}

/// Gathers what the description of a planned ticket tells; nothing for other records. To be called before the creation is
/// promised: the wait for a budget can be long, and a promise is to be short.
///
/// # Errors
/// A limit delays some of it, or the worker ends: the ticket waits as long. What cannot be read for another reason holds no
/// ticket up.
pub(super) async fn details(shell: &Shell, lane: &Lane, target: &RecordRef) -> Result<Details, Failure> {
    if target.kind != RecordKind::Ticket {
        return Ok(Details::default());
    }
    let told = join_all(incidents(&lane.mapping).map(|record| brief(shell, record))).await;
    let mut details = Details::default();
    let mut delay: Option<(Duration, String)> = None;
    for told in told {
        match told {
            Ok(brief) => details.briefs.extend(brief),
            Err(Untold::Unread(system)) => details.unread.push(system.to_string()),
            Err(Untold::Delayed(wait, reason)) => delay = delay.max(Some((wait, reason))),
        }
    }
    details.unread.dedup();
    match delay {
        None => Ok(details),
        Some((wait, reason)) => Err(Failure {
            kind: FailureKind::NotExecuted,
            message: format!(
                "{target}: it is opened as soon as the incident's details can be read: {reason}"
            ),
            request_id: None,
            retry_after: Some(SignedDuration::try_from(wait).unwrap_or(SignedDuration::from_hours(1))),
        }),
    }
}

/// What a record is opened with. A ticket gets a description, which is neither stored nor compared later.
pub(super) fn opening(
    shell: &Shell,
    lane: &Lane,
    target: &RecordRef,
    patch: &Patch,
    details: Details,
) -> Opening {
    let rules = shell.parts.bridges.get(&lane.mapping.bridge).filter(|_| target.kind == RecordKind::Ticket);
    let description = rules.map(|rules| {
        let story = story(&lane.mapping, &rules.policy, target, details);
        render(&rules.policy.tickets.description, &story)
    });
    let origin = incidents(&lane.mapping).find(|record| *record != target && !planted!(OriginForgotten));
    let origin = origin.cloned();
    Opening { patch: patch.clone(), description: description.unwrap_or_default(), origin }
}

/// The live incidents of a mapping.
fn incidents(mapping: &Mapping) -> impl Iterator<Item = &RecordRef> {
    let live = mapping.members.iter().filter(|member| member.state == MemberState::Linked);
    live.map(|member| &member.record).filter(|record| record.kind == RecordKind::Incident)
}

/// Why a system does not tell of an incident.
enum Untold<'a> {
    /// It is to be asked again after so long, and why.
    Delayed(Duration, String),
    /// This system cannot be read, for another reason.
    Unread(&'a SystemName),
}

/// What a system tells of an incident.
async fn brief<'a>(shell: &Shell, record: &'a RecordRef) -> Result<Option<Brief>, Untold<'a>> {
    let Some(connector) = shell.connector(&record.system) else { return Ok(None) };
    let told = tokio::select! {
        () = shell.stop.cancelled() => {
            return Err(Untold::Delayed(Duration::ZERO, "the worker is ending".to_owned()));
        }
        told = tokio::time::timeout(PATIENCE, connector.brief(record)) => told,
    };
    let error = match told {
        Ok(Ok(brief)) => return Ok(brief),
        Ok(Err(error)) => match error.only_delayed() {
            Some(wait) => return Err(Untold::Delayed(wait, error.to_string())),
            None => error.to_string(),
        },
        Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
    };
    tracing::warn!(%record, error, "the ticket is opened without the details of this incident");
    Err(Untold::Unread(&record.system))
}

fn story(mapping: &Mapping, policy: &Policy, target: &RecordRef, details: Details) -> Story {
    let agreed = |field| mapping.agreed(field).map(ToString::to_string).unwrap_or_default();
    let others = mapping.members.iter().filter(|m| m.is_live() && m.record.kind != RecordKind::Alert);
    let links = others.filter_map(|member| {
        let url = member.base.as_ref()?.url.clone()?;
        Some(Link { system: member.record.system.to_string(), url })
    });
    Story {
        title: agreed(Field::Title),
        severity: agreed(Field::Severity),
        status: agreed(Field::Status),
        bridge: mapping.bridge.to_string(),
        key: target.id.to_string(),
        systems: policy.systems.iter().map(|system| system.name.to_string()).collect(),
        links: links.collect(),
        briefs: details.briefs,
        unread: details.unread,
    }
}
