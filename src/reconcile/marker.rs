//! The mark that every copied comment carries: it names the copy, and proves that we wrote the text around it.
//!
//! Others can write into comments too, so the mark holds a keyed MAC over the copy's name and its text. A planted
//! or altered mark verifies nothing: it can neither pass for a copy nor suppress one.

use std::borrow::Cow;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::plain::flat;
use crate::model::{Comment, CommentKey, RecordRef, short_hex};

/// The key of the marks. Two installations that share systems must share it.
#[derive(Clone)]
pub struct MarkerKey([u8; 32]);

/// Longest body of a copy, in UTF-16 units: the services take 30,000 with author and mark (`sentinel.md` 2.1).
const MAX_BODY: usize = 28_500;
const OPEN: &str = "[lockstep ";
/// Hexadecimal digits of a copy's name and of a MAC.
const HEX: usize = 24;

impl fmt::Debug for MarkerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MarkerKey([redacted])")
    }
}

/// What a comment's mark says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// There is none.
    None,
    /// A mark of ours: the comment is the copy of this name.
    Ours(CommentKey),
    /// Something that looks like a mark, but we did not write it around this text: somebody quotes or forges one.
    Unproven,
}

impl MarkerKey {
    /// A key from 32 bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A key from a secret of any length.
    pub fn from_secret(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// The text of a copy: body, origin, mark.
    pub fn copy_text(&self, name: &CommentKey, origin: &RecordRef, comment: &Comment) -> String {
        let author = comment.author.as_deref().map(flat).filter(|author| !author.is_empty());
        let author = author.as_deref().unwrap_or("someone");
        let body = format!("{}\n\n— {author} in {}", fitting(&harmless(&comment.text)), origin.system);
        format!("{body} {OPEN}{}.{}]", name.as_str(), self.mac(name.as_str(), &body))
    }

    /// What the mark of a comment says.
    pub fn read(&self, text: &str) -> Mark {
        let text = text.trim_end();
        let Some(at) = text.rfind(OPEN.trim_end()) else { return Mark::None };
        let mark = text[at + OPEN.trim_end().len()..].strip_prefix(char::is_whitespace);
        let mark = mark.and_then(|mark| mark.trim_start().strip_suffix(']')?.split_once('.'));
        let Some((name, mac)) = mark.filter(|(name, mac)| is_hex(name) && is_hex(mac)) else {
            return Mark::None;
        };
        if constant_time_eq(mac, &self.mac(name, &text[..at])) {
            Mark::Ours(CommentKey::from_id(name))
        } else {
            Mark::Unproven
        }
    }

    fn mac(&self, name: &str, body: &str) -> String {
        // HMAC takes keys of any length, so this cannot fail.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(name.as_bytes());
        // Services trim and re-wrap, so white space does not count.
        for word in body.split_whitespace() {
            mac.update(b" ");
            mac.update(word.as_bytes());
        }
        short_hex(&mac.finalize().into_bytes())
    }
}

/// The name of the copies of a comment. The same for every target, so that a copy of a copy is recognised.
pub fn copy_name(origin: &RecordRef, comment: &CommentKey) -> CommentKey {
    CommentKey::from_id(&short_hex(&Sha256::digest(format!("{origin}\n{}", comment.as_str()))))
}

/// A text whose marks, if it quotes any, are none any more: the bracket is another one, and the reader still sees what it was.
fn harmless(text: &str) -> Cow<'_, str> {
    let mut rest = text;
    let mut out = String::new();
    while let Some(at) = rest.find(OPEN.trim_end()) {
        let (before, mark) = rest.split_at(at);
        out.push_str(before);
        out.push('(');
        rest = &mark[1..];
        if let Some(end) = rest.find(']').filter(|end| !rest[..*end].contains('[')) {
            out.push_str(&rest[..end]);
            out.push(')');
            rest = &rest[end + 1..];
        }
    }
    if out.is_empty() && rest.len() == text.len() {
        return Cow::Borrowed(text);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// How many marks a text quotes, made harmless or not.
pub(super) fn quotations(text: &str) -> usize {
    let is_mark = |rest: &str| {
        let mark = rest.trim_start().get(..=2 * HEX);
        mark.and_then(|mark| mark.split_once('.')).is_some_and(|(name, mac)| is_hex(name) && is_hex(mac))
    };
    text.split(&OPEN.trim_end()[1..]).skip(1).filter(|rest| is_mark(rest)).count()
}

fn is_hex(text: &str) -> bool {
    text.len() == HEX && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn constant_time_eq(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
}

/// As much of a text as every service takes, without the characters that not every service keeps: a copy that reads back
/// changed cannot be recognised.
fn fitting(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let kept = |c: char| match c {
        '\n' | '\t' => Some(c),
        c if c.is_control() => c.is_whitespace().then_some(' '),
        '\u{fffe}' | '\u{ffff}' => None,
        c => Some(c),
    };
    let (mut out, mut units) = (String::with_capacity(text.len().min(2 * MAX_BODY)), 0);
    for c in text.chars().filter_map(kept) {
        units += c.len_utf16();
        if units > MAX_BODY {
            out.push_str("\n… (cut by lockstep)");
            break;
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sample() -> (MarkerKey, CommentKey, String) {
        let key = MarkerKey::from_secret("k");
        let origin: RecordRef = "defender/incident/1".parse().unwrap();
        let comment = Comment {
            key: CommentKey::from_id("c1"),
            author: None,
            created: None,
            text: "look  here".into(),
        };
        let name = copy_name(&origin, &comment.key);
        let text = key.copy_text(&name, &origin, &comment);
        (key, name, text)
    }

    #[test]
    fn a_copy_is_recognised_even_when_white_space_changed() {
        let (key, name, text) = sample();
        assert_eq!(key.read(&text), Mark::Ours(name.clone()));
        assert_eq!(key.read(&format!("{}\n ", text.replace("  ", " "))), Mark::Ours(name));
    }

    #[test]
    fn a_copy_is_recognised_even_when_its_mark_was_wrapped() {
        let (key, name, text) = sample();
        for space in ["\n", "\r\n  ", "\u{a0}"] {
            let wrapped = text.replace(OPEN, &format!("{space}[lockstep{space}"));
            assert_eq!(key.read(&wrapped), Mark::Ours(name.clone()), "{wrapped:?}");
        }
        assert_eq!(key.read(&text.replace(OPEN, "[lockstep")), Mark::None);
    }

    #[test]
    fn an_answer_that_quotes_a_copy_is_copied_with_a_harmless_quotation() {
        let (key, name, text) = sample();
        let origin: RecordRef = "tickets/ticket/7".parse().unwrap();
        let quoted = format!("> {}\n", text.lines().collect::<Vec<_>>().join("\n> "));
        for answer in
            [format!("On it.\n{quoted}"), format!("On it.\n{text}"), format!("{text}\nseen, thanks")]
        {
            assert!(!matches!(key.read(&answer), Mark::Ours(_)), "{answer}");
            let comment =
                Comment { key: CommentKey::from_id("mail-1"), author: None, created: None, text: answer };
            let other = copy_name(&origin, &comment.key);
            let copy = key.copy_text(&other, &origin, &comment);
            assert_eq!(key.read(&copy), Mark::Ours(other));
            let unmarked = &copy[..copy.rfind(OPEN).unwrap()];
            assert_eq!(key.read(unmarked), Mark::None, "{unmarked}");
            assert!(
                unmarked.contains(&format!("(lockstep {}", name.as_str())),
                "the quotation is still there"
            );
            assert_eq!(quotations(&copy), 2, "{copy}");
        }
    }

    #[test]
    fn a_planted_mark_proves_nothing() {
        let (key, _, text) = sample();
        assert_eq!(key.read(&text.replace("look", "drop")), Mark::Unproven);
        let mark = &text[text.rfind(OPEN).unwrap()..];
        assert_eq!(key.read(&format!("other text {mark}")), Mark::Unproven);
        assert_eq!(MarkerKey::from_secret("other").read(&text), Mark::Unproven);
        assert_eq!(key.read("see [lockstep docs]"), Mark::None);
    }

    #[test]
    fn long_texts_are_cut_visibly_and_keep_their_mark() {
        let (key, name, _) = sample();
        let origin: RecordRef = "defender/incident/1".parse().unwrap();
        let comment =
            Comment { key: CommentKey::from_id("c"), author: None, created: None, text: "ä".repeat(40_000) };
        let text = key.copy_text(&name, &origin, &comment);
        assert!(text.chars().count() < 30_000 && text.contains("cut by lockstep"));
        assert_eq!(key.read(&text), Mark::Ours(name));
    }

    #[test]
    fn what_fits_is_not_cut_and_who_has_no_name_is_someone() {
        let (key, name, _) = sample();
        let origin: RecordRef = "defender/incident/1".parse().unwrap();
        let copy = |text: String, author: Option<&str>| {
            let author = author.map(str::to_owned);
            key.copy_text(
                &name,
                &origin,
                &Comment { key: CommentKey::from_id("c"), author, created: None, text },
            )
        };
        assert!(!copy("a".repeat(MAX_BODY), None).contains("cut by lockstep"));
        assert!(copy("a".repeat(MAX_BODY + 1), None).contains("cut by lockstep"));
        for nobody in [None, Some(""), Some(" \n"), Some("\u{7}")] {
            assert!(copy("look".to_owned(), nobody).contains("— someone in defender"), "{nobody:?}");
        }
        assert!(copy("look".to_owned(), Some("ana")).contains("— ana in defender"));
    }

    #[test]
    fn what_only_begins_like_a_mark_is_a_comment_like_any() {
        let key = MarkerKey::from_secret("k");
        let digits = "0123456789abcdef01234567";
        for mark in
            ["v1.2", &format!("{digits}.2"), &format!("v1.{digits}"), &format!("{digits}.{}", "x".repeat(24))]
        {
            assert_eq!(key.read(&format!("see [lockstep {mark}]")), Mark::None, "{mark}");
        }
        assert_eq!(key.read(&format!("see [lockstep {digits}.{digits}]")), Mark::Unproven);
    }

    #[test]
    fn two_wrong_digits_do_not_make_up_for_each_other() {
        assert!(constant_time_eq("0123", "0123"));
        for wrong in ["1023", "0122", "012", "0032", "1122"] {
            assert!(!constant_time_eq("0123", wrong), "{wrong}");
        }
    }

    #[test]
    fn the_key_is_never_printed() {
        assert_eq!(format!("{:?}", MarkerKey::new([7; 32])), "MarkerKey([redacted])");
    }

    /// Connectors cut by UTF-16 units, as the services count. What they cut is no copy of ours any more: it would not be
    /// found when it is looked up, and be written again.
    #[test]
    fn no_copy_is_longer_than_any_service_takes() {
        let (key, name, _) = sample();
        let origin: RecordRef = "defender/incident/1".parse().unwrap();
        let comment = |text: &str, author: &str| Comment {
            key: CommentKey::from_id("c"),
            author: Some(author.to_owned()),
            created: None,
            text: text.to_owned(),
        };
        for comment in [
            comment(&"😀".repeat(29_000), "ana"),
            comment(&"a".repeat(29_000), &"😀".repeat(40_000)),
            comment("a", "ana\nben\n"),
            comment("a\0b\u{1b}[2J\u{8}c\u{fffe}", "a\u{7}"),
        ] {
            let text = key.copy_text(&name, &origin, &comment);
            assert!(text.encode_utf16().count() < 30_000, "{} units", text.encode_utf16().count());
            assert!(text.lines().next_back().unwrap().starts_with("— "), "the author stays on one line");
            assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
            assert_eq!(key.read(&text), Mark::Ours(name.clone()));
        }
    }
}
