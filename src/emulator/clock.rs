//! The emulator's own time: the wall clock, or a clock that only moves when told.

use jiff::Timestamp;

/// Which time the emulator lives in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clock {
    /// The wall clock. `advance` moves the emulator ahead of it.
    #[default]
    Real,
    /// Stands still at this instant (UTC) until `advance` moves it.
    Manual(Timestamp),
}

/// A running [`Clock`].
#[derive(Debug)]
pub(super) struct Time {
    clock: Clock,
    ahead_nanos: i64,
}

impl Time {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, ahead_nanos: 0 }
    }

    pub(super) fn now(&self) -> Timestamp {
        let base = match self.clock {
            Clock::Real => Timestamp::now(),
            Clock::Manual(at) => at,
        };
        plus_nanos(base, self.ahead_nanos)
    }

    pub(super) fn is_real(&self) -> bool {
        self.clock == Clock::Real
    }

    /// Moves the time forward by `seconds`; negative or not-a-number moves nothing.
    pub(super) fn advance(&mut self, seconds: f64) {
        self.ahead_nanos = self.ahead_nanos.saturating_add(nanos(seconds));
    }
}

/// Nanoseconds of a span in seconds, never negative.
fn nanos(seconds: f64) -> i64 {
    // A float cast saturates and takes not-a-number to zero.
    #[allow(clippy::cast_possible_truncation)]
    let nanos = (seconds.max(0.0) * 1e9) as i64;
    nanos
}

fn plus_nanos(at: Timestamp, nanos: i64) -> Timestamp {
    at.checked_add(jiff::SignedDuration::from_nanos(nanos)).unwrap_or(at)
}

/// `at` plus a span in seconds.
pub(super) fn later(at: Timestamp, seconds: f64) -> Timestamp {
    plus_nanos(at, nanos(seconds))
}

/// `at` minus a span in seconds.
pub(super) fn earlier(at: Timestamp, seconds: f64) -> Timestamp {
    plus_nanos(at, -nanos(seconds))
}

/// The next representable instant of a service that counts in 100 ns steps.
pub(super) fn next_step(at: Timestamp) -> Timestamp {
    plus_nanos(at, 100)
}

/// Cuts an instant to 100 ns, the resolution both services print.
pub(super) fn to_steps(at: Timestamp) -> Timestamp {
    plus_nanos(at, -i64::from(at.subsec_nanosecond().rem_euclid(100)))
}

/// Cuts an instant to the 1/300 s tick of Graph's incident and alert times (`graph-security.md` 2.3).
pub(super) fn to_tick(at: Timestamp) -> Timestamp {
    let nanos = at.as_nanosecond();
    let within = nanos.rem_euclid(1_000_000_000);
    let tick = within * 300 / 1_000_000_000;
    // Seven digits, rounded: 1/300 s prints as .0033333, 2/300 s as .0066667.
    let rounded = (tick * 10_000_000 + 150) / 300 * 100;
    Timestamp::from_nanosecond(nanos - within + rounded).unwrap_or(at)
}

/// Up to seven digits with trailing zeros trimmed, as Graph prints times: `...:33.1Z`, `...:00Z`.
pub(super) fn trimmed(at: Timestamp) -> String {
    let full = seven(at);
    let text = full.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
    format!("{text}Z")
}

/// Always seven digits, as Sentinel prints times.
pub(super) fn seven(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.7fZ").to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn ticks_look_like_the_services() {
        for (input, output) in [
            ("2026-02-25T16:29:33.1Z", "2026-02-25T16:29:33.1Z"),
            ("2026-02-25T16:29:33.0034Z", "2026-02-25T16:29:33.0033333Z"),
            ("2026-02-25T16:29:33.0066Z", "2026-02-25T16:29:33.0033333Z"),
            ("2026-02-25T16:29:33.2967Z", "2026-02-25T16:29:33.2966667Z"),
            ("2026-02-25T16:29:30.0000001Z", "2026-02-25T16:29:30Z"),
        ] {
            assert_eq!(trimmed(to_tick(at(input))), output);
        }
    }

    #[test]
    fn whole_seconds_keep_their_zeros() {
        assert_eq!(trimmed(at("2026-02-25T16:20:00Z")), "2026-02-25T16:20:00Z");
        assert_eq!(seven(at("2026-02-25T16:20:00Z")), "2026-02-25T16:20:00.0000000Z");
    }

    #[test]
    fn a_manual_clock_stands_still() {
        let mut time = Time::new(Clock::Manual(at("2026-01-01T00:00:00Z")));
        time.advance(1.5);
        time.advance(-3.0);
        assert_eq!(trimmed(time.now()), "2026-01-01T00:00:01.5Z");
    }
}
