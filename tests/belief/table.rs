//! The table of one system: its cells are run side by side, and shown.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use crate::answers::Answer;
use crate::cell::{self, Operation, Verdict};
use crate::targets::{State, Target};

/// Cells that run at the same time; most of their time they wait.
const SIDE_BY_SIDE: usize = 12;

type Cells = BTreeMap<(String, Answer), Verdict>;

/// Runs all cells of a system, prints the table, and fails where one failed.
pub(crate) fn fill(target: &Target) {
    let (operations, wrong) = cell::rehearse(target);
    assert!(wrong.is_empty(), "{}: without faults: {wrong:#?}", target.name);
    let single = operations
        .iter()
        .flat_map(|operation| Answer::OF_AN_OPERATION.map(|answer| (operation.clone(), answer)));
    let starts = |state: &State| match state {
        State { only_at_the_start: true, .. } => &[true][..],
        State { stops_polls: false, .. } => &[false],
        _ => &[false, true],
    };
    let whole = target.states.iter().flat_map(|state| {
        starts(state).iter().map(move |at_the_start| (Operation::every(*at_the_start), Answer::In(state)))
    });
    let cells: Vec<(Operation, Answer)> =
        single.chain(whole).filter(|(o, a)| is_wanted(target, o, *a)).collect();
    let verdicts = run_all(target, &cells);
    print!("{}", shown(target, &verdicts));
    let failed: Vec<String> =
        verdicts.iter().filter_map(|(cell, verdict)| reasons(target, cell, verdict)).collect();
    assert!(failed.is_empty(), "{} of {} cells failed:\n{}", failed.len(), cells.len(), failed.join("\n"));
}

fn name(target: &Target, operation: &str, answer: Answer) -> String {
    format!("{} / {operation} / {}", target.name, answer.name())
}

fn is_wanted(target: &Target, operation: &Operation, answer: Answer) -> bool {
    let Ok(words) = std::env::var("BELIEF") else { return true };
    words.split(',').any(|word| name(target, &operation.name, answer).contains(word))
}

fn run_all(target: &Target, cells: &[(Operation, Answer)]) -> Cells {
    let (next, verdicts) = (Mutex::new(cells.iter()), Mutex::new(Cells::new()));
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                loop {
                    let Some((operation, answer)) = next.lock().unwrap().next() else { return };
                    let ran = catch_unwind(AssertUnwindSafe(|| cell::run(target, operation, *answer)));
                    let verdict =
                        ran.unwrap_or_else(|_| Verdict::Failed(vec!["it panicked; see above".to_owned()]));
                    verdicts.lock().unwrap().insert((operation.name.clone(), *answer), verdict);
                }
            });
        }
    });
    verdicts.into_inner().unwrap()
}

/// The table for people: operations and their answers, then states of the whole system.
fn shown(target: &Target, verdicts: &Cells) -> String {
    let mut lines = vec![String::new(), target.name.to_owned()];
    let row = |head: &str, words: Vec<&str>| {
        let cells: Vec<String> = words.into_iter().map(|word| format!("{word:>13}")).collect();
        format!("{head:<26}{}", cells.concat())
    };
    lines.push(row("operation", Answer::OF_AN_OPERATION.map(Answer::name).to_vec()));
    let of =
        |operation: &str, answer| verdicts.get(&(operation.to_owned(), answer)).map_or("", Verdict::word);
    let mut operations: Vec<&str> = verdicts.keys().map(|(operation, _)| operation.as_str()).collect();
    operations.dedup();
    for operation in operations.into_iter().filter(|operation| !operation.starts_with('(')) {
        lines.push(row(operation, Answer::OF_AN_OPERATION.map(|answer| of(operation, answer)).to_vec()));
    }
    lines.push(row("state", vec!["met in work", "at the start"]));
    for state in target.states {
        let words =
            [false, true].map(|at_the_start| of(&Operation::every(at_the_start).name, Answer::In(state)));
        lines.push(row(state.name, words.to_vec()));
    }
    let not_run = verdicts.iter().filter_map(|((operation, answer), verdict)| match verdict {
        Verdict::NotRun(reason) => {
            Some(format!("NOT RUN: {}: {}", name(target, operation, *answer), cut(reason)))
        }
        _ => None,
    });
    lines.extend(not_run);
    lines.join("\n") + "\n"
}

/// The beginning of a reason: emulators list every setting that they do have.
fn cut(reason: &str) -> String {
    reason.chars().take(120).collect()
}

fn reasons(target: &Target, (operation, answer): &(String, Answer), verdict: &Verdict) -> Option<String> {
    let Verdict::Failed(reasons) = verdict else { return None };
    Some(format!("{}\n    {}", name(target, operation, *answer), reasons.join("\n    ")))
}
