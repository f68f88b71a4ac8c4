//! Copies of comments, written through every connector and read back: whatever the text, a copy is recognised as ours.
//! One that is not would be written again after a lost answer.

use url::Url;

use super::block_on;
use super::script::Script;
use super::systems::{copy, settings};
use crate::connectors::{Depth, connect};
use crate::model::{Comments, RecordRef};
use crate::reconcile::{Mark, MarkerKey};

/// A record, what its service answers, and where in a write the text stands.
type Service = (&'static str, &'static str, &'static str);

const SERVICES: [Service; 6] = [
    ("defender/incident/4711", include_str!("copies/defender"), "/comment"),
    (
        "sentinel/incident/b6c4a0a4-0f5c-4d6e-9e57-1f5a4b1f0c11",
        include_str!("copies/sentinel"),
        "/properties/message",
    ),
    ("servicenow/ticket/0123456789abcdef0123456789abcdef", include_str!("copies/servicenow"), "/work_notes"),
    ("jira/ticket/10042", include_str!("copies/jira"), "/body"),
    ("request-tracker/ticket/7", include_str!("copies/request-tracker"), "/Content"),
    ("thehive/ticket/~4096", include_str!("copies/thehive"), "/message"),
];

/// The input is the text of a comment.
pub(super) fn copies(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for service in SERVICES {
        block_on(travels(service, &text));
    }
}

async fn travels((record, script, echoed): Service, text: &str) {
    let record: RecordRef = record.parse().expect("a service names a record");
    let home = Url::parse("https://remote.example").expect("the address is sound");
    let script = Script::echoing(script.trim_end().as_bytes(), &home, Some(echoed));
    let settings = settings().find(|s| s.table() == record.system.as_str()).expect("every system is there");
    let connector = connect(settings, &script.http(), None).expect("the settings are sound");
    let current = connector.read(&record, Depth::Record).await.expect("the record can be read");
    let (name, copied) = copy(text);
    connector.comment(&current, &name, &copied).await.expect("the comment can be written");
    let read = connector.read(&record, Depth::Comments).await.expect("the comments can be read");
    let Comments::Listed(comments) = &read.comments else { panic!("{record}: no comments are listed") };
    let key = MarkerKey::from_secret("fuzz");
    let ours = comments.iter().any(|comment| key.read(&comment.text) == Mark::Ours(name.clone()));
    assert!(ours, "{record}: a copy is not recognised: {copied:?} comes back as {comments:?}");
}
