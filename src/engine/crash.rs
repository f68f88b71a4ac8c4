//! Named points at which a test can make the worker die as if killed. Absent from release builds.

/// Every point, in the order in which an edit passes them.
pub const POINTS: [&str; 8] = [
    "inbox-before-commit",
    "inbox-after-commit",
    "decide-before-commit",
    "decide-after-commit",
    "send-before-commit",
    "send-after-commit",
    "settle-before-commit",
    "settle-after-commit",
];

/// Dies here if `LOCKSTEP_CRASH_AT` says `name` or `name:n` (the n-th passing, from 1).
#[cfg(debug_assertions)]
pub(super) fn point(name: &'static str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    static WANTED: OnceLock<Option<(String, u32)>> = OnceLock::new();
    static PASSED: AtomicU32 = AtomicU32::new(0);
    debug_assert!(POINTS.contains(&name), "unknown crash point {name}");
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("LOCKSTEP_CRASH_AT").ok()?;
        let (name, nth) = text.split_once(':').unwrap_or((&text, "1"));
        Some((name.to_owned(), nth.parse().ok()?))
    });
    let Some((wanted, nth)) = wanted else { return };
    if wanted == name && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *nth {
        eprintln!("crash point {name} reached");
        std::process::abort();
    }
}

/// Does nothing.
#[cfg(not(debug_assertions))]
pub(super) fn point(_name: &'static str) {}
