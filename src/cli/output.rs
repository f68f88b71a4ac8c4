//! What commands print: text for people, JSON for programs. Styling is removed where stdout is no terminal.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::server::views::IntentView;

/// Headings and names.
pub(super) const BOLD: Style = Style::new().bold();
/// What matters less.
pub(super) const DIM: Style = Style::new().dimmed();
/// Good news.
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
/// What deserves a look.
pub(super) const WARN: Style = AnsiColor::Yellow.on_default();
/// What is wrong.
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();

/// The format of what a command prints.
#[derive(Debug, Clone, Copy, Args)]
pub struct FormatArg {
    /// What the output looks like
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// The format of what a command prints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

impl FormatArg {
    /// Prints data in the chosen format.
    pub(super) fn print<T: Serialize>(self, data: &T, text: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
        let text = match self.format {
            Format::Text => text(data),
            Format::Json => serde_json::to_string_pretty(data)?,
        };
        print(&text)?;
        Ok(())
    }
}

/// Prints to stdout, with a line break at the end.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut stdout = anstream::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        stdout.write_all(b"\n")?;
    }
    stdout.flush()
}

/// Says on stderr what went wrong. When even that fails there is nobody left to tell.
pub(super) fn complain(text: &str) {
    let mut stderr = anstream::stderr().lock();
    let _ = writeln!(stderr, "{BAD}error{BAD:#}: {text}");
}

/// A text in a style.
pub(super) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A text from outside, with control characters escaped: a hostile title must not steer the terminal.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(hostile) {
        return Cow::Borrowed(text);
    }
    let mut cleaned = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if hostile(c) {
            let _ = write!(cleaned, "{}", c.escape_default());
        } else {
            cleaned.push(c);
        }
    }
    Cow::Owned(cleaned)
}

/// What an intent does, to which record and to which of its fields: `update of defender/incident/4711 (status)`.
pub(super) fn what(intent: &IntentView) -> String {
    let fields: Vec<&str> = intent.fields.iter().map(|field| field.as_str()).collect();
    let fields = if fields.is_empty() { String::new() } else { format!(" ({})", fields.join(", ")) };
    format!("{} of {}{fields}", intent.action, clean(&intent.record.to_string()))
}

/// Control characters, and those that turn the direction of text around.
fn hostile(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A moment as people read it: `2026-11-24 09:01:00Z`.
pub(super) fn moment(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_cannot_steer_the_terminal() {
        assert_eq!(clean("plain – text"), "plain – text");
        assert_eq!(clean("a\u{1b}[2Jb\nc\u{202e}d"), "a\\u{1b}[2Jb\\nc\\u{202e}d");
    }
}
