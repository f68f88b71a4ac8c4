//! Leaves a failing system alone: after a run of failures calls fail fast, and one probe at a time asks again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::retry::{Waits, growing};

/// Failures in a row that open the breaker.
const THRESHOLD: u32 = 5;

enum Mode {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// A probe is under way.
    Probing,
}

struct State {
    mode: Mode,
    waits: Waits,
    /// The last failure, in words.
    last: Arc<str>,
}

/// Stay away.
#[derive(Debug)]
pub(crate) struct Rest {
    /// For how long.
    pub(crate) wait: Duration,
    /// The failure that led to it, in words.
    pub(crate) last: Arc<str>,
}

/// One per system.
pub(crate) struct Breaker(Mutex<State>);

impl Breaker {
    pub(crate) fn new() -> Self {
        let waits = growing(Duration::from_secs(1), Duration::from_mins(1));
        Self(Mutex::new(State { mode: Mode::Closed { failures: 0 }, waits, last: Arc::from("") }))
    }

    /// Leave to make one attempt, or how long to stay away.
    pub(crate) fn admit(&self) -> Result<Permit<'_>, Rest> {
        let mut state = self.state();
        let rest = |state: &State, wait| Err(Rest { wait, last: Arc::clone(&state.last) });
        match state.mode {
            Mode::Closed { .. } => Ok(Permit { breaker: self, probe: false }),
            // The probe's own time-out is not known here; a second is soon enough to ask again.
            Mode::Probing => rest(&state, Duration::from_secs(1)),
            Mode::Open { until } => {
                let now = Instant::now();
                if now < until {
                    return rest(&state, until - now);
                }
                state.mode = Mode::Probing;
                Ok(Permit { breaker: self, probe: true })
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn success(&self) {
        let mut state = self.state();
        state.mode = Mode::Closed { failures: 0 };
        state.waits.reset();
    }

    fn failure(&self, probe: bool, what: &str) {
        let mut state = self.state();
        state.last = Arc::from(what);
        let tripped = match &mut state.mode {
            Mode::Closed { failures } => {
                *failures += 1;
                *failures >= THRESHOLD
            }
            // A call from before says nothing new; the probe decides.
            Mode::Open { .. } | Mode::Probing => probe,
        };
        if tripped {
            open(&mut state);
        }
    }

    /// A probe that ended without a verdict makes room for the next.
    fn release(&self) {
        let mut state = self.state();
        if matches!(state.mode, Mode::Probing) {
            state.mode = Mode::Open { until: Instant::now() };
        }
    }
}

fn open(state: &mut State) {
    let wait = state.waits.next(&mut rand::rng());
    state.mode = Mode::Open { until: Instant::now() + wait };
}

/// Leave for one attempt. Dropped without a verdict (a cancelled call, say) it changes nothing.
pub(crate) struct Permit<'a> {
    breaker: &'a Breaker,
    probe: bool,
}

impl Permit<'_> {
    /// The system answered, whatever it said.
    pub(crate) fn success(mut self) {
        self.probe = false;
        self.breaker.success();
    }

    /// The system was not reached, answered 5xx, or not in time; and what happened, in words.
    pub(crate) fn failure(mut self, what: &str) {
        let probe = std::mem::take(&mut self.probe);
        self.breaker.failure(probe, what);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.probe {
            self.breaker.release();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn fail(breaker: &Breaker, times: u32) {
        for _ in 0..times {
            breaker.admit().ok().unwrap().failure("it answered 503");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn opens_after_five_and_probes_once() {
        let breaker = Breaker::new();
        fail(&breaker, 4);
        breaker.admit().ok().unwrap().success();
        fail(&breaker, 5);
        let Rest { wait, last } = breaker.admit().err().unwrap();
        assert_eq!(&*last, "it answered 503");
        assert!(wait >= Duration::from_secs(1) && wait < Duration::from_millis(1250));
        tokio::time::advance(wait).await;
        let probe = breaker.admit().ok().unwrap();
        assert!(breaker.admit().is_err(), "one probe at a time");
        probe.failure("no route");
        let Rest { wait, last } = breaker.admit().err().unwrap();
        assert!(wait >= Duration::from_secs(2), "the rest grows");
        assert_eq!(&*last, "no route");
        tokio::time::advance(Duration::from_secs(3)).await;
        breaker.admit().ok().unwrap().success();
        breaker.admit().ok().unwrap().success();
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_probe_makes_room_and_rest_is_bounded() {
        let breaker = Breaker::new();
        fail(&breaker, 5);
        tokio::time::advance(Duration::from_secs(2)).await;
        drop(breaker.admit().ok().unwrap());
        for _ in 0..10 {
            breaker.admit().ok().unwrap().failure("it answered 503");
            tokio::time::advance(Duration::from_secs(75)).await;
        }
        assert!(breaker.admit().is_ok());
    }
}
