//! The answers that prove nothing.

use std::io::{Read, Write};
use std::net::TcpStream;

use lockstep::emulator::{Emulator, Fault, FaultKind, Malformed, When};
use serde_json::json;

use crate::targets::Target;

/// How an operation is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Answer {
    /// 200, and the service's own error for a body.
    ErrorBody,
    /// 200, and JSON that ends in the middle.
    Truncated,
    /// 200, and a list without its second half.
    HalfList,
    /// 200, and nothing.
    Empty,
    /// 200, and a page in HTML, as of a log-in.
    Html200,
    /// 404, and a page in HTML, as of a gateway.
    Html404,
    /// 200, and another record.
    OtherRecord,
    /// Every operation is answered as to a caller that the service does not know.
    Anonymous,
}

impl Answer {
    /// Those that one operation is given.
    pub(crate) const OF_AN_OPERATION: [Self; 7] = [
        Self::ErrorBody,
        Self::Truncated,
        Self::HalfList,
        Self::Empty,
        Self::Html200,
        Self::Html404,
        Self::OtherRecord,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ErrorBody => "error-body",
            Self::Truncated => "truncated",
            Self::HalfList => "half-list",
            Self::Empty => "empty",
            Self::Html200 => "html-200",
            Self::Html404 => "html-404",
            Self::OtherRecord => "other-record",
            Self::Anonymous => "anonymous",
        }
    }

    fn kind(self) -> Option<FaultKind> {
        let spoilt = |how| Some(FaultKind::Malformed { how });
        match self {
            Self::Anonymous => None,
            Self::ErrorBody => spoilt(Malformed::ErrorBody),
            Self::Truncated => spoilt(Malformed::Truncated),
            Self::HalfList => spoilt(Malformed::HalfList),
            Self::Empty => spoilt(Malformed::EmptyBody),
            Self::OtherRecord => spoilt(Malformed::OtherRecord),
            Self::Html200 => Some(FaultKind::Html { status: 200 }),
            Self::Html404 => Some(FaultKind::Html { status: 404 }),
        }
    }

    /// Answers like this from now on. Fails where the emulator cannot.
    pub(crate) fn put_in_force(
        self,
        emulator: &Emulator,
        target: &Target,
        operation: &str,
    ) -> Result<(), String> {
        if self == Self::Anonymous {
            return set_anonymous(emulator, target, true);
        }
        if let Some(kind) = self.kind() {
            emulator.add_fault(Fault::new(kind).on(target.api, operation).when(When::Always));
        }
        Ok(())
    }

    /// Answers as it should again.
    pub(crate) fn lift(self, emulator: &Emulator, target: &Target) {
        emulator.clear_faults();
        if self == Self::Anonymous {
            set_anonymous(emulator, target, false).unwrap();
        }
    }
}

/// By the control interface, as the two kinds of settings have different types.
fn set_anonymous(emulator: &Emulator, target: &Target, on: bool) -> Result<(), String> {
    let (path, member) = target.anonymous.ok_or("it has no callers of its own")?;
    let body = json!({ member: on }).to_string();
    let url = emulator.url();
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).map_err(|e| e.to_string())?;
    let head = format!(
        "PATCH /control/{path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).map_err(|e| e.to_string())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|e| e.to_string())?;
    let is_done = answer.get(9..12) == Some("200");
    if is_done { Ok(()) } else { Err(answer.lines().last().unwrap_or_default().to_owned()) }
}
