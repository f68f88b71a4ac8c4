//! The answers that prove nothing.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::targets::{State, Target};
use lockstep::emulator::{Emulator, Fault, FaultKind, Malformed, When};

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
    /// 200, and JSON that is no object.
    NotAnObject,
    /// 200, and nothing but nulls beside the id.
    Nulls,
    /// 200, and required members missing.
    MissingFields,
    /// Every operation is answered as in this state.
    In(&'static State),
}

impl Answer {
    /// Those that one operation is given.
    pub(crate) const OF_AN_OPERATION: [Self; 10] = [
        Self::ErrorBody,
        Self::Truncated,
        Self::HalfList,
        Self::Empty,
        Self::Html200,
        Self::Html404,
        Self::OtherRecord,
        Self::NotAnObject,
        Self::Nulls,
        Self::MissingFields,
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
            Self::NotAnObject => "no-object",
            Self::Nulls => "nulls",
            Self::MissingFields => "fields-gone",
            Self::In(state) => state.name,
        }
    }

    fn kind(self) -> Option<FaultKind> {
        let spoilt = |how| Some(FaultKind::Malformed { how });
        match self {
            Self::In(_) => None,
            Self::ErrorBody => spoilt(Malformed::ErrorBody),
            Self::Truncated => spoilt(Malformed::Truncated),
            Self::HalfList => spoilt(Malformed::HalfList),
            Self::Empty => spoilt(Malformed::EmptyBody),
            Self::OtherRecord => spoilt(Malformed::OtherRecord),
            Self::NotAnObject => spoilt(Malformed::NotAnObject),
            Self::Nulls => spoilt(Malformed::Nulls),
            Self::MissingFields => spoilt(Malformed::MissingFields),
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
        if let Self::In(state) = self {
            return set(emulator, state.path, state.on);
        }
        if let Some(kind) = self.kind() {
            emulator.add_fault(Fault::new(kind).on(target.api, operation).when(When::Always));
        }
        Ok(())
    }

    /// Answers as it should again.
    pub(crate) fn lift(self, emulator: &Emulator) {
        emulator.clear_faults();
        if let Self::In(state) = self {
            set(emulator, state.path, state.off).unwrap();
        }
    }
}

/// By the control interface, as the settings of all and those of ticket systems have different types.
fn set(emulator: &Emulator, path: &str, members: &str) -> Result<(), String> {
    let url = emulator.url();
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).map_err(|e| e.to_string())?;
    let head = format!(
        "PATCH /control/{path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        members.len()
    );
    stream.write_all(format!("{head}{members}").as_bytes()).map_err(|e| e.to_string())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|e| e.to_string())?;
    let is_done = answer.get(9..12) == Some("200");
    if is_done { Ok(()) } else { Err(answer.lines().last().unwrap_or_default().to_owned()) }
}
