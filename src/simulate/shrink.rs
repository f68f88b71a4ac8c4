//! From a failing plan to the smallest part of it that still fails: what is left out of it cannot be the cause.

use super::history::play;
use super::plan::{Act, Plan, Trouble, What};

/// Plans tried at most.
const TRIES: usize = 3_000;

/// The smallest failing plan that leaving out acts and faults leads to. Returns the plan itself if it does not fail.
pub fn shrink(plan: &Plan) -> Plan {
    let mut left = TRIES;
    let mut fails = |candidate: &Plan| {
        left = left.saturating_sub(1);
        left > 0 && !play(candidate, false).violations.is_empty()
    };
    let mut plan = plan.clone();
    loop {
        let before = size(&plan);
        plan = without_acts(plan, &mut fails);
        plan = without_troubles(plan, &mut fails);
        plan = with_fewer_cases(plan, &mut fails);
        if size(&plan) == before {
            return plan;
        }
    }
}

fn size(plan: &Plan) -> usize {
    let troubles = plan.acts.iter().filter_map(|act| act.what.trouble());
    let weight =
        |t: &Trouble| t.faults.len() + t.people.len() + t.openings.len() + usize::from(t.kill.is_some());
    plan.acts.len() + troubles.map(weight).sum::<usize>() + plan.scene.cases
}

/// Leaves out runs of acts: half of them, a quarter, down to single ones.
fn without_acts(mut plan: Plan, fails: &mut impl FnMut(&Plan) -> bool) -> Plan {
    let mut run = plan.acts.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        while at < plan.acts.len() {
            let mut fewer = plan.clone();
            let end = (at + run).min(fewer.acts.len());
            fewer.acts.drain(at..end);
            if fails(&fewer) {
                plan = fewer;
            } else {
                at += run;
            }
        }
        if run == 1 {
            return plan;
        }
        run = run.div_ceil(2);
    }
}

/// Leaves out what goes wrong, one thing after the other.
fn without_troubles(mut plan: Plan, fails: &mut impl FnMut(&Plan) -> bool) -> Plan {
    for at in 0..plan.acts.len() {
        for part in [drop_kill as fn(&mut Trouble) -> bool, drop_fault, drop_person, drop_opening] {
            loop {
                let mut fewer = plan.clone();
                let trouble =
                    fewer.acts.get_mut(at).map(|act: &mut Act| &mut act.what).and_then(What::trouble_mut);
                if !trouble.is_some_and(part) || !fails(&fewer) {
                    break;
                }
                plan = fewer;
            }
        }
    }
    plan
}

fn with_fewer_cases(plan: Plan, fails: &mut impl FnMut(&Plan) -> bool) -> Plan {
    for cases in 1..plan.scene.cases {
        let mut fewer = plan.clone();
        fewer.scene.cases = cases;
        if fails(&fewer) {
            return fewer;
        }
    }
    plan
}

fn drop_kill(trouble: &mut Trouble) -> bool {
    trouble.kill.take().is_some()
}

fn drop_fault(trouble: &mut Trouble) -> bool {
    trouble.faults.pop().is_some()
}

fn drop_person(trouble: &mut Trouble) -> bool {
    trouble.people.pop().is_some()
}

fn drop_opening(trouble: &mut Trouble) -> bool {
    trouble.openings.pop().is_some()
}
