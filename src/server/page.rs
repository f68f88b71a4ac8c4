//! The status page: rendered here, no scripts, light and dark.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
use serde::Serialize;

use super::{AppState, views};
use crate::model::BridgeName;
use crate::store;
use crate::telemetry::{CollectionState, CollectionView};

const TEMPLATE: &str = include_str!("page.html");

pub(super) async fn status(State(state): State<AppState>) -> Response {
    match render(&state) {
        Ok(page) => Html(page).into_response(),
        Err(error) => {
            tracing::error!(%error, "the status page cannot be rendered");
            (StatusCode::INTERNAL_SERVER_ERROR, error).into_response()
        }
    }
}

/// A row of the table of systems, in words.
#[derive(Serialize)]
struct Row {
    system: String,
    kind: &'static str,
    last_success: String,
    lag: String,
    budget: String,
    trouble: Option<String>,
    /// The last error of the system's own, once it is over.
    past: Option<String>,
}

#[derive(Serialize)]
struct Counts {
    mappings: u64,
    inbox: u64,
    outbox: u64,
    dead: u64,
}

#[derive(Serialize)]
struct Line {
    at: String,
    mapping: String,
    text: String,
}

#[derive(Serialize)]
struct Page {
    version: &'static str,
    stalled: Vec<String>,
    denied: bool,
    not_ready: Vec<String>,
    bridges: Vec<BridgeName>,
    counts: Counts,
    systems: Vec<Row>,
    dead: Vec<views::IntentView>,
    recent: Vec<Line>,
}

fn render(state: &AppState) -> Result<String, String> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let page = Serde(collect(state)?);
    environment.render_str(TEMPLATE, page).map_err(|error| error.to_string())
}

fn collect(state: &AppState) -> Result<Page, String> {
    let health = state.telemetry.health();
    let recent = state.telemetry.recent().lines().into_iter().map(|line| Line {
        at: line.at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        mapping: line.mapping.to_string(),
        text: line.text,
    });
    let collections = health.collections();
    Ok(Page {
        version: env!("CARGO_PKG_VERSION"),
        stalled: health.stalled(),
        denied: collections.iter().any(|view| view.state == CollectionState::Denied),
        not_ready: health.not_ready(),
        bridges: state.bridges.clone(),
        counts: Counts::from(state.store.counts()),
        systems: collections.into_iter().map(Row::from).collect(),
        dead: views::dead_letters(&*state.store, 20).map_err(|error| error.to_string())?,
        recent: recent.collect(),
    })
}

impl From<store::Counts> for Counts {
    fn from(counts: store::Counts) -> Self {
        let store::Counts { mappings, outbox, dead, inbox } = counts;
        Self { mappings, inbox, outbox, dead }
    }
}

impl From<CollectionView> for Row {
    fn from(view: CollectionView) -> Self {
        let budget: Vec<String> = view.budget.iter().map(|(class, left)| format!("{class} {left}")).collect();
        Self {
            system: view.system.to_string(),
            kind: view.kind.as_str(),
            last_success: view
                .last_success
                .map_or("never".to_owned(), |seconds| format!("{} ago", span(seconds))),
            lag: view.lag.map_or("–".to_owned(), span),
            budget: if budget.is_empty() { "–".to_owned() } else { budget.join(", ") },
            trouble: trouble(&view),
            past: view.last_error.filter(|_| view.failures == 0).map(|last| {
                format!("last error at {}: {}", last.at.strftime("%Y-%m-%d %H:%M:%SZ"), last.message)
            }),
        }
    }
}

/// Why a collection is not listed, since when, and how often in a row it was tried.
fn trouble(view: &CollectionView) -> Option<String> {
    let error = view.error.as_deref()?;
    let since = view.since.map(|at| format!(" since {}", at.strftime("%Y-%m-%d %H:%M:%SZ")));
    let word = if view.state == CollectionState::Denied { "denied" } else { "failing" };
    Some(format!("{word}{}, {} in a row: {error}", since.unwrap_or_default(), view.failures))
}

/// A span of seconds in the largest unit that suits.
fn span(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}
