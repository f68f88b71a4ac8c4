//! What must hold for tables, alone and together, tried on every value they know.
//!
//! One table ([`check_one`]): all our values can be written, only with words the service accepts, and read back as
//! what was meant; a record agrees with its own reading. Tables together ([`check`], [`check_chain`]): a value that
//! travels from system to system never comes back as a change, so no two systems can be set against each other.

use std::collections::BTreeSet;
use std::fmt;

use super::table::{Rule, coarse, vocabulary};
use super::{Reading, Translation};
use crate::model::{Field, Native, RecordKind, Value};

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// Every value of our vocabulary can be written.
    Complete,
    /// Only what the service accepts is written.
    Legal,
    /// What is written reads back as what was meant; a verdict may lose its determination, never get another one.
    Faithful,
    /// A record needs no write to say what it says.
    Content,
    /// What was carried over never comes back as a change.
    Quiet,
}

/// A law that does not hold, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Which.
    pub law: Law,
    /// The table, the value, what would happen and what to mend.
    pub explanation: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.explanation)
    }
}

/// The laws of one table.
pub fn check_one(table: &Translation) -> Vec<Violation> {
    let mut found = Vec::new();
    for ((kind, field), rule) in &table.rules {
        let side = Side { table, kind: *kind };
        for value in vocabulary(*field) {
            found.extend(check_written(side, rule, &value));
        }
        for native in rule.samples(*field) {
            found.extend(check_content(side, *field, &native));
        }
    }
    found
}

/// The laws of two tables together, both ways, for every pairing of their kinds of record.
pub fn check(a: &Translation, b: &Translation) -> Vec<Violation> {
    [[a, b], [b, a]].iter().flat_map(|path| check_path(path)).collect()
}

/// The laws of three tables: what `a` says travels to `b`, and what `b` then says travels to `c`.
pub fn check_chain(a: &Translation, b: &Translation, c: &Translation) -> Vec<Violation> {
    check_path(&[a, b, c])
}

/// All laws of the tables of a bridge's systems: each alone, every two and every three. Each finding once.
pub fn check_all(tables: &[&Translation]) -> Vec<Violation> {
    let mut found: BTreeSet<Violation> = tables.iter().flat_map(|table| check_one(table)).collect();
    for (i, a) in tables.iter().enumerate() {
        for (j, b) in tables.iter().enumerate().filter(|(j, _)| *j != i) {
            found.extend(check_path(&[a, b]));
            for (_, c) in tables.iter().enumerate().filter(|(k, _)| *k != i && *k != j) {
                found.extend(check_path(&[a, b, c]));
            }
        }
    }
    found.into_iter().collect()
}

/// The records of one kind in one table.
#[derive(Clone, Copy)]
struct Side<'t> {
    table: &'t Translation,
    kind: RecordKind,
}

impl<'t> Side<'t> {
    fn all(table: &'t Translation) -> impl Iterator<Item = Self> {
        let kinds: BTreeSet<RecordKind> = table.carried().map(|(kind, _)| kind).collect();
        kinds.into_iter().map(move |kind| Side { table, kind })
    }

    fn read(self, field: Field, native: &Native) -> Option<Value> {
        match self.table.read(self.kind, field, native) {
            Reading::Known(value) => Some(value),
            Reading::Unknown(_) => None,
        }
    }

    fn write(self, value: &Value) -> Option<Native> {
        self.table.write(self.kind, value)
    }

    fn satisfies(self, native: &Native, value: &Value) -> bool {
        self.table.satisfies(self.kind, native, value)
    }
}

impl fmt::Display for Side<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.table.kind(), self.kind.as_str())
    }
}

fn check_written(side: Side<'_>, rule: &Rule, value: &Value) -> Option<Violation> {
    let field = value.field();
    let broken = |law, what: String| Some(Violation { law, explanation: format!("{side} {field}: {what}") });
    let Some(written) = side.write(value) else {
        return broken(Law::Complete, format!("`{value}` has no entry in `write`; add one"));
    };
    if let Rule::Words(words) = rule
        && !words.legal.contains(&written.to_string())
    {
        return broken(
            Law::Legal,
            format!("`{value}` would be written as `{written}`, which is not among the `legal` values"),
        );
    }
    match side.read(field, &written) {
        Some(read) if faithful(value, &read) || rule.is_coarse(value) => None,
        Some(read) => broken(
            Law::Faithful,
            format!(
                "`{value}` is written as `{written}`, but that reads as `{read}`; make `read` and `write` agree"
            ),
        ),
        None => broken(
            Law::Faithful,
            format!("`{value}` is written as `{written}`, which has no entry in `read`; add one"),
        ),
    }
}

fn faithful(meant: &Value, read: &Value) -> bool {
    match (meant, read) {
        (Value::Verdict(meant), Value::Verdict(read)) => read == meant || *read == coarse(*meant),
        _ => meant == read,
    }
}

fn check_content(side: Side<'_>, field: Field, native: &Native) -> Option<Violation> {
    let value = side.read(field, native)?;
    if side.satisfies(native, &value) {
        return None;
    }
    let written = side.write(&value).map(|w| w.to_string()).unwrap_or_default();
    let explanation = format!(
        "{side} {field}: `{native}` reads as `{value}`, which would be written as `{written}`: the record would be \
         changed by its own edit; let `{value}` be written as something that reads as `{value}`"
    );
    Some(Violation { law: Law::Content, explanation })
}

fn check_path(tables: &[&Translation]) -> Vec<Violation> {
    let mut paths: Vec<Vec<Side<'_>>> = vec![Vec::new()];
    for table in tables {
        let longer = |path: Vec<_>| Side::all(table).map(move |side| [path.clone(), vec![side]].concat());
        paths = paths.into_iter().flat_map(longer).collect();
    }
    let mut found = BTreeSet::new();
    for path in &paths {
        let first = path[0];
        for ((_, field), rule) in first.table.rules.iter().filter(|((kind, _), _)| *kind == first.kind) {
            found.extend(rule.samples(*field).into_iter().filter_map(|native| travel(path, *field, native)));
        }
    }
    found.into_iter().collect()
}

/// Lets a native value of the first side travel along the path; each side is told what the one before now reads as,
/// and that reading must be no change for any side it came through.
fn travel(path: &[Side<'_>], field: Field, native: Native) -> Option<Violation> {
    let mut value = path[0].read(field, &native)?;
    let mut story = format!("{field}: `{native}` of the {} reads as `{value}`", path[0]);
    let mut passed = vec![(path[0], native)];
    for side in &path[1..] {
        // Written as something coarser, and known to be: nothing comes back unless somebody edits it there.
        if side.table.rules.get(&(side.kind, field)).is_some_and(|rule| rule.is_coarse(&value)) {
            return None;
        }
        let written = side.write(&value)?;
        story = format!("{story}, is written to the {side} as `{written}`");
        passed.push((*side, written.clone()));
        // Without a reading there is no way back; the laws of the table alone report that.
        value = side.read(field, &written)?;
        story = format!("{story}, reads there as `{value}`");
        if let Some((changed, _)) = passed.iter().find(|(side, native)| !side.satisfies(native, &value)) {
            let back = changed.write(&value).map(|w| w.to_string()).unwrap_or_default();
            let explanation = format!(
                "{story}, and would come back to the {changed} as `{back}`; make the two tables agree"
            );
            return Some(Violation { law: Law::Quiet, explanation });
        }
    }
    None
}
