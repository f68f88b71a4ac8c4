//! What the answers of this service mean.

use crate::connectors::sound::{Asked, Meaning, Sound, Unsound};
use crate::http::{Answer, CallError};

/// Examines them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answers;

impl Sound for Answers {
    fn success(&self, _asked: &Asked<'_>, _answer: &Answer) -> Result<(), Unsound> {
        Ok(())
    }

    fn refusal(&self, asked: &Asked<'_>, error: &CallError) -> Meaning {
        let of_record = asked.operation.ends_with(".get");
        let is_json =
            error.evidence().is_some_and(|evidence| evidence.body.as_ref().is_some_and(|b| b.is_object()));
        match error {
            CallError::NotFound { .. } if is_json && of_record => Meaning::Gone,
            _ => Meaning::AsStated,
        }
    }
}
