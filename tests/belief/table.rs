//! The table of one system: its cells are run side by side, and shown.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use crate::answers::Answer;
use crate::cell::{self, Operation, Verdict};
use crate::targets::Target;

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
    let starts: &[bool] = if target.anonymous.is_some() { &[false, true] } else { &[] };
    let whole = starts.iter().map(|at_the_start| (Operation::every(*at_the_start), Answer::Anonymous));
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

/// The table for people.
fn shown(target: &Target, verdicts: &Cells) -> String {
    let answers: Vec<Answer> = Answer::OF_AN_OPERATION.into_iter().chain([Answer::Anonymous]).collect();
    let mut lines = vec![format!("\n{}", target.name)];
    let heads = answers.iter().map(|answer| format!("{:>13}", answer.name())).collect::<String>();
    lines.push(format!("{:<24}{heads}", "operation"));
    let mut operations: Vec<&String> = verdicts.keys().map(|(operation, _)| operation).collect();
    operations.dedup();
    for operation in operations {
        let word = |answer: &Answer| match verdicts.get(&(operation.clone(), *answer)) {
            Some(Verdict::Passed) => "ok",
            Some(Verdict::Failed(_)) => "FAILED",
            Some(Verdict::NotRun(_)) => "NOT RUN",
            Some(Verdict::DoesNotApply) => "-",
            None => "",
        };
        let words = answers.iter().map(|answer| format!("{:>13}", word(answer))).collect::<String>();
        lines.push(format!("{operation:<24}{words}"));
    }
    let not_run = verdicts.iter().filter_map(|((operation, answer), verdict)| match verdict {
        Verdict::NotRun(reason) => Some(format!("NOT RUN: {}: {reason}", name(target, operation, *answer))),
        _ => None,
    });
    lines.extend(not_run);
    lines.join("\n") + "\n"
}

fn reasons(target: &Target, (operation, answer): &(String, Answer), verdict: &Verdict) -> Option<String> {
    let Verdict::Failed(reasons) = verdict else { return None };
    Some(format!("{}\n    {}", name(target, operation, *answer), reasons.join("\n    ")))
}
