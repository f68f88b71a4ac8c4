//! Jira: not built yet.

use serde_json::{Value, json};

use super::desk::{Desk, Surroundings};
use super::faults::Plan;
use super::ledger::Actor;
use super::wire::{Refusal, Reply, Request};

/// The system.
#[derive(Debug, Default)]
pub(super) struct Jira {}

impl Desk for Jira {
    fn operation(&self, _method: &str, _path: &[&str]) -> &'static str {
        "unknown"
    }

    fn answer(&mut self, _: &Request, _: &[&str], _: &Plan, _: &mut Surroundings<'_>) -> Reply {
        self.failure(404)
    }

    fn failure(&self, status: u16) -> Reply {
        Reply::json(status, json!({}))
    }

    fn open(&mut self, _: &Value, _: &Actor, _: &mut Surroundings<'_>) -> Result<String, Refusal> {
        Err(Refusal::bad_request("not built yet"))
    }

    fn edit(&mut self, _: &str, _: &Value, _: &Actor, _: &mut Surroundings<'_>) -> Result<(), Refusal> {
        Err(Refusal::bad_request("not built yet"))
    }

    fn ticket(&self, _id: &str) -> Option<Value> {
        None
    }

    fn ids(&self) -> Vec<String> {
        Vec::new()
    }

    fn set(&mut self, _settings: &Value) -> Result<(), String> {
        Err("not built yet".to_owned())
    }
}
