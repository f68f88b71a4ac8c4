//! `lockstep explain`: what a record says, who edited what and when, what was decided, what was written.

use std::fmt::Write as _;

use clap::Args;

use super::output::{BAD, BOLD, DIM, FormatArg, GOOD, WARN, clean, moment, styled};
use super::source::Source;
use super::{ConfigArg, Exit, Global};
use crate::model::{AuditEntry, AuditKind, Field, MappingState, MemberState, RecordRef};
use crate::server::views::{Explanation, IntentView, MappingStory, MappingView, MemberView};

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The record, such as `defender/incident/4711`
    pub(super) record: RecordRef,
    #[command(flatten)]
    pub(super) config: ConfigArg,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

pub(super) async fn run(args: ExplainArgs, global: &Global) -> anyhow::Result<Exit> {
    let _logs = global.quiet_logs()?;
    let explanation = Source::open(&args.config.load()?)?.explain(&args.record).await?;
    args.format.print(&explanation, render)?;
    Ok(Exit::Done)
}

fn render(explanation: &Explanation) -> String {
    let stories: Vec<String> = explanation.mappings.iter().map(render_story).collect();
    format!("{}\n\n{}", styled(BOLD, clean(&explanation.record.to_string())), stories.join("\n"))
}

/// A mapping with its history, as text.
pub(super) fn render_story(story: &MappingStory) -> String {
    let mut text = heading(&story.mapping);
    section(&mut text, "Records", story.mapping.members.iter().map(member));
    section(
        &mut text,
        "Agreed",
        story.mapping.agreed.iter().map(|(field, agreed)| {
            let source = format!("from {} at {}", agreed.from, moment(agreed.at));
            format!("{:<9} {}  {}", field.as_str(), clean(&agreed.value), styled(DIM, source))
        }),
    );
    section(&mut text, "History", story.audit.iter().map(entry));
    section(&mut text, "Waiting", story.intents.iter().map(intent));
    text
}

fn heading(mapping: &MappingView) -> String {
    let state = match &mapping.state {
        MappingState::Live => mapping.agreed(Field::Status).to_owned(),
        MappingState::MergedInto(other) => format!("merged into {other}"),
    };
    let title = clean(mapping.title.as_deref().unwrap_or("(no title)")).into_owned();
    format!("{}\nmapping {} of bridge {}, {state}\n", styled(BOLD, title), mapping.id, mapping.bridge)
}

fn section(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{}", styled(BOLD, title));
    for line in lines {
        let _ = writeln!(text, "  {}", line.replace('\n', "\n    "));
    }
}

fn member(member: &MemberView) -> String {
    let state = match member.state {
        MemberState::Awaited => styled(WARN, "not read yet"),
        MemberState::Planned => styled(WARN, "to be created"),
        MemberState::Linked => styled(GOOD, "linked"),
        MemberState::Redirected => styled(DIM, "merged away"),
        MemberState::Gone => styled(DIM, "gone"),
        MemberState::Superseded => styled(DIM, "superseded"),
        MemberState::Detached => styled(DIM, "unlinked"),
    };
    let mut text = format!("{} {state}", clean(&member.record.to_string()));
    if let Some(modified) = member.modified {
        let _ = write!(text, "  {}", styled(DIM, format!("changed {}", moment(modified))));
    }
    let values: Vec<String> =
        member.values.iter().map(|(field, value)| format!("{field} {}", clean(value))).collect();
    if !values.is_empty() {
        let _ = write!(text, "\n{}", values.join(", "));
    }
    if !member.exempt.is_empty() {
        let fields: Vec<&str> = member.exempt.iter().map(|field| field.as_str()).collect();
        let _ = write!(text, "\nleft to differ in {}", fields.join(", "));
    }
    if let Some(url) = &member.url {
        let _ = write!(text, "\n{}", styled(DIM, clean(url)));
    }
    text
}

fn entry(entry: &AuditEntry) -> String {
    let record = clean(&entry.record.to_string()).into_owned();
    format!("{}  {record}\n{}", styled(DIM, moment(entry.at)), what(&entry.kind))
}

fn what(kind: &AuditKind) -> String {
    match kind {
        AuditKind::Linked { how } => format!("linked: {}", clean(how)),
        AuditKind::Left { reason } => format!("left the mapping: {}", clean(reason)),
        AuditKind::Edit { field, old, new, by, .. } => {
            format!("{} changed {field} from {} to {}", someone(by.as_deref()), clean(old), clean(new))
        }
        AuditKind::Commented { by, .. } => format!("{} commented", someone(by.as_deref())),
        AuditKind::Agreed { field, value } => format!("agreed: {field} is {}", clean(value)),
        AuditKind::NotCarried { what_of, value, reason } => {
            let note = format!("not carried over: {what_of} {}, since {}", clean(value), clean(reason));
            styled(WARN, note)
        }
        AuditKind::Wrote { action, fields, causes, request_id, confirmed, .. } => {
            wrote(action, fields, causes, request_id.as_deref(), confirmed)
        }
        AuditKind::Settled { reason, .. } => format!("nothing to write: {}", clean(reason)),
        AuditKind::Failed { error, request_id, .. } => {
            styled(WARN, format!("a try failed: {}{}", clean(error), request(request_id.as_deref())))
        }
        AuditKind::Dead { intent, reason } => {
            styled(BAD, format!("given up: {} (dead letter {intent})", clean(reason)))
        }
        AuditKind::NotConverged { fields } => {
            let fields: Vec<&str> = fields.iter().map(|field| field.as_str()).collect();
            styled(WARN, format!("native sync is late: {} still differ", fields.join(", ")))
        }
    }
}

fn wrote(
    action: &str,
    fields: &[(Field, String)],
    causes: &[String],
    request_id: Option<&str>,
    confirmed: &str,
) -> String {
    let set: Vec<String> =
        fields.iter().map(|(field, value)| format!("{field} := {}", clean(value))).collect();
    let set = if set.is_empty() { String::new() } else { format!(" {}", set.join(", ")) };
    let mut text = styled(GOOD, format!("wrote ({action}){set}"));
    for cause in causes {
        let _ = write!(text, "\nbecause of {}", clean(cause));
    }
    let _ =
        write!(text, "\n{}", styled(DIM, format!("confirmed: {}{}", clean(confirmed), request(request_id))));
    text
}

fn request(request_id: Option<&str>) -> String {
    request_id.map(|id| format!(", request {}", clean(id))).unwrap_or_default()
}

fn someone(by: Option<&str>) -> String {
    clean(by.unwrap_or("someone")).into_owned()
}

fn intent(intent: &IntentView) -> String {
    let what = super::output::what(intent);
    let state = match (intent.state.as_str(), &intent.reason) {
        ("dead", reason) => {
            styled(BAD, format!("given up: {}", clean(reason.as_deref().unwrap_or("no reason"))))
        }
        ("unknown", _) => styled(WARN, format!("outcome unknown, read back at {}", moment(intent.due))),
        (state, _) => format!("{state}, due {}", moment(intent.due)),
    };
    let mut text = format!("{}  {what}: {state}", intent.id);
    for cause in &intent.causes {
        let _ = write!(text, "\nbecause of {}", clean(cause));
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::server::sample::{SampleStore, bridge, defender};
    use crate::server::views;

    fn sample() -> Explanation {
        views::explain(&SampleStore::new(), &[bridge()], &defender()).unwrap().unwrap()
    }

    #[test]
    fn the_story_reads_from_edit_to_write() {
        let text = render(&sample());
        insta::assert_snapshot!(anstream::adapter::strip_str(&text), @r#"
        defender/incident/4711

        Phishing <b>mail</b> reported
        mapping 86a7db672ae38118 of bridge corp, closed

        Records
          defender/incident/4711 linked  changed 2026-11-24 09:01:03Z
            status resolved, title Phishing <b>mail</b> reported
            https://security.microsoft.com/incidents/4711
          sentinel/incident/8a3f3a5e-4c62-4a55-9f2c-0d5b7b0f1c11 linked  changed 2026-11-24 09:01:03Z
            status Closed, title Phishing <b>mail</b> reported

        Agreed
          status    closed  from sentinel at 2026-11-24 09:01:00Z

        History
          2026-11-24 09:00:01Z  defender/incident/4711
            linked: first seen
          2026-11-24 09:00:02Z  sentinel/incident/8a3f3a5e-4c62-4a55-9f2c-0d5b7b0f1c11
            linked: its providerIncidentId names defender/incident/4711
          2026-11-24 09:01:01Z  sentinel/incident/8a3f3a5e-4c62-4a55-9f2c-0d5b7b0f1c11
            alice@example.org changed status from New to Closed
          2026-11-24 09:01:01Z  sentinel/incident/8a3f3a5e-4c62-4a55-9f2c-0d5b7b0f1c11
            agreed: status is closed
          2026-11-24 09:01:02Z  defender/incident/4711
            a try failed: throttled by the service (429), next try in 1 s
          2026-11-24 09:01:03Z  defender/incident/4711
            wrote (update) status := resolved
            because of alice@example.org: status in sentinel
            confirmed: the answer states it, request 7d1c3a5e-0000-4000-8000-000000000001
          2026-11-24 09:01:04Z  defender/incident/4711
            not carried over: severity high, since the field goes from sentinel only
          2026-11-24 09:01:10Z  defender/incident/4711
            given up: refused (400 BadRequest) (dead letter 86a7db672ae38118-1)

        Waiting
          86a7db672ae38118-1  comment of defender/incident/4711: given up: refused (400 BadRequest)
            because of bob@example.org: comment in sentinel
        "#);
    }

    #[test]
    fn hostile_text_is_escaped() {
        let mut explanation = sample();
        explanation.mappings[0].mapping.title = Some("x\u{1b}]0;owned\u{7}".into());
        assert!(render(&explanation).contains("x\\u{1b}]0;owned\\u{7}"));
    }
}
