//! The mark that every copied comment carries: it names the copy, and proves that we wrote the text around it.
//!
//! Others can write into comments too, so the mark holds a keyed MAC over the copy's name and its text. A planted
//! or altered mark verifies nothing: it can neither pass for a copy nor suppress one.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::model::{Comment, CommentKey, RecordRef, short_hex};

/// The key of the marks. Two installations that share systems must share it.
#[derive(Clone)]
pub struct MarkerKey([u8; 32]);

/// Longest body of a copy, in characters: the services take 30,000 with the mark (`sentinel.md` 2.1).
const MAX_BODY: usize = 29_000;
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
    /// Something that looks like a mark, but we did not write it around this text.
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
        let author = comment.author.as_deref().unwrap_or("someone");
        let body = format!("{}\n\n— {author} in {}", cut(&comment.text), origin.system);
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

fn is_hex(text: &str) -> bool {
    text.len() == HEX && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn constant_time_eq(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
}

fn cut(text: &str) -> String {
    if text.chars().count() <= MAX_BODY {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(MAX_BODY).collect();
    cut.push_str("\n… (cut by lockstep)");
    cut
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
}
