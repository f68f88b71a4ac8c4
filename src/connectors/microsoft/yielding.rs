//! A write that is refused because of one value loses that value, and not the close. A refusal changed nothing, so what is
//! left can be sent again.

use crate::connectors::Declined;
use crate::http::CallError;
use crate::model::{Field, Patch};

use super::answers::whole_text;

/// The names under which a service speaks of the fields that a write can do without.
pub(in crate::connectors) type Names = [(Field, &'static [&'static str])];

/// A patch on its way through refusals.
#[derive(Debug, Clone)]
pub(in crate::connectors) struct Yielding {
    /// What is to be sent next.
    pub(in crate::connectors) patch: Patch,
    /// What was left out because the service named it.
    pub(in crate::connectors) declined: Vec<Declined>,
    steps: u8,
}

impl Yielding {
    pub(in crate::connectors) fn new(patch: &Patch) -> Self {
        Self { patch: patch.clone(), declined: Vec::new(), steps: 0 }
    }

    /// Leaves out the fields that the refusal names. The flag says whether there are any.
    pub(in crate::connectors) fn leaves_out(&mut self, error: &CallError, names: &Names) -> bool {
        let text = refused_text(error);
        let before = self.declined.len();
        for (field, _) in names.iter().filter(|(_, names)| names.iter().any(|name| speaks_of(&text, name))) {
            if self.patch.native.remove(field).is_some() {
                self.declined.push(Declined { field: *field, reason: error.words().to_owned() });
            }
        }
        self.declined.len() > before
    }

    /// The service does not name what it refuses, so a change of the status goes first and alone with its verdict and
    /// note, then without the note, then without what the status does not `demand`. What is left out here is still
    /// lacking afterwards, and follows as a write of its own. The flag says whether there is anything smaller.
    pub(in crate::connectors) fn narrows(&mut self, error: &CallError, demanded: &[Field]) -> bool {
        if refused_text(error).is_empty() || !self.patch.native.contains_key(&Field::Status) {
            return false;
        }
        let before = self.patch.clone();
        while self.patch == before && self.steps < 3 {
            match self.steps {
                0 => self.patch.native.retain(|field, _| matches!(field, Field::Status | Field::Verdict)),
                1 => self.patch.closing_comment = None,
                _ => {
                    self.patch.native.retain(|field, _| *field == Field::Status || demanded.contains(field));
                }
            }
            self.steps += 1;
        }
        self.patch != before
    }
}

/// The words of a refusal that is about what was sent; empty for any other error.
fn refused_text(error: &CallError) -> String {
    match error {
        CallError::Refused { status: 400 | 422, .. } => whole_text(error),
        _ => String::new(),
    }
}

/// Whether a refusal names one of these.
pub(in crate::connectors) fn names(error: &CallError, names: &[&str]) -> bool {
    let text = refused_text(error);
    names.iter().any(|name| speaks_of(&text, name))
}

/// Whether a text has a name in it, as a word.
fn speaks_of(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.split(|c| !is_part(c)).any(|word| word.eq_ignore_ascii_case(name))
}
