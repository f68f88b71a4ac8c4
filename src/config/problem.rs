//! Problems of a configuration, each with its place.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

/// One problem (or warning) and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file as named.
    pub file: String,
    /// Line and column, both counted from 1, columns in characters. `None` when it is about the whole file.
    pub position: Option<(usize, usize)>,
    /// What is wrong and what to do. Never holds a secret's value.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

/// Everything that is wrong with a configuration, in the order of the file; prints one line for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    problems: Vec<Problem>,
}

impl ConfigErrors {
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.position);
        Self { problems }
    }

    /// The problems, at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Collects problems while a text is read.
pub(super) struct Problems<'t> {
    file: String,
    text: &'t str,
    errors: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
}

impl<'t> Problems<'t> {
    pub(super) fn new(file: String, text: &'t str) -> Self {
        Self { file, text, errors: RefCell::default(), warnings: RefCell::default() }
    }

    /// Something that must be mended.
    pub(super) fn error(&self, span: Range<usize>, message: impl Into<String>) {
        self.errors.borrow_mut().push(self.at(&span, message.into()));
    }

    /// Something that works but deserves a look.
    pub(super) fn warning(&self, span: Range<usize>, message: impl Into<String>) {
        self.warnings.borrow_mut().push(self.at(&span, message.into()));
    }

    /// Errors and warnings found.
    pub(super) fn finish(self) -> (Vec<Problem>, Vec<Problem>) {
        (self.errors.into_inner(), self.warnings.into_inner())
    }

    fn at(&self, span: &Range<usize>, message: String) -> Problem {
        Problem { file: self.file.clone(), position: Some(position(self.text, span.start)), message }
    }
}

/// Line and column of a byte offset, from 1.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
