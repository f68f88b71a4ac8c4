//! Journal fields render what stands between `[code]` and `[/code]` as HTML (`ticketing.md` 1.7). Incident texts are
//! other people's, so the tags are broken on the way in and mended on the way out: a text comes back as it went. What
//! people write in an editor for HTML arrives between such tags, and is converted.

use crate::connectors::html;
use crate::connectors::rich_text::PlainText;

/// Word joiner: takes no room, breaks no line, and is no white space.
const JOINER: char = '\u{2060}';

/// The text with one joiner after the bracket of each such tag. Tags that have joiners already get one more, so that
/// [`mended`] can tell ours.
pub(super) fn broken(text: &str) -> String {
    with_tags(text, |joiners| joiners + 1)
}

/// A journal entry as people see it: what stands between the tags as HTML, all else as it is. Tags without a partner are
/// text.
pub(super) fn read(entry: &str) -> String {
    let parts = rendered(entry);
    if parts.is_empty() {
        return mended(entry);
    }
    let (mut text, mut from) = (PlainText::default(), 0);
    for Part { open, html, close } in parts {
        text.words(&mended(&entry[from..open]));
        text = html::read_into(text, &mended(&entry[html..close]));
        from = close + "[/code]".len();
    }
    text.words(&mended(&entry[from..]));
    text.finish().trim().to_owned()
}

/// A pair of tags that stands in no other: where its first tag begins, where its content does, and where its last does.
struct Part {
    open: usize,
    html: usize,
    close: usize,
}

fn rendered(entry: &str) -> Vec<Part> {
    let (mut parts, mut open): (Vec<Part>, Vec<usize>) = Default::default();
    for (at, _) in entry.match_indices('[').filter(|(at, _)| is_code(&entry[at + 1..])) {
        if !entry[at + 1..].starts_with('/') {
            open.push(at);
        } else if let Some(begin) = open.pop() {
            // What stands within this pair belongs to it.
            while parts.last().is_some_and(|part| part.open > begin) {
                parts.pop();
            }
            parts.push(Part { open: begin, html: begin + "[code]".len(), close: at });
        }
    }
    parts
}

/// The text as it was before [`broken`].
fn mended(text: &str) -> String {
    with_tags(text, |joiners| joiners.saturating_sub(1))
}

fn with_tags(text: &str, joiners: impl Fn(usize) -> usize) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(at) = rest.find('[') {
        let (before, tag) = rest.split_at(at + 1);
        out.push_str(before);
        let inner = tag.trim_start_matches(JOINER);
        if is_code(inner) {
            let present = (tag.len() - inner.len()) / JOINER.len_utf8();
            out.extend(std::iter::repeat_n(JOINER, joiners(present)));
            rest = inner;
        } else {
            rest = tag;
        }
    }
    out.push_str(rest);
    out
}

/// Whether what follows a bracket makes it a tag.
fn is_code(inner: &str) -> bool {
    let name = inner.strip_prefix('/').unwrap_or(inner);
    name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("code]"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::connectors::testing::cases;

    #[test]
    fn tags_are_broken_and_mended() {
        let text = "a [code]<img src=x>[/CODE] [lockstep 1.2] [co";
        let sent = broken(text);
        assert!(!sent.to_lowercase().contains("[code]") && !sent.to_lowercase().contains("[/code]"));
        assert_eq!(read(&sent), text);
        assert_eq!(read("plain [lockstep 1.2]"), "plain [lockstep 1.2]");
    }

    #[test]
    fn what_an_html_editor_made_is_read_in_words() {
        for (entry, text) in [
            (
                "[code]<p>Contained <strong>host7</strong>&nbsp;&amp; reset</p><ul><li>a</li></ul>[/code]",
                "Contained host7 & reset\n\na",
            ),
            (
                "see [CODE]<a href='https://x.example'>it</a>[/CODE], [code]<b>now</b>[/code]!",
                "see it (https://x.example), now!",
            ),
            ("a [code]<p>b</p>[/code] c < d &amp; e", "a \n\nb\n\n c < d &amp; e"),
            ("[code]<blockquote>a[/code]b", "> a\n\nb"),
            ("[code]never closed <b>x</b>", "[code]never closed <b>x</b>"),
            ("closed [/code] only", "closed [/code] only"),
            ("a [code] b [code]<b>c</b>[/code]", "a [code] b c"),
            ("[code]<p>write [code]x[/code] for x</p>[/code]", "write [code]x[/code] for x"),
            ("[code]<p>[\u{2060}code]x</p>[/code]", "[code]x"),
            ("[code][/code]", ""),
        ] {
            assert_eq!(read(entry), text, "{entry}");
        }
    }

    #[test]
    fn an_entry_of_nothing_but_tags_is_read_in_one_pass() {
        for part in ["[code]", "[/code]", "[code]x[/code]", "[code]<b>[/code]<", "["] {
            let _ = read(&part.repeat(200_000 / part.len()));
        }
        let _ = read(&format!("{}{}", "[code]".repeat(20_000), "[/code]".repeat(20_000)));
    }

    proptest! {
        #![proptest_config(cases(1_000))]

        #[test]
        fn any_text_comes_back_as_it_went(text in "(\\[|/|code|CODE|\\]|\u{2060}| |\\PC){0,30}") {
            let sent = broken(&text);
            prop_assert!(!sent.to_ascii_lowercase().contains("[code]"));
            prop_assert_eq!(read(&sent), text);
        }
    }
}
