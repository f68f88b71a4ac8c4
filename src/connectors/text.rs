//! Cutting remote and own texts: visibly where they are sent, safely where they are shown.

use std::borrow::Cow;

/// Longest comment, resolving comment and classification comment that both services keep, in UTF-16 units
/// (`graph-security.md` 2.1 and 2.9, `sentinel.md` 2.1).
pub(super) const MAX_COMMENT: usize = 30_000;

/// What a cut text says where it was cut.
const CUT: &str = "\n[cut here by lockstep]";

/// How the mark of a copied comment begins (`reconcile/marker.rs`).
const MARK: &str = "[lockstep";

/// A text and the mark of ours that it seems to end in. Such a text is read back as it was written, and never converted
/// as people's are: only the very words prove a copy to be ours.
pub(super) fn split_mark(text: &str) -> Option<(&str, &str)> {
    let (body, mark) = text.split_at(text.rfind(MARK)?);
    let inner = mark[MARK.len()..].trim_end().strip_suffix(']')?.strip_prefix(char::is_whitespace)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '.';
    inner.trim_start().chars().all(is_plain).then_some((body, mark))
}

/// Whether a text seems to end in a mark of ours.
pub(super) fn is_marked(text: &str) -> bool {
    split_mark(text).is_some()
}

/// The text, or as much of its beginning as fits into `limit` UTF-16 units together with a note of the cut.
pub(super) fn cut(text: &str, limit: usize) -> Cow<'_, str> {
    if units(text) <= limit {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}{CUT}", beginning(text, limit.saturating_sub(units(CUT)))))
}

/// Like [`cut`], but the last line stays: it may be the marker by which a copy is recognised.
pub(super) fn cut_keeping_last_line(text: &str, limit: usize) -> Cow<'_, str> {
    let Some((body, last)) = text.trim_end().rsplit_once('\n') else { return cut(text, limit) };
    let reserved = units(last) + 1;
    if units(text) <= limit || reserved + units(CUT) >= limit {
        return cut(text, limit);
    }
    Cow::Owned(format!("{}\n{last}", cut(body, limit - reserved)))
}

/// Remote text for messages and logs: at most 120 characters, control characters escaped.
pub(super) fn shown(text: &str) -> String {
    let mut out: String = text.chars().take(120).flat_map(char::escape_debug).collect();
    if text.chars().nth(120).is_some() {
        out.push('…');
    }
    out
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

fn beginning(text: &str, limit: usize) -> &str {
    let mut used = 0;
    let mut fits = |c: char| {
        used += c.len_utf16();
        used <= limit
    };
    &text[..text.chars().take_while(|c| fits(*c)).map(char::len_utf8).sum()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::connectors::testing::cases;

    #[test]
    fn short_texts_pass_and_long_ones_say_that_they_were_cut() {
        assert_eq!(cut("abc", 3), "abc");
        let long = "😀".repeat(MAX_COMMENT);
        let short = cut(&long, MAX_COMMENT);
        assert!(units(&short) <= MAX_COMMENT && units(&short) > MAX_COMMENT - 3);
        assert!(short.ends_with("cut here by lockstep]"));
    }

    #[test]
    fn the_marker_line_survives_a_cut() {
        let long = format!("{}\n[marker 42]", "a\n".repeat(MAX_COMMENT));
        let short = cut_keeping_last_line(&long, MAX_COMMENT);
        assert!(short.ends_with("[cut here by lockstep]\n[marker 42]"));
        assert!(units(&short) <= MAX_COMMENT);
        assert_eq!(cut_keeping_last_line("a\nb", 10), "a\nb");
    }

    #[test]
    fn a_mark_is_told_by_its_form() {
        assert_eq!(split_mark("look [lockstep 1.2]\n"), Some(("look ", "[lockstep 1.2]\n")));
        assert!(is_marked("look [lockstep\n 1.2]"));
        for other in ["look", "[lockstep docs] a", "[lockstep a b]", "[lockstep1.2]", "[lockstep 1.2"] {
            assert!(!is_marked(other), "{other}");
        }
    }

    proptest! {
        #![proptest_config(cases(1_000))]

        #[test]
        fn any_text_is_cut_to_its_limit(text in any::<String>(), limit in 0..200_usize) {
            for short in [cut(&text, limit), cut_keeping_last_line(&text, limit)] {
                prop_assert!(units(&short) <= limit.max(units(CUT)), "{} units of {}", units(&short), limit);
            }
            prop_assert!(!shown(&text).contains(char::is_control));
        }
    }

    #[test]
    fn shown_text_is_short_and_harmless() {
        let text = shown(&format!("a\u{1b}[31m\n{}", "x".repeat(500)));
        assert!(text.starts_with("a\\u{1b}[31m\\n") && text.ends_with('…'));
    }
}
