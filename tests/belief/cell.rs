//! One cell of the table: one operation, one answer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lockstep::emulator::{Call, Fault, FaultKind};

use crate::answers::Answer;
use crate::scene::Scene;
use crate::support::pause;
use crate::targets::Target;

/// How long the spoilt answers go on once they were met: several times the settle time.
const LASTS: Duration = Duration::from_millis(1_500);
/// How long the operation is waited for. One that is not called proves nothing, so the cell fails.
const AWAITED: Duration = Duration::from_mins(1);

/// An operation that the connector performs.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) name: String,
    /// Whether it is performed only while tickets are opened for the first time, so that the answers are spoilt then.
    pub(crate) at_the_start: bool,
    /// Whether its answers have a body.
    has_body: bool,
}

/// What became of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    Failed(Vec<String>),
    /// The answer cannot be given to this operation, or would be a sound one.
    DoesNotApply,
    /// The emulator cannot answer like that.
    NotRun(String),
}

impl Verdict {
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Failed(_) => "FAILED",
            Self::DoesNotApply => "-",
            Self::NotRun(_) => "NOT RUN",
        }
    }
}

/// Every call of the connector in a run without faults, and that run's verdict.
pub(crate) fn rehearse(target: &Target) -> (Vec<Operation>, Vec<String>) {
    let mut scene = Scene::begin(target, |_| Ok::<(), String>(())).unwrap();
    scene.until_opened().unwrap();
    let opening = scene.emulator.call_log();
    scene.emulator.reset_calls();
    scene.act();
    scene.until_healed(true);
    let mut wrong = scene.lacks(true);
    wrong.extend(scene.excess(true));
    let acting = scene.emulator.call_log();
    let mut operations: BTreeMap<String, Operation> = BTreeMap::new();
    let of_target = |call: &&Call| call.api == target.api && call.operation != "unknown";
    for (calls, at_the_start) in [(&acting, false), (&opening, true)] {
        for call in calls.iter().filter(of_target) {
            let new = || Operation { name: call.operation.clone(), at_the_start, has_body: false };
            let operation = operations.entry(call.operation.clone()).or_insert_with(new);
            operation.has_body |= call.status != 204;
        }
    }
    (operations.into_values().collect(), wrong)
}

impl Operation {
    /// All operations at once.
    pub(crate) fn every(at_the_start: bool) -> Self {
        let name = if at_the_start { "(from the start)" } else { "(all)" };
        Self { name: name.to_owned(), at_the_start, has_body: true }
    }

    fn takes(&self, answer: Answer, target: &Target) -> bool {
        let is_list = self.name.starts_with("list-");
        match answer {
            // A list that does not count its rows says nothing of those that are missing.
            Answer::HalfList => target.counted.contains(&self.name.as_str()),
            // A row of a list names itself, and one that cannot be read holds up no other.
            Answer::OtherRecord | Answer::Nulls | Answer::MissingFields => self.has_body && !is_list,
            Answer::Html200 | Answer::Html404 | Answer::In(_) => true,
            _ => self.has_body,
        }
    }

    /// Whether the answer can be told from a sound one. Another record shows where a certain one was asked for; of what was
    /// made a moment ago nobody knows the id, and what is missing may be missed by nobody: it is enough that no harm is done.
    fn is_told(&self, answer: Answer) -> bool {
        let asks_for_one = ["get-ticket", "get-incident"].contains(&self.name.as_str());
        match answer {
            Answer::OtherRecord | Answer::Nulls => asks_for_one,
            Answer::MissingFields => false,
            Answer::In(state) => !(self.at_the_start && state.looks_new),
            _ => true,
        }
    }

    /// Whether it looks for a ticket that may have been opened: what it does not find is opened.
    fn looks_up_tickets(&self, target: &Target) -> bool {
        target.api == target.desk.api && self.name == target.desk.finding
    }

    fn calls(&self, scene: &Scene<'_>, target: &Target) -> u64 {
        let prefix = format!("{}/", target.api.as_str());
        let counts = scene.emulator.calls();
        let counted = |name: &str| match name.strip_prefix(&prefix) {
            Some(operation) => self.name.starts_with('(') || operation == self.name,
            None => false,
        };
        counts.iter().filter(|(name, _)| counted(name)).map(|(_, count)| count).sum()
    }
}

/// Runs one cell.
pub(crate) fn run(target: &Target, operation: &Operation, answer: Answer) -> Verdict {
    if !operation.takes(answer, target) {
        return Verdict::DoesNotApply;
    }
    let spoil = |emulator: &_| answer.put_in_force(emulator, target, &operation.name);
    let begun =
        Scene::begin(target, |emulator| if operation.at_the_start { spoil(emulator) } else { Ok(()) });
    let mut scene = match begun {
        Ok(scene) => scene,
        Err(reason) => return Verdict::NotRun(reason),
    };
    if !operation.at_the_start {
        if let Err(stuck) = scene.until_opened() {
            return Verdict::Failed(vec![stuck]);
        }
        if operation.looks_up_tickets(target) {
            lose_a_creation(&mut scene, target);
        }
        scene.emulator.reset_calls();
        if let Err(reason) = spoil(&scene.emulator) {
            return Verdict::NotRun(reason);
        }
    }
    let before = scene.worker.complaints(target.system);
    if !operation.at_the_start {
        scene.act();
    }
    let mut wrong = endure(&scene, target, operation);
    if operation.is_told(answer) && scene.worker.complaints(target.system) <= before {
        wrong.push("nobody was told: no failed poll, call or try, no malformed record".to_owned());
    }
    let stops_polls = matches!(answer, Answer::In(state) if state.stops_polls);
    if stops_polls && operation.is_told(answer) && scene.worker.poll_errors(target.system).is_empty() {
        wrong.push("the polls succeed".to_owned());
    }
    answer.lift(&scene.emulator);
    if operation.at_the_start {
        scene.until_healed(false);
        if let Err(stuck) = scene.until_opened() {
            wrong.push(stuck);
            wrong.extend(scene.excess(false));
            return Verdict::Failed(wrong);
        }
        scene.act();
    }
    scene.until_healed(true);
    wrong.extend(scene.lacks(true));
    wrong.extend(scene.excess(true));
    if wrong.is_empty() { Verdict::Passed } else { Verdict::Failed(wrong) }
}

/// A ticket is opened and the answer is lost, so that it is looked up next.
fn lose_a_creation(scene: &mut Scene<'_>, target: &Target) {
    let Some(opening) = target.desk.opening.last() else { return };
    scene.emulator.reset_calls();
    scene.emulator.add_fault(Fault::new(FaultKind::DropAfter).on(target.desk.api, opening));
    scene.appear("opened without an answer");
    let count = format!("{}/{opening}", target.desk.api.as_str());
    let deadline = Instant::now() + AWAITED;
    while !scene.emulator.calls().contains_key(&count) && Instant::now() < deadline {
        pause(Duration::from_millis(5));
    }
}

/// Waits until the answer was met, and then for longer than the settle time.
fn endure(scene: &Scene<'_>, target: &Target, operation: &Operation) -> Vec<String> {
    let deadline = Instant::now() + AWAITED;
    while operation.calls(scene, target) == 0 {
        if Instant::now() > deadline {
            return vec!["the operation was not called while its answers were spoilt".to_owned()];
        }
        pause(Duration::from_millis(20));
    }
    pause(LASTS);
    Vec::new()
}
