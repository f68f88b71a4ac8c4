//! Breadth-first exploration of every state a model can reach, and what is proven of them.

use std::collections::HashMap;
use std::fmt::{self, Debug, Display};
use std::hash::Hash;
use std::rc::Rc;

/// What went wrong: the property, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Which property.
    pub(crate) property: &'static str,
    /// What happened.
    pub(crate) how: String,
}

/// One transition.
pub(crate) struct Move<A, S> {
    /// What happened, for the trace.
    pub(crate) action: A,
    /// Where that leads.
    pub(crate) state: S,
    /// Whether it uses up a fault, a crash or a person's edit. What goes on by itself does not.
    pub(crate) costs: bool,
    /// A property that this very transition breaks.
    pub(crate) broken: Option<Broken>,
}

/// A transition system.
pub(crate) trait Model {
    /// Everything that decides what can happen next.
    type State: Clone + Eq + Hash;
    /// What happens.
    type Action: Clone + Display;

    /// Where it begins.
    fn initial(&mut self) -> Self::State;
    /// Everything that can happen in a state.
    fn moves(&mut self, state: &Self::State) -> Vec<Move<Self::Action, Self::State>>;
    /// Whether a state is at rest (nothing is left to do), or what is wrong with it.
    fn at_rest(&mut self, state: &Self::State) -> Result<bool, Broken>;
}

/// A whole exploration.
#[derive(Debug, Default)]
pub(crate) struct Explored {
    /// Different states.
    pub(crate) states: usize,
    /// Transitions between them.
    pub(crate) transitions: usize,
    /// The longest of the shortest ways to a state.
    pub(crate) depth: usize,
    /// States at rest.
    pub(crate) at_rest: usize,
    /// From every state, without further faults, *every* way leads to rest (not only one of them).
    pub(crate) always_rests: bool,
}

/// A property broken, and the shortest way there.
pub(crate) struct Counterexample {
    /// What went wrong.
    pub(crate) broken: Broken,
    /// What happened, in order.
    pub(crate) trace: Vec<String>,
}

impl Debug for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "broken: {}\n  {}", self.broken.property, self.broken.how)?;
        self.trace.iter().enumerate().try_for_each(|(at, line)| writeln!(f, "  {:2}. {line}", at + 1))
    }
}

/// The property that the explorer itself proves: states from which nothing leads on must be at rest.
pub(crate) const RESTS: &str = "from every state, once faults are over, rest is reached";

struct Found<M: Model> {
    states: Vec<Rc<M::State>>,
    known: HashMap<Rc<M::State>, u32>,
    /// How each state was reached first.
    from: Vec<Option<(u32, M::Action)>>,
    depth: Vec<u32>,
    /// Transitions that cost nothing.
    free: Vec<(u32, u32)>,
    rests: Vec<bool>,
    transitions: usize,
}

/// Explores everything, and stops at the first counterexample, which is one of the shortest.
pub(crate) fn explore<M: Model>(model: &mut M) -> Result<Explored, Counterexample> {
    let mut found = Found::<M> {
        states: Vec::new(),
        known: HashMap::new(),
        from: Vec::new(),
        depth: Vec::new(),
        free: Vec::new(),
        rests: Vec::new(),
        transitions: 0,
    };
    let initial = model.initial();
    found.add(initial, None);
    let mut next = 0;
    while next < found.states.len() {
        found.expand(model, next)?;
        next += 1;
    }
    found.prove_rest()?;
    Ok(Explored {
        states: found.states.len(),
        transitions: found.transitions,
        depth: found.depth.last().map_or(0, |depth| *depth as usize),
        at_rest: found.rests.iter().filter(|rests| **rests).count(),
        always_rests: found.is_acyclic(),
    })
}

impl<M: Model> Found<M> {
    fn add(&mut self, state: M::State, from: Option<(u32, M::Action)>) -> u32 {
        if let Some(id) = self.known.get(&state) {
            return *id;
        }
        let id = u32::try_from(self.states.len()).expect("fewer than 2^32 states");
        let state = Rc::new(state);
        self.states.push(Rc::clone(&state));
        self.known.insert(state, id);
        self.depth.push(from.as_ref().map_or(0, |(before, _)| self.depth[*before as usize] + 1));
        self.from.push(from);
        id
    }

    fn expand(&mut self, model: &mut M, at: usize) -> Result<(), Counterexample> {
        let state = Rc::clone(&self.states[at]);
        let id = u32::try_from(at).expect("fewer than 2^32 states");
        let rests = model.at_rest(&state).map_err(|broken| self.counterexample(broken, id, None))?;
        self.rests.push(rests);
        for Move { action, state: to, costs, broken } in model.moves(&state) {
            self.transitions += 1;
            if let Some(broken) = broken {
                return Err(self.counterexample(broken, id, Some(&action)));
            }
            let to = self.add(to, Some((id, action)));
            if !costs && to != id {
                self.free.push((id, to));
            }
        }
        Ok(())
    }

    /// Walks back from the states at rest over transitions that cost nothing; what is not met can get stuck.
    fn prove_rest(&self) -> Result<(), Counterexample> {
        let mut into: Vec<Vec<u32>> = vec![Vec::new(); self.states.len()];
        for (from, to) in &self.free {
            into[*to as usize].push(*from);
        }
        let mut reaches = self.rests.clone();
        let mut left: Vec<usize> = (0..reaches.len()).filter(|at| reaches[*at]).collect();
        while let Some(at) = left.pop() {
            for before in into[at].iter().map(|before| *before as usize) {
                if !std::mem::replace(&mut reaches[before], true) {
                    left.push(before);
                }
            }
        }
        let Some(stuck) = reaches.iter().position(|reaches| !reaches) else { return Ok(()) };
        let how = "no way without further faults leads from here to rest".to_owned();
        Err(self.counterexample(Broken { property: RESTS, how }, u32::try_from(stuck).unwrap_or(0), None))
    }

    /// Whether what goes on by itself ends: no cycle of transitions that cost nothing.
    fn is_acyclic(&self) -> bool {
        let mut waits_for = vec![0u32; self.states.len()];
        let mut out: Vec<Vec<u32>> = vec![Vec::new(); self.states.len()];
        for (from, to) in &self.free {
            waits_for[*to as usize] += 1;
            out[*from as usize].push(*to);
        }
        let mut left: Vec<usize> = (0..waits_for.len()).filter(|at| waits_for[*at] == 0).collect();
        let mut done = 0;
        while let Some(at) = left.pop() {
            done += 1;
            for to in out[at].iter().map(|to| *to as usize) {
                waits_for[to] -= 1;
                if waits_for[to] == 0 {
                    left.push(to);
                }
            }
        }
        done == self.states.len()
    }

    fn counterexample(&self, broken: Broken, at: u32, last: Option<&M::Action>) -> Counterexample {
        let mut trace: Vec<String> = last.iter().map(ToString::to_string).collect();
        let mut at = at;
        while let Some((before, action)) = &self.from[at as usize] {
            trace.push(action.to_string());
            at = *before;
        }
        trace.reverse();
        Counterexample { broken, trace }
    }
}
