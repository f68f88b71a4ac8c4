//! What the settings of all ticket systems share.

use std::time::Duration;

use toml::Spanned;

use super::credential::{Kinds, credential};
use super::parse;
use super::reader::Section;
use crate::connectors::{Audience, TicketSystem};
use crate::http::Login;
use crate::model::SystemName;

/// The credential kinds of ticket systems with their keys; the last list may be left out.
const LOGINS: Kinds = &[
    ("basic", &["username", "password"], &[]),
    ("token", &["token"], &[]),
    ("oauth-client-credentials", &["client_id", "secret"], &["scope"]),
    ("oauth-password", &["client_id", "secret", "username", "password"], &[]),
];

pub(super) const AUDIENCES: &[(&str, Audience)] =
    &[("internal", Audience::Internal), ("public", Audience::Public)];

/// Reads the keys that all ticket systems share; `settle` and `overlap` are what holds where they are not given.
pub(super) fn ticket_system(
    section: &mut Section<'_>,
    name: &SystemName,
    (settle, overlap): (Duration, Duration),
) -> Option<TicketSystem> {
    let url = section.require("url", parse::url);
    let login = credential(section, LOGINS, "basic", Login::secrets);
    let given_settle = section.get("settle", parse::duration).map(Spanned::into_inner);
    let given_overlap = section.get("overlap", parse::duration).map(Spanned::into_inner);
    let budget_factor = section.get("budget_factor", parse::factor).map(Spanned::into_inner);
    let comments = section.get("comments", |value| parse::word(value, AUDIENCES)).map(Spanned::into_inner);
    let hook = section.secret("hook_secret");
    Some(TicketSystem {
        name: name.clone(),
        url: url?.into_inner(),
        login: login?,
        settle: given_settle.unwrap_or(settle),
        overlap: given_overlap.unwrap_or(overlap),
        budget_factor: budget_factor.unwrap_or(1.0),
        comments: comments.unwrap_or_default(),
        hook,
    })
}
