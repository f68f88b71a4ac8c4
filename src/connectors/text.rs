//! Cutting remote and own texts: visibly where they are sent, safely where they are shown.

use std::borrow::Cow;

/// Longest comment, resolving comment and classification comment that both services keep, in UTF-16 units
/// (`graph-security.md` 2.1 and 2.9, `sentinel.md` 2.1).
pub(super) const MAX_COMMENT: usize = 30_000;

/// What a cut text says where it was cut.
const CUT: &str = "\n[cut here by lockstep]";

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
