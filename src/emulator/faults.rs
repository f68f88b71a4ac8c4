//! Faults on demand: which request they hit and what they do to it.

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::ledger::Api;
use super::malformed::Malformed;

/// One fault: what happens to which requests.
///
/// As JSON: `{"api":"graph","operation":"update-incident","when":{"next":1},"kind":"drop-after"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Only this API; any if absent.
    #[serde(default)]
    pub api: Option<Api>,
    /// Only this operation, such as `update-incident`; any if absent.
    #[serde(default)]
    pub operation: Option<String>,
    /// Which of the matching requests.
    #[serde(default)]
    pub when: When,
    /// What happens to them.
    #[serde(flatten)]
    pub kind: FaultKind,
}

impl Fault {
    /// A fault on the next request to any operation of any API.
    pub fn new(kind: FaultKind) -> Self {
        Self { api: None, operation: None, when: When::default(), kind }
    }

    /// Only on this operation of this API.
    #[must_use]
    pub fn on(mut self, api: Api, operation: &str) -> Self {
        self.api = Some(api);
        self.operation = Some(operation.to_owned());
        self
    }

    /// Only on this API.
    #[must_use]
    pub fn on_api(mut self, api: Api) -> Self {
        self.api = Some(api);
        self
    }

    /// Which of the matching requests.
    #[must_use]
    pub fn when(mut self, when: When) -> Self {
        self.when = when;
        self
    }

    fn matches(&self, api: Api, operation: &str) -> bool {
        self.api.is_none_or(|own| own == api) && self.operation.as_deref().is_none_or(|own| own == operation)
    }
}

/// Which of the matching requests a fault hits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// The next so many.
    Next(u32),
    /// Each with this probability, 0 to 1, drawn from the seeded generator.
    Probability(f64),
    /// Every one until faults are cleared.
    Always,
}

impl Default for When {
    fn default() -> Self {
        Self::Next(1)
    }
}

/// What a fault does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum FaultKind {
    /// The request waits before it is looked at.
    Latency {
        /// Milliseconds of real time.
        millis: u64,
    },
    /// The request is carried out, then the answer waits.
    SlowAnswer {
        /// Milliseconds of real time.
        millis: u64,
    },
    /// 429, not executed.
    Throttle {
        /// The form of `Retry-After`.
        #[serde(default)]
        retry_after: RetryAfter,
    },
    /// An error status, not executed.
    ErrorBefore {
        /// The status, 400 to 599.
        status: u16,
    },
    /// Executed, and then an error status all the same.
    ErrorAfter {
        /// The status, 400 to 599.
        status: u16,
    },
    /// The connection closes, not executed.
    DropBefore,
    /// Executed, and then the connection closes without an answer.
    DropAfter,
    /// An error page in HTML from a proxy, not executed.
    Html {
        /// The status.
        status: u16,
    },
    /// A GET shows every record as it was before its last change.
    StaleRead,
    /// A PUT of Sentinel or Request Tracker is refused with the conflict of a stale etag, although it was fresh.
    StaleEtag,
    /// A Sentinel PUT is executed, and the etag changes once more right after, so that the answer's is stale.
    EtagMovesOn,
    /// A Graph PATCH is executed and answers with the old record.
    StalePatchBody,
    /// The token used counts as expired from now on.
    ExpireToken,
    /// The answer is spoilt.
    Malformed {
        /// How.
        how: Malformed,
    },
    /// The next-page link of a list points to another host.
    ForeignNextLink,
}

/// The form of a `Retry-After` header.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetryAfter {
    /// Whole seconds.
    Seconds(u32),
    /// Seconds with a fraction, as older documentation shows (`graph-security.md` 5.2).
    Decimal(f64),
    /// An HTTP date this many seconds ahead of the wall clock.
    HttpDate(u32),
    /// No such header.
    Absent,
}

impl Default for RetryAfter {
    fn default() -> Self {
        Self::Seconds(1)
    }
}

impl RetryAfter {
    pub(super) fn header(self, now: Timestamp) -> Option<String> {
        match self {
            Self::Seconds(seconds) => Some(seconds.to_string()),
            Self::Decimal(seconds) => Some(format!("{seconds:.3}")),
            Self::HttpDate(seconds) => Some(http_date(super::clock::later(now, f64::from(seconds)))),
            Self::Absent => None,
        }
    }
}

/// The form of HTTP's `Date` header.
pub(super) fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// What the faults want of one request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Plan {
    pub(super) latency_millis: u64,
    pub(super) slow_millis: u64,
    pub(super) action: Option<FaultKind>,
}

impl Plan {
    /// Whether the request's action is this fault.
    pub(super) fn is(&self, kind: &FaultKind) -> bool {
        self.action.as_ref() == Some(kind)
    }
}

/// The faults in force.
#[derive(Debug)]
pub(super) struct Faults {
    list: Vec<Fault>,
    rng: StdRng,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        Self { list: Vec::new(), rng: StdRng::seed_from_u64(seed) }
    }

    pub(super) fn add(&mut self, fault: Fault) {
        self.list.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
    }

    pub(super) fn list(&self) -> &[Fault] {
        &self.list
    }

    /// Draws what happens to a request. Waits add up; of the other faults the first that hits is used, and the
    /// counts of the others stay.
    pub(super) fn plan(&mut self, api: Api, operation: &str) -> Plan {
        let mut plan = Plan::default();
        let rng = &mut self.rng;
        for fault in self.list.iter_mut().filter(|fault| fault.matches(api, operation)) {
            let is_wait = matches!(fault.kind, FaultKind::Latency { .. } | FaultKind::SlowAnswer { .. });
            if (!is_wait && plan.action.is_some()) || !hits(&mut fault.when, rng) {
                continue;
            }
            match fault.kind {
                FaultKind::Latency { millis } => plan.latency_millis += millis,
                FaultKind::SlowAnswer { millis } => plan.slow_millis += millis,
                ref kind => plan.action = Some(kind.clone()),
            }
        }
        self.list.retain(|fault| fault.when != When::Next(0));
        plan
    }
}

fn hits(when: &mut When, rng: &mut StdRng) -> bool {
    match when {
        When::Next(0) => false,
        When::Next(left) => {
            *left -= 1;
            true
        }
        When::Probability(p) => rng.random::<f64>() < *p,
        When::Always => true,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_counted_fault_hits_so_many_and_is_gone() {
        let mut faults = Faults::new(1);
        faults.add(Fault::new(FaultKind::DropAfter).on(Api::Graph, "update-incident").when(When::Next(2)));
        assert_eq!(faults.plan(Api::Graph, "get-incident"), Plan::default());
        assert_eq!(faults.plan(Api::Sentinel, "update-incident"), Plan::default());
        for _ in 0..2 {
            assert!(faults.plan(Api::Graph, "update-incident").is(&FaultKind::DropAfter));
        }
        assert_eq!(faults.plan(Api::Graph, "update-incident"), Plan::default());
        assert!(faults.list().is_empty());
    }

    #[test]
    fn waits_add_to_the_first_other_fault() {
        let mut faults = Faults::new(1);
        faults.add(Fault::new(FaultKind::Latency { millis: 5 }));
        faults.add(Fault::new(FaultKind::DropBefore));
        faults.add(Fault::new(FaultKind::StaleRead));
        let plan = faults.plan(Api::Graph, "x");
        assert_eq!((plan.latency_millis, plan.action), (5, Some(FaultKind::DropBefore)));
        assert!(faults.plan(Api::Graph, "x").is(&FaultKind::StaleRead));
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let draw = |seed| {
            let mut faults = Faults::new(seed);
            faults.add(Fault::new(FaultKind::DropAfter).when(When::Probability(0.5)));
            (0..64).map(|_| faults.plan(Api::Graph, "x").action.is_some()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn faults_read_from_json() {
        let text = r#"{"api":"graph","operation":"list-incidents","when":{"probability":0.1},
                       "kind":"throttle","retry_after":{"decimal":2.128}}"#;
        let fault: Fault = serde_json::from_str(text).unwrap();
        let retry_after = RetryAfter::Decimal(2.128);
        assert_eq!(fault.kind, FaultKind::Throttle { retry_after });
        assert_eq!(retry_after.header(Timestamp::UNIX_EPOCH).unwrap(), "2.128");
        assert_eq!(
            RetryAfter::HttpDate(5).header(Timestamp::UNIX_EPOCH).unwrap(),
            "Thu, 01 Jan 1970 00:00:05 GMT"
        );
    }
}
