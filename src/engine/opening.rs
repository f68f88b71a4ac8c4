//! What a record is opened with; for a ticket, that includes the description.

use std::time::Duration;

use futures_util::future::join_all;

use crate::connectors::{Brief, Opening};
use crate::model::{Field, Mapping, MemberState, Patch, RecordKind, RecordRef, SystemName};
use crate::reconcile::Policy;
use crate::reconcile::description::{Link, Story, render};

use super::lane::Lane;
use super::shell::Shell;

/// How long the details of an incident may take. A ticket without them is better than one that comes late.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a record is opened with. A ticket gets a description; what cannot be read for it does not hold it up. The
/// description is neither stored nor compared later.
pub(super) async fn opening(shell: &Shell, lane: &Lane, target: &RecordRef, patch: &Patch) -> Opening {
    let rules = shell.parts.bridges.get(&lane.mapping.bridge).filter(|_| target.kind == RecordKind::Ticket);
    let description = match rules {
        Some(rules) => {
            let (briefs, unread) = briefs(shell, &lane.mapping).await;
            let story = story(&lane.mapping, &rules.policy, target, briefs, unread);
            render(&rules.policy.tickets.description, &story)
        }
        None => String::new(),
    };
    let origin = incidents(&lane.mapping).find(|record| *record != target && !planted!(OriginForgotten));
    let origin = origin.cloned();
    Opening { patch: patch.clone(), description, origin }
}

/// What the systems tell of the mapping's incidents, in the order of its members, and which of them do not tell.
async fn briefs(shell: &Shell, mapping: &Mapping) -> (Vec<Brief>, Vec<String>) {
    let told = join_all(incidents(mapping).map(|record| brief(shell, record))).await;
    let mut unread: Vec<String> =
        told.iter().filter_map(|told| told.as_ref().err()).map(ToString::to_string).collect();
    unread.dedup();
    (told.into_iter().filter_map(Result::ok).flatten().collect(), unread)
}

/// The live incidents of a mapping.
fn incidents(mapping: &Mapping) -> impl Iterator<Item = &RecordRef> {
    let live = mapping.members.iter().filter(|member| member.state == MemberState::Linked);
    live.map(|member| &member.record).filter(|record| record.kind == RecordKind::Incident)
}

/// What a system tells of an incident. The error is its name.
async fn brief<'a>(shell: &Shell, record: &'a RecordRef) -> Result<Option<Brief>, &'a SystemName> {
    let Some(connector) = shell.connector(&record.system) else { return Ok(None) };
    let told = tokio::select! {
        () = shell.stop.cancelled() => Err("the worker is ending".to_owned()),
        told = tokio::time::timeout(PATIENCE, connector.brief(record)) => match told {
            Ok(told) => told.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    };
    told.map_err(|error| {
        tracing::warn!(%record, error, "the ticket is opened without the details of this incident");
        &record.system
    })
}

fn story(
    mapping: &Mapping,
    policy: &Policy,
    target: &RecordRef,
    briefs: Vec<Brief>,
    unread: Vec<String>,
) -> Story {
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
        briefs,
        unread,
    }
}
